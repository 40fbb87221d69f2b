//! The OAuth login: another origin, a token in a body, a bearer token on each call.

use std::time::Instant;

use ctc_driver::ctc_core::RejectionReason;

use super::prelude::*;
use crate::{
    DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, Entry, Origin, conformance::cases::login::CLIENTS_OWN,
};

/// Characters that form encoding can spoil.
const USERNAME: &str = "ada+x@example.com";
const PASSWORD: &str = "a&b=c+d%e;f é";

pub(super) fn oauth_login_reaches_the_token_endpoint_alone(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene_of(
        Server::builder().account(USERNAME, PASSWORD),
        Setup::default().account(USERNAME, PASSWORD).oauth(),
    )?;
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    let login = scene.last(Class::Token)?;
    is_the_vendors(&login)?;
    let call = scene.last(Class::Call)?;
    equal(
        "the key of a call",
        call.header("calamp-services-app"),
        vec![DEFAULT_APP_KEY],
    )?;
    equal("its cookies", call.header("cookie"), Vec::<&str>::new())?;
    let bearers = call.header("authorization");
    that(
        "one bearer token on a call",
        bearers.len() == 1 && bearers[0].starts_with("Bearer "),
        bearers,
    )?;
    let strays = scene
        .server
        .journal()
        .into_iter()
        .filter(|entry| entry.origin == Origin::Api)
        .filter(|entry| entry.class != Class::Call || entry.body_len > 0)
        .count();
    equal("requests to the API that are not calls", strays, 0)?;
    scene.counts(1, 1)
}

fn is_the_vendors(login: &Entry) -> Checked {
    equal("the method of the login", login.method.as_str(), "POST")?;
    equal("its query", login.query.as_str(), "")?;
    let mut form: Vec<_> = form_urlencoded::parse(&login.body).into_owned().collect();
    form.sort();
    let expected = [
        ("client_id", DEFAULT_CLIENT_ID),
        ("grant_type", "password"),
        ("password", PASSWORD),
        ("scope", "openid"),
        ("username", USERNAME),
    ];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    equal("the form", form, expected.map(owned).to_vec())?;
    let content_type = vec!["application/x-www-form-urlencoded"];
    equal("its type", login.header("content-type"), content_type)?;
    let names = login.headers.iter().map(|(name, _)| name.as_str());
    let strange: Vec<_> = names
        .filter(|name| *name != "content-type" && !CLIENTS_OWN.contains(name))
        .collect();
    equal("headers that are not allowed there", strange, Vec::new())
}

/// With the OAuth login, cookies named `authToken` are ignored, both on the token response and on
/// calls.
pub(super) fn oauth_session_ignores_the_cookie(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene_of(Server::builder(), Setup::default().oauth())?;
    let cookie = |line: &str| Fault::Headers(vec![("set-cookie".into(), line.into())]);
    let set = cookie("authToken=ZZZZ; Path=/");
    scene.server.inject(Rule::once(Matcher::Token, set.clone()));
    scene.server.inject(Rule::once(Matcher::AnyCall, set));
    let clear = cookie("authToken=; Max-Age=0; Path=/");
    scene
        .server
        .inject(Rule::once(Matcher::AnyCall, clear).after(1));
    for _ in 0..3 {
        scene.client.expect(scene.client.get(DEVICES), 200)?;
    }
    let calls = scene.entries(Class::Call);
    for call in &calls {
        equal("the cookies of a call", call.header("cookie"), vec![])?;
        let bearer = |entry: &Entry| entry.header("authorization").join(",");
        equal("its bearer", bearer(call), bearer(&calls[0]))?;
    }
    scene.counts(1, 3)
}

pub(super) fn oauth_redirected_login_is_a_failure(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene_of(Server::builder(), Setup::default().oauth())?;
    let other = stage.server(Server::builder())?;
    let mut logins = 0;
    for status in [301, 302, 303, 307, 308] {
        for location in [other.token_url(), scene.server.token_url()] {
            let fault = Fault::Redirect { status, location };
            scene.server.inject(Rule::once(Matcher::Token, fault));
            scene.client.clock.advance(HOUR);
            let denied = scene.client.denied(scene.client.get(DEVICES))?;
            let what = format!("{:?}", cause(&denied)?);
            let expected = format!("Redirected {{ status: {status} }}");
            equal("the cause", what, expected)?;
            logins += 1;
        }
    }
    let connections = other.counts().connections;
    equal("connections to the other origin", connections, 0)?;
    scene.counts(logins, 0)
}

