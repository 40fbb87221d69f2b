//! The token endpoint: its own origin, its form, its errors, its limit, and bearer tokens on calls.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::time::Duration;

use common::{Client, DEVICES, FORM, Headers, KEY, Reply, form};
use ctc_testkit::{
    Class, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, LogoutEffect, Matcher,
    Origin, Rule, Server, Violation,
};
use serde_json::json;

const TOKEN: &str = "/oauth2/test/v1/token";
const REVOKE: &str = "/oauth2/test/v1/revoke";

fn fields(grant: &str, client_id: &str, scope: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", grant)
        .append_pair("client_id", client_id)
        .append_pair("scope", scope)
        .finish()
}

fn token_form(username: &str, password: &str) -> String {
    let rest = fields("password", DEFAULT_CLIENT_ID, "openid");
    format!("{}&{rest}", form(username, password))
}

/// Sends a token request on a new connection.
fn send(server: &Server, headers: Headers<'_>, body: &str) -> Reply {
    Client::connect_to(server.token_address())
        .send("POST", TOKEN, headers, body.as_bytes())
        .expect("a response")
}

fn login(server: &Server) -> Reply {
    send(
        server,
        &[FORM],
        &token_form(DEFAULT_USERNAME, DEFAULT_PASSWORD),
    )
}

fn access_token(server: &Server) -> String {
    let reply = login(server);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["access_token"].as_str().unwrap().to_owned()
}

fn get(server: &Server, headers: Headers<'_>) -> Reply {
    Client::connect(server)
        .send("GET", DEVICES, headers, b"")
        .expect("a response")
}

fn get_with(server: &Server, token: &str) -> Reply {
    let bearer = format!("Bearer {token}");
    get(server, &[KEY, ("Authorization", &bearer)])
}

#[test]
fn a_token_response_is_as_documented_and_its_token_works() {
    let server = Server::start().unwrap();
    assert_ne!(server.address(), server.token_address());
    assert!(server.token_url().ends_with(TOKEN) && server.revocation_url().ends_with(REVOKE));
    let reply = login(&server);
    let body = reply.json();
    assert_eq!(
        (&body["token_type"], &body["expires_in"], &body["scope"]),
        (&json!("Bearer"), &json!(86400), &json!("openid"))
    );
    assert_ne!(body["access_token"], body["id_token"]);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("set-cookie"), None);
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(token.split('.').count(), 3, "{token}");

    assert_eq!(get_with(&server, token).status, 200);
    let counts = server.counts();
    assert_eq!(
        (counts.logins, counts.login_requests, counts.token_requests),
        (1, 1, 1)
    );
    assert_eq!(
        (counts.calls, counts.violations, counts.live_tokens),
        (1, 0, 1)
    );
    let journal = server.journal();
    let seen: Vec<_> = journal
        .iter()
        .map(|entry| (entry.origin, entry.class))
        .collect();
    assert_eq!(
        seen,
        [(Origin::Token, Class::Token), (Origin::Api, Class::Call)]
    );
}

#[test]
fn each_origin_knows_its_own_paths_only() {
    let server = Server::start().unwrap();
    let form = token_form(DEFAULT_USERNAME, DEFAULT_PASSWORD);
    let at_the_api = Client::connect(&server)
        .send("POST", TOKEN, &[FORM], form.as_bytes())
        .unwrap();
    assert_eq!(at_the_api.status, 404);
    for path in [common::LOGIN, DEVICES, "/_ctc/counts", "/"] {
        let reply = Client::connect_to(server.token_address())
            .send("GET", path, &[], b"")
            .unwrap();
        assert_eq!(reply.status, 404, "{path}");
    }
    assert!(
        server
            .journal()
            .iter()
            .all(|entry| entry.class == Class::Other)
    );
    assert_eq!(server.counts().logins, 0);
}

