//! The login that the vendor's page describes, and every way to break its rules.

mod common;

use common::{Client, DEVICES, FORM, Headers, KEY, LOGIN, LOGOUT, form};
use ctc_testkit::{
    Class, DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, LogoutEffect, Server, TokenStyle,
    Violation,
};

#[test]
fn a_login_sets_its_cookie_among_others() {
    let server = Server::start().unwrap();
    let reply = Client::connect(&server).login();

    assert_eq!(reply.status, 200);
    let names: Vec<_> = reply
        .all("set-cookie")
        .iter()
        .map(|line| line.split('=').next().unwrap())
        .collect();
    assert_eq!(names, ["JSESSIONID", "authToken", "JSESSIONID"]);
    assert!(reply.token().unwrap().ends_with("%3D%3D"));
    let counts = server.counts();
    assert_eq!(
        (counts.logins, counts.login_requests, counts.live_tokens),
        (1, 1, 1)
    );
    assert_eq!(
        (
            counts.violations,
            counts.needless_logins,
            counts.logins_in_flight_max
        ),
        (0, 0, 1)
    );
}

#[test]
fn the_vendors_example_header_works() {
    let server = Server::start().unwrap();
    let mut client = Client::connect(&server);
    let cookie = format!("authToken={}", client.token());
    let header = [
        ("Accept", "application/json;charset=UTF-8"),
        KEY,
        ("Cookie", cookie.as_str()),
    ];
    assert_eq!(
        client.send("GET", DEVICES, &header, b"").unwrap().status,
        200
    );

    let journal = server.journal();
    assert_eq!(journal[1].class, Class::Call);
    assert_eq!(
        journal[1].tokens(),
        [cookie.strip_prefix("authToken=").unwrap()]
    );
    assert_eq!(journal[0].connection, journal[1].connection);
    assert_eq!(server.counts().connections, 1);
}

#[test]
fn passwords_survive_form_encoding() {
    for password in [
        DEFAULT_PASSWORD,
        "a+b%c&d=e f$g",
        "%2B%26",
        "ünïcödé 🔑",
        "\"quoted\" <b>'",
    ] {
        let server = Server::builder()
            .account("o'hara+x@example.com", password)
            .start()
            .unwrap();
        let reply = Client::connect(&server).login_as("o'hara+x@example.com", password);
        assert_eq!(reply.status, 200, "{password}");
    }
}

#[test]
fn a_content_type_may_have_a_charset() {
    let server = Server::start().unwrap();
    let content_type = (
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    );
    let body = form(DEFAULT_USERNAME, DEFAULT_PASSWORD);
    let reply = Client::connect(&server)
        .send("POST", LOGIN, &[KEY, content_type], body.as_bytes())
        .unwrap();
    assert_eq!((reply.status, server.counts().violations), (200, 0));
}

#[test]
fn a_wrong_password_is_rejected_and_not_a_violation() {
    let server = Server::builder().refused_status(403).start().unwrap();
    let reply = Client::connect(&server).login_as(DEFAULT_USERNAME, "wrong");
    assert_eq!((reply.status, reply.token()), (403, None));
    let counts = server.counts();
    assert_eq!(
        (counts.logins, counts.logins_refused, counts.violations),
        (0, 1, 0)
    );
}

