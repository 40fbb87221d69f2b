//! Records are loaded as they were saved.

use std::time::Duration;

use ctc_driver::ctc_core::SessionRecord;

use super::samples::Account;
use super::stage::{LONG, SLACK, Stage, ensure, ok};

pub(super) fn nothing_at_first(stage: &Stage<'_>) -> Result<(), String> {
    let found = load(stage)?;
    ensure(found.is_none(), || {
        "the new store already has a record".into()
    })
}

pub(super) fn saved_is_loaded(stage: &Stage<'_>) -> Result<(), String> {
    for token in ["first", "second"] {
        round_trip(stage, &stage.account.record(token), token)?;
    }
    Ok(())
}

pub(super) fn history_is_kept(stage: &Stage<'_>) -> Result<(), String> {
    round_trip(stage, &stage.account.paused(), "a pause")?;
    round_trip(stage, &stage.account.rejected(), "a rejection")?;
    round_trip(
        stage,
        &stage.account.record("token").without_token(),
        "a record without a token",
    )
}

pub(super) fn keys_do_not_mix(stage: &Stage<'_>) -> Result<(), String> {
    let account = &stage.account;
    let others = [
        account.at("https://store-conformance.example:8443"),
        account.at("https://store.conformance-example"),
        account.with_app_key("another-key"),
        Account::new(),
    ];
    round_trip(stage, &account.record("mine"), "the first account")?;
    for other in &others {
        let stage = Stage {
            account: other.clone(),
            ..*stage
        };
        nothing_at_first(&stage)?;
        round_trip(&stage, &other.record("theirs"), "another account")?;
    }
    let found = load(stage)?;
    ensure(
        found.is_some_and(|found| found.key() == account.key()),
        || "another account's record came".into(),
    )
}

pub(super) fn odd_tokens(stage: &Stage<'_>) -> Result<(), String> {
    let long = "Ab0+/=".repeat(700);
    for token in [
        "%7B%22a%22%3Anull%7D==",
        "!#$&'()*+-./:<=>?@[]^_`{|}~",
        &long,
    ] {
        round_trip(stage, &stage.account.record(token), "an odd token")?;
    }
    Ok(())
}

/// Two processes that cannot reach the store may give two tokens the same number; then their time
/// decides.
pub(super) fn younger_stays(stage: &Stage<'_>) -> Result<(), String> {
    let record = |token, number, minutes: u64| {
        let age = Duration::from_secs(60 * minutes);
        stage.account.record_of(token, number, age)
    };
    round_trip(stage, &record("first", 2, 30), "the first token")?;
    round_trip(
        stage,
        &record("later", 2, 20),
        "a later token of the same number",
    )?;
    let youngest = record("next", 3, 25);
    round_trip(stage, &youngest, "a token of a higher number")?;
    for (older, what) in [
        (record("older", 3, 40), "an older token of the same number"),
        (record("lower", 2, 0), "a token of a lower number"),
        (
            record("lower", 2, 0).without_token(),
            "a logout of an earlier token",
        ),
    ] {
        let mut lease = stage.lease(SLACK, LONG)?;
        ok("save", lease.save(&older))?;
        ok("release", lease.release())?;
        let found = load(stage)?;
        ensure(found.as_ref() == Some(&youngest), || {
            format!("{what} replaced a younger one: {found:?}")
        })?;
    }
    let same = record("next", 3, 25);
    round_trip(stage, &same, "a later record of the same token")?;
    round_trip(stage, &same.without_token(), "a logout of this token")
}

fn round_trip(stage: &Stage<'_>, record: &SessionRecord, what: &str) -> Result<(), String> {
    let mut lease = stage.lease(SLACK, LONG)?;
    ok("save", lease.save(record))?;
    ok("release", lease.release())?;
    let found = load(stage)?;
    ensure(found.as_ref() == Some(record), || {
        format!("{what} came back as {found:?}")
    })
}

fn load(stage: &Stage<'_>) -> Result<Option<SessionRecord>, String> {
    let mut lease = stage.lease(SLACK, LONG)?;
    let found = ok("load", lease.load())?;
    ok("release", lease.release())?;
    Ok(found)
}
