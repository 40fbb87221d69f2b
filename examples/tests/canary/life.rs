//! Everything that a client does, and every failure. Compiled once for each adapter: `super` says
//! which.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use ctc_driver::ctc_core::{Credentials, Login, OAuth, Settings, Unauthorized};
use ctc_driver::{
    CredentialsCommand, CredentialsFile, LoginRequest, SessionConfig, SessionEvent, SharedSession,
};
use ctc_testkit::{ClearingForm, DEFAULT_CLIENT_ID, Fault, Matcher, Point, Rule, Server};

use super::adapter::{self, Client, ClientBuilder, Endpoint};
use super::{drive, fetch, herd, http_client, outbound, send, send_login, stack, wait};
use crate::search::{APP_KEY, ID_TOKEN, PASSWORD, TOKEN, USERNAME, WRONG_PASSWORD};
use crate::show::{panics, show, tell};
use crate::store::Spoilt;
use crate::{DEVICES, Panics, Stage, by_hand, note_on_the_wire};

pub(crate) fn live(stage: &Stage) {
    set_up(stage);
    let client = client(stage);
    refused(&client);
    herd(&client);
    renewed(stage, &client);
    failed_logins(stage, &client);
    failed_calls(stage, &client);
    delivered(stage, &client);
    let record = client.session().record();
    show!(ctc_driver::ctc_core::OpenRecord, &record);
    let record = crate::store::sealed(&record);
    show!(ctc_driver::ctc_core::SessionRecord, &record);
    show!(ctc_driver::ctc_core::RecordOverview, &record.overview());
    let memory = crate::store::in_memory(&client.session().record_key(), &record);
    show!(ctc_driver::MemoryStore, &memory);
    show!(adapter::Client, &client);
    show!(ctc_driver::SharedSession, client.session());
    through_a_stack(stage, &client);
    broken_off(stage);
    made_by_hand(stage, &client);
    by_oauth(stage);
    by_source(stage);
    logouts(&stage.server, &client);
    // In the end, the file has a valid token in it.
    client.session().reopen();
    wait(client.login()).unwrap();
    herd(&client);
    show!(adapter::Client, &client);
}

fn quick(settings: &mut Settings) {
    let fair_use = &mut settings.fair_use;
    fair_use.burst = NonZeroU32::MIN.saturating_add(999);
    fair_use.short_token_lifetime = Duration::ZERO;
}

/// Everything from the environment, except the server's address.
fn builder(stage: &Stage) -> ClientBuilder {
    ClientBuilder::from_env()
        .unwrap()
        .endpoint(Endpoint::new(&stage.server.url()).unwrap())
        .http_client(http_client(stage.certificate()))
        .settings(quick)
}

fn client(stage: &Stage) -> Client {
    let builder = builder(stage).store(stage.store());
    show!(adapter::ClientBuilder, &builder);
    let client = builder
        .credentials(USERNAME, WRONG_PASSWORD)
        .build()
        .unwrap();
    client
        .session()
        .set_observer(|_: &SharedSession, event: &SessionEvent<'_>| {
            show!(ctc_driver::SessionEvent<'_>, event);
        });
    show!(adapter::Client, &client);
    client
}

fn set_up(stage: &Stage) {
    let config = SessionConfig::from_env().unwrap();
    show!(ctc_driver::SessionConfig, &config);
    let error = Client::builder()
        .credentials(USERNAME, PASSWORD)
        .app_key(APP_KEY)
        .build()
        .unwrap_err();
    show!(adapter::BuildError, &error);
    tell(&error);
    let spoilt = builder(stage).app_key(format!("{APP_KEY}\n"));
    show!(adapter::ClientBuilder, &spoilt);
    tell(&spoilt.build().unwrap_err());
    tell(
        &builder(stage)
            .credentials("", PASSWORD)
            .build()
            .unwrap_err(),
    );
    let with_password = format!("https://{USERNAME}:{PASSWORD}@connect.calamp.com");
    tell(&Endpoint::new(&with_password).unwrap_err());
    tell(&Endpoint::new(&format!("https://{APP_KEY}@connect.calamp.com/{TOKEN}")).unwrap_err());
}

