//! The tests. Compiled once for each client: `super` says which.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ctc_driver::{CallFailure, ConfigError, SessionEvent};
use ctc_testkit::{
    DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, Matcher, Origin,
    Rule, Server,
};
use http::{Method, Request};
use serde_json::{Value, json};

use super::adapter::{
    BuildError, Client, ClientBuilder, Clock, Denial, Endpoint, Error, Login, LoginFailure,
    LoginLimiter, LogoutOutcome, OAuth, Replay, SharedSession, Unauthorized,
};
use super::{a_store, follows, form, own_http_client, status_of, text, wait};

const DEVICES: &str = "/connect/services/devices";
const ECHO: &str = "/connect/test/echo";

fn at(server: &Server) -> ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .endpoint(Endpoint::danger_plain_http(&server.url()).unwrap())
        .app_key(DEFAULT_APP_KEY)
}

fn builder(server: &Server) -> ClientBuilder {
    at(server).credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
}

fn client(server: &Server) -> Client {
    builder(server).build().unwrap()
}

fn denial<T>(result: Result<T, Error>) -> Denial {
    match result {
        Err(Error::Denied(denied)) => denied.denial().clone(),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("should be denied"),
    }
}

#[test]
fn json_is_sent_and_received() {
    let server = Server::start().unwrap();
    let client = client(&server);
    let sent = wait(client.post(ECHO).json(&json!({"speed": 88})).send()).unwrap();
    assert_eq!(server.journal().pop().unwrap().body, br#"{"speed":88}"#);
    let echo: Value = super::json(sent).unwrap();
    assert_eq!(echo["method"], "POST");
    let bytes = wait(client.get("/connect/test/bytes/10").send()).unwrap();
    assert!(super::json::<Value>(bytes).is_none());
    let devices = wait(client.get(DEVICES).send()).unwrap();
    assert!(text(devices).contains("results"));
}

#[test]
fn a_multipart_form_reaches_the_server_and_is_replayed_where_it_can_be() {
    let server = Server::start().unwrap();
    let client = client(&server);
    wait(form(client.post(ECHO)).send()).unwrap();
    let entry = server.journal().pop().unwrap();
    let content_type = entry.header("content-type")[0];
    let boundary = content_type
        .strip_prefix("multipart/form-data; boundary=")
        .unwrap();
    let body = String::from_utf8_lossy(&entry.body);
    let parts: Vec<_> = body.split(&format!("--{boundary}")).collect();
    assert_eq!(parts.len(), 4, "{body}");
    assert!(parts[1].contains(r#"name="note""#) && parts[1].contains("left door"));
    assert!(parts[2].contains(r#"filename="truck.png""#) && parts[2].contains("PNG"));

    server.revoke_all();
    let again = form(client.post(ECHO)).replay(Replay::Always);
    let expected = if super::FORMS_ARE_REPLAYED { 200 } else { 401 };
    assert_eq!(wait(again.send()).unwrap().status(), expected);
    assert_eq!(wait(client.get(DEVICES).send()).unwrap().status(), 200);
}

#[test]
fn the_default_http_client_can_be_configured_for_calls_and_logins_and_follows_no_redirects() {
    let server = Server::start().unwrap();
    let elsewhere = Server::start().unwrap();
    let client = builder(&server)
        .user_agent("ours/1")
        .configure_http(|http| http.user_agent("theirs/1"))
        .configure_http(follows)
        .build()
        .unwrap();
    server.inject(Rule::once(
        Matcher::Path(DEVICES.into()),
        Fault::Redirect {
            status: 307,
            location: elsewhere.url(),
        },
    ));
    assert_eq!(wait(client.get(DEVICES).send()).unwrap().status(), 307);
    let journal = server.journal();
    assert_eq!(journal.len(), 2);
    for entry in journal {
        assert_eq!(entry.header("user-agent"), ["theirs/1"], "{}", entry.path);
    }
    assert!(elsewhere.journal().is_empty());

    let both = own_http_client(builder(&server)).configure_http(|http| http);
    assert!(matches!(both.build(), Err(BuildError::OwnHttpClient)));
}

#[test]
fn a_store_behind_an_arc_is_a_store() {
    let server = Server::start().unwrap();
    let store = a_store();
    for adopted in 0..2 {
        let client = builder(&server).store(Arc::clone(&store)).build().unwrap();
        assert_eq!(wait(client.get(DEVICES).send()).unwrap().status(), 200);
        assert_eq!(client.session().counts().adopted, adopted);
    }
    assert_eq!(server.counts().logins, 1);
}

/// The system's clock, which a test moves forward.
#[derive(Debug, Default)]
struct Moved(Mutex<Duration>);

impl Clock for Moved {
    fn now(&self) -> Instant {
        Instant::now() + *self.0.lock().unwrap()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now() + *self.0.lock().unwrap()
    }
}

#[test]
fn your_own_clock_decides_when_a_backoff_is_over() {
    let server = Server::start().unwrap();
    let clock = Arc::new(Moved::default());
    let client = builder(&server).clock(Arc::clone(&clock)).build().unwrap();
    server.inject(Rule::once(Matcher::Login, Fault::status(503)));
    for _ in 0..2 {
        let told = denial(wait(client.get(DEVICES).send()));
        assert!(matches!(told, Denial::BackingOff { .. }));
    }
    *clock.0.lock().unwrap() = Duration::from_secs(60);
    assert_eq!(wait(client.get(DEVICES).send()).unwrap().status(), 200);
}

#[test]
fn two_clients_share_one_session() {
    let server = Server::start().unwrap();
    let first = client(&server);
    let second = Client::builder()
        .session(first.session().clone())
        .user_agent("second/1")
        .build()
        .unwrap();
    for client in [&first, &second, &first] {
        assert_eq!(wait(client.get(DEVICES).send()).unwrap().status(), 200);
    }
    assert_eq!((server.counts().logins, server.counts().violations), (1, 0));
    wait(first.logout());
    assert_eq!(denial(wait(second.get(DEVICES).send())), Denial::Closed);

    let own = || Client::builder().session(first.session().clone());
    for beside in [
        own().endpoint(Endpoint::us()),
        own().app_key("k"),
        own().credentials("u", "p"),
        own().settings(|_| {}),
        own().login_timeout(Duration::from_secs(1)),
        own().label("acme"),
        own().login_limiter(&LoginLimiter::new(1, 1)),
        own().clock(Arc::new(Moved::default())),
    ] {
        let built = beside.build();
        let Err(BuildError::Config(ConfigError::OwnSession)) = built else {
            panic!("{built:?}");
        };
    }
}

#[test]
fn accounts_share_a_login_limiter_and_the_one_without_a_turn_is_denied_with_its_label() {
    let server = Server::builder()
        .account("ada", "secret-1")
        .account("bob", "secret-2")
        .start()
        .unwrap();
    let limiter = LoginLimiter::new(1, 1);
    let account = |name: &str, password: &str| {
        let built = at(&server)
            .credentials(name, password)
            .label(format!("label of {name}"))
            .login_limiter(&limiter)
            .login_timeout(Duration::from_millis(150))
            .build();
        built.unwrap()
    };
    let (ada, bob) = (account("ada", "secret-1"), account("bob", "secret-2"));
    assert_eq!(wait(ada.get(DEVICES).send()).unwrap().status(), 200);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    bob.session()
        .set_observer(move |session: &SharedSession, event: &SessionEvent<'_>| {
            let told = (session.label().map(str::to_owned), format!("{event:?}"));
            hears.lock().unwrap().push(told);
        });
    let error = wait(bob.get(DEVICES).send()).unwrap_err();
    let pause = error.retry_after().unwrap();
    assert!(pause > Duration::from_secs(50) && pause <= Duration::from_secs(60));
    let Denial::BackingOff { cause, .. } = denial::<()>(Err(error)) else {
        panic!("another denial");
    };
    assert_eq!(cause, LoginFailure::Limited);
    let (label, event) = heard.lock().unwrap()[0].clone();
    assert_eq!(label.as_deref(), Some("label of bob"));
    assert_eq!(event, "LoginQueued { ahead: 0 }");
    assert_eq!(server.counts().login_requests, 1);
    assert_eq!((limiter.running(), limiter.waiting()), (0, 0));
}

#[test]
fn a_caller_stops_waiting_for_anothers_login_at_its_timeout() {
    let server = Server::start().unwrap();
    server.inject(Rule::forever(Matcher::Login, Fault::Hang { act: false }));
    let client = builder(&server)
        .login_timeout(Duration::from_secs(3))
        .build()
        .unwrap();
    let logs_in = {
        let client = client.clone();
        thread::spawn(move || denial(wait(client.get(DEVICES).send())))
    };
    while server.counts().login_requests == 0 {
        thread::yield_now();
    }
    let began = Instant::now();
    // The limit of the wait for a backoff does not end this wait.
    let call = client.get(DEVICES).max_wait(Duration::from_millis(1));
    let error = wait(call.call_timeout(Duration::from_millis(100)).send()).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(matches!(error, Error::TimedOut(_)) && !error.was_sent());
    server.clear_faults();
    assert!(matches!(logs_in.join().unwrap(), Denial::BackingOff { .. }));

    let impatient = builder(&server)
        .call_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    wait(impatient.login()).unwrap();
    let hang = Fault::Hang { act: false };
    server.inject(Rule::once(Matcher::Path(DEVICES.into()), hang));
    let error = wait(impatient.get(DEVICES).send()).unwrap_err();
    assert!(error.was_sent(), "{error:?}");
}

#[test]
fn an_outbound_can_be_made_from_an_http_request() {
    let server = Server::start().unwrap();
    let session = || client(&server).session().clone();
    let request = |path: &str| {
        let request = Request::get(format!("{}{path}", server.url()));
        super::outbound(request.body(Vec::new()).unwrap())
    };
    assert_eq!(status_of(session(), request(DEVICES)), Some(200));
    let hang = Fault::Hang { act: false };
    server.inject(Rule::once(Matcher::Path(ECHO.into()), hang));
    let short = request(ECHO).with_timeout(Duration::from_millis(100));
    assert_eq!(status_of(session(), short), None);
}

#[test]
fn t46_paths_are_joined_and_absolute_urls_only_to_the_endpoint() {
    let server = Server::start().unwrap();
    let other = Server::start().unwrap();
    let client = client(&server);
    let absolute = format!("{}{DEVICES}?pg=2", server.url());
    assert_eq!(wait(client.get(absolute).send()).unwrap().status(), 200);
    let foreign = format!("{}{DEVICES}", other.url());
    for bad in [
        foreign.as_str(),
        "",
        "devices",
        "//evil.example/x",
        "/a b",
        "https://evil.example/",
    ] {
        let refused = wait(client.get(bad).send());
        assert!(matches!(refused, Err(Error::Path(_))), "{bad:?}");
    }
    assert_eq!(other.journal().len(), 0);
}

#[test]
fn t11_t18_a_401_that_is_delivered_says_why() {
    let server = Server::start().unwrap();
    let client = client(&server);
    wait(client.login()).unwrap();
    server.revoke_all();
    let response = wait(client.post(ECHO).body("x").send()).unwrap();
    assert_eq!(response.status(), 401);
    let why = response.extensions().get();
    assert_eq!(why, Some(&Unauthorized::NotReplayable));
    // The session is renewed for the next call, and a POST that may be replayed is.
    let response = wait(client.post(ECHO).body("x").send()).unwrap();
    assert_eq!(response.status(), 200);
    server.revoke_all();
    let call = client.post(ECHO).body("whole").replay(Replay::Always);
    assert_eq!(wait(call.send()).unwrap().status(), 200);
    assert_eq!(server.journal().pop().unwrap().body, b"whole");
}

#[test]
fn t23_rejected_credentials_are_tried_once_and_every_caller_is_told() {
    let server = Server::start().unwrap();
    let client = builder(&server)
        .credentials(DEFAULT_USERNAME, "wrong")
        .build()
        .unwrap();
    for _ in 0..20 {
        let error = wait(client.get(DEVICES).send()).unwrap_err();
        assert_eq!(error.retry_after(), None);
        let told = denial::<()>(Err(error));
        assert!(matches!(told, Denial::Rejected { status, .. } if status == 401));
    }
    assert_eq!(server.counts().login_requests, 1);
    let right = super::adapter::Credentials::new(DEFAULT_USERNAME, DEFAULT_PASSWORD).unwrap();
    client.session().set_credentials(right);
    assert_eq!(wait(client.get(DEVICES).send()).unwrap().status(), 200);
}

#[test]
fn methods_are_sent_unchanged() {
    let server = Server::start().unwrap();
    let client = client(&server);
    for (request, method) in [
        (client.get(ECHO), "GET"),
        (client.put(ECHO).body("text"), "PUT"),
        (client.delete(ECHO), "DELETE"),
        (client.head(ECHO), "HEAD"),
        (client.request(Method::PATCH, ECHO), "PATCH"),
    ] {
        assert_eq!(wait(request.send()).unwrap().status(), 200);
        assert_eq!(server.journal().pop().unwrap().method, method);
    }
}

#[test]
fn t51_t52_logout_is_explicit_and_final() {
    let server = Server::start().unwrap();
    let client = client(&server);
    assert!(matches!(wait(client.logout()), LogoutOutcome::NoToken));
    client.session().reopen();
    wait(client.login()).unwrap();
    assert!(matches!(wait(client.logout()), LogoutOutcome::Accepted(status) if status == 200));
    assert_eq!(denial(wait(client.get(DEVICES).send())), Denial::Closed);
    let counts = server.counts();
    assert_eq!((counts.live_tokens, counts.login_requests), (0, 1));
}

#[test]
fn t36_a_renewal_that_fails_leaves_the_token_and_one_that_succeeds_replaces_it() {
    let server = Server::start().unwrap();
    let client = client(&server);
    assert_eq!(wait(client.get(DEVICES).send()).unwrap().status(), 200);
    server.inject(Rule::once(Matcher::Login, Fault::status(503)));
    assert!(matches!(wait(client.renew()), Err(Error::Denied(_))));
    assert_eq!(wait(client.get(DEVICES).send()).unwrap().status(), 200);
    client.session().reset();
    wait(client.renew()).unwrap();
    assert_eq!(wait(client.get(DEVICES).send()).unwrap().status(), 200);
    let counts = client.session().counts();
    assert_eq!((counts.logins, counts.unauthorized), (3, 0));
}

fn oauth(server: &Server) -> OAuth {
    OAuth::danger_plain_http(&server.token_url(), DEFAULT_CLIENT_ID).unwrap()
}

#[test]
fn the_oauth_login_goes_to_the_token_endpoint_and_its_token_to_the_api() {
    let server = Server::start().unwrap();
    let client = builder(&server)
        .login(Login::OAuth(oauth(&server)))
        .build()
        .unwrap();
    for _ in 0..2 {
        assert_eq!(wait(client.get(DEVICES).send()).unwrap().status(), 200);
    }
    let [login, first, second] = &*server.journal() else {
        panic!("one login and two calls")
    };
    let (api, issuer) = (Origin::Api, Origin::Token);
    assert_eq!(
        (login.origin, first.origin, second.origin),
        (issuer, api, api)
    );
    assert!(login.header("calamp-services-app").is_empty());
    assert_eq!(first.header("calamp-services-app"), [DEFAULT_APP_KEY]);
    assert!(first.header("authorization")[0].starts_with("Bearer "));
    assert!(first.header("cookie").is_empty());
    assert!(matches!(wait(client.logout()), LogoutOutcome::NotRevoked));
    assert_eq!(server.counts().live_tokens, 1);
    assert_eq!(server.counts().violations, 0);

    let revoking = oauth(&server).revoke_on_logout();
    let client = builder(&server)
        .login(Login::OAuth(revoking))
        .build()
        .unwrap();
    wait(client.login()).unwrap();
    assert!(matches!(wait(client.logout()), LogoutOutcome::Accepted(status) if status == 200));
    assert_eq!(server.counts().live_tokens, 1, "only the second is revoked");
    assert_eq!(server.counts().violations, 0);
}

#[test]
fn a_body_longer_than_max_body_is_streamed_and_an_invalidated_token_replaced() {
    let server = Server::start().unwrap();
    let client = builder(&server).build().unwrap();
    wait(client.login()).unwrap();
    server.revoke_all();
    let length = ctc_driver::CallOptions::DEFAULT_MAX_BODY + 1;
    let path = format!("/connect/test/bytes/{length}");
    let (chunks, bytes) = super::streamed(&client, &path);
    assert_eq!(bytes, length);
    assert!(chunks > 16, "{chunks}");
    assert_eq!(client.session().counts().replays, 1);
}
