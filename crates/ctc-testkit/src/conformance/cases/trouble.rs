//! Logins that fail: throttled, without a response, cut off, unreachable.

use std::{error::Error, time::Instant};

use super::prelude::*;
use crate::{RetryAfter, When};

pub(super) fn throttled_login_waits_as_asked(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene()?;
    for retry_after in [RetryAfter::Seconds(46), RetryAfter::DateIn(46)] {
        scene.client.clock.advance(HOUR);
        scene.server.inject(Rule::once(
            Matcher::Login,
            Fault::Throttle {
                retry_after: retry_after.clone(),
            },
        ));
        let before = scene.server.counts().login_requests;
        for _ in 0..2 {
            let denied = scene.client.denied(scene.client.get(DEVICES))?;
            match cause(&denied)? {
                LoginFailure::Unavailable { status, .. } => {
                    equal("the status", status.as_u16(), 429)?;
                }
                other => return fail("the cause", "Unavailable".into(), format!("{other:?}")),
            }
            let pause = denied.retry_after().unwrap_or_default().as_secs();
            that(
                format!("{retry_after:?} is obeyed"),
                (44..=47).contains(&pause),
                pause,
            )?;
        }
        equal(
            "requests to the login path",
            scene.server.counts().login_requests,
            before + 1,
        )?;
    }
    scene.client.clock.advance(Duration::from_secs(48));
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(3, 1)
}

pub(super) fn unavailable_login_is_typed(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene()?;
    for status in [408, 425, 500, 502, 503] {
        scene.client.clock.advance(HOUR);
        scene
            .server
            .inject(Rule::once(Matcher::Login, Fault::status(status)));
        let denied = scene.client.denied(scene.client.get(DEVICES))?;
        match cause(&denied)? {
            LoginFailure::Unavailable { status: seen, .. } => {
                equal("the status", seen.as_u16(), status)?;
            }
            other => return fail("the cause", "Unavailable".into(), format!("{other:?}")),
        }
    }
    scene.counts(5, 0)
}

pub(super) fn hanging_login_is_bounded(stage: &Stage<'_>) -> Checked {
    let timeout = Duration::from_millis(250);
    let scene = stage.scene_of(Server::builder(), Setup::default().login_timeout(timeout))?;
    scene
        .server
        .inject(Rule::once(Matcher::Login, Fault::Hang { act: false }));
    let start = Instant::now();
    let herd = scene.client.herd(4, &scene.client.get(DEVICES))?;
    for call in herd {
        let denied = match call.wait()? {
            Ok(head) => return fail("the call", "to be denied".into(), head.status.to_string()),
            Err(failed) => denied(failed)?,
        };
        equal("the cause", cause(&denied)?, LoginFailure::MaybeSent)?;
        that(
            "the denial has a source",
            denied.source().is_some(),
            &denied,
        )?;
    }
    let took = start.elapsed();
    that(
        "it lasts as long as login_timeout, more or less",
        (timeout..16 * timeout).contains(&took),
        took,
    )?;
    scene.client.clock.advance(HOUR);
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(2, 1)
}

/// The head of the response arrives, and then its body does not, or only slowly, byte by byte.
/// Whether the stack reports success or failure, it must do so in time.
pub(super) fn dripping_login_is_bounded(stage: &Stage<'_>) -> Checked {
    for script in [vec![still()], vec![page(503), drops()]] {
        let (scene, login, took) = dripping(stage, script)?;
        that(
            "it lasts no longer than login_timeout, more or less",
            took < 16 * DRIPPING,
            took,
        )?;
        if let Err(denied) = login {
            cause(&denied)?;
        }
        scene.client.clock.advance(HOUR);
        scene.client.expect(scene.client.get(DEVICES), 200)?;
    }
    Ok(())
}

/// The head is enough: a stack that reads no more than needed does not notice that the body never
/// ends.
pub(super) fn login_needs_no_body(stage: &Stage<'_>) -> Checked {
    let scripts = [
        (vec![still()], "logged in"),
        (vec![page(503), drops()], "the server responded with 503"),
    ];
    for (script, says) in scripts {
        let (_, login, _) = dripping(stage, script)?;
        let told = match login {
            Ok(()) => "logged in".to_owned(),
            Err(denied) => cause(&denied)?.to_string(),
        };
        that(
            "the outcome, which the head of the response decides",
            told.starts_with(says),
            told,
        )?;
    }
    Ok(())
}

/// The time limit of a login whose response arrives slowly.
const DRIPPING: Duration = Duration::from_millis(250);

fn still() -> Fault {
    Fault::SlowBody {
        chunk: 1,
        pause: 3_600_000,
    }
}

fn drops() -> Fault {
    Fault::SlowBody {
        chunk: 1,
        pause: 100,
    }
}

fn page(status: u16) -> Fault {
    Fault::Respond {
        status,
        headers: vec![],
        body: "x".repeat(60),
        act: false,
    }
}

