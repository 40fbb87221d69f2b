//! Credentials from a source, which each login asks.

use std::sync::Arc;

use super::prelude::*;
use crate::conformance::script::{Says, Script};
use crate::{DEFAULT_PASSWORD, DEFAULT_USERNAME};

/// The number of callers at once.
const MANY: usize = 24;
const OTHER: &str = "another-password";

/// Creates a server, and a client whose source returns `lines`, one after the other.
fn scene_of(stage: &Stage<'_>, setup: Setup, lines: &[Says]) -> Checked<(Scene, Arc<Script>)> {
    let script = Script::new(lines);
    let setup = setup.source(Arc::clone(&script));
    Ok((stage.scene_of(Server::builder(), setup)?, script))
}

fn asked(script: &Script, expected: usize) -> Checked {
    equal("questions to the source", script.asked(), expected)
}

/// Makes many calls at once, all of which must get a response.
fn herd(scene: &Scene) -> Checked {
    for call in scene.client.herd(MANY, &scene.client.get(DEVICES))? {
        equal("the status of a call", answered(call)?.status, 200)?;
    }
    Ok(())
}

pub(super) fn source_is_asked_once_a_login(stage: &Stage<'_>) -> Checked {
    let lines = [Says::Password(DEFAULT_PASSWORD)];
    let (scene, script) = scene_of(stage, Setup::default(), &lines)?;
    asked(&script, 0)?;
    herd(&scene)?;
    asked(&script, 1)?;
    scene.client.clock.advance(HOUR);
    scene.server.revoke_all();
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    asked(&script, 2)?;
    scene.counts(2, MANY as u64 + 2)
}

/// The source still has the old password: it is asked once more, and one more login is made.
pub(super) fn herd_on_a_changed_password_logs_in_twice(stage: &Stage<'_>) -> Checked {
    for setup in [Setup::default(), Setup::default().oauth()] {
        let old = Says::Password(DEFAULT_PASSWORD);
        let (scene, script) = scene_of(stage, setup, &[old, old, Says::Password(OTHER)])?;
        scene.client.open()?;
        scene.client.clock.advance(HOUR);
        scene.server.set_account(DEFAULT_USERNAME, OTHER);
        scene.server.revoke_all();
        herd(&scene)?;
        asked(&script, 3)?;
        let counts = scene.server.counts();
        equal("logins", counts.login_requests, 3)?;
        equal("logins that were refused", counts.logins_refused, 1)?;
        scene.clean()?;
    }
    Ok(())
}

pub(super) fn same_password_after_a_refusal_ends_it(stage: &Stage<'_>) -> Checked {
    for setup in [Setup::default(), Setup::default().oauth()] {
        let (scene, script) = scene_of(stage, setup, &[Says::Password(OTHER)])?;
        for call in scene.client.herd(MANY, &scene.client.get(DEVICES))? {
            match call.wait()? {
                Ok(head) => {
                    return fail("the call", "to be denied".into(), head.status.to_string());
                }
                Err(failed) => {
                    let denied = denied(failed)?;
                    let rejected = matches!(denied.denial(), Denial::Rejected { .. });
                    that("the credentials are rejected", rejected, denied)?;
                }
            }
        }
        scene.client.clock.advance(HOUR);
        scene.client.denied(scene.client.get(DEVICES))?;
        asked(&script, 2)?;
        scene.counts(1, 0)?;
    }
    Ok(())
}

pub(super) fn failing_source_sends_nothing(stage: &Stage<'_>) -> Checked {
    let right = Says::Password(DEFAULT_PASSWORD);
    let lines = [Says::Unavailable, right];
    let (scene, script) = scene_of(stage, Setup::default(), &lines)?;
    let denied = scene.client.denied(scene.client.get(DEVICES))?;
    let expected = LoginFailure::CredentialsUnavailable;
    equal("the login's failure", cause(&denied)?, expected)?;
    scene.client.denied(scene.client.get(DEVICES))?;
    asked(&script, 1)?;
    scene.counts(0, 0)?;
    scene.client.clock.advance(HOUR);
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    asked(&script, 2)?;
    scene.counts(1, 1)?;

    let (scene, script) = scene_of(stage, Setup::default(), &[Says::Unusable, right])?;
    for _ in 0..2 {
        let denied = scene.client.denied(scene.client.get(DEVICES))?;
        let unusable = matches!(denied.denial(), Denial::CredentialsUnusable);
        that("the source is of no use", unusable, denied)?;
        scene.client.clock.advance(HOUR);
    }
    asked(&script, 1)?;
    scene.counts(0, 0)?;
    scene.client.session.reset();
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(1, 1)
}

pub(super) fn silent_source_is_bounded(stage: &Stage<'_>) -> Checked {
    let setup = Setup::default().login_timeout(Duration::from_millis(200));
    let lines = [Says::Nothing, Says::Password(DEFAULT_PASSWORD)];
    let (scene, script) = scene_of(stage, setup, &lines)?;
    let denied = scene.client.denied(scene.client.get(DEVICES))?;
    let expected = LoginFailure::CredentialsUnavailable;
    equal("the login's failure", cause(&denied)?, expected)?;
    scene.counts(0, 0)?;
    scene.client.clock.advance(HOUR);
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    asked(&script, 2)?;
    scene.counts(1, 1)
}