/// A body that never ends, that is far too long, or that ends early: the login ends in time, and a
/// token in such a body is not used.
pub(super) fn oauth_login_whose_body_does_not_end_is_bounded(stage: &Stage<'_>) -> Checked {
    let timeout = Duration::from_millis(500);
    let setup = Setup::default().oauth().login_timeout(timeout);
    let scene = stage.scene_of(Server::builder(), setup)?;
    let cut = Fault::Cut {
        at: Point::MidBody,
        act: false,
    };
    let faults = [Fault::EndlessBody(20), Fault::HugeBody(10 << 20), cut];
    for (at, fault) in faults.into_iter().enumerate() {
        let what = format!("{fault:?}");
        scene.server.inject(Rule::once(Matcher::Token, fault));
        scene.client.clock.advance(HOUR);
        let start = Instant::now();
        let denied = scene.client.denied(scene.client.get(DEVICES))?;
        let took = start.elapsed();
        that(format!("{what} is bounded"), took < 8 * timeout, took)?;
        let cause = cause(&denied)?;
        let fits = matches!(cause, LoginFailure::MaybeSent | LoginFailure::NoToken);
        that(format!("{what} brings no token"), fits, cause)?;
        let logins = scene.server.counts().login_requests;
        equal(format!("logins after {what}"), logins, at as u64 + 1)?;
    }
    scene.client.clock.advance(HOUR);
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(4, 1)
}

/// One request, whatever the number of callers and of their calls.
pub(super) fn oauth_refused_herd_logs_in_once(stage: &Stage<'_>) -> Checked {
    const MANY: usize = 24;
    const AGAIN: usize = 976;
    let setup = Setup::default().account("ada", "wrong!").oauth();
    let scene = stage.scene_of(Server::builder(), setup)?;
    let hold = Fault::Hold {
        when: crate::When::Before,
    };
    scene.server.inject(Rule::once(Matcher::Token, hold));
    let herd = scene.client.herd(MANY, &scene.client.get(DEVICES))?;
    scene.until("the login", |counts| counts.held == 1)?;
    scene.server.release();
    for call in herd {
        match call.wait()? {
            Ok(head) => return fail("a call", "a denial".into(), head.status.to_string()),
            Err(failed) => rejected(&denied(failed)?, RejectionReason::Credentials)?,
        }
    }
    for _ in 0..AGAIN {
        let denied = scene.client.denied(scene.client.get(DEVICES))?;
        rejected(&denied, RejectionReason::Credentials)?;
    }
    scene.counts(1, 0)
}

/// A 401 of the token endpoint, with a challenge. It is not a 401 of the API, and an HTTP client
/// must not act on it by itself.
pub(super) fn an_oauth_rejection_is_not_a_401_of_the_api(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene_of(Server::builder(), Setup::default().oauth())?;
    let mut fault = Fault::oauth_error(401, "invalid_client");
    if let Fault::Respond { headers, .. } = &mut fault {
        headers.push(("www-authenticate".into(), "Basic realm=\"x\"".into()));
    }
    scene.server.inject(Rule::forever(Matcher::Token, fault));
    for _ in 0..3 {
        let denied = scene.client.denied(scene.client.get(DEVICES))?;
        rejected(&denied, RejectionReason::Configuration)?;
    }
    scene.counts(1, 0)
}

#[track_caller]
fn rejected(denied: &Denied, expected: RejectionReason) -> Checked {
    match denied.denial() {
        Denial::Rejected { reason, .. } => equal("the reason", *reason, expected),
        other => fail("the denial", "Rejected".into(), format!("{other:?}")),
    }
}

