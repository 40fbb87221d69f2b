//! Tokens that come and go with ordinary responses.

use ctc_core::{Phase, Route, Session, Verdict};
use http::Method;

use crate::scenario::{Scenario, cookie, route, set_cookies, status};

#[test]
fn t40_a_clearing_cookie_on_any_answer_ends_the_token_and_is_never_taken_for_one() {
    for code in [200, 204, 302, 403, 404, 429, 500] {
        for clearing in [
            "authToken=",
            "authToken=\"\"",
            "authToken=deleted",
            "authToken=X; Max-Age=0",
            "authToken=X; Max-Age=-1",
            "authToken=X; Expires=Thu, 01-Jan-1970 00:00:10 GMT",
        ] {
            let mut s = Scenario::new().open("T1").after(3600);
            let epoch = s.session.epoch();
            let mut sent = s.sent();
            assert_eq!(
                s.response(&mut sent, code, &[clearing]),
                Verdict::Deliver,
                "only a 401 is replayed"
            );
            assert_eq!(s.phase(), Phase::Empty, "{code} {clearing}");
            assert_ne!(s.session.epoch(), epoch);
            let _ = s.order();
        }
    }
}

#[test]
fn t48_a_new_token_on_a_response_to_the_current_one_is_adopted() {
    let mut s = Scenario::new().open("T1").after(3600);
    let before = s.session.pass().unwrap().generation();
    let (mut first, mut second) = (s.sent(), s.sent());
    assert_eq!(
        s.response(&mut first, 200, &[&cookie("T2")]),
        Verdict::Deliver
    );
    assert_eq!(s.token().as_deref(), Some("T2"));
    assert!(s.session.pass().unwrap().generation() > before);
    // The other response is about T1: its cookie is older news.
    assert_eq!(
        s.response(&mut second, 200, &[&cookie("T1B")]),
        Verdict::Deliver
    );
    assert_eq!(s.token().as_deref(), Some("T2"));
    assert_eq!(
        s.response(&mut second, 200, &["authToken=; Max-Age=0"]),
        Verdict::Deliver
    );
    assert_eq!(s.token().as_deref(), Some("T2"));
}

#[test]
fn t41_a_rotated_token_is_not_over_by_a_clock_that_runs_ahead() {
    let mut s = Scenario::new().open("T1").after(3600);
    let respond = |s: &mut Scenario, line: &str| {
        let mut headers = set_cookies(&[line]);
        let date = "Wed, 15 Jan 2031 12:00:00 GMT".parse().unwrap();
        headers.insert("date", date);
        let (mut sent, now) = (s.sent(), s.now());
        let path = route("/connect/services/devices");
        let verdict = s
            .session
            .observe(&mut sent, path, status(200), &headers, now);
        assert_eq!(verdict, Verdict::Deliver);
    };
    let over = "Expires=Wed, 15 Jan 2031 11:59:00 GMT; Path=/connect";
    respond(&mut s, &format!("authToken=T2; {over}"));
    assert_eq!(s.token().as_deref(), Some("T2"));
    // Said of the token that the call carried, it ends that one.
    respond(&mut s, &format!("authToken=T2; {over}"));
    assert_eq!(s.token(), None);
}

#[test]
fn a_login_that_a_caller_makes_itself_says_nothing_about_the_session() {
    let mut s = Scenario::new().open("T1").after(3600);
    for (code, line) in [
        (200, cookie("OTHER")),
        (401, cookie("OTHER")),
        (401, "authToken=".into()),
    ] {
        let (mut sent, now) = (s.sent(), s.now());
        let login = Route::new(&Method::POST, "/connect/services/login");
        let (status, headers) = (status(code), set_cookies(&[&line]));
        let verdict = s.session.observe(&mut sent, login, status, &headers, now);
        assert_eq!(verdict, Verdict::Deliver);
        assert_eq!(s.token().as_deref(), Some("T1"), "{code}");
    }
}

#[test]
fn t39_a_token_is_taken_up_from_a_line_that_a_gateway_folded() {
    let folded = "JSESSIONID=B; Path=/, authToken=T2; Path=/connect";
    let mut s = Scenario::new().open("T1").after(3600);
    let mut sent = s.sent();
    assert!(Session::affects_session(
        status(200),
        &set_cookies(&[folded])
    ));
    assert_eq!(s.response(&mut sent, 200, &[folded]), Verdict::Deliver);
    assert_eq!(s.token().as_deref(), Some("T2"));
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    let _ = s.login(ticket, 200, &[folded]);
    assert_eq!(s.token().as_deref(), Some("T2"));
}

