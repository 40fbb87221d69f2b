//! Responses: every status, every header, bodies of any length, reused connections.

use std::collections::BTreeSet;

use super::prelude::*;

/// Statuses that some HTTP clients treat specially. Not 401, which the session handles.
const STATUSES: [u16; 44] = [
    200, 201, 202, 203, 204, 205, 206, 226, 299, 300, 304, 305, 306, 399, 400, 402, 403, 404, 405,
    406, 407, 408, 409, 410, 411, 412, 413, 415, 416, 417, 418, 421, 422, 423, 425, 426, 428, 429,
    431, 451, 499, 500, 503, 599,
];

pub(super) fn every_status_is_a_response(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    for status in STATUSES {
        scene.client.expect(
            scene.client.get(&format!("/connect/test/status/{status}")),
            status,
        )?;
    }
    scene.counts(1, STATUSES.len() as u64)
}

pub(super) fn refusals_come_with_headers_and_body(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    for status in [400, 403, 404, 409, 429, 500, 502, 503] {
        let headers = vec![
            ("x-reason".into(), "because".into()),
            ("retry-after".into(), "46".into()),
        ];
        let response = Fault::Respond {
            status,
            headers,
            body: "a reason".into(),
            act: false,
        };
        scene.server.inject(Rule::once(Matcher::AnyCall, response));
        let response = scene.client.expect(scene.client.get(DEVICES), status)?;
        equal("a header", response.header("x-reason"), Some("because"))?;
        equal("another header", response.header("retry-after"), Some("46"))?;
        equal("the body", response.text().as_str(), "a reason")?;
    }
    equal(
        "the token, which was valid throughout",
        scene.server.counts().live_tokens,
        1,
    )?;
    scene.counts(1, 8)
}

pub(super) fn set_cookie_lines_all_arrive(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let lines = ["a=1; Path=/", "b=2; Path=/connect", "c=\"3, 4\""];
    let headers = lines
        .map(|line| ("set-cookie".to_owned(), line.to_owned()))
        .to_vec();
    scene
        .server
        .inject(Rule::once(Matcher::AnyCall, Fault::Headers(headers)));
    let response = scene.client.expect(scene.client.get(DEVICES), 200)?;
    let seen: Vec<_> = response
        .headers
        .get_all("set-cookie")
        .iter()
        .filter_map(|v| v.to_str().ok())
        .collect();
    equal("the Set-Cookie lines", seen, lines.to_vec())?;
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    let cookies = scene.last(Class::Call)?.header("cookie").concat();
    that(
        "no other cookie is sent back",
        cookies.starts_with("authToken="),
        cookies,
    )
}

pub(super) fn large_body_arrives_whole(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    const SIZE: usize = 3_000_001;
    let response = scene.client.expect(
        scene.client.get(&format!("/connect/test/bytes/{SIZE}")),
        200,
    )?;
    equal("its length", response.body.len(), SIZE)?;
    scene
        .server
        .inject(Rule::once(Matcher::AnyCall, Fault::ManyHeaders(50)));
    scene
        .server
        .inject(Rule::once(Matcher::AnyCall, Fault::HugeHeader(8_000)));
    let response = scene.client.expect(scene.client.get(DEVICES), 200)?;
    equal(
        "the length of a long header",
        response.header("x-filler").map(str::len),
        Some(8_000),
    )
}

/// A body that stalls after its first byte.
fn standing_still() -> Rule {
    let route = Matcher::Path("/connect/services/devices/1001/avlevents".into());
    let fault = Fault::SlowBody {
        chunk: 1,
        pause: 3_600_000,
    };
    Rule::once(route, fault)
}

pub(super) fn response_is_delivered_before_its_body(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.server.inject(standing_still());
    let download = scene.client.get("/connect/services/devices/1001/avlevents");
    match scene.client.start(download)?.wait()? {
        Ok(head) => equal("the status of the download", head.status, 200),
        Err(failed) => fail("the download", "to begin".into(), failed.texts),
    }
}

/// Other calls and a renewal proceed during a download.
pub(super) fn slow_download_blocks_no_caller(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.server.inject(standing_still());
    let download = scene
        .client
        .start(scene.client.get("/connect/services/devices/1001/avlevents"))?;
    scene.until("the head of a download to be sent", |counts| {
        counts.calls == 1
    })?;
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.server.revoke_all();
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    drop(download);
    scene.counts(2, 4)
}

/// A body that ends early is an error for its reader, and does not affect the session.
pub(super) fn broken_body_is_told(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.server.inject(Rule::once(
        Matcher::AnyCall,
        Fault::Cut {
            at: Point::MidBody,
            act: true,
        },
    ));
    match scene.client.start(scene.client.get(DEVICES))?.wait()? {
        // A stack that buffers notices this before it delivers the response.
        Err(failed) => that(
            "a transport error",
            matches!(failed.why, Why::Transport(_)),
            failed,
        )?,
        Ok(head) => {
            equal("the status", head.status, 200)?;
            let body = head.body.read().wait()?;
            that(
                "an error from reading it",
                body.is_err(),
                body.map(|body| body.len()),
            )?;
        }
    }
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(1, 2)
}

pub(super) fn connections_are_kept(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    for _ in 0..12 {
        scene.client.expect(scene.client.get(DEVICES), 200)?;
    }
    few_connections(&scene, 12)
}

/// A 401 with a body of less than 64 KiB is read to its end, so that the replay can use its
/// connection.
pub(super) fn connections_are_kept_across_replays(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    for _ in 0..8 {
        scene.client.clock.advance(HOUR);
        let refusal = Fault::Respond {
            status: 401,
            headers: vec![],
            body: "x".repeat(60_000),
            act: false,
        };
        scene.server.inject(Rule::once(Matcher::AnyCall, refusal));
        scene.client.expect(scene.client.get(DEVICES), 200)?;
    }
    scene.counts(9, 16)?;
    few_connections(&scene, 16)
}

/// Few connections, but not always one: a pool may open another while one is being returned to it.
fn few_connections(scene: &Scene, calls: usize) -> Checked {
    let used: BTreeSet<_> = scene
        .server
        .journal()
        .iter()
        // A login has its own connection.
        .filter(|entry| entry.class != Class::Login)
        .map(|entry| entry.connection)
        .collect();
    that(
        format!("{calls} calls in a row use 4 connections at most"),
        used.len() <= 4,
        used,
    )
}
