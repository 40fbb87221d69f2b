//! Records come back as they went in.

use std::time::Duration;

use ctc_driver::ctc_core::SessionRecord;

use super::bench::{Bench, LONG, SLACK, ensure, ok};
use super::samples::Account;

pub(super) fn nothing_at_first(bench: &Bench<'_>) -> Result<(), String> {
    let found = load(bench)?;
    ensure(found.is_none(), || {
        "there was a record before anything was saved".into()
    })
}

pub(super) fn saved_is_loaded(bench: &Bench<'_>) -> Result<(), String> {
    for token in ["first", "second"] {
        round_trip(bench, &bench.account.record(token), token)?;
    }
    Ok(())
}

pub(super) fn history_is_kept(bench: &Bench<'_>) -> Result<(), String> {
    round_trip(bench, &bench.account.paused(), "a pause")?;
    round_trip(bench, &bench.account.rejected(), "a rejection")?;
    round_trip(
        bench,
        &bench.account.record("token").without_token(),
        "a record without a token",
    )
}

pub(super) fn keys_do_not_mix(bench: &Bench<'_>) -> Result<(), String> {
    let account = &bench.account;
    let others = [
        account.at("https://store-conformance.example:8443"),
        account.at("https://store.conformance-example"),
        account.with_app_key("another-key"),
        Account::new(),
    ];
    round_trip(bench, &account.record("mine"), "the first account")?;
    for other in &others {
        let bench = Bench {
            account: other.clone(),
            ..*bench
        };
        nothing_at_first(&bench)?;
        round_trip(&bench, &other.record("theirs"), "another account")?;
    }
    let found = load(bench)?;
    ensure(
        found.is_some_and(|found| found.key() == account.key()),
        || "another account's record came".into(),
    )
}

pub(super) fn odd_tokens(bench: &Bench<'_>) -> Result<(), String> {
    let long = "Ab0+/=".repeat(700);
    for token in [
        "%7B%22a%22%3Anull%7D==",
        "!#$&'()*+-./:<=>?@[]^_`{|}~",
        &long,
    ] {
        round_trip(bench, &bench.account.record(token), "an odd token")?;
    }
    Ok(())
}

/// Two processes may give two tokens one number while they cannot reach the store; then the time
/// decides.
pub(super) fn younger_stays(bench: &Bench<'_>) -> Result<(), String> {
    let record = |token, number, minutes: u64| {
        let age = Duration::from_secs(60 * minutes);
        bench.account.record_of(token, number, age)
    };
    round_trip(bench, &record("first", 2, 30), "the first token")?;
    round_trip(
        bench,
        &record("later", 2, 20),
        "a later token of the same number",
    )?;
    let youngest = record("next", 3, 25);
    round_trip(bench, &youngest, "a token of a higher number")?;
    for (older, what) in [
        (record("older", 3, 40), "an older token of the same number"),
        (record("lower", 2, 0), "a token of a lower number"),
        (
            record("lower", 2, 0).without_token(),
            "a logout of an earlier token",
        ),
    ] {
        let mut lease = bench.lease(SLACK, LONG)?;
        ok("save", lease.save(&older))?;
        ok("release", lease.release())?;
        let found = load(bench)?;
        ensure(found.as_ref() == Some(&youngest), || {
            format!("{what} replaced a younger one: {found:?}")
        })?;
    }
    let same = record("next", 3, 25);
    round_trip(bench, &same, "a later record of the same token")?;
    round_trip(bench, &same.without_token(), "a logout of this token")
}

fn round_trip(bench: &Bench<'_>, record: &SessionRecord, what: &str) -> Result<(), String> {
    let mut lease = bench.lease(SLACK, LONG)?;
    ok("save", lease.save(record))?;
    ok("release", lease.release())?;
    let found = load(bench)?;
    ensure(found.as_ref() == Some(record), || {
        format!("{what} came back as {found:?}")
    })
}

fn load(bench: &Bench<'_>) -> Result<Option<SessionRecord>, String> {
    let mut lease = bench.lease(SLACK, LONG)?;
    let found = ok("load", lease.load())?;
    ok("release", lease.release())?;
    Ok(found)
}