#[test]
fn every_broken_rule_of_a_token_request_has_a_name() {
    let server = Server::start().unwrap();
    let good = token_form(DEFAULT_USERNAME, DEFAULT_PASSWORD);
    let user = form(DEFAULT_USERNAME, DEFAULT_PASSWORD);
    let rest = fields("password", DEFAULT_CLIENT_ID, "openid");
    let cases: &[(Headers<'_>, String, Violation)] = &[
        (&[FORM, KEY], good.clone(), Violation::KeyAtTokenEndpoint),
        (
            &[FORM, ("Authorization", "Basic eDp5")],
            good.clone(),
            Violation::HeaderAtTokenEndpoint,
        ),
        (
            &[FORM, ("Cookie", "authToken=AAAA")],
            good.clone(),
            Violation::HeaderAtTokenEndpoint,
        ),
        (
            &[("Content-Type", "application/json")],
            good.clone(),
            Violation::WrongContentType,
        ),
        (&[], good.clone(), Violation::WrongContentType),
        (
            &[FORM],
            format!("{good}&username=x"),
            Violation::DuplicateField,
        ),
        (
            &[FORM],
            format!("{good}&client_secret=x"),
            Violation::UnexpectedField,
        ),
        (&[FORM], user.clone(), Violation::MissingField),
        (&[FORM], rest.clone(), Violation::MissingField),
        (
            &[FORM],
            format!("username=&password=x&{rest}"),
            Violation::MissingField,
        ),
        (
            &[FORM],
            format!("username=a b&password=x&{rest}"),
            Violation::BadForm,
        ),
        (
            &[FORM],
            format!("username=100%&password=x&{rest}"),
            Violation::BadForm,
        ),
        (
            &[FORM],
            format!("username=%ff&password=x&{rest}"),
            Violation::BadForm,
        ),
    ];
    for (headers, body, violation) in cases {
        let reply = send(&server, headers, body);
        assert_eq!(reply.status, 400, "{violation:?}");
        assert_eq!(reply.json()["error"], "invalid_request");
        let found = server.journal().pop().unwrap().violation;
        assert_eq!(found, Some(*violation), "{headers:?} {body}");
    }
    let mut client = Client::connect_to(server.token_address());
    let query = format!("{TOKEN}?{good}");
    for (method, path, violation) in [
        ("GET", TOKEN, Violation::WrongMethod),
        ("POST", query.as_str(), Violation::CredentialsInQuery),
    ] {
        client.send(method, path, &[FORM], good.as_bytes()).unwrap();
        let found = server.journal().pop().unwrap().violation;
        assert_eq!(found, Some(violation), "{method} {path}");
    }
    let counts = server.counts();
    assert_eq!(
        (counts.violations, counts.logins),
        (cases.len() as u64 + 2, 0)
    );
}

#[test]
fn a_username_with_an_unencoded_plus_is_another_user() {
    let server = Server::builder().account("a+b", "p").start().unwrap();
    let rest = fields("password", DEFAULT_CLIENT_ID, "openid");
    let raw = send(&server, &[FORM], &format!("username=a+b&password=p&{rest}"));
    assert_eq!(
        (raw.status, &raw.json()["error"]),
        (400, &json!("invalid_grant"))
    );
    let encoded = send(
        &server,
        &[FORM],
        &format!("username=a%2Bb&password=p&{rest}"),
    );
    assert_eq!(encoded.status, 200);
    assert_eq!(server.counts().violations, 0);
}

#[test]
fn rejections_have_both_forms() {
    let server = Server::builder()
        .token_requests_per_second(100)
        .start()
        .unwrap();
    let user = form(DEFAULT_USERNAME, DEFAULT_PASSWORD);
    let ask = |grant, client, scope| {
        let body = format!("{user}&{}", fields(grant, client, scope));
        let reply = send(&server, &[FORM], &body);
        (reply.status, reply.json())
    };
    let id = DEFAULT_CLIENT_ID;
    let (status, body) = ask("password", "other", "openid");
    assert_eq!(
        (status, &body["errorCode"]),
        (401, &json!("invalid_client"))
    );
    for (grant, scope, code) in [
        ("client_credentials", "openid", "unsupported_grant_type"),
        ("password", "profile", "invalid_scope"),
        ("password", "openid email", "invalid_scope"),
        ("password", "", "invalid_scope"),
    ] {
        let (status, body) = ask(grant, id, scope);
        assert_eq!((status, &body["error"]), (400, &json!(code)), "{scope:?}");
    }
    assert_eq!(ask("password", id, "profile openid").0, 200);

    let wrong = send(&server, &[FORM], &token_form(DEFAULT_USERNAME, "wrong"));
    server.lock(DEFAULT_USERNAME);
    let locked = login(&server);
    server.unlock(DEFAULT_USERNAME);
    server.inject(Rule::once(Matcher::Token, Fault::Refuse { status: 403 }));
    let scripted = login(&server);
    assert_eq!(
        (wrong.status, locked.status, scripted.status),
        (400, 400, 403)
    );
    for reply in [wrong, locked, scripted] {
        assert_eq!(reply.json()["error"], "invalid_grant");
    }
    let counts = server.counts();
    assert_eq!((counts.violations, counts.logins_refused), (0, 8));
}

#[test]
fn a_user_over_the_limit_is_told_until_when_and_others_are_not_limited() {
    let server = Server::builder()
        .account("ada", "p")
        .account("bob", "p")
        .clock_offset(-10_800)
        .start()
        .unwrap();
    let ask = |user| send(&server, &[FORM], &token_form(user, "p"));
    let statuses: Vec<_> = (0..6).map(|_| ask("ada").status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
    assert_eq!(ask("bob").status, 200);
    let reply = ask("ada");
    assert_eq!(reply.json()["errorCode"], "E0000047");
    assert_eq!(reply.header("retry-after"), None);
    let number = |name| reply.header(name).unwrap().parse::<u64>().unwrap();
    assert_eq!(
        (
            number("x-rate-limit-limit"),
            number("x-rate-limit-remaining")
        ),
        (4, 0)
    );
    let date = httpdate::parse_http_date(reply.header("date").unwrap()).unwrap();
    let date = date
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let wait = number("x-rate-limit-reset").saturating_sub(date);
    assert!(
        (1..=2).contains(&wait),
        "by the response's own date: {wait}"
    );

    server.advance(Duration::from_secs(1));
    let reply = ask("ada");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-rate-limit-remaining"), Some("3"));
    assert_eq!(server.counts().logins_refused, 0, "a 429 is no refusal");
}

#[test]
fn a_token_ends_by_the_servers_clock_and_says_so() {
    let server = Server::builder()
        .token_lifetime(Duration::from_secs(60))
        .start()
        .unwrap();
    let token = access_token(&server);
    server.advance(Duration::from_secs(59));
    assert_eq!(get_with(&server, &token).status, 200);
    server.advance(Duration::from_secs(1));
    let over = get_with(&server, &token);
    assert_eq!(over.status, 401);
    assert_eq!(
        over.header("www-authenticate"),
        Some("Bearer error=\"invalid_token\"")
    );
    server.set_token_lifetime(Duration::from_secs(5));
    assert_eq!(login(&server).json()["expires_in"], 5);
    let counts = server.counts();
    assert_eq!((counts.unauthorized, counts.violations), (1, 0));
}

#[test]
fn a_bearer_token_needs_the_key_unless_set_otherwise() {
    for needed in [true, false] {
        let server = Server::builder().bearer_needs_key(needed).start().unwrap();
        let bearer = format!("Bearer {}", access_token(&server));
        let bearer = ("Authorization", bearer.as_str());
        let found = |headers: Headers<'_>| {
            get(&server, headers);
            server.journal().pop().unwrap().violation
        };
        assert_eq!(found(&[KEY, bearer]), None);
        assert_eq!(found(&[bearer]), needed.then_some(Violation::MissingKey));
        assert_eq!(
            found(&[("calamp-services-app", "other"), bearer]),
            Some(Violation::WrongKey)
        );
        assert_eq!(found(&[]), Some(Violation::MissingKey));
    }
}

#[test]
fn a_token_of_one_login_is_invalid_for_the_other() {
    let server = Server::start().unwrap();
    let cookie_token = Client::connect(&server).token();
    let access_token = access_token(&server);
    let cookie = format!("authToken={cookie_token}");
    let as_cookie = format!("authToken={access_token}");
    let bearer = format!("Bearer {access_token}");
    let as_bearer = format!("Bearer {cookie_token}");
    let (cookie, as_cookie) = (("Cookie", cookie.as_str()), ("Cookie", as_cookie.as_str()));
    let (bearer, as_bearer) = (
        ("Authorization", bearer.as_str()),
        ("Authorization", as_bearer.as_str()),
    );
    let cases: [(Headers<'_>, Option<Violation>); 6] = [
        (&[KEY, cookie], None),
        (&[KEY, bearer], None),
        (&[KEY, as_cookie], Some(Violation::UnknownToken)),
        (&[KEY, as_bearer], Some(Violation::MissingToken)),
        (&[KEY, cookie, bearer], Some(Violation::DuplicateToken)),
        (
            &[KEY, cookie, ("Authorization", "Bearer of-another-service")],
            None,
        ),
    ];
    for (headers, violation) in cases {
        get(&server, headers);
        let found = server.journal().pop().unwrap().violation;
        assert_eq!(found, violation, "{headers:?}");
    }
}

#[test]
fn a_revocation_ends_tokens_as_set() {
    for (effect, after) in [(LogoutEffect::Presented, 401), (LogoutEffect::Nothing, 200)] {
        let server = Server::builder().logout_effect(effect).start().unwrap();
        let token = access_token(&server);
        let revoke = |token: &str| {
            let body = format!("token={token}&client_id={DEFAULT_CLIENT_ID}");
            Client::connect_to(server.token_address())
                .send("POST", REVOKE, &[FORM], body.as_bytes())
                .unwrap()
                .status
        };
        assert_eq!((revoke("nobodys"), revoke(&token)), (200, 200));
        assert_eq!(get_with(&server, &token).status, after);
        let counts = server.counts();
        assert_eq!(
            (counts.revocations, counts.logouts, counts.violations),
            (1, 0, 0)
        );
        assert_eq!(login(&server).status, 200);
        assert_eq!(server.counts().needless_logins, 0);
    }
}

#[test]
fn every_fault_applies_to_the_token_endpoint_too() {
    let server = Server::builder()
        .token_requests_per_second(100)
        .start()
        .unwrap();
    let strike = |fault: Fault| {
        server.inject(Rule::once(Matcher::Token, fault));
        let mut client = Client::connect_to(server.token_address());
        client.set_timeout(Duration::from_millis(300));
        let form = token_form(DEFAULT_USERNAME, DEFAULT_PASSWORD);
        client
            .write("POST", TOKEN, &[FORM], form.as_bytes())
            .unwrap();
        String::from_utf8_lossy(&client.read_at_most(1000)).into_owned()
    };
    assert_eq!(strike(Fault::Hang { act: false }), "");
    assert_eq!(strike(Fault::lost_response()), "");
    assert_eq!(server.counts().logins, 1, "a lost response is a login");
    assert!(strike(Fault::html_page()).contains("text/html"));
    let endless = strike(Fault::EndlessBody(5));
    assert!(endless.starts_with("HTTP/1.1 200") && endless.contains("transfer-encoding: chunked"));
    assert!(endless.matches("1\r\n \r\n").count() > 2, "{endless}");
    assert!(strike(Fault::HugeBody(10 << 20)).contains("content-length: 10485760"));
    let redirect = Fault::Redirect {
        status: 307,
        location: "https://evil.example/".into(),
    };
    assert!(strike(redirect).contains("location: https://evil.example/"));
    assert!(strike(Fault::NoToken).ends_with(r#""token_type":"Bearer"}"#));
    let body = r#"{"token_type":"bearer","expires_in":"60","access_token":"{token}"}"#;
    let reply = strike(Fault::TokenBody(body.into()));
    let token = reply.split('"').rev().nth(1).unwrap();
    assert_eq!(get_with(&server, token).status, 200, "{reply}");
    assert!(strike(Fault::oauth_error(400, "slow_down")).contains(r#"{"error":"slow_down"}"#));
    assert!(strike(Fault::Raw("220 hello".into())).starts_with("220 hello"));
}

#[test]
fn a_seed_makes_the_same_tokens() {
    let tokens = |seed| {
        let server = Server::builder().seed(seed).start().unwrap();
        (access_token(&server), Client::connect(&server).token())
    };
    assert_eq!(tokens(7), tokens(7));
    assert_ne!(tokens(7).0, tokens(8).0);
    let (access, cookie) = tokens(7);
    assert_ne!(access[..20], cookie[..20]);
}
