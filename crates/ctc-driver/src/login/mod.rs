//! What a login and a logout do, store included: the same steps for both drivers.

mod attempt;
mod credentials;
mod elected;
pub(crate) mod io;
pub(crate) mod leased_store;
mod logout;
mod next;
mod turn;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use ctc_core::{FormBody, LoginReading, OpenRecord, Session};
use futures_util::FutureExt;
use http::Request;
use tracing::Instrument;

pub(crate) use attempt::Attempt;
pub(crate) use elected::{Elected, START_TIMEOUT, Unstarted};
pub use logout::LogoutOutcome;
pub(crate) use logout::{LOGOUT_TIMEOUT, log_out};
pub(crate) use next::{Next, RemainingWait, Waiting, next, renewal};

use crate::events::SessionEvent;
use crate::ports::{LoginRequest, StoreError};
use crate::session::inside_login;
use crate::session::store_view::SaveGuard;
use attempt::Offered;
use io::{Io, SendLogin};
use leased_store::{LeasedStore, STORE_TIMEOUT, full_wait, lease};

#[cfg(test)]
mod tests;

/// How long the callers that wanted a login wait for its end once it is reported: a program that
/// ends after its first call would lose the token's save. The store may be slow.
pub(crate) const END_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a key is derived for a record whose salt changes each time. After that the login goes
/// on with what is readable without a key.
const MOST_ROUNDS: u32 = 3;

/// Makes a login, or finds that another process made it already. Returns the panic of an HTTP
/// client or a store, which counts as a failed login.
pub(crate) async fn log_in(
    mut attempt: Box<Attempt>,
    io: &Io<dyn SendLogin>,
) -> Result<(), Box<dyn Any + Send>> {
    let span = attempt.span.clone();
    let steps = inside_login(&io.session, steps(&mut attempt, io));
    let ended = AssertUnwindSafe(steps)
        .catch_unwind()
        .instrument(span)
        .await;
    if ended.is_err() {
        let sent = attempt.is_sent;
        attempt.report_failure(None, |session, ticket, now| {
            session.login_panicked(ticket, sent, now)
        });
    }
    ended
}

async fn steps(attempt: &mut Attempt, io: &Io<dyn SendLogin>) {
    let session = &io.session;
    let timeout = session.settings().login_timeout;
    if attempt.request.is_none() && !attempt.obtain_credentials(io).await {
        return;
    }
    let (mut store, response, succeeded) = loop {
        let Some((request, store)) = prepare(attempt, io).await else {
            return;
        };
        session.counters().logins.count();
        session.tell(SessionEvent::LoginSent);
        let reader = session.with(|session, _| session.login_reader());
        let login = LoginRequest::new(request, timeout).with_body_limit(reader.body_limit());
        // Outside of the lock: reading may run a rule of the user's own.
        let response = io.send(login).await.map(|response| {
            let (status, headers) = (response.status(), response.headers());
            let reader = reader.arrived_at(session.wall());
            reader.read(status, headers, response.body())
        });
        attempt.place = None;
        let succeeded = response.as_ref().is_ok_and(LoginReading::has_token);
        let is_rejected = response
            .as_ref()
            .is_ok_and(LoginReading::rejects_credentials);
        if !is_rejected || attempt.questions == 0 {
            break (store, response, succeeded);
        }
        // A source may take its time: never under the store's lease.
        store.release().await;
        if !attempt.ask_again(io).await {
            break (lease_again(io).await, response, false);
        }
    };
    if !succeeded {
        let kept;
        (store, kept) = reload(io, store).await;
        if attempt.offer(kept, Session::login_overtaken) == Offered::NotNeeded {
            return store.release().await;
        }
    }
    // If this task is dropped before the save, the next call saves what the login brought.
    let save = SaveGuard::of_login(session);
    let orphan = attempt.report(response);
    store.save().await;
    save.complete();
    store.release().await;
    attempt.saved();
    if let Some(logout) = orphan {
        let timeout = timeout.min(LOGOUT_TIMEOUT);
        drop(io.send(LoginRequest::new(*logout, timeout)).await);
    }
}

