//! Calls on the wire: key, token, headers, bodies.

use ctc_driver::ctc_core::{StampError, TokenAttachment};
use http::Method;

use super::prelude::*;
use crate::{DEFAULT_APP_KEY, Entry, TokenStyle, conformance::client::Why};

const ACCEPT: &str = "application/json;charset=UTF-8";

/// Token values that an HTTP client might decode, trim or pad.
pub(super) fn token_is_carried_byte_for_byte(stage: &Stage<'_>) -> Checked {
    for token in [
        "abc%3D%3D",
        "a+b/c==",
        "%41%2f%2F",
        "x=y=z",
        "!#$&'()*-.^_`|~",
    ] {
        let scene = stage.scene()?;
        let lines = [
            "JSESSIONID=BBBB; Path=/connect".to_owned(),
            format!("authToken={token}; Path=/connect; HttpOnly"),
            "lb=CCCC; Path=/".to_owned(),
        ];
        scene.server.inject(Rule::once(
            Matcher::Login,
            Fault::SetCookies(lines.to_vec()),
        ));
        for _ in 0..2 {
            scene.client.expect(scene.client.get(ECHO), 200)?;
            let cookie = format!("authToken={token}");
            equal(
                "the cookies",
                scene.last(Class::Call)?.header("cookie"),
                vec![cookie.as_str()],
            )?;
        }
        scene.counts(1, 2)?;
    }
    Ok(())
}

/// The quotes belong to the value of the cookie, not to a bearer token.
pub(super) fn quoted_token_keeps_its_quotes(stage: &Stage<'_>) -> Checked {
    for (attachment, header, is_quoted) in [
        (TokenAttachment::Cookie, "cookie", true),
        (TokenAttachment::Bearer, "authorization", false),
    ] {
        let mut setup = Setup::default();
        setup.settings.attachment = Some(attachment);
        let server = Server::builder().token_style(TokenStyle::Quoted);
        let scene = stage.scene_of(server.bearer(true), setup)?;
        scene.client.expect(scene.client.get(DEVICES), 200)?;
        scene.server.revoke_all();
        scene.client.expect(scene.client.get(DEVICES), 200)?;
        let sent = scene.last(Class::Call)?.header(header).concat();
        equal(format!("quotes in {header}"), sent.contains('"'), is_quoted)?;
        scene.client.logout()?;
        equal("logouts", scene.server.counts().logouts, 1)?;
        scene.counts(2, 3)?;
    }
    Ok(())
}

pub(super) fn call_carries_key_and_one_cookie(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    let call = scene.last(Class::Call)?;
    equal(
        "the keys",
        call.header("calamp-services-app"),
        vec![DEFAULT_APP_KEY],
    )?;
    equal(
        "the number of Cookie headers",
        call.header("cookie").len(),
        1,
    )?;
    equal("the number of tokens", call.tokens().len(), 1)?;
    let cookie = format!("authToken={}", call.tokens().concat());
    equal(
        "the cookie, and no other",
        call.header("cookie").concat(),
        cookie,
    )?;
    equal("the default Accept", call.header("accept"), vec![ACCEPT])?;
    scene.counts(1, 1)
}

pub(super) fn callers_headers_are_kept(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let call = || {
        let call = scene
            .client
            .get(ECHO)
            .header("accept", "text/csv")
            .header("x-trace", "a b,c");
        let call = call
            .header("cookie", "lang=en; authToken=STALE")
            .header("cookie", "authToken=OLD; b=2");
        call.header("calamp-services-app", "another-key")
    };
    scene.client.expect(call(), 200)?;
    // And again with a replay.
    scene.server.revoke_all();
    scene.client.expect(call(), 200)?;
    let calls = scene.entries(Class::Call);
    equal("calls", calls.len(), 3)?;
    for entry in &calls {
        let cookie = format!("lang=en; b=2; authToken={}", entry.tokens().concat());
        equal("the cookies", entry.header("cookie"), vec![cookie.as_str()])?;
        equal(
            "the keys",
            entry.header("calamp-services-app"),
            vec![DEFAULT_APP_KEY],
        )?;
        equal(
            "the caller's Accept",
            entry.header("accept"),
            vec!["text/csv"],
        )?;
        equal(
            "the caller's header",
            entry.header("x-trace"),
            vec!["a b,c"],
        )?;
    }
    that(
        "the replay carries a new token",
        calls[1].tokens() != calls[2].tokens(),
        calls[2].tokens(),
    )?;
    scene.counts(2, 3)
}

/// With such a `Host`, key and token would reach another virtual host at the same address.
pub(super) fn foreign_host_header_does_not_arrive(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let own = scene.server.address().to_string();
    for hosts in [
        &["other.example"][..],
        &["me@other.example"],
        &["other.example", "another.example"],
    ] {
        let call = || {
            let call = scene.client.get(ECHO);
            hosts
                .iter()
                .fold(call, |call, host| call.header("host", host))
        };
        scene.client.expect(call(), 200)?;
        // And again with a replay.
        scene.server.revoke_all();
        scene.client.expect(call(), 200)?;
    }
    for entry in scene.entries(Class::Call) {
        equal("the host", entry.header("host"), vec![own.as_str()])?;
    }
    scene.counts(4, 9)
}