#[test]
fn t48_the_present_token_set_again_is_no_new_one() {
    let mut s = Scenario::new().open("T1");
    let (epoch, generation) = (s.session.epoch(), s.session.pass().unwrap().generation());
    let mut sent = s.sent();
    let _ = s.response(&mut sent, 200, &["authToken=T1; Max-Age=60"]);
    assert_eq!(s.session.pass().unwrap().generation(), generation);
    assert_eq!(s.session.epoch(), epoch);
}

#[test]
fn t48_a_late_answer_does_not_bring_back_the_token_just_refused() {
    let mut s = Scenario::new().open("T1").after(3600);
    let (mut first, mut second) = (s.sent(), s.sent());
    let _ = s.response(&mut first, 401, &[]);
    let _ = s.response(&mut second, 200, &[&cookie("T1")]);
    assert_eq!(s.phase(), Phase::Empty);
}

#[test]
fn t48_a_token_on_a_late_answer_spares_the_login_that_was_due() {
    let mut s = Scenario::new().open("T1").after(3600);
    let (mut first, mut second) = (s.sent(), s.sent());
    let _ = s.response(&mut first, 401, &[]);
    let ticket = s.order().ticket;
    let wait = s.waits();
    let _ = s.response(&mut second, 200, &[&cookie("T2")]);
    assert_ne!(s.session.epoch(), wait.epoch, "the waiters can go on");
    assert_eq!(s.token().as_deref(), Some("T2"));
    // The login that was on its way brings the newest.
    let _ = s.login(ticket, 200, &[&cookie("T3")]);
    assert_eq!(s.token().as_deref(), Some("T3"));
}

#[test]
fn t39_cookies_of_other_names_change_nothing() {
    let mut s = Scenario::new().open("T1");
    let epoch = s.session.epoch();
    let mut sent = s.sent();
    let lines = [
        "JSESSIONID=; Max-Age=0",
        "AUTHTOKEN=X",
        "xauthToken=; Max-Age=0",
        "authToken2=X",
    ];
    let _ = s.response(&mut sent, 200, &lines);
    assert_eq!(
        (s.token().as_deref(), s.session.epoch()),
        (Some("T1"), epoch)
    );
}

#[test]
fn a_token_that_is_no_cookie_value_changes_nothing() {
    let mut s = Scenario::new().open("T1");
    let mut sent = s.sent();
    let _ = s.response(&mut sent, 200, &["authToken=A B"]);
    assert_eq!(s.token().as_deref(), Some("T1"));
}

#[test]
fn t41_t86_the_expiry_is_a_hint_and_decides_nothing() {
    for attribute in [
        "",
        "; Max-Age=1",
        "; Max-Age=99999999999999999999",
        "; Expires=garbage",
        "; Expires=Wed, 15-Jan-2031 12:00:00 GMT",
    ] {
        let mut s = Scenario::new();
        let ticket = s.order().ticket;
        let _ = s.login(ticket, 200, &[&format!("authToken=T1{attribute}")]);
        s.pass_time(365 * 24 * 3600);
        let mut sent = s.sent();
        assert_eq!(s.response(&mut sent, 200, &[]), Verdict::Deliver);
        assert_eq!(s.logins, 1, "{attribute:?}");
    }
}

#[test]
fn t86_a_server_that_ends_the_session_early_costs_one_login() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    let _ = s.login(ticket, 200, &["authToken=T1; Max-Age=3600"]);
    s.pass_time(300);
    let mut sent = s.sent();
    assert_eq!(s.response(&mut sent, 401, &[]), Verdict::Replay);
    let mut s = s.open("T2");
    let _ = s.proceeds(&mut sent);
    assert_eq!(s.response(&mut sent, 200, &[]), Verdict::Deliver);
    assert_eq!(s.logins, 2);
}

/// Drivers ask this first, and say nothing of a response that is none.
#[test]
fn news_is_a_401_or_a_cookie_that_begins_like_the_tokens() {
    let lines: [(&[&str], bool); 5] = [
        (&[], false),
        (&["JSESSIONID=B; Path=/connect", "x=authToken"], false),
        (&["JSESSIONID=B", " authToken=T2"], true),
        (&["authToken=; Max-Age=0"], true),
        (&["authToken2=X"], true),
    ];
    for (cookies, news) in lines {
        for code in [200, 204, 302, 400, 401, 403, 500] {
            let headers = set_cookies(cookies);
            let expected = news || code == 401;
            assert_eq!(
                Session::affects_session(status(code), &headers),
                expected,
                "{code} {cookies:?}"
            );
            if !expected {
                let mut s = Scenario::new().open("T1");
                let (mut sent, epoch) = (s.sent(), s.session.epoch());
                assert_eq!(s.response(&mut sent, code, cookies), Verdict::Deliver);
                assert_eq!(
                    (s.session.epoch(), s.token().as_deref()),
                    (epoch, Some("T1"))
                );
            }
        }
    }
}
