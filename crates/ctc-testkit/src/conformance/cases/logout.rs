//! Logging out, and calls after that.

use ctc_driver::LogoutOutcome;

use super::prelude::*;
use crate::{DEFAULT_APP_KEY, When};

pub(super) fn logout_is_as_assumed(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    accepted(&scene.client.logout()?, 200)?;
    let (call, logout) = (scene.last(Class::Call)?, scene.last(Class::Logout)?);
    equal("the method", logout.method.as_str(), "POST")?;
    equal("the path", logout.path.as_str(), "/connect/services/logout")?;
    equal("the query", logout.query.as_str(), "")?;
    equal(
        "the keys",
        logout.header("calamp-services-app"),
        vec![DEFAULT_APP_KEY],
    )?;
    equal(
        "the cookies",
        logout.header("cookie"),
        call.header("cookie"),
    )?;
    equal("the body", logout.body_len, 0)?;
    equal(
        "the transfer encoding",
        logout.header("transfer-encoding"),
        Vec::<&str>::new(),
    )?;
    equal("valid tokens", scene.server.counts().live_tokens, 0)?;
    equal("logouts", scene.server.counts().logouts, 1)?;
    scene.counts(1, 1)
}

pub(super) fn closed_session_sends_nothing(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.client.logout()?;
    let before = scene.server.journal().len();
    let denied = scene.client.denied(scene.client.get(DEVICES))?;
    equal("the denial", denied.denial(), &Denial::Closed)?;
    match scene.client.login()? {
        Ok(()) => return fail("the login", "a denial".into(), "it succeeded".into()),
        Err(denied) => equal("the denial", denied.denial(), &Denial::Closed)?,
    }
    let again = scene.client.logout()?;
    that(
        "a second logout finds no token",
        matches!(again, LogoutOutcome::NoToken),
        &again,
    )?;
    equal("requests", scene.server.journal().len(), before)?;
    // Only `reopen` allows a new login.
    scene.client.session.reopen();
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(2, 1)
}

pub(super) fn logout_tells_how_it_went(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.server.revoke_all();
    accepted(&scene.client.logout()?, 401)?;
    for status in [302, 404, 500] {
        scene.client.session.reopen();
        scene.client.open()?;
        let location = ("location".to_owned(), DEVICES.to_owned());
        let fault = Fault::Respond {
            status,
            headers: vec![location],
            body: String::new(),
            act: false,
        };
        scene.server.inject(Rule::once(Matcher::Logout, fault));
        match scene.client.logout()? {
            LogoutOutcome::Rejected(seen) => equal("the status", seen.as_u16(), status)?,
            other => {
                return fail(
                    "the logout",
                    format!("Refused({status})"),
                    format!("{other:?}"),
                );
            }
        }
        // The session drops the token, whatever the response; on the server it stays valid.
        scene.server.revoke_all();
    }
    equal("calls caused by a redirect", scene.server.counts().calls, 0)?;
    scene.counts(4, 0)
}

pub(super) fn unreachable_logout_closes_all_the_same(stage: &Stage<'_>) -> Checked {
    let timeout = Duration::from_millis(250);
    let scene = stage.scene_of(Server::builder(), Setup::default().login_timeout(timeout))?;
    for fault in [
        Fault::Hang { act: false },
        Fault::Cut {
            at: Point::BeforeResponse,
            act: false,
        },
    ] {
        scene.client.session.reopen();
        scene.client.open()?;
        scene
            .server
            .inject(Rule::forever(Matcher::Logout, fault.clone()));
        match scene.client.logout()? {
            LogoutOutcome::Unreachable(error) => {
                that("the outcome says why", !error.to_string().is_empty(), error)?;
            }
            other => {
                return fail(
                    format!("the logout after {fault:?}"),
                    "Unreachable".into(),
                    format!("{other:?}"),
                );
            }
        }
        equal(
            "the denial",
            scene.client.denied(scene.client.get(DEVICES))?.denial(),
            &Denial::Closed,
        )?;
        scene.server.clear_faults();
        scene.server.revoke_all();
    }
    equal(
        "requests to the login path",
        scene.server.counts().login_requests,
        2,
    )
}

pub(super) fn logout_with_calls_under_way_causes_no_login(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.server.inject(Rule::times(
        6,
        Matcher::AnyCall,
        Fault::Hold { when: When::Before },
    ));
    let herd = scene.client.herd(6, &scene.client.get(DEVICES))?;
    scene.until("the calls", |counts| counts.held == 6)?;
    accepted(&scene.client.logout()?, 200)?;
    scene.server.release();
    for call in herd {
        // The token was revoked before the server handled these calls.
        equal(
            "the status of a call in progress",
            answered(call)?.status,
            401,
        )?;
    }
    scene.counts(1, 6)
}

/// The login's response arrives after the session was closed: no call gets its token, and the token
/// is logged out.
pub(super) fn a_login_response_after_logout_opens_nothing(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene()?;
    scene.server.inject(Rule::once(
        Matcher::Login,
        Fault::Hold { when: When::After },
    ));
    let call = scene.client.start(scene.client.get(DEVICES))?;
    scene.until("the login", |counts| counts.held == 1)?;
    let early = scene.client.logout()?;
    that(
        "there was no token yet",
        matches!(early, LogoutOutcome::NoToken),
        &early,
    )?;
    scene.server.release();
    match call.wait()? {
        Ok(head) => return fail("the call", "a denial".into(), head.status.to_string()),
        Err(failed) => equal("the denial", denied(failed)?.denial(), &Denial::Closed)?,
    }
    scene.until("the orphan's logout", |counts| counts.logouts == 1)?;
    equal("valid tokens", scene.server.counts().live_tokens, 0)?;
    scene.counts(1, 0)
}

#[track_caller]
fn accepted(out: &LogoutOutcome, status: u16) -> Checked {
    match out {
        LogoutOutcome::Accepted(seen) => equal("the status of the logout", seen.as_u16(), status),
        other => fail(
            "the logout",
            format!("Accepted({status})"),
            format!("{other:?}"),
        ),
    }
}