#[test]
fn every_broken_rule_of_a_login_is_a_violation_with_a_name() {
    let good = form(DEFAULT_USERNAME, DEFAULT_PASSWORD);
    let bare = LOGIN.split('?').next().unwrap();
    let in_query = format!("{LOGIN}&{good}");
    let hidden = format!(
        "{LOGIN}&x={}",
        form("", DEFAULT_PASSWORD).split('=').nth(2).unwrap()
    );
    let twice = format!("{good}&username=x");
    let glued = "username=u&password=a&b=c";
    let json = ("Content-Type", "application/json");
    let cases: &[(&str, &str, Headers<'_>, &str, Violation, u16)] = &[
        ("GET", LOGIN, &[KEY], "", Violation::WrongMethod, 405),
        (
            "PUT",
            LOGIN,
            &[KEY, FORM],
            &good,
            Violation::WrongMethod,
            405,
        ),
        ("POST", LOGIN, &[FORM], &good, Violation::MissingKey, 400),
        (
            "POST",
            LOGIN,
            &[("calamp-services-app", ""), FORM],
            &good,
            Violation::MissingKey,
            400,
        ),
        (
            "POST",
            LOGIN,
            &[("calamp-services-app", "x"), FORM],
            &good,
            Violation::WrongKey,
            400,
        ),
        (
            "POST",
            LOGIN,
            &[KEY, KEY, FORM],
            &good,
            Violation::DuplicateKey,
            400,
        ),
        (
            "POST",
            LOGIN,
            &[KEY],
            &good,
            Violation::WrongContentType,
            400,
        ),
        (
            "POST",
            LOGIN,
            &[KEY, json],
            &good,
            Violation::WrongContentType,
            400,
        ),
        (
            "POST",
            &in_query,
            &[KEY, FORM],
            &good,
            Violation::CredentialsInQuery,
            400,
        ),
        (
            "POST",
            &hidden,
            &[KEY, FORM],
            &good,
            Violation::CredentialsInQuery,
            400,
        ),
        (
            "POST",
            bare,
            &[KEY, FORM],
            &good,
            Violation::MissingUseAuthToken,
            400,
        ),
        (
            "POST",
            LOGIN,
            &[KEY, FORM],
            "",
            Violation::MissingField,
            400,
        ),
        (
            "POST",
            LOGIN,
            &[KEY, FORM],
            "username=u",
            Violation::MissingField,
            400,
        ),
        (
            "POST",
            LOGIN,
            &[KEY, FORM],
            &twice,
            Violation::DuplicateField,
            400,
        ),
        (
            "POST",
            LOGIN,
            &[KEY, FORM],
            glued,
            Violation::UnexpectedField,
            400,
        ),
        (
            "POST",
            LOGIN,
            &[KEY, FORM],
            "username=u&password=100%",
            Violation::BadForm,
            400,
        ),
        (
            "POST",
            LOGIN,
            &[KEY, FORM],
            "username=u&password=a b",
            Violation::BadForm,
            400,
        ),
        (
            "POST",
            LOGIN,
            &[KEY, FORM],
            "username=u&password=é",
            Violation::BadForm,
            400,
        ),
        (
            "POST",
            LOGIN,
            &[KEY, FORM],
            "username=u&password=%FF",
            Violation::BadForm,
            400,
        ),
    ];
    let server = Server::start().unwrap();
    let mut client = Client::connect(&server);
    for (method, path, headers, body, violation, status) in cases {
        let reply = client.send(method, path, headers, body.as_bytes()).unwrap();
        let entry = server.journal().pop().unwrap();
        assert_eq!(
            (entry.violation, reply.status),
            (Some(*violation), *status),
            "{method} {path} {body}"
        );
        assert_eq!((entry.class, entry.status), (Class::Login, Some(*status)));
        assert_eq!(reply.token(), None);
    }
    let counts = server.counts();
    assert_eq!(counts.violations, cases.len() as u64);
    assert_eq!(counts.login_requests, cases.len() as u64);
    assert_eq!((counts.logins, counts.logins_refused), (0, 0));
}

#[test]
fn use_auth_token_may_be_in_the_form_if_allowed() {
    let bare = LOGIN.split('?').next().unwrap();
    let body = format!(
        "{}&useAuthToken=true",
        form(DEFAULT_USERNAME, DEFAULT_PASSWORD)
    );
    for allowed in [true, false] {
        let server = Server::builder()
            .use_auth_token_in_form(allowed)
            .start()
            .unwrap();
        let reply = Client::connect(&server)
            .send("POST", bare, &[KEY, FORM], body.as_bytes())
            .unwrap();
        assert_eq!(reply.status == 200, allowed);
    }
}

#[test]
fn accounts_do_not_mix() {
    let server = Server::builder()
        .account("a", "pw-of-a!")
        .account("b", "pw-of-b!")
        .start()
        .unwrap();
    let mut client = Client::connect(&server);
    assert_eq!(client.login_as("a", "pw-of-b!").status, 401);
    let a = client.login_as("a", "pw-of-a!").token().unwrap().to_owned();
    let b = client.login_as("b", "pw-of-b!").token().unwrap().to_owned();
    assert_eq!(server.counts().needless_logins, 0);
    assert_eq!(server.revoke("a"), 1);
    assert_eq!(client.get(DEVICES, &a).status, 401);
    assert_eq!(client.get(DEVICES, &b).status, 200);
}

#[test]
fn an_account_is_locked_after_rejections() {
    let server = Server::builder().lock_after(2).start().unwrap();
    let mut client = Client::connect(&server);
    client.login_as(DEFAULT_USERNAME, "wrong");
    assert_eq!(client.login().status, 200);
    client.login_as(DEFAULT_USERNAME, "wrong");
    client.login_as(DEFAULT_USERNAME, "wrong");
    assert_eq!(client.login().status, 401);
    server.unlock(DEFAULT_USERNAME);
    assert_eq!(client.login().status, 200);
    server.lock(DEFAULT_USERNAME);
    assert_eq!(client.login().status, 401);
}

#[test]
fn a_login_beside_a_valid_token_is_needless() {
    let server = Server::start().unwrap();
    let mut client = Client::connect(&server);
    let token = client.token();
    client.token();
    assert_eq!(server.counts().needless_logins, 1);

    // After a 401 it is not needless, even if another token of the account is still valid.
    server.revoke_all();
    client.get(DEVICES, &token);
    client.token();
    assert_eq!(
        (server.counts().needless_logins, server.counts().logins),
        (1, 3)
    );
}

#[test]
fn a_logout_does_what_it_is_set_to() {
    for (effect, first, second) in [
        (LogoutEffect::Presented, 401, 200),
        (LogoutEffect::Account, 401, 401),
        (LogoutEffect::Nothing, 200, 200),
    ] {
        let server = Server::builder()
            .logout_effect(effect)
            .logout_path("/connect/bye")
            .start()
            .unwrap();
        let mut client = Client::connect(&server);
        let (a, b) = (client.token(), client.token());
        assert_eq!(client.post("/connect/bye", &a, b"").status, 200);
        assert_eq!(
            (
                client.get(DEVICES, &a).status,
                client.get(DEVICES, &b).status
            ),
            (first, second)
        );
        assert_eq!(
            (server.counts().logouts, server.counts().violations),
            (1, 0)
        );
    }
    let server = Server::start().unwrap();
    let mut client = Client::connect(&server);
    let token = client.token();
    assert_eq!(client.post(LOGOUT, &token, b"").token(), Some(""));
    assert_eq!(client.post(LOGOUT, &token, b"").status, 401);
    assert_eq!(
        client.send("POST", LOGOUT, &[KEY], b"").unwrap().status,
        401
    );
    assert_eq!(
        server.journal().pop().unwrap().violation,
        Some(Violation::MissingToken)
    );
    client.login();
    assert_eq!(
        (server.counts().needless_logins, server.counts().logouts),
        (0, 1)
    );
}

#[test]
fn tokens_have_every_style() {
    for style in [
        TokenStyle::Plain,
        TokenStyle::Padded,
        TokenStyle::Quoted,
        TokenStyle::PercentEncoded,
    ] {
        let server = Server::builder()
            .token_style(style)
            .app_key("key")
            .start()
            .unwrap();
        let mut client = Client::connect(&server);
        let key = ("Calamp-Services-App", "key");
        let body = form(DEFAULT_USERNAME, DEFAULT_PASSWORD);
        let reply = client
            .send("POST", LOGIN, &[key, FORM], body.as_bytes())
            .unwrap();
        let token = reply.token().unwrap();
        assert_eq!(
            token.len(),
            match style {
                TokenStyle::PercentEncoded => 80,
                TokenStyle::Quoted => 78,
                _ => 76,
            }
        );
        let call = |token: &str| {
            [
                key,
                (
                    "Cookie",
                    format!("a=b; authToken={token}; c=d").leak() as &str,
                ),
            ]
        };
        assert_eq!(
            client
                .send("GET", DEVICES, &call(token), b"")
                .unwrap()
                .status,
            200
        );
        // A client that decodes the value or strips its quotes sends a token that this server never
        // issued.
        if matches!(style, TokenStyle::PercentEncoded | TokenStyle::Quoted) {
            let decoded = token.replace("%3D", "=").replace('"', "");
            assert_eq!(
                client
                    .send("GET", DEVICES, &call(&decoded), b"")
                    .unwrap()
                    .status,
                401
            );
            assert_eq!(
                server.journal().pop().unwrap().violation,
                Some(Violation::UnknownToken)
            );
        }
        assert_ne!(DEFAULT_APP_KEY, "key");
    }
}
