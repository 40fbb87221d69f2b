//! Redirects: delivered to the caller of a call, a failure of a login, never followed.

use http::Method;

use super::prelude::*;

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

pub(super) fn redirected_call_is_delivered_not_followed(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let mut calls = 0;
    for status in STATUSES {
        for method in [Method::GET, Method::POST] {
            let fault = Fault::Redirect {
                status,
                location: ECHO.into(),
            };
            scene.server.inject(Rule::once(Matcher::AnyCall, fault));
            let call = scene.client.call(method.clone(), DEVICES);
            let call = if method == Method::POST {
                call.bytes("{}")
            } else {
                call
            };
            let response = scene.client.expect(call, status)?;
            equal("the location", response.header("location"), Some(ECHO))?;
            calls += 1;
            equal(
                format!("calls after a {method} with {status}"),
                scene.server.counts().calls,
                calls,
            )?;
        }
    }
    scene.counts(1, calls)
}

pub(super) fn redirect_takes_nothing_to_another_origin(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let other = stage.server(Server::builder())?;
    for status in STATUSES {
        for method in [Method::GET, Method::PUT] {
            let location = format!("{}{ECHO}", other.url());
            let fault = Fault::Redirect {
                status,
                location: location.clone(),
            };
            scene.server.inject(Rule::once(Matcher::AnyCall, fault));
            let call = scene.client.call(method.clone(), DEVICES);
            let call = if method == Method::PUT {
                call.bytes("{}")
            } else {
                call
            };
            let response = scene.client.expect(call, status)?;
            equal(
                "the location",
                response.header("location"),
                Some(location.as_str()),
            )?;
        }
    }
    equal(
        "connections to the other origin",
        other.counts().connections,
        0,
    )?;
    equal("requests to it", other.journal().len(), 0)?;
    scene.counts(1, 10)
}

pub(super) fn redirected_login_is_a_failure(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene()?;
    let other = stage.server(Server::builder())?;
    let mut logins = 0;
    for status in STATUSES {
        for origin in [String::new(), other.url()] {
            let location = format!("{origin}/connect/services/login?useAuthToken=true");
            scene.server.inject(Rule::once(
                Matcher::Login,
                Fault::Redirect { status, location },
            ));
            scene.client.clock.advance(HOUR);
            let denied = scene.client.denied(scene.client.get(DEVICES))?;
            let what = format!("{:?}", cause(&denied)?);
            equal(
                "the cause",
                what,
                format!("Redirected {{ status: {status} }}"),
            )?;
            logins += 1;
            equal(
                format!("logins after a {status}"),
                scene.server.counts().login_requests,
                logins,
            )?;
        }
    }
    equal(
        "connections to the other origin",
        other.counts().connections,
        0,
    )?;
    scene.counts(logins, 0)
}