/// The end of the limit counts from the response's own date, whatever the local clock says.
pub(super) fn oauth_rate_limit_ends_by_the_servers_clock(stage: &Stage<'_>) -> Checked {
    const NOON: u64 = 1_795_780_800;
    let scene = stage.scene_of(Server::builder(), Setup::default().oauth())?;
    let mut expected = 0;
    for (hours, pause) in [(0, 46), (3, 90)] {
        let now = std::time::UNIX_EPOCH + Duration::from_secs(NOON) - hours * HOUR;
        let reset = NOON - hours as u64 * 3600 + pause;
        let headers = [
            ("date", httpdate::fmt_http_date(now)),
            ("x-rate-limit-limit", "4".into()),
            ("x-rate-limit-remaining", "0".into()),
            ("x-rate-limit-reset", reset.to_string()),
        ];
        let fault = Fault::Respond {
            status: 429,
            headers: headers.map(|(name, value)| (name.into(), value)).to_vec(),
            body: r#"{"errorCode":"E0000047"}"#.into(),
            act: false,
        };
        scene.client.clock.advance(HOUR);
        scene.server.inject(Rule::once(Matcher::Token, fault));
        let denied = scene.client.denied(scene.client.get(DEVICES))?;
        let waits = denied.retry_after().unwrap_or_default().as_secs();
        that(
            format!("{pause} s are waited for"),
            (pause - 2..=pause).contains(&waits),
            waits,
        )?;
        expected += 1;
    }
    scene.client.clock.advance(HOUR);
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(expected + 1, 1)
}

fn unauthorized(status: u16, challenges: &[&str]) -> Fault {
    let header = |challenge: &&str| ("www-authenticate".to_owned(), (*challenge).to_owned());
    Fault::Respond {
        status,
        headers: challenges.iter().map(header).collect(),
        body: String::new(),
        act: false,
    }
}

/// With any challenge, and without one: one login, one replay.
pub(super) fn oauth_dead_token_is_renewed_unseen(stage: &Stage<'_>) -> Checked {
    let challenges: [&[&str]; 5] = [
        &["Bearer error=\"invalid_token\""],
        &["bearer Error=invalid_token"],
        &["Basic realm=\"x\", Bearer error=\"invalid_token\""],
        &["Basic realm=\"x\"", "Bearer error=\"invalid_token\""],
        &[],
    ];
    for challenges in challenges {
        let scene = stage.scene_of(Server::builder(), Setup::default().oauth())?;
        scene.client.open()?;
        scene.client.clock.advance(HOUR);
        let fault = unauthorized(401, challenges);
        scene.server.inject(Rule::once(Matcher::AnyCall, fault));
        scene.client.expect(scene.client.get(DEVICES), 200)?;
        scene.counts(2, 2)?;
    }
    let scene = stage.scene_of(Server::builder(), Setup::default().oauth())?;
    scene.client.open()?;
    scene.client.clock.advance(HOUR);
    scene.server.expire_all();
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(2, 2)
}

/// A token with an insufficient scope: no login helps.
pub(super) fn oauth_insufficient_scope_causes_no_login(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene_of(Server::builder(), Setup::default().oauth())?;
    scene.client.open()?;
    scene.client.clock.advance(HOUR);
    for (at, status) in [403, 401, 401].into_iter().enumerate() {
        let fault = unauthorized(status, &["Bearer error=\"insufficient_scope\""]);
        scene.server.inject(Rule::once(Matcher::AnyCall, fault));
        let response = scene.client.expect(scene.client.get(ECHO), status)?;
        let why = (status == 401).then_some(Unauthorized::InsufficientScope);
        equal("why", response.why, why)?;
        scene.counts(1, at as u64 + 1)?;
    }
    Ok(())
}

/// A hundred calls in the second in which the token ends cause one login. The token is renewed
/// early, so none of them gets a 401.
pub(super) fn oauth_calls_at_the_known_end_log_in_once(stage: &Stage<'_>) -> Checked {
    const MANY: usize = 100;
    for renewed_early in [true, false] {
        let builder = Server::builder().token_lifetime(HOUR);
        let mut setup = Setup::default().oauth();
        if !renewed_early {
            setup.settings.early_renewal = None;
        }
        let scene = stage.scene_of(builder, setup)?;
        scene.client.open()?;
        scene.client.clock.advance(HOUR);
        scene.server.advance(HOUR);
        // A driver's alarm counts real time. Any change of the session has the same effect.
        scene.client.session.reset();
        for call in scene.client.herd(MANY, &scene.client.get(DEVICES))? {
            equal("the status of a call", answered(call)?.status, 200)?;
        }
        let counts = scene.server.counts();
        equal("logins", counts.login_requests, 2)?;
        let refused = counts.unauthorized > 0;
        equal("whether calls got a 401", refused, !renewed_early)?;
        scene.clean()?;
    }
    Ok(())
}
