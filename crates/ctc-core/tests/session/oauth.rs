//! The OAuth login: what is sent where, and what its session does otherwise than one with a cookie.
//! How each response is read: `tests/vectors.rs`.

use ctc_core::{
    Admit, AppKey, Credentials, Denial, Endpoint, EndpointError, FailedLogin, FormBody, JoinError,
    Login, LoginOutcome, LoginRule, LoginTicket, OAuth, OAuthError, RejectionReason, Resumed,
    Session, Settings, SettingsError, Target, TokenAttachment, Unauthorized, Verdict,
};
use http::{HeaderMap, HeaderValue, Request, Uri};

use crate::scenario::{
    KEY, PASSWORD, Scenario, USER, call, cookie, credentials, response, route, set_cookies,
    stamped, status,
};

const SIGN_ON_POLICY: &str = r#"{"error":"invalid_grant","error_description":
    "Resource owner password credentials authentication denied by sign on policy."}"#;

fn us() -> Scenario {
    scenario(OAuth::us())
}

fn scenario(oauth: OAuth) -> Scenario {
    Scenario::with(|settings| settings.login = Login::OAuth(oauth))
}

fn body_with(token: &str) -> String {
    format!(
        r#"{{"token_type":"Bearer","expires_in":86400,"access_token":"{token}","id_token":"X.Y"}}"#
    )
}

/// Reports a login's response that has a body.
fn reports(s: &mut Scenario, ticket: LoginTicket, code: u16, body: &str) -> LoginOutcome {
    let reader = s.session.login_reader();
    let reading = reader.read(status(code), &HeaderMap::new(), body.as_bytes());
    let now = s.now();
    s.session.login_response(ticket, reading, now)
}

fn open(mut s: Scenario, token: &str) -> Scenario {
    let ticket = s.order().ticket;
    let outcome = reports(&mut s, ticket, 200, &body_with(token));
    assert!(matches!(outcome, LoginOutcome::Opened(_)), "{outcome:?}");
    s
}

fn rejected(mut s: Scenario, body: &str) -> Scenario {
    let ticket = s.order().ticket;
    let outcome = reports(&mut s, ticket, 400, body);
    assert!(
        matches!(outcome, LoginOutcome::Failed(Denial::Rejected { .. })),
        "{outcome:?}"
    );
    s
}

fn bearer(s: &Scenario) -> Option<String> {
    let headers = stamped(s.session.pass()?, HeaderMap::new());
    Some(headers["authorization"].to_str().unwrap().to_owned())
}

fn fields(request: &Request<FormBody>) -> Vec<(String, String)> {
    form_urlencoded::parse(request.body().as_ref())
        .into_owned()
        .collect()
}

fn challenged(lines: &[&str]) -> HeaderMap {
    let value = |line: &&str| HeaderValue::from_str(line).unwrap();
    let lines = lines.iter().map(value);
    lines
        .map(|line| (http::header::WWW_AUTHENTICATE, line))
        .collect()
}