/// The password is wrong, and is then replaced.
fn refused(client: &Client) {
    let error = wait(client.login()).unwrap_err();
    show!(adapter::Error, &error);
    tell(&error);
    tell(&wait(client.get(DEVICES).send()).unwrap_err());
    tell(&fetch(client, DEVICES).unwrap_err());
    show!(ctc_driver::SharedSession, client.session());
    let right = Credentials::new(USERNAME, PASSWORD).unwrap();
    show!(ctc_driver::ctc_core::Credentials, &right);
    client.session().set_credentials(right);
}

fn renewed(stage: &Stage, client: &Client) {
    stage.server.revoke_all();
    herd(client);
    for form in ClearingForm::ALL {
        let clear = Fault::Clear {
            form,
            status: Some(401),
            revoke: true,
        };
        stage.server.inject(Rule::once(Matcher::AnyCall, clear));
        herd(client);
    }
    for keep_old in [true, false] {
        stage.server.rotate(keep_old);
        let response = wait(client.get(DEVICES).send()).unwrap();
        println!("{response:?} {response:#?}");
        herd(client);
    }
    stage.server.rotate(false);
    println!("{:?}", fetch(client, DEVICES).unwrap().headers());
    herd(client);
    println!(
        "{:?} {}",
        client.session().counts(),
        client.session().number()
    );
}

fn failed_logins(stage: &Stage, client: &Client) {
    let redirect = Fault::Redirect {
        status: 307,
        location: "https://elsewhere.example/".to_owned(),
    };
    let cookies = ["authToken=\"a b\"; Path=/", "authToken=; Path=/", "other=x"].map(str::to_owned);
    for fault in [
        Fault::throttle(46),
        Fault::status(503),
        Fault::html_page(),
        Fault::password_invalid(),
        Fault::NoToken,
        Fault::SetCookies(cookies.to_vec()),
        Fault::Refuse { status: 403 },
        redirect,
        Fault::Raw("what is this\r\n\r\n".to_owned()),
        Fault::lost_response(),
        Fault::Cut {
            at: Point::MidHeaders,
            act: true,
        },
    ] {
        failed_login(stage, client, &fault);
    }
}

fn failed_login(stage: &Stage, client: &Client, fault: &Fault) {
    stage.server.revoke_all();
    client.session().close();
    client.session().reopen();
    // Otherwise it would be adopted in place of a login.
    let key = client.session().record_key();
    stage.store().forget(&key).unwrap();
    // After a lost response, the HTTP client itself may send the request again.
    let rule = stage
        .server
        .inject(Rule::forever(Matcher::Login, fault.clone()));
    match wait(client.login()) {
        Ok(()) => panic!("{fault:?} is no trouble"),
        Err(error) => tell(&error),
    }
    println!("{:?}", client.session().phase());
    show!(ctc_driver::ctc_core::OpenRecord, &client.session().record());
    stage.server.remove_fault(rule);
    client.session().reset();
    stage.store().forget(&key).unwrap();
    wait(client.login()).unwrap();
    herd(client);
}

