//! No secret in any output; and the cases with TLS.

use std::error::Error;

use ctc_driver::LogoutOutcome;

use super::prelude::*;
use crate::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, Entry, conformance::client::texts};

const QUERY: &str = "CANARY-QUERY";

pub(super) fn errors_tell_no_secret(stage: &Stage<'_>) -> Checked {
    let timeout = Duration::from_millis(250);
    let scene = stage.scene_of(Server::builder(), Setup::default().login_timeout(timeout))?;
    let call = || {
        scene
            .client
            .get(&format!("{DEVICES}?pg=1&customer={QUERY}"))
    };
    let mut printed = String::new();
    // Logins that fail in each way that a transport can detect.
    for fault in [
        Fault::lost_response(),
        Fault::Cut {
            at: Point::MidHeaders,
            act: true,
        },
        Fault::Raw("220 hello".into()),
        Fault::Hang { act: true },
        Fault::Redirect {
            status: 307,
            location: format!("http://127.0.0.1:1/?q={QUERY}"),
        },
        Fault::throttle(1),
        Fault::NoToken,
        // Last, because some stacks accept it, and then the session is open.
        Fault::HugeHeader(4_000_000),
    ] {
        scene.client.clock.advance(HOUR);
        scene.server.inject(Rule::once(Matcher::Login, fault));
        if let Err(failed) = scene.client.start(call())?.wait()? {
            printed.push_str(&failed.texts);
        }
    }
    scene.client.clock.advance(HOUR);
    scene.server.revoke_all();
    scene.client.expect(call(), 200)?;
    // The same for calls.
    for fault in [
        Fault::Cut {
            at: Point::BeforeResponse,
            act: false,
        },
        Fault::Cut {
            at: Point::MidHeaders,
            act: false,
        },
        Fault::Raw("220 hello".into()),
        Fault::HugeHeader(4_000_000),
    ] {
        let rule = scene.server.inject(Rule::forever(Matcher::AnyCall, fault));
        if let Err(failed) = scene.client.start(call())?.wait()? {
            printed.push_str(&failed.texts);
        }
        scene.server.remove_fault(rule);
    }
    scene.server.inject(Rule::once(
        Matcher::AnyCall,
        Fault::Cut {
            at: Point::MidBody,
            act: true,
        },
    ));
    if let Ok(head) = scene.client.start(call())?.wait()?
        && let Err(error) = head.body.read().wait()?
    {
        printed.push_str(&texts(&*error));
    }
    printed.push_str(&format!(
        "{} {:?}",
        scene.client.debug(),
        scene.client.session
    ));
    scene.server.inject(Rule::forever(
        Matcher::Logout,
        Fault::Cut {
            at: Point::MidHeaders,
            act: false,
        },
    ));
    let out = scene.client.logout()?;
    printed.push_str(&format!("{out:?}"));
    if let LogoutOutcome::Unreachable(error) = &out {
        printed.push_str(&texts(&**error));
    }
    that("there was output to search", printed.len() > 500, &printed)?;
    tells_nothing(&scene.server.journal(), &printed)
}

/// Nothing listens, so the error comes from connecting: for a login, and for a call.
pub(super) fn errors_of_connecting_tell_no_secret(stage: &Stage<'_>) -> Checked {
    let (url, _taken) = nobody_there(stage)?;
    let client = stage.client_of(&url, None, Setup::default())?;
    let mut printed = client.failed(client.get(DEVICES))?.texts;

    let Ok(server) = Server::start() else {
        return fail("the server", "to start".into(), "it did not".into());
    };
    let client = stage.client(&server, Setup::default())?;
    client.expect(client.get(DEVICES), 200)?;
    let journal = server.journal();
    drop(server);
    let failed = client.failed(client.get(&format!("{DEVICES}?customer={QUERY}")))?;
    that(
        "a transport error",
        matches!(failed.why, Why::Transport(_)),
        &failed.why,
    )?;
    printed.push_str(&failed.texts);
    tells_nothing(&journal, &printed)
}

fn tells_nothing(journal: &[Entry], printed: &str) -> Checked {
    let encoded: String = form_urlencoded::byte_serialize(DEFAULT_PASSWORD.as_bytes()).collect();
    let mut canaries: Vec<_> = [
        DEFAULT_PASSWORD,
        &encoded,
        DEFAULT_APP_KEY,
        QUERY,
        "useAuthToken",
    ]
    .map(str::to_owned)
    .into();
    canaries.extend(
        journal
            .iter()
            .flat_map(|entry| entry.tokens())
            .map(str::to_owned),
    );
    for canary in canaries {
        if let Some(at) = printed.find(&canary) {
            let around: String = printed[..at].chars().rev().take(200).collect();
            let around: String = around.chars().rev().collect();
            return fail(
                "the output",
                format!("not to contain {canary:?}"),
                format!("…{around}<here>"),
            );
        }
    }
    Ok(())
}

pub(super) fn tls_carries_the_same(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene_of(Server::builder().tls(true), Setup::default())?;
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.server.revoke_all();
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.client.logout()?;
    equal("logouts", scene.server.counts().logouts, 1)?;
    scene.counts(2, 3)
}

/// A certificate that is not trusted: the password is not sent.
pub(super) fn unknown_certificate_is_not_trusted(stage: &Stage<'_>) -> Checked {
    // Skip stacks without TLS, which fail for another reason.
    let trusted = stage.scene_of(Server::builder().tls(true), Setup::default())?;
    let server = stage.server(Server::builder().tls(true))?;
    for client in [
        stage.client_of(&server.url(), None, Setup::default())?,
        stage.client_of(
            &server.url(),
            certificate(&trusted.server),
            Setup::default(),
        )?,
    ] {
        let denied = client.denied(client.get(DEVICES))?;
        that(
            "the cause is a missing response",
            is_no_answer(&cause(&denied)?),
            &denied,
        )?;
        that(
            "the denial has a source",
            denied.source().is_some(),
            &denied,
        )?;
    }
    equal("requests that got through", server.journal().len(), 0)
}

/// A stack that cannot distinguish a failed handshake from a lost response says `MaybeSent`, which
/// is never wrong.
fn is_no_answer(cause: &LoginFailure) -> bool {
    matches!(cause, LoginFailure::NotSent | LoginFailure::MaybeSent)
}

/// An https endpoint is never used without TLS.
pub(super) fn plain_server_gets_nothing_over_https(stage: &Stage<'_>) -> Checked {
    let trusted = stage.scene_of(Server::builder().tls(true), Setup::default())?;
    let plain = stage.server(Server::builder())?;
    let url = format!("https://localhost:{}", plain.port());
    let client = stage.client_of(&url, certificate(&trusted.server), Setup::default())?;
    let denied = client.denied(client.get(DEVICES))?;
    that(
        "the cause is a missing response",
        is_no_answer(&cause(&denied)?),
        &denied,
    )?;
    equal("requests that got through", plain.journal().len(), 0)
}
