//! `ctc login`, `renew`, `logout` and `reset`: the life of a session.

use std::time::{Duration, SystemTime};

use clap::Args;
use ctc_driver::ctc_core::SessionRecord;
use ctc_driver::{LeaseTerms, LogoutOutcome};
use serde_json::{Value, json};

use super::status::{account_json, in_words};
use crate::account::Account;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::Form;
use crate::record::State;
use crate::session::{LoginPolicy, SessionOptions};
use crate::when::around_now;

/// Options of `ctc login`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ctc login                                  with the default profile, or the CTC_* variables
  ctc login --region us --user ada@example.com --app-key-file key.txt
  pass show ctc | ctc login --password-stdin")]
pub(crate) struct LoginArgs {}

/// Options of `ctc renew`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ctc renew                    a new token now, for example before maintenance
  ctc renew --wait 300         wait up to 5 minutes for the login budget
  ctc renew --profile fleet")]
pub(crate) struct RenewArgs {}

/// Options of `ctc logout`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ctc logout                   end the session on the server and in the store
  ctc logout --profile fleet
  ctc logout --json")]
pub(crate) struct LogoutArgs {}

/// Options of `ctc reset`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ctc reset                    allow logins again, after an account was unlocked
  ctc reset && ctc login       and log in immediately
  ctc reset --profile fleet")]
pub(crate) struct ResetArgs {}

/// Logs in, unless the store has a session.
pub(crate) fn login(options: &SessionOptions, form: Form) -> Result<Exit, Failure> {
    let account = options.account()?;
    let client = Client::new(&account, LoginPolicy::IfNeeded)?;
    client.open()?;
    tell(&account, &client, form)
}

/// Logs in even if there is a session.
pub(crate) fn renew(options: &SessionOptions, form: Form) -> Result<Exit, Failure> {
    let account = options.account()?;
    let client = Client::new(&account, LoginPolicy::IfNeeded)?;
    // Adopt the stored token first: it is the one to be replaced.
    if client.adopt()? {
        client.renew()?;
    } else {
        client.open()?;
    }
    tell(&account, &client, form)
}

/// Prints since when and until when there is a session, but not its token.
fn tell(account: &Account, client: &Client, form: Form) -> Result<Exit, Failure> {
    let now = SystemTime::now();
    let key = account.record_key()?;
    let record = account.store.read(&key)?;
    let overview = record.as_ref().map(SessionRecord::overview);
    let token = overview
        .as_ref()
        .and_then(|overview| overview.tokens.first());
    let what = if client.has_tried() {
        "logged in"
    } else {
        "already logged in"
    };
    let time =
        |time: Option<SystemTime>| time.map_or("unknown".to_owned(), |time| around_now(time, now));
    let since = time(token.and_then(|token| token.obtained_at));
    let end = time(token.and_then(|token| token.expires_at));
    let text = format!(
        "{what} as {}\nsince {since}; known end: {end}\n",
        in_words(account)?
    );
    let mut members = State::new(overview.clone(), now).json();
    members.insert("account".to_owned(), account_json(account, &key.account)?);
    members.insert("logged_in_now".to_owned(), json!(client.has_tried()));
    form.print(&text, Value::Object(members))?;
    Ok(Exit::Done)
}

/// Ends the session, on the server and in the store.
pub(crate) fn logout(options: &SessionOptions, form: Form) -> Result<Exit, Failure> {
    let account = options.account()?;
    let record = account.store.read(&account.record_key()?)?;
    if !record.is_some_and(|record| record.has_token()) {
        return ended(&LogoutOutcome::NoToken, form);
    }
    let client = Client::new(&account, LoginPolicy::Never)?;
    match client.adopt() {
        Ok(true) => ended(&client.driver.logout(), form),
        Ok(false) => ended(&LogoutOutcome::NoToken, form),
        // A backoff or a rejection does not matter for a logout; a store that fails does.
        Err(failure) if failure.exit == Exit::Error => Err(failure),
        Err(_) => ended(&LogoutOutcome::NoToken, form),
    }
}

fn ended(outcome: &LogoutOutcome, form: Form) -> Result<Exit, Failure> {
    let (name, status, exit) = match outcome {
        LogoutOutcome::NoToken => ("no_session", None, Exit::Done),
        // Not a failure: with the OAuth login, a logout revokes only if the profile says so.
        LogoutOutcome::NotRevoked => ("not_revoked", None, Exit::Done),
        LogoutOutcome::Accepted(status) => ("accepted", Some(*status), Exit::Done),
        LogoutOutcome::Rejected(status) => ("not_accepted", Some(*status), Exit::Error),
        LogoutOutcome::Unreachable(_) => ("unreachable", None, Exit::Unreachable),
        _ => ("unknown", None, Exit::Error),
    };
    let text = match outcome {
        LogoutOutcome::NoToken => {
            "the store has no session for this username and password\n".into()
        }
        outcome => format!("{outcome}\n"),
    };
    let status = status.map(|status| status.as_u16());
    let json = json!({ "outcome": name, "status": status, "exit": exit as u8 });
    form.print(&text, json)?;
    Ok(exit)
}

/// How long to wait for a login that another process makes.
const RESET_WAIT: Duration = Duration::from_secs(30);
const RESET_TTL: Duration = Duration::from_secs(30);

/// Removes rejections and backoff of the account from the store: no password is needed.
pub(crate) fn reset(options: &SessionOptions, form: Form) -> Result<Exit, Failure> {
    let account = options.account()?;
    let key = account.record_key()?;
    let terms = LeaseTerms {
        wait: RESET_WAIT,
        ttl: RESET_TTL,
    };
    let mut lease = account.store.blocking().lease(&key, terms)?;
    let record = lease.load()?;
    let lifted = record.as_ref().map(SessionRecord::overview);
    let rejections = lifted.as_ref().map_or(0, |found| found.rejections.len());
    let backoff = lifted.is_some_and(|found| found.backoff.is_some());
    if let Some(record) = record.filter(|_| rejections > 0 || backoff) {
        lease.save(&record.without_stops())?;
    }
    lease.release()?;
    let text = match (rejections, backoff) {
        (0, false) => "the store has no rejection or backoff of this account".to_owned(),
        (0, true) => "lifted the backoff".to_owned(),
        (count, false) => format!("lifted {count} rejected login(s)"),
        (count, true) => format!("lifted {count} rejected login(s) and the backoff"),
    };
    let text = format!(
        "{text}\nprograms that are running keep theirs until they are reset or restarted\n"
    );
    form.print(
        &text,
        json!({ "rejections": rejections, "backoff": backoff }),
    )?;
    Ok(Exit::Done)
}