/// The OAuth login, whose token comes in a body, beside others that must not be stored.
fn by_oauth(stage: &Stage) {
    let oauth = OAuth::new(&stage.server.token_url(), DEFAULT_CLIENT_ID).unwrap();
    let builder = builder(stage)
        .store(stage.store())
        .login(Login::OAuth(oauth.revoke_on_logout()));
    show!(adapter::ClientBuilder, &builder);
    let client = builder
        .credentials(USERNAME, WRONG_PASSWORD)
        .build()
        .unwrap();
    client
        .session()
        .set_observer(|_: &SharedSession, event: &SessionEvent<'_>| {
            show!(ctc_driver::SessionEvent<'_>, event);
        });
    refused(&client);
    let members = format!(
        r#""access_token":"{{token}}","id_token":"{ID_TOKEN}","refresh_token":"{ID_TOKEN}"}}"#
    );
    note_on_the_wire(&members);
    let good = format!(r#"{{"token_type":"Bearer",{members}"#);
    stage
        .server
        .inject(Rule::once(Matcher::Token, Fault::TokenBody(good.clone())));
    herd(&client);
    stage.server.revoke_all();
    herd(&client);
    for fault in [
        Fault::oauth_error(401, "invalid_client"),
        Fault::oauth_error(400, "temporarily_unavailable"),
        Fault::TokenBody(format!("{{{members}")),
        Fault::TokenBody(good.replace("{token}", "{token} {token}")),
        Fault::TokenBody(good[..good.len() - 8].to_owned()),
        Fault::status(429),
        Fault::html_page(),
        Fault::lost_response(),
    ] {
        failed_login(stage, &client, &fault);
    }
    show!(adapter::Client, &client);
    println!("{}", wait(client.logout()));
    show!(ctc_driver::SharedSession, client.session());
}

fn failed_calls(stage: &Stage, client: &Client) {
    let builder = || client.get(DEVICES).header("x-note", "a note");
    show!(adapter::RequestBuilder, &builder());
    for fault in [
        Fault::Cut {
            at: Point::BeforeResponse,
            act: false,
        },
        Fault::Cut {
            at: Point::MidHeaders,
            act: false,
        },
        Fault::Raw("what is this\r\n\r\n".to_owned()),
    ] {
        let rule = stage.server.inject(Rule::forever(Matcher::AnyCall, fault));
        let error = wait(builder().send()).unwrap_err();
        show!(adapter::Error, &error);
        tell(&error);
        let error = fetch(client, DEVICES).unwrap_err();
        show!(ctc_driver::CallError<adapter::SendError>, &error);
        if let ctc_driver::CallError::Transport(error) = &error {
            show!(adapter::SendError, error);
        }
        tell(&error);
        stage.server.remove_fault(rule);
    }
    stage.server.inject(Rule::once(
        Matcher::AnyCall,
        Fault::Cut {
            at: Point::MidBody,
            act: false,
        },
    ));
    tell(&fetch(client, "/connect/test/bytes/100000").unwrap_err());
    tell(&wait(client.get("https://elsewhere.example/devices").send()).unwrap_err());
    tell(&fetch(client, "https://elsewhere.example/devices").unwrap_err());
    tell(&wait(client.get(DEVICES).header("x", "line\nend").send()).unwrap_err());
    stage
        .server
        .inject(Rule::once(Matcher::AnyCall, Fault::Hang { act: false }));
    tell(&wait(builder().timeout(Duration::from_millis(50)).send()).unwrap_err());
}

fn delivered(stage: &Stage, client: &Client) {
    let response = wait(client.get("/connect/test/status/401").send()).unwrap();
    println!("{response:?}");
    show!(
        ctc_driver::ctc_core::Unauthorized,
        response.extensions().get::<Unauthorized>().unwrap()
    );
    client.session().reset();
    herd(client);
    stage.server.revoke_all();
    let response = wait(client.post("/connect/services/devices").send()).unwrap();
    println!(
        "{response:?} {}",
        response.extensions().get::<Unauthorized>().unwrap()
    );
    herd(client);
}

fn through_a_stack(stage: &Stage, client: &Client) {
    let certificate = stage.certificate();
    for panics in [Panics::Never, Panics::AtCalls, Panics::AtLogins] {
        let session = client_of_its_own(stage);
        let driven = || drive(&session, stack(certificate, panics), client, None);
        match panics {
            Panics::Never => driven(),
            _ => crate::show::panics(driven),
        }
    }
    for store in [Spoilt::Fails, Spoilt::Panics] {
        let session = client_of_its_own(stage);
        let driven = || {
            drive(
                &session,
                stack(certificate, Panics::Never),
                client,
                Some(store),
            );
        };
        match store {
            Spoilt::Fails => driven(),
            Spoilt::Panics => panics(driven),
        }
    }
}

fn client_of_its_own(stage: &Stage) -> SharedSession {
    let session = builder(stage).build().unwrap().session().clone();
    session.set_observer(|_: &SharedSession, event: &SessionEvent<'_>| println!("{event:?}"));
    session
}

/// Panics of a caller and of its observer, during a call.
fn broken_off(stage: &Stage) {
    let client = builder(stage).build().unwrap();
    client
        .session()
        .set_observer(|session: &SharedSession, event: &SessionEvent<'_>| {
            panic!("{event:?} in {session:?}")
        });
    // An observer's panic is printed, and stops nothing.
    wait(client.login()).unwrap();
    println!("{:?}", wait(client.get(DEVICES).send()).unwrap());
    client
        .session()
        .set_observer(|_: &SharedSession, _: &SessionEvent<'_>| {});
    println!("{:?}", wait(client.login()));
    panics(|| {
        let request = client.get(DEVICES);
        panic!(
            "{client:?} {request:?} {:?}",
            outbound(&client, &http::HeaderMap::new())
        )
    });
    stage
        .server
        .inject(Rule::once(Matcher::AnyCall, Fault::Hang { act: false }));
    panics(|| {
        wait(
            client
                .get(DEVICES)
                .timeout(Duration::from_millis(50))
                .send(),
        )
        .unwrap()
    });
}

/// A session driven step by step, over the adapter's transport.
fn made_by_hand(stage: &Stage, client: &Client) {
    stage.server.inject(Rule::once(
        Matcher::Login,
        Fault::SetCookies(vec![format!("authToken={TOKEN}; Path=/connect")]),
    ));
    let stack = stack(stage.certificate(), Panics::Never);
    by_hand::oauth();
    by_hand::session(
        &client.session().endpoint(),
        |request| send_login(&stack, LoginRequest::new(request, Duration::from_secs(30))),
        |stamps| send(&stack, outbound(client, stamps)),
    );
}

/// The password comes from sources, and each fails with the password in its input.
fn by_source(stage: &Stage) {
    let client = builder(stage).build().unwrap();
    let file = stage.folder.join("password");
    let sources = CredentialsFile::for_user(USERNAME, &file);
    client.session().set_credentials_source(sources);
    let fails = |client: &Client| {
        client.session().reset();
        tell(&wait(client.login()).unwrap_err());
        tell(&wait(client.get(DEVICES).send()).unwrap_err());
        println!("{:?}", client.session());
    };
    for text in [format!("{PASSWORD}\n{PASSWORD}\n"), "CANARY".repeat(2000)] {
        std::fs::write(&file, text).unwrap();
        owner_only(&file);
        fails(&client);
    }
    // The shell would interpret characters of the password.
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let commands = [
        r#"cat "$0" "$0""#,
        r#"cat "$0"; cat "$0" >&2; exit 3"#,
        r#"cat "$0"; printf '\377\n'"#,
    ];
    for command in commands {
        let command = CredentialsCommand::new(USERNAME, "sh")
            .args(["-c", command])
            .arg(&file);
        client.session().set_credentials_source(command);
        fails(&client);
    }
    // A wrong password first, and the right one after the server has rejected it.
    let asked = AtomicUsize::new(0);
    client.session().set_credentials_source(move || {
        let first = asked.fetch_add(1, SeqCst) == 0;
        let password = if first { WRONG_PASSWORD } else { PASSWORD };
        Ok(Credentials::new(USERNAME, password)?)
    });
    client.session().reset();
    wait(client.login()).unwrap();
    println!("{:?}", client.session());
}

fn owner_only(file: &std::path::Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let _ = file;
}

fn logouts(server: &Server, client: &Client) {
    server.inject(Rule::once(Matcher::Logout, Fault::status(404)));
    wait(client.login()).unwrap();
    let logged_out = wait(client.logout());
    show!(ctc_driver::LogoutOutcome, &logged_out);
    println!("{logged_out}");
    tell(&wait(client.get(DEVICES).send()).unwrap_err());
    client.session().reopen();
    wait(client.login()).unwrap();
    herd(client);
    println!("{}", wait(client.logout()));
    show!(ctc_driver::SharedSession, client.session());
}