pub(super) fn url_arrives_as_it_was(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let query = "a=b%20c&d=%2F%3f&e=1+2&f&g==&esn=1,2;3&h=%C3%A9";
    scene.client.expect(
        scene.client.get(&format!("{ECHO}/x%2Fy/z%20~?{query}")),
        200,
    )?;
    let call = scene.last(Class::Call)?;
    equal(
        "the path",
        call.path.as_str(),
        "/connect/test/echo/x%2Fy/z%20~",
    )?;
    equal("the query", call.query.as_str(), query)
}

/// A length of zero means the same as no length.
pub(super) fn get_has_no_body(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.client.expect(scene.client.get(ECHO), 200)?;
    let call = scene.last(Class::Call)?;
    has_no_body(&call)?;
    equal(
        "the content type",
        call.header("content-type"),
        Vec::<&str>::new(),
    )
}

fn has_no_body(entry: &Entry) -> Checked {
    equal("the body", entry.body_len, 0)?;
    equal(
        "the transfer encoding",
        entry.header("transfer-encoding"),
        Vec::<&str>::new(),
    )?;
    let lengths = entry.header("content-length");
    that(
        "a content length of 0, if any",
        lengths.is_empty() || lengths == ["0"],
        lengths,
    )
}

pub(super) fn post_has_its_length(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let body = br#"{"name":"Truck 1"}"#;
    let call = scene
        .client
        .call(Method::POST, ECHO)
        .header("content-type", "application/json");
    scene.client.expect(call.bytes(*body), 200)?;
    let entry = scene.last(Class::Call)?;
    equal("the body", entry.body.as_slice(), body.as_slice())?;
    has_length(&entry)?;
    equal(
        "the content type",
        entry.header("content-type"),
        vec!["application/json"],
    )?;

    let large = (0..1_500_000u32)
        .flat_map(u32::to_le_bytes)
        .take(1_500_000)
        .collect::<Vec<_>>();
    scene.client.expect(
        scene.client.call(Method::POST, ECHO).bytes(large.clone()),
        200,
    )?;
    let entry = scene.last(Class::Call)?;
    equal(
        "the length of a large body",
        entry.body_len,
        large.len() as u64,
    )?;
    that(
        "the start of the body is as sent",
        large.starts_with(&entry.body),
        "other bytes",
    )?;
    has_length(&entry)
}

fn has_length(entry: &Entry) -> Checked {
    let length = entry.body_len.to_string();
    equal(
        "the content length",
        entry.header("content-length"),
        vec![length.as_str()],
    )?;
    equal(
        "the transfer encoding",
        entry.header("transfer-encoding"),
        Vec::<&str>::new(),
    )
}

/// With no length, or with a length of zero: HTTP allows both.
pub(super) fn empty_post_is_empty(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    for call in [
        scene.client.call(Method::POST, ECHO),
        scene.client.call(Method::POST, ECHO).bytes([]),
    ] {
        scene.client.expect(call, 200)?;
        has_no_body(&scene.last(Class::Call)?)?;
    }
    Ok(())
}

pub(super) fn stream_arrives_whole(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.client.expect(
        scene
            .client
            .call(Method::PUT, ECHO)
            .stream(&[b"one, ", b"two, ", b"three"]),
        200,
    )?;
    equal(
        "the body",
        scene.last(Class::Call)?.body.as_slice(),
        b"one, two, three".as_slice(),
    )?;
    scene.counts(1, 1)
}

pub(super) fn every_method_arrives(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let methods = [
        Method::GET,
        Method::HEAD,
        Method::DELETE,
        Method::OPTIONS,
        Method::PUT,
        Method::PATCH,
        Method::POST,
    ];
    for method in methods {
        let call = scene.client.call(method.clone(), ECHO);
        let with_body = [Method::PUT, Method::PATCH, Method::POST].contains(&method);
        let response = scene
            .client
            .expect(if with_body { call.bytes("{}") } else { call }, 200)?;
        equal(
            "the method",
            scene.last(Class::Call)?.method.as_str(),
            method.as_str(),
        )?;
        equal(
            "a response without a body",
            response.body.is_empty(),
            method == Method::HEAD,
        )?;
    }
    scene.clean()
}

pub(super) fn other_origin_is_refused(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let other = stage.server(Server::builder())?;
    let port = scene.server.port();
    let foreign = [
        format!("{}{DEVICES}", other.url()),
        format!("http://localhost:{}{DEVICES}", other.port()),
        format!("http://localhost:{port}{DEVICES}"),
        format!("https://127.0.0.1:{port}{DEVICES}"),
        format!(
            "http://127.0.0.1:{port}@127.0.0.1:{}{DEVICES}",
            other.port()
        ),
    ];
    for url in foreign {
        let failed = scene.client.failed(Call::new(Method::GET, url.as_str()))?;
        let refused = matches!(failed.why, Why::Stamp(StampError::ForeignOrigin { .. }));
        that(
            format!("{url} is refused for its origin"),
            refused,
            failed.why,
        )?;
    }
    equal(
        "connections to the other origin",
        other.counts().connections,
        0,
    )?;
    scene.counts(1, 0)
}
