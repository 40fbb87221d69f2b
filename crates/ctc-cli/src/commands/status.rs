//! `ctc status`: what the store has.

use std::time::SystemTime;

use clap::Args;
use ctc_driver::Replay;
use ctc_driver::ctc_core::SessionRecord;
use ctc_ureq::Outbound;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::account::Account;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::Form;
use crate::record::{State, table};
use crate::session::{LoginPolicy, SessionOptions};
use crate::when::span;

/// A page of devices: the vendor's pages name no cheaper call.
const CHECK_PATH: &str = "/connect/services/devices?pg=1";

/// Options of `ctc status`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ctc status                        what the store has; sends nothing
  ctc status --check                also make one call with the session, without a login
  ctc status --json | jq .phase     for scripts and monitoring")]
pub(crate) struct StatusArgs {
    /// Check that the server accepts the token: one GET call, without a login
    #[arg(long)]
    check: bool,
    /// Path of that call
    #[arg(long, value_name = "PATH", default_value = CHECK_PATH, requires = "check")]
    check_path: String,
}

/// Prints what the store has of the account.
pub(crate) fn status(
    args: &StatusArgs,
    options: &SessionOptions,
    form: Form,
) -> Result<Exit, Failure> {
    let account = options.account()?;
    let key = account.record_key()?;
    let record = account.store.read(&key)?;
    let state = State::new(
        record.as_ref().map(SessionRecord::overview),
        SystemTime::now(),
    );
    let (_, mut exit) = state.phase();

    let place = account.store.place(&key);
    let mut lines = vec![("account", in_words(&account)?), ("store", place.clone())];
    lines.extend(state.lines());
    let mut members = state.json();
    members.insert("account".to_owned(), account_json(&account, &key.account)?);
    let store = json!({ "kind": account.store.kind(), "place": place });
    members.insert("store".to_owned(), store);

    if args.check {
        let checked = check(args, &account)?;
        exit = checked.exit;
        lines.push(("server", checked.words));
        members.insert("check".to_owned(), checked.json);
    } else if let Some(wait) = state.retry_after() {
        lines.push((
            "",
            format!("try again in {} s ({})", wait.as_secs() + 1, span(wait)),
        ));
    }
    members.insert("exit".to_owned(), json!(exit as u8));
    form.print(&table(&lines), Value::Object(members))?;
    Ok(exit)
}

/// `ada@example.com on https://connect.calamp.com (profile fleet)`
pub(crate) fn in_words(account: &Account) -> Result<String, Failure> {
    let profile = account.profile.as_ref();
    let profile = profile.map(|name| format!(" (profile {name})"));
    let origin = account.endpoint.origin();
    Ok(format!(
        "{} on {origin}{}",
        account.user()?,
        profile.unwrap_or_default()
    ))
}

pub(crate) fn account_json(account: &Account, mark: &str) -> Result<Value, Failure> {
    Ok(json!({
        "user": account.user()?,
        "origin": account.endpoint.origin(),
        "profile": account.profile,
        "mark": mark,
    }))
}

struct Checked {
    exit: Exit,
    words: String,
    json: Value,
}

fn check(args: &StatusArgs, account: &Account) -> Result<Checked, Failure> {
    let client = Client::new(account, LoginPolicy::Never)?;
    if !client.adopt()? {
        return Ok(Checked {
            exit: Exit::LoggedOut,
            words: "not asked: the store has no session for this password".to_owned(),
            json: json!({ "asked": false, "status": null, "accepted": null }),
        });
    }
    let request = Request::get(&args.check_path).body(());
    let request = request.map_err(|error| Failure::of(Exit::Usage, &error))?;
    let response = client.execute(Outbound::new(request), |options| {
        options.replay(Replay::Never)
    })?;
    let status = response.status();
    let (exit, accepted, words) = match status {
        StatusCode::UNAUTHORIZED => (
            Exit::LoggedOut,
            Some(false),
            "rejects the token (401): the next call logs in".to_owned(),
        ),
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => (
            Exit::TryLater,
            None,
            format!("responds with {status}: ask again later"),
        ),
        status => (
            Exit::Done,
            Some(true),
            format!("accepts the token (status {status})"),
        ),
    };
    let json = json!({ "asked": true, "status": status.as_u16(), "accepted": accepted });
    Ok(Checked { exit, words, json })
}