fn dripping(
    stage: &Stage<'_>,
    script: Vec<Fault>,
) -> Checked<(Scene, Result<(), Denied>, Duration)> {
    let setup = Setup::default().login_timeout(DRIPPING);
    let scene = stage.scene_of(Server::builder(), setup)?;
    for fault in script {
        scene.server.inject(Rule::once(Matcher::Login, fault));
    }
    let start = Instant::now();
    let login = scene.client.login()?;
    Ok((scene, login, start.elapsed()))
}

pub(super) fn slow_login_is_waited_for(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene()?;
    scene.server.inject(Rule::once(
        Matcher::Login,
        Fault::Hold { when: When::After },
    ));
    let call = scene.client.start(scene.client.get(DEVICES))?;
    scene.until("the login", |counts| counts.held == 1)?;
    scene.server.release();
    equal("the status", answered(call)?.status, 200)?;
    scene.counts(1, 1)
}

pub(super) fn lost_login_answer_is_maybe_sent(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene()?;
    let faults = [
        Fault::lost_response(),
        Fault::Cut {
            at: Point::MidHeaders,
            act: true,
        },
        Fault::Cut {
            at: Point::BeforeResponse,
            act: false,
        },
        Fault::Raw("220 hello, this is no HTTP\r\n".into()),
    ];
    for (logins, fault) in (1..).zip(faults) {
        scene.client.clock.advance(HOUR);
        scene
            .server
            .inject(Rule::once(Matcher::Login, fault.clone()));
        let denied = scene.client.denied(scene.client.get(DEVICES))?;
        equal(
            format!("the cause after {fault:?}"),
            cause(&denied)?,
            LoginFailure::MaybeSent,
        )?;
        that(
            "the denial has a source",
            denied.source().is_some(),
            &denied,
        )?;
        equal(
            "requests to the login path",
            scene.server.counts().login_requests,
            logins,
        )?;
    }
    scene.client.clock.advance(HOUR);
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.clean()
}

/// HTTP clients may send a request again if the server closed the idle connection that they used.
/// They must not do this with a login.
pub(super) fn login_on_a_kept_connection_is_sent_once(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.server.revoke_all();
    scene
        .server
        .inject(Rule::once(Matcher::Login, Fault::lost_response()));
    let refused = scene.client.expect(scene.client.get(DEVICES), 401)?;
    match refused.why {
        Some(Unauthorized::NoLogin {
            denial: Denial::BackingOff { cause, .. },
            ..
        }) => equal("the cause", cause, LoginFailure::MaybeSent)?,
        other => return fail("why", "NoLogin, BackingOff".into(), format!("{other:?}")),
    }
    equal(
        "requests to the login path",
        scene.server.counts().login_requests,
        2,
    )
}

pub(super) fn unreachable_login_is_not_sent(stage: &Stage<'_>) -> Checked {
    let (url, _taken) = nobody_there(stage)?;
    let client = stage.client_of(&url, None, Setup::default())?;
    let denied = client.denied(client.get(DEVICES))?;
    equal("the cause", cause(&denied)?, LoginFailure::NotSent)?;
    that(
        "the denial has a source",
        denied.source().is_some(),
        &denied,
    )
}

/// A call without a response is an error for its caller. It costs neither the token nor a login.
pub(super) fn lost_call_leaves_the_session_alone(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    for at in [Point::BeforeResponse, Point::MidHeaders] {
        // An HTTP client may retry a GET after an idle connection was closed, so cut every attempt.
        let rule = scene.server.inject(Rule::forever(
            Matcher::AnyCall,
            Fault::Cut { at, act: false },
        ));
        let failed = scene.client.failed(scene.client.get(DEVICES))?;
        that(
            "a transport error",
            matches!(failed.why, Why::Transport(SendFailure::MaybeSent)),
            failed,
        )?;
        scene.server.remove_fault(rule);
        scene.client.expect(scene.client.get(DEVICES), 200)?;
    }
    equal(
        "requests to the login path",
        scene.server.counts().login_requests,
        1,
    )?;
    scene.clean()
}

/// With an async stack, the driver drops the call. A blocking stack must obey the timeout that the
/// driver sets on the request.
pub(super) fn call_ends_by_its_timeout(stage: &Stage<'_>) -> Checked {
    let timeout = Duration::from_millis(250);
    let scene = stage.open_scene()?;
    scene
        .server
        .inject(Rule::once(Matcher::AnyCall, Fault::Hang { act: true }));
    let start = Instant::now();
    let mut call = scene.client.get(DEVICES);
    call.options.timeout = Some(timeout);
    scene.client.failed(call)?;
    let took = start.elapsed();
    that(
        "it lasts as long as CallOptions::timeout, more or less",
        (timeout..16 * timeout).contains(&took),
        took,
    )?;
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(1, 2)
}
