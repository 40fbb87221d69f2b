//! No secret in anything that can be printed.

use std::fmt::{Debug, Display};

use ctc_core::{
    Admit, AppKey, AuthToken, Credentials, Endpoint, EndpointError, JoinError, Resumed,
    SendFailure, Session, Settings, StampError, Target, Verdict,
};
use http::{HeaderMap, Uri};

use crate::scenario::{Scenario, call, cookie, credentials, set_cookies, status};

const KEY: &str = "CANARY-KEY";
const USER: &str = "CANARY-USER@example.com";
const PASSWORD: &str = "CANARY-PASSWORD";
const TOKEN: &str = "CANARY-TOKEN";

fn scenario() -> Scenario {
    Scenario::of(Endpoint::us(), KEY, USER, PASSWORD, Settings::default())
}

#[track_caller]
fn shows_nothing(value: &dyn Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!text.contains("CANARY"), "{text}");
        // Nor as the bytes of a list.
        assert!(!text.contains("67, 65, 78, 65"), "{text}");
    }
}

#[track_caller]
fn says_nothing(error: &impl std::error::Error) {
    shows_nothing(error);
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        shows_nothing(&error.to_string());
        next = error.source();
    }
}

#[track_caller]
fn prints_nothing(value: &(impl Display + Debug)) {
    shows_nothing(value);
    shows_nothing(&value.to_string());
}

#[test]
fn guarantee_9_t78_the_secrets_themselves_print_redacted() {
    shows_nothing(&AppKey::new(KEY).unwrap());
    shows_nothing(&AppKey::new(KEY).unwrap().to_header_value());
    shows_nothing(&credentials(USER, PASSWORD));
    shows_nothing(&AuthToken::new(TOKEN).unwrap());
    assert_eq!(
        format!("{:?}", AuthToken::new(TOKEN).unwrap()),
        "AuthToken([redacted])"
    );
    says_nothing(&AppKey::new("CANARY\n").unwrap_err());
    says_nothing(&AuthToken::new("CANARY;").unwrap_err());
    says_nothing(&Credentials::new("", "CANARY").unwrap_err());
    says_nothing(&Credentials::new("CANARY", "").unwrap_err());
    says_nothing(&Credentials::new("CANARY\n", "p").unwrap_err());
    says_nothing(&Credentials::new("u", "CANARY\n").unwrap_err());
}

#[test]
fn guarantee_9_t78_a_session_shows_no_secret_in_any_state() {
    let mut s = scenario();
    shows_nothing(&s.session);
    let order = s.order();
    shows_nothing(&order);
    shows_nothing(&order.request);
    shows_nothing(&order.request.headers());
    shows_nothing(&order.request.body());
    shows_nothing(&s.session);
    let reader = s.session.login_reader();
    shows_nothing(&reader);
    shows_nothing(&reader.read(status(200), &set_cookies(&[&cookie(TOKEN)]), &[]));
    let outcome = s.login(order.ticket, 200, &[&cookie(TOKEN)]);
    shows_nothing(&outcome);
    shows_nothing(&s.session);
    shows_nothing(&s.phase());
    prints_nothing(&s.session.pass().unwrap().generation());
    shows_nothing(&s.session.record_key());
    shows_nothing(&s.record());
    shows_nothing(&s.opened(&s.record()));
    shows_nothing(&s.session.seal_seed());
    shows_nothing(&s.session.settings());
    prints_nothing(s.session.endpoint());

    let mut admitted = call();
    let admit = s.admit(&mut admitted);
    shows_nothing(&admit);
    let Admit::Proceed(pass) = admit else {
        panic!("it is open")
    };
    let mut headers = HeaderMap::new();
    headers.insert("cookie", "a=CANARY-OF-THE-CALLER".parse().unwrap());
    let uri = Uri::from_static("https://connect.calamp.com/");
    pass.stamp(Target::from(&uri), &mut headers).unwrap();
    shows_nothing(&headers);
    shows_nothing(&pass);
    s.pass_time(3600);
    shows_nothing(&s.response(&mut admitted, 401, &[&cookie(TOKEN)]));
    shows_nothing(&admitted);
    shows_nothing(&s.session);

    let ticket = s.order().ticket;
    shows_nothing(&ticket);
    shows_nothing(&s.admit(&mut call()));
    shows_nothing(&s.login(ticket, 503, &["authToken=CANARY CANARY"]));
    says_nothing(&s.denied());
    shows_nothing(&s.session);
    shows_nothing(&s.record());

    let mut s = scenario().rejected(401);
    says_nothing(&s.denied());
    shows_nothing(&s.session);
    shows_nothing(&s.record());
}

#[test]
fn guarantee_9_t78_logout_and_orphan_requests_show_no_secret() {
    let mut s = scenario().open(TOKEN);
    shows_nothing(&s.session.logout().unwrap());
    shows_nothing(&s.session);
    s.session.reopen();
    let ticket = s.order().ticket;
    shows_nothing(&s.session.close());
    shows_nothing(&s.login(ticket, 200, &[&cookie(TOKEN)]));
}