/// Asks the store once more, after a login that failed. If another process has begun a new record
/// meanwhile, with a salt of its own, its key is derived first, and not under the lease.
async fn reload<'a>(
    io: &'a Io<dyn SendLogin>,
    mut store: LeasedStore<'a>,
) -> (LeasedStore<'a>, Option<OpenRecord>) {
    let kept = store.load().await;
    if kept.is_none() {
        return (store, kept);
    }
    let Some(work) = store.missing_key().await else {
        return (store, kept);
    };
    store.release().await;
    if let Err(error) = io.derive(work).await {
        io.session.store_failed("seal", &error);
    }
    let mut store = lease_again(io).await;
    let kept = store.load().await.or(kept);
    (store, kept)
}

/// Takes the store's lease again in the same login, if it is free.
async fn lease_again(io: &Io<dyn SendLogin>) -> LeasedStore<'_> {
    match lease(io, STORE_TIMEOUT).await {
        Ok(store) => store,
        Err(StoreError::Busy) => LeasedStore::none(io),
        Err(error) => {
            io.session.store_failed("lease", &error);
            LeasedStore::none(io)
        }
    }
}

/// Takes the store's lease and asks its record. `None` if no login is to be sent.
async fn prepare<'a>(
    attempt: &mut Attempt,
    io: &'a Io<dyn SendLogin>,
) -> Option<(Request<FormBody>, LeasedStore<'a>)> {
    let session = &io.session;
    let mut may_lose_the_lease = true;
    let mut rounds = 0;
    loop {
        let mut store = match lease(io, full_wait(session)).await {
            Ok(store) => store,
            Err(StoreError::Busy) => {
                attempt.report_failure(None, Session::store_busy);
                return None;
            }
            Err(error) => {
                session.store_failed("lease", &error);
                LeasedStore::none(io)
            }
        };
        let kept = store.load().await;
        let is_pointless = attempt.adopts_only && kept.is_none();
        if rounds < MOST_ROUNDS
            && !is_pointless
            && let Some(work) = store.missing_key().await
        {
            // Deriving is slow: never under the lease.
            rounds += 1;
            store.release().await;
            if let Err(error) = io.derive(work).await {
                session.store_failed("seal", &error);
                rounds = MOST_ROUNDS;
            }
            if !io.is_in_use() {
                attempt.cancel();
            }
            if attempt.is_wanted() {
                continue;
            }
            return None;
        }
        if kept.as_ref().is_some_and(|kept| !kept.has_token()) && store.has_tokens_of_others() {
            session.tell(SessionEvent::StoredByOthers);
        }
        let offered = attempt.offer(kept, Session::login_resumed);
        if !io.is_in_use() || attempt.adopts_only {
            attempt.cancel();
        }
        let proceeds = offered == Offered::Proceed && attempt.is_wanted();
        if proceeds && !attempt.has_turn() {
            // Other sessions are logging in: never wait for them under the lease.
            store.release().await;
            if attempt.wait_for_turn(io).await {
                continue;
            }
            return None;
        }
        // On record before it is sent: a process that dies in mid-login has spent this login all
        // the same. And a backoff or debt that another clock wrote counts by ours from here on, or
        // it might never end.
        let saves = proceeds || offered == Offered::Denied;
        let has_lost_the_lease = saves && !store.save().await;
        if has_lost_the_lease && proceeds && may_lose_the_lease {
            // This process slept past its lease: another may have logged in by now. Only once: a
            // store that loses every lease is a broken one.
            may_lose_the_lease = false;
            continue;
        }
        // The store may have been slow: the session may be closed by now, or its clients gone.
        if !io.is_in_use() {
            attempt.cancel();
        }
        if proceeds && let Some(request) = attempt.start() {
            return Some((request, store));
        }
        store.release().await;
        return None;
    }
}
