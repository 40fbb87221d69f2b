//! An invalidated token: one login, one replay, and which calls are not replayed.

use ctc_driver::Replay;
use http::Method;

use super::prelude::*;
use crate::{ClearingForm, When};

pub(super) fn dead_token_is_renewed_unseen(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.server.revoke_all();
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    let calls = scene.entries(Class::Call);
    let statuses: Vec<_> = calls.iter().filter_map(|entry| entry.status).collect();
    equal("the statuses on the wire", statuses, vec![200, 401, 200])?;
    equal(
        "the token of the second call",
        calls[1].tokens(),
        calls[0].tokens(),
    )?;
    that(
        "the replay carries another token",
        calls[2].tokens() != calls[1].tokens(),
        calls[2].tokens(),
    )?;
    equal(
        "Cookie headers on the replay",
        calls[2].header("cookie").len(),
        1,
    )?;
    let order: Vec<_> = scene
        .server
        .journal()
        .iter()
        .map(|entry| entry.class)
        .collect();
    use Class::{Call, Login};
    equal(
        "the order of requests",
        order,
        vec![Login, Call, Call, Login, Call],
    )?;
    scene.counts(2, 3)
}

pub(super) fn body_is_sent_again_whole(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let body: Vec<u8> = (0..300_000u32).map(|at| (at % 251) as u8).collect();
    scene.server.revoke_all();
    let response = scene.client.expect(
        scene.client.call(Method::PUT, ECHO).bytes(body.clone()),
        200,
    )?;
    let calls = scene.entries(Class::Call);
    let lengths: Vec<_> = calls.iter().map(|entry| entry.body_len).collect();
    equal(
        "the lengths of both bodies",
        lengths,
        vec![body.len() as u64; 2],
    )?;
    that(
        "both bodies start with the same bytes",
        calls[0].body == calls[1].body,
        "other bytes",
    )?;
    let checksum = body.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let checksum = format!("{checksum:016x}");
    that(
        "the replayed body has the checksum of the first",
        response.text().contains(&checksum),
        response.text(),
    )?;
    scene.counts(2, 2)
}

pub(super) fn post_is_not_replayed_unless_allowed(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let note = || scene.client.call(Method::POST, NOTES).bytes("oil changed");
    scene.server.revoke_all();
    scene.client.expect(note(), 401)?;
    scene.counts(1, 1)?;
    // The session is renewed for the next call.
    scene.client.expect(note(), 201)?;
    scene.counts(2, 2)?;
    scene.client.clock.advance(HOUR);
    scene.server.revoke_all();
    scene.client.expect(note().replayed(Replay::Always), 201)?;
    scene.counts(3, 4)?;
    equal("notes written", scene.server.counts().writes, 2)?;
    // A call that must not be replayed is not, whatever its method.
    scene.client.clock.advance(HOUR);
    scene.server.revoke_all();
    scene
        .client
        .expect(scene.client.get(DEVICES).replayed(Replay::Never), 401)?;
    scene.counts(3, 5)
}

pub(super) fn stream_is_not_replayed(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.server.revoke_all();
    let upload = scene
        .client
        .call(Method::PUT, ECHO)
        .stream(&[b"one, ", b"two"])
        .replayed(Replay::Always);
    scene.client.expect(upload.clone(), 401)?;
    scene.counts(1, 1)?;
    scene.client.expect(upload, 200)?;
    scene.counts(2, 2)
}

