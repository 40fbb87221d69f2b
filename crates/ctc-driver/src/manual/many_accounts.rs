use std::collections::HashMap;
use std::time::{Duration, Instant};

use ctc_reqwest::{BuildError, Client, ClientBuilder, LoginLimiter, reqwest};
use futures_util::future::join_all;

/// The open clients, each with the time of its last use.
pub(crate) type Open = HashMap<String, (Client, Instant)>;

/// What all share: HTTP clients for calls and for logins, and the limiter.
pub(crate) type Shared = (reqwest::Client, reqwest::Client, LoginLimiter);

/// Returns an account's client: the open one, or a new one.
pub(crate) fn client(
    open: &mut Open,
    (http, login_http, limiter): &Shared,
    user: &str,
    builder: impl FnOnce() -> ClientBuilder,
) -> Result<Client, BuildError> {
    if let Some((client, used)) = open.get_mut(user) {
        *used = Instant::now();
        return Ok(client.clone());
    }
    let builder = builder().label(user).login_limiter(limiter);
    let builder = builder.http_client(http.clone());
    let client = builder.login_http_client(login_http.clone()).build()?;
    open.insert(user.to_owned(), (client.clone(), Instant::now()));
    Ok(client)
}

/// Drops the clients that were not used for `idle`. Their tokens stay valid.
pub(crate) fn evict(open: &mut Open, idle: Duration) {
    open.retain(|_, (_, used)| used.elapsed() < idle);
}

/// Logs all out, within `limit` in total.
pub(crate) async fn close(open: Open, limit: Duration) {
    join_all(open.values().map(|(client, _)| client.logout_within(limit))).await;
}