#[test]
fn the_request_is_the_one_on_the_vendors_page() {
    let request = us().order().request;
    assert_eq!(request.method(), "POST");
    assert_eq!(
        request.uri(),
        "https://accounts.calamp.com/oauth2/aus190umwbX0NIZv65d6/v1/token"
    );
    let expected = [
        ("grant_type", "password"),
        ("username", USER),
        ("password", PASSWORD),
        ("client_id", "0oa63qnii6kCc10Ze5d7"),
        ("scope", "openid"),
    ];
    assert_eq!(
        fields(&request),
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    let eu = OAuth::eu();
    assert_eq!(
        eu.token_url(),
        "https://accounts.calamp.co.uk/oauth2/aus9s1fokCpJoN3jB416/v1/token"
    );
    assert_eq!(eu.client_id(), "0oa6snpq4eh3BdzxI417");
}

#[test]
fn input_40_the_application_key_never_reaches_the_token_endpoint() {
    let request = us().order().request;
    let headers = request.headers();
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(headers["accept"], "application/json");
    assert_eq!(headers.len(), 2, "{headers:?}");
    let revocation = open(scenario(OAuth::us().revoke_on_logout()), "T1");
    let request = { revocation }.session.logout().unwrap();
    assert_eq!(request.headers().len(), 2, "{:?}", request.headers());
    assert!(!String::from_utf8_lossy(request.body().as_ref()).contains(KEY));
}

#[test]
fn input_32_the_form_decodes_to_the_same_bytes_and_the_url_holds_neither() {
    let (user, password) = ("ada+x@example.com", "a&b=c+d%e;f é\"");
    let mut settings = Settings::default();
    settings.login = Login::OAuth(OAuth::us().scope("openid profile"));
    let mut s = Scenario::of(Endpoint::us(), KEY, user, password, settings);
    let request = s.order().request;
    let sent = fields(&request);
    for (name, value) in [
        ("username", user),
        ("password", password),
        ("scope", "openid profile"),
    ] {
        assert!(
            sent.contains(&(name.to_owned(), value.to_owned())),
            "{sent:?}"
        );
    }
    assert_eq!(request.uri().query(), None);
    let without = scenario(OAuth::us().scope("")).order().request;
    assert!(fields(&without).iter().all(|(name, _)| name != "scope"));
}

#[test]
fn the_token_and_the_key_go_to_the_api_as_set() {
    let headers = |change: &dyn Fn(&mut Settings)| {
        let s = Scenario::with(|settings| {
            settings.login = Login::OAuth(OAuth::us());
            change(settings);
        });
        let s = open(s, "AAAA.BBBB.CCCC");
        stamped(s.session.pass().unwrap(), HeaderMap::new())
    };
    let sent = headers(&|_| {});
    assert_eq!(sent["authorization"], "Bearer AAAA.BBBB.CCCC");
    assert_eq!(sent["calamp-services-app"], KEY);
    assert_eq!(sent["accept"], "application/json;charset=UTF-8");
    assert_eq!(sent.len(), 3);
    let as_cookie = headers(&|settings| settings.attachment = Some(TokenAttachment::Cookie));
    assert_eq!(as_cookie["cookie"], "authToken=AAAA.BBBB.CCCC");
    let bare = headers(&|settings| {
        settings.login = Login::OAuth(OAuth::us().send_app_key(false));
    });
    assert_eq!(bare["authorization"], "Bearer AAAA.BBBB.CCCC");
    assert_eq!(bare.get("calamp-services-app"), None);
}

#[test]
fn guarantee_8_the_pass_never_serves_the_token_endpoint() {
    let s = open(us(), "T1");
    let pass = s.session.pass().unwrap();
    let mut headers = HeaderMap::new();
    let issuer = OAuth::us().token_url().clone();
    assert!(pass.stamp(Target::from(&issuer), &mut headers).is_err());
    assert!(headers.is_empty());
}

#[test]
fn input_34_a_pair_of_different_regions_is_refused() {
    let build = |endpoint, oauth| {
        let mut settings = Settings::default();
        settings.login = Login::OAuth(oauth);
        let key = AppKey::new(KEY).unwrap();
        Session::new(endpoint, key, credentials(USER, PASSWORD), settings).map(drop)
    };
    let custom = |url: &str| OAuth::new(url, "client-1").unwrap();
    let own = Endpoint::new("https://api.example").unwrap();
    for (endpoint, oauth) in [
        (Endpoint::us(), OAuth::us()),
        (Endpoint::eu(), OAuth::eu()),
        (own.clone(), OAuth::us()),
        (Endpoint::eu(), custom("https://login.example/token")),
        (own, custom("https://login.example/token")),
    ] {
        assert_eq!(build(endpoint, oauth), Ok(()));
    }
    for (endpoint, oauth) in [
        (Endpoint::eu(), OAuth::us()),
        (Endpoint::us(), OAuth::eu()),
        (
            Endpoint::us(),
            custom("https://ACCOUNTS.calamp.co.uk:8443/t"),
        ),
        (
            Endpoint::new("https://connect.calamp.co.uk.").unwrap(),
            OAuth::us(),
        ),
    ] {
        assert_eq!(build(endpoint, oauth), Err(SettingsError::TwoRegions));
    }
}

#[test]
fn only_a_url_that_a_password_may_be_sent_to_is_a_token_endpoint() {
    let error = |url: &str| OAuth::new(url, "client-1").map(drop).unwrap_err();
    for (url, why) in [
        ("https://h.example/t#x", OAuthError::Fragment),
        (
            "http://h.example/t",
            OAuthError::TokenUrl(EndpointError::PlainHttp),
        ),
        (
            "https://a:b@h.example/t",
            OAuthError::TokenUrl(EndpointError::CredentialsInUrl),
        ),
        (
            "https://127.1/t",
            OAuthError::TokenUrl(EndpointError::UnusualHost),
        ),
        (
            "/oauth2/token",
            OAuthError::TokenUrl(EndpointError::NotAUrl),
        ),
        ("h.example/t", OAuthError::TokenUrl(EndpointError::NotAUrl)),
        ("", OAuthError::TokenUrl(EndpointError::NotAUrl)),
    ] {
        assert_eq!(error(url), why, "{url}");
    }
    assert_eq!(
        OAuth::new("https://h.example/t", ""),
        Err(OAuthError::EmptyClientId)
    );
    let local = OAuth::danger_plain_http("http://127.0.0.1:8080/t?x=1", "c").unwrap();
    assert_eq!(local.token_url(), "http://127.0.0.1:8080/t?x=1");
    assert_eq!(
        OAuth::danger_plain_http("http://h.example/t", "c"),
        Err(OAuthError::TokenUrl(EndpointError::NotLoopback))
    );
    let mut settings = Settings::default();
    settings.login = Login::OAuth(local);
    let key = AppKey::new(KEY).unwrap();
    let own = Endpoint::new("https://api.example").unwrap();
    let session = Session::new(own, key, credentials(USER, PASSWORD), settings).unwrap();
    assert!(session.is_plain_http(), "the token endpoint counts as well");
}

#[test]
fn a_logout_forgets_the_token_and_sends_nothing_unless_it_is_to_revoke() {
    let mut s = open(us(), "T1");
    assert!(s.session.logout().is_none());
    assert_eq!(bearer(&s), None);

    let mut s = open(scenario(OAuth::us().revoke_on_logout()), "a+b/c==");
    let request = s.session.logout().unwrap();
    assert_eq!(
        request.uri(),
        "https://accounts.calamp.com/oauth2/aus190umwbX0NIZv65d6/v1/revoke"
    );
    let expected = [
        ("token", "a+b/c=="),
        ("token_type_hint", "access_token"),
        ("client_id", "0oa63qnii6kCc10Ze5d7"),
    ];
    assert_eq!(
        fields(&request),
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );

    let elsewhere = OAuth::us().revoke_on_logout_at("/revoke?x=1").unwrap();
    let request = open(scenario(elsewhere), "T1").session.logout().unwrap();
    assert_eq!(request.uri(), "https://accounts.calamp.com/revoke?x=1");
    let foreign = OAuth::us().revoke_on_logout_at("https://evil.example/revoke");
    assert!(matches!(
        foreign,
        Err(OAuthError::RevokeUrl(JoinError::ForeignOrigin { .. }))
    ));
}

#[test]
fn an_orphan_is_revoked_only_if_revocation_is_set() {
    for (oauth, revokes) in [(OAuth::us(), false), (OAuth::us().revoke_on_logout(), true)] {
        let mut s = scenario(oauth);
        let ticket = s.order().ticket;
        s.session.close();
        let outcome = reports(&mut s, ticket, 200, &body_with("T1"));
        let LoginOutcome::Stale { orphan, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(orphan.is_some(), revokes);
    }
}

#[test]
fn input_18_ten_thousand_callers_on_invalid_grant_make_one_request() {
    let mut s = us();
    let ticket = s.order().ticket;
    let outcome = reports(&mut s, ticket, 400, r#"{"error":"invalid_grant"}"#);
    let LoginOutcome::Failed(first) = outcome else {
        panic!("{outcome:?}")
    };
    for admit in s.herd(10_000) {
        let Admit::Deny(denial) = admit else {
            panic!("{admit:?}")
        };
        assert_eq!(denial, first);
    }
    assert_eq!(s.logins, 1);
}

#[test]
fn a_rejection_names_its_cause_and_what_to_do() {
    for (body, reason, text) in [
        (
            r#"{"error":"invalid_grant"}"#,
            RejectionReason::Credentials,
            "username and password",
        ),
        (
            SIGN_ON_POLICY,
            RejectionReason::SignOnPolicy,
            "sign-on policy asks for more than a username and password, such as a second factor",
        ),
        (
            r#"{"error":"invalid_grant","error_description":"MFA required"}"#,
            RejectionReason::SignOnPolicy,
            "second factor",
        ),
        (
            r#"{"errorCode":"invalid_client","errorSummary":"sign on policy"}"#,
            RejectionReason::Configuration,
            "client id, grant or scope",
        ),
        ("<html>", RejectionReason::Unstated, "check the username"),
    ] {
        let mut s = rejected(us(), body);
        let denial = s.denied();
        assert_eq!(denial, Denial::rejected_for(status(400), reason));
        assert!(denial.to_string().contains(text), "{denial}");
        let phase = s.phase();
        assert!(
            matches!(phase, ctc_core::Phase::Rejected { reason: found, .. } if found == reason),
            "{phase:?}"
        );
    }
}

#[test]
fn a_rule_decides_what_a_failed_login_means_here_too() {
    let ruled = |ruling| {
        let mut settings = Settings::default();
        settings.login = Login::OAuth(OAuth::us());
        settings.login_rule = Some(LoginRule::new(move |_| Some(ruling)));
        Scenario::of(Endpoint::us(), KEY, USER, PASSWORD, settings)
    };
    let mut s = ruled(FailedLogin::Unavailable);
    let ticket = s.order().ticket;
    let outcome = reports(&mut s, ticket, 400, r#"{"error":"invalid_grant"}"#);
    assert!(matches!(
        outcome,
        LoginOutcome::Failed(Denial::BackingOff { .. })
    ));
    let mut s = ruled(FailedLogin::Rejected);
    let ticket = s.order().ticket;
    let outcome = reports(&mut s, ticket, 503, "");
    assert!(matches!(
        outcome,
        LoginOutcome::Failed(Denial::Rejected { .. })
    ));
    // A token is a token.
    assert!(bearer(&open(ruled(FailedLogin::Rejected), "T1")).is_some());
}

#[test]
fn input_35_auth_token_cookies_are_ignored() {
    let mut s = us();
    let ticket = s.order().ticket;
    let cookies = set_cookies(&[&cookie("ZZZZ")]);
    let body = body_with("T1");
    let reading = s
        .session
        .login_reader()
        .read(status(200), &cookies, body.as_bytes());
    let now = s.now();
    let _ = s.session.login_response(ticket, reading, now);
    assert_eq!(bearer(&s).as_deref(), Some("Bearer T1"));
    for line in [
        "authToken=ZZZZ",
        "authToken=; Max-Age=0",
        "authToken=T1; Max-Age=5",
    ] {
        let (mut sent, end) = (s.sent(), s.session.known_end());
        assert_eq!(s.response(&mut sent, 200, &[line]), Verdict::Deliver);
        assert_eq!(bearer(&s).as_deref(), Some("Bearer T1"), "{line}");
        assert_eq!(s.session.known_end(), end, "{line}");
    }
}

#[test]
fn the_end_is_known_with_oauth_and_only_there() {
    let mut s = us();
    let ticket = s.order().ticket;
    assert_eq!(s.session.known_end(), None);
    s.pass_time(3);
    let now = s.now();
    assert!(s.session.login_starting(&ticket, now));
    s.pass_time(5);
    let _ = reports(&mut s, ticket, 200, &body_with("T1"));
    assert_eq!(
        s.session.known_end(),
        Some(s.moment(3 + 86_400)),
        "from when it was sent"
    );
    let hinted = Scenario::new();
    let mut hinted = { hinted };
    let ticket = hinted.order().ticket;
    let _ = hinted.reports(ticket, &response(200, &["authToken=T; Max-Age=60"]));
    assert_eq!(hinted.session.known_end(), None, "a cookie's end is a hint");
}

#[test]
fn a_known_end_survives_in_a_record() {
    let s = open(us(), "T1").after(3600);
    let record = s.record();
    let mut other = s.restarted();
    let ticket = other.order().ticket;
    let resumed = other.resumes(ticket, &record);
    assert!(matches!(resumed, Resumed::Adopted(_)), "{resumed:?}");
    assert_eq!(bearer(&other).as_deref(), Some("Bearer T1"));
    let (end, kept) = (s.session.known_end(), other.session.known_end());
    let apart = end.unwrap().max(kept.unwrap()) - end.unwrap().min(kept.unwrap());
    assert!(apart.as_millis() <= 1, "{apart:?}");
}

#[test]
fn input_39_neither_login_adopts_the_others_record() {
    let with = |login: Login| Scenario::with(|settings| settings.login = login);
    let other_client = OAuth::new(&OAuth::us().token_url().to_string(), "client-2").unwrap();
    let kinds = [
        Login::AuthToken,
        Login::OAuth(OAuth::us()),
        Login::OAuth(other_client),
    ];
    for (at, first) in kinds.iter().enumerate() {
        for (other, second) in kinds.iter().enumerate() {
            let (mut one, mut two) = (with(first.clone()), with(second.clone()));
            let ticket = one.order().ticket;
            let body = body_with("T1");
            let reader = one.session.login_reader();
            let cookies = set_cookies(&[&cookie("T1")]);
            let reading = reader.read(status(200), &cookies, body.as_bytes());
            let now = one.now();
            let _ = one.session.login_response(ticket, reading, now);
            let is_same = at == other;
            assert_eq!(
                one.session.record_key() == two.session.record_key(),
                is_same
            );
            // Even if a store hands out the wrong record.
            let ticket = two.order().ticket;
            let resumed = two.resumes(ticket, &one.record());
            assert_eq!(
                matches!(resumed, Resumed::Adopted(_)),
                is_same,
                "{resumed:?}"
            );

            let refused = rejected_by(with(first.clone()));
            let mut two = with(second.clone());
            let ticket = two.order().ticket;
            let resumed = two.resumes(ticket, &refused.record());
            assert_eq!(
                matches!(resumed, Resumed::Denied(_)),
                is_same,
                "{resumed:?}"
            );
        }
    }
}

#[test]
fn a_reason_survives_in_a_record() {
    for (body, reason) in [
        (r#"{"error":"invalid_grant"}"#, RejectionReason::Credentials),
        (SIGN_ON_POLICY, RejectionReason::SignOnPolicy),
        (r#"{"error":"x"}"#, RejectionReason::Configuration),
        ("", RejectionReason::Unstated),
    ] {
        let s = rejected(us(), body);
        let mut other = s.restarted();
        let ticket = other.order().ticket;
        let resumed = other.resumes(ticket, &s.record());
        let Resumed::Denied(denial) = resumed else {
            panic!("{resumed:?}")
        };
        assert_eq!(denial, Denial::rejected_for(status(400), reason));
    }
    // A newer version's reason is one that is not known.
    let s = rejected(us(), SIGN_ON_POLICY);
    let mut json = serde_json::to_value(s.record()).unwrap();
    json["refusals"][0]["reason"] = 200.into();
    let mut other = s.restarted();
    let ticket = other.order().ticket;
    let resumed = other.resumes(ticket, &serde_json::from_value(json).unwrap());
    let Resumed::Denied(denial) = resumed else {
        panic!("{resumed:?}")
    };
    assert_eq!(denial, Denial::rejected(status(400)));
}

fn rejected_by(mut s: Scenario) -> Scenario {
    let ticket = s.order().ticket;
    let outcome = reports(&mut s, ticket, 401, "");
    assert!(matches!(
        outcome,
        LoginOutcome::Failed(Denial::Rejected { .. })
    ));
    s
}

#[test]
fn input_37_a_login_does_not_help_a_small_scope() {
    let small = challenged(&["Basic realm=\"x\", Bearer error=\"insufficient_scope\""]);
    let mut s = open(us(), "T1").after(3600);
    let observe = |s: &mut Scenario, code, headers: &HeaderMap| {
        let (mut sent, now) = (s.sent(), s.now());
        s.session
            .observe(&mut sent, route("/secret"), status(code), headers, now)
    };
    assert_eq!(observe(&mut s, 403, &small), Verdict::Deliver);
    assert!(!s.session.needs_every_response(), "a 403 marks nothing");
    let refused = Verdict::Unauthorized(Unauthorized::InsufficientScope);
    assert_eq!(observe(&mut s, 401, &small), refused);
    assert_eq!(bearer(&s).as_deref(), Some("Bearer T1"));
    // The route is marked: its next 401 costs no login either, whatever it says.
    let expired = challenged(&["Bearer error=\"invalid_token\""]);
    let refused = Verdict::Unauthorized(Unauthorized::RouteRejected);
    assert_eq!(observe(&mut s, 401, &expired), refused);
    assert_eq!(observe(&mut s, 200, &HeaderMap::new()), Verdict::Deliver);
    assert_eq!(observe(&mut s, 401, &expired), Verdict::Replay);
    assert_eq!(s.logins, 1);
}

#[test]
fn a_small_scope_is_not_cured_by_a_newer_token_either() {
    let mut s = open(us(), "T1").after(3600);
    let mut sent = s.sent();
    let ticket = s.renewal();
    let _ = reports(&mut s, ticket, 200, &body_with("T2"));
    let small = challenged(&["Bearer error=insufficient_scope"]);
    let now = s.now();
    let verdict = s
        .session
        .observe(&mut sent, route("/secret"), status(401), &small, now);
    assert_eq!(
        verdict,
        Verdict::Unauthorized(Unauthorized::InsufficientScope)
    );
}

#[test]
fn a_fresh_token_that_is_refused_without_a_challenge_says_so() {
    for (lines, why) in [
        (vec![], Unauthorized::NoChallenge),
        (vec!["Basic realm=\"x\""], Unauthorized::NoChallenge),
        (vec!["Bearer"], Unauthorized::RouteRejected),
    ] {
        let mut s = us();
        let mut call = call();
        let Admit::Login(order) = s.admit(&mut call) else {
            panic!("the first caller logs in")
        };
        let _ = reports(&mut s, order.ticket, 200, &body_with("T1"));
        s.proceeds(&mut call);
        let (mut headers, now) = (challenged(&lines), s.now());
        // No word on a token that is no cookie.
        headers.extend(set_cookies(&["authToken=; Max-Age=0"]));
        let verdict = s
            .session
            .observe(&mut call, route("/a"), status(401), &headers, now);
        assert_eq!(verdict, Verdict::Unauthorized(why), "{lines:?}");
        assert_eq!(bearer(&s).as_deref(), Some("Bearer T1"));
    }
}

#[test]
fn input_20_a_challenge_on_the_token_endpoint_is_no_401_of_the_api() {
    let mut s = open(us(), "T1");
    let ticket = s.renewal();
    let headers = challenged(&["Bearer error=\"invalid_token\""]);
    let body = br#"{"error":"invalid_client"}"#;
    let reading = s.session.login_reader().read(status(401), &headers, body);
    let now = s.now();
    let outcome = s.session.login_response(ticket, reading, now);
    let LoginOutcome::Failed(Denial::Rejected { reason, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason, RejectionReason::Configuration);
    assert_eq!(
        bearer(&s).as_deref(),
        Some("Bearer T1"),
        "the token serves on"
    );
}

#[test]
fn guarantee_9_nothing_that_prints_holds_a_secret() {
    let shows_nothing = |value: &dyn std::fmt::Debug| {
        let text = format!("{value:?} {value:#?}");
        assert!(!text.contains("CANARY"), "{text}");
    };
    let mut settings = Settings::default();
    let url = "https://login.example/token?x=CANARY";
    settings.login = Login::OAuth(OAuth::new(url, "client-1").unwrap());
    shows_nothing(&settings);
    let credentials = Credentials::new("CANARY-USER", "CANARY-PASSWORD").unwrap();
    let key = AppKey::new("CANARY-KEY").unwrap();
    let own = Endpoint::new("https://api.example").unwrap();
    let mut session = Session::new(own, key, credentials, settings).unwrap();
    shows_nothing(&session);
    let now = us().now();
    let Admit::Login(order) = session.admit(&mut call(), now) else {
        panic!("a login may be made")
    };
    shows_nothing(&order.request.body());
    let body = body_with("CANARY-TOKEN").replace("X.Y.Z", "CANARY-ID");
    let reader = session.login_reader();
    shows_nothing(&reader);
    for body in [body.replace("Bearer", "DPoP"), body] {
        let reading = reader.read(status(200), &HeaderMap::new(), body.as_bytes());
        shows_nothing(&reading);
        if reading.has_token() {
            shows_nothing(&session.login_response(order.ticket, reading, now));
            break;
        }
    }
    shows_nothing(&session);
    let pass = session.pass().unwrap();
    let mut headers = HeaderMap::new();
    let uri = Uri::from_static("https://api.example/");
    pass.stamp(Target::from(&uri), &mut headers).unwrap();
    shows_nothing(&(pass, headers));
}