pub(super) fn endless_401_ends(stage: &Stage<'_>) -> Checked {
    let fault = || Fault::Respond {
        status: 401,
        headers: vec![],
        body: "no".into(),
        act: false,
    };
    // On an open session: one login, one replay.
    let scene = stage.open_scene()?;
    scene
        .server
        .inject(Rule::forever(Matcher::AnyCall, fault()));
    let response = scene.client.expect(scene.client.get(DEVICES), 401)?;
    equal("the body of the 401", response.text().as_str(), "no")?;
    scene.counts(2, 2)?;
    // Polling for a while costs no further login.
    for _ in 0..5 {
        scene.client.expect(scene.client.get(DEVICES), 401)?;
    }
    equal(
        "requests to the login path",
        scene.server.counts().login_requests,
        2,
    )?;
    // On a new session: the first response already comes with a new token.
    let scene = stage.scene()?;
    scene
        .server
        .inject(Rule::forever(Matcher::AnyCall, fault()));
    scene.client.expect(scene.client.get(DEVICES), 401)?;
    scene.counts(1, 1)
}

pub(super) fn delivered_401_says_why(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.server.revoke_all();
    let once = scene.client.get(DEVICES).replayed(Replay::Never);
    let why = scene.client.expect(once, 401)?.why;
    equal("why", why, Some(Unauthorized::NotReplayable))?;
    scene
        .server
        .inject(Rule::forever(Matcher::AnyCall, Fault::status(401)));
    let refused = scene.client.expect(scene.client.get(DEVICES), 401)?;
    equal("why", refused.why, Some(Unauthorized::RouteRejected))
}

/// A call with the old token that was in progress while another call renewed the session.
pub(super) fn late_401_costs_no_login(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let hold = Fault::Hold { when: When::Before };
    scene
        .server
        .inject(Rule::once(Matcher::Path(ECHO.into()), hold));
    let late = scene.client.start(scene.client.get(ECHO))?;
    scene.until("the late call", |counts| counts.held == 1)?;
    scene.server.revoke_all();
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(2, 3)?;
    scene.server.release();
    equal("the status of the late call", answered(late)?.status, 200)?;
    scene.counts(2, 4)
}

pub(super) fn rotated_token_is_adopted(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    for keep_old in [false, true] {
        scene.server.rotate(keep_old);
        scene.client.expect(scene.client.get(DEVICES), 200)?;
        let old = scene.last(Class::Call)?;
        scene.client.expect(scene.client.get(DEVICES), 200)?;
        let new = scene.last(Class::Call)?;
        that(
            "the next call carries the new token",
            old.tokens() != new.tokens(),
            new.tokens(),
        )?;
        equal("its Cookie headers", new.header("cookie").len(), 1)?;
    }
    scene.counts(1, 4)
}

/// A new token on a response that arrives after the session was renewed by a login.
pub(super) fn late_rotation_is_ignored(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let route = || Matcher::Path(ECHO.into());
    scene.server.inject(Rule::once(
        route(),
        Fault::Headers(vec![(
            "set-cookie".into(),
            "authToken=LATE; Path=/connect".into(),
        )]),
    ));
    scene
        .server
        .inject(Rule::once(route(), Fault::Hold { when: When::After }));
    let late = scene.client.start(scene.client.get(ECHO))?;
    scene.until("the late call", |counts| counts.held == 1)?;
    scene.server.revoke_all();
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.server.release();
    equal("the status of the late call", answered(late)?.status, 200)?;
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(2, 4)
}

pub(super) fn clearing_cookie_ends_the_token(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let mut logins = 1;
    for form in ClearingForm::ALL {
        for status in [None, Some(401), Some(500)] {
            scene.client.clock.advance(HOUR);
            let fault = Fault::Clear {
                form,
                status,
                revoke: status == Some(401),
            };
            scene.server.inject(Rule::once(Matcher::AnyCall, fault));
            // A call with a 401 is replayed; other responses are delivered.
            let seen = status.filter(|status| *status != 401).unwrap_or(200);
            scene.client.expect(scene.client.get(DEVICES), seen)?;
            scene.client.expect(scene.client.get(DEVICES), 200)?;
            logins += 1;
            let what = format!("logins after {form:?} with {status:?}");
            equal(what, scene.server.counts().login_requests, logins)?;
        }
    }
    scene.clean()
}