#[test]
fn guarantee_9_t79_no_error_repeats_what_it_was_given() {
    let us = Endpoint::us();
    for path in [
        "https://evil.example/?q=CANARY",
        "CANARY",
        "/CANARY CANARY",
        "//CANARY/",
    ] {
        says_nothing(&us.join(path).unwrap_err());
    }
    for url in [
        "CANARY",
        "https://CANARY:CANARY@host.example",
        "https://host.example/CANARY",
        "http://CANARY.example",
    ] {
        says_nothing(&Endpoint::new(url).unwrap_err());
    }
    let pass = scenario().open(TOKEN).session.pass().unwrap().clone();
    let uri = Uri::from_static("https://evil.example/?q=CANARY");
    says_nothing(
        &pass
            .stamp(Target::from(&uri), &mut HeaderMap::new())
            .unwrap_err(),
    );
    let mut settings = Settings::default();
    settings.logout_path = "https://evil.example/CANARY".to_owned();
    let key = AppKey::new(KEY).unwrap();
    says_nothing(
        &Session::new(us, key, credentials(USER, PASSWORD), settings)
            .err()
            .unwrap(),
    );
}

#[test]
fn guarantee_9_every_failed_login_is_told_without_what_the_server_sent() {
    for code in [200, 302, 400, 401, 404, 408, 429, 500] {
        let mut s = scenario();
        let ticket = s.order().ticket;
        let mut response = http::Response::new(TOKEN);
        *response.status_mut() = crate::scenario::status(code);
        *response.headers_mut() = set_cookies(&["authToken=CANARY CANARY", "CANARY=CANARY"]);
        response
            .headers_mut()
            .insert("location", "https://CANARY.example/".parse().unwrap());
        response
            .headers_mut()
            .insert("retry-after", "CANARY".parse().unwrap());
        let reader = s.session.login_reader();
        shows_nothing(&reader.read(response.status(), response.headers(), b"CANARY"));
        shows_nothing(&s.reports(ticket, &response));
        says_nothing(&s.denied());
        shows_nothing(&s.session);
    }
    let mut s = scenario();
    let ticket = s.order().ticket;
    shows_nothing(&s.fails(ticket, SendFailure::MaybeSent));
}

#[test]
fn t78_a_record_holds_no_secret_in_the_clear() {
    for s in [
        scenario().open(TOKEN),
        scenario().rejected(401),
        scenario().cooling(),
    ] {
        let json = serde_json::to_string(&s.record()).unwrap();
        for secret in [KEY, USER, PASSWORD, "CANARY-USER"] {
            assert!(!json.contains(secret), "{json}");
        }
        let json = serde_json::to_string(&s.record().without_token()).unwrap();
        assert!(!json.contains("CANARY"), "{json}");
    }
    // Resumed values hold no more than a number.
    let record = scenario().open(TOKEN).record();
    let mut other = scenario();
    let ticket = other.order().ticket;
    let wall = other.wall();
    let resumed = other.resumes_at(wall, ticket, &record);
    assert!(matches!(resumed, Resumed::Adopted(_)));
    shows_nothing(&resumed);
}

#[test]
fn t78_a_broken_record_is_refused_without_repeating_its_token() {
    for field in ["by", "nonce", "sealed"] {
        let mut json = serde_json::to_value(scenario().open(TOKEN).record()).unwrap();
        json["tokens"][0][field] = "CANARY CANARY".into();
        let error = serde_json::from_value::<ctc_core::SessionRecord>(json).unwrap_err();
        says_nothing(&error);
    }
}

#[test]
fn t81_the_password_is_in_the_body_of_the_login_and_nowhere_else() {
    let order = scenario().order();
    let (parts, body) = order.request.into_parts();
    assert!(String::from_utf8_lossy(body.as_ref()).contains(PASSWORD));
    assert!(!parts.uri.to_string().contains("CANARY"));
    for (name, value) in &parts.headers {
        let text = value.to_str().unwrap();
        assert!(!text.contains(PASSWORD) && !text.contains(USER), "{name}");
        assert_eq!(text.contains("CANARY"), value.is_sensitive(), "{name}");
    }
}

#[test]
fn everything_can_be_sent_and_shared_between_threads() {
    fn everywhere<T: Send + Sync + 'static>() {}
    everywhere::<Session>();
    everywhere::<ctc_core::Pass>();
    everywhere::<ctc_core::Call>();
    everywhere::<Admit>();
    everywhere::<Verdict>();
    everywhere::<ctc_core::LoginOrder>();
    everywhere::<ctc_core::LoginTicket>();
    everywhere::<ctc_core::LoginOutcome>();
    everywhere::<ctc_core::Denial>();
    everywhere::<ctc_core::Unauthorized>();
    everywhere::<Resumed>();
    everywhere::<ctc_core::SessionRecord>();
    everywhere::<ctc_core::OpenRecord>();
    everywhere::<Settings>();
    everywhere::<Endpoint>();
    everywhere::<(EndpointError, JoinError, StampError)>();
}
