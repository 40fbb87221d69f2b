//! Every response to a login, and what it is taken for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use ctc_core::{
    Denial, FailedLogin, LoginFailure, LoginOutcome, LoginRule, NoResponse, Phase, SendFailure,
};
use http::{Response, StatusCode};

use crate::scenario::{Scenario, answer_with, cookie, response, set_cookies, status};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cookies {
    None,
    Other,
    Token,
    Quoted,
    Clearing,
    Epoch,
    Unusable,
    TokenThenClearing,
    UnusableThenToken,
}

impl Cookies {
    const ALL: [Self; 9] = [
        Self::None,
        Self::Other,
        Self::Token,
        Self::Quoted,
        Self::Clearing,
        Self::Epoch,
        Self::Unusable,
        Self::TokenThenClearing,
        Self::UnusableThenToken,
    ];

    fn lines(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Other => &[
                "JSESSIONID=B; HttpOnly",
                "AUTHTOKEN=T",
                "xauthToken=T; Path=/",
            ],
            Self::Token => &["JSESSIONID=B", "authToken=T; Path=/connect", "lb=1"],
            Self::Quoted => &["authToken=\"T\"; Version=1; Max-Age=1209600"],
            Self::Clearing => &["authToken=\"\"; Max-Age=0"],
            Self::Epoch => &["authToken=T; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/connect"],
            Self::Unusable => &["authToken=T T"],
            Self::TokenThenClearing => &["authToken=T", "authToken=; Max-Age=0"],
            Self::UnusableThenToken => &["authToken=T,T", "authToken=T"],
        }
    }

    fn outcome_of_a_200(self) -> Outcome {
        match self {
            Self::Token | Self::Quoted | Self::TokenThenClearing | Self::UnusableThenToken => {
                Outcome::Open
            }
            Self::Unusable => Outcome::Cooling(LoginFailure::UnusableToken),
            Self::None | Self::Other | Self::Clearing | Self::Epoch => {
                Outcome::Cooling(LoginFailure::NoToken)
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Open,
    Cooling(LoginFailure),
    Rejected,
}

fn expected(status: StatusCode, cookies: Cookies) -> Outcome {
    match status.as_u16() {
        200 => cookies.outcome_of_a_200(),
        300..400 => Outcome::Cooling(LoginFailure::redirected(status)),
        // Patience is asked for, or a gateway does not like how the request came to it.
        407 | 408 | 411 | 413 | 414 | 415 | 417 | 421 | 425 | 426 | 429 | 431 => {
            unavailable(status)
        }
        400..500 => Outcome::Rejected,
        _ => unavailable(status),
    }
}

fn unavailable(status: StatusCode) -> Outcome {
    Outcome::Cooling(LoginFailure::unavailable(status, None))
}

fn outcome(s: &mut Scenario, response: &Response<()>) -> Outcome {
    let ticket = s.order().ticket;
    match s.reports(ticket, response) {
        LoginOutcome::Opened(_) => Outcome::Open,
        LoginOutcome::Failed(Denial::BackingOff { cause, .. }) => Outcome::Cooling(cause),
        LoginOutcome::Failed(Denial::Rejected { .. }) => Outcome::Rejected,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_status_with_every_form_of_cookie() {
    for code in 100..1000 {
        for cookies in Cookies::ALL {
            let mut s = Scenario::new();
            let found = outcome(&mut s, &response(code, cookies.lines()));
            assert_eq!(found, expected(status(code), cookies), "{code} {cookies:?}");
            assert_eq!(
                s.token().is_some(),
                found == Outcome::Open,
                "{code} {cookies:?}"
            );
            if found == Outcome::Open {
                let quoted = cookies == Cookies::Quoted;
                let token = if quoted { "\"T\"" } else { "T" };
                assert_eq!(s.token().as_deref(), Some(token), "{cookies:?}");
            }
        }
    }
}

#[test]
fn t22_a_redirect_is_a_typed_failure_and_moves_nothing() {
    for code in [301, 302, 303, 307, 308] {
        let mut s = Scenario::new();
        let mut response = answer_with(
            code,
            "location",
            "https://evil.example/connect/services/login",
        );
        response
            .headers_mut()
            .append("set-cookie", cookie("EVIL").parse().unwrap());
        let redirected = LoginFailure::redirected(status(code));
        assert_eq!(outcome(&mut s, &response), Outcome::Cooling(redirected));
        assert_eq!(s.session.endpoint().origin(), crate::scenario::HOST);
        s.pass_time(5);
        assert_eq!(s.order().request.uri().host(), Some("connect.calamp.com"));
    }
}

#[test]
fn t26_a_rejection_sent_as_500_or_200_is_classified_by_a_rule() {
    let rule = LoginRule::new(|response| {
        (response.status() == 500 || response.headers().contains_key("x-refused"))
            .then_some(FailedLogin::Rejected)
    });
    let with_rule = || Scenario::with(|settings| settings.login_rule = Some(rule.clone()));
    assert_eq!(
        outcome(&mut with_rule(), &response(500, &[])),
        Outcome::Rejected
    );
    assert_eq!(
        outcome(&mut with_rule(), &answer_with(200, "x-refused", "1")),
        Outcome::Rejected
    );
    assert_eq!(
        outcome(&mut with_rule(), &response(503, &[])),
        unavailable(status(503))
    );
    assert_eq!(
        outcome(&mut with_rule(), &response(401, &[])),
        Outcome::Rejected
    );
    // A token in a 200 is a token, whatever a rule for failures says.
    let mut opened = answer_with(200, "x-refused", "1");
    opened
        .headers_mut()
        .append("set-cookie", cookie("T").parse().unwrap());
    assert_eq!(outcome(&mut with_rule(), &opened), Outcome::Open);
}

#[test]
fn t26_a_rule_can_also_turn_a_refusal_into_trouble() {
    // A closure may know what only the program knows.
    let code = 403;
    let mut s = Scenario::with(|settings| {
        settings.login_rule = Some(LoginRule::new(move |response| {
            (response.status() == code).then_some(FailedLogin::Unavailable)
        }));
    });
    assert_eq!(
        outcome(&mut s, &response(403, &[])),
        unavailable(status(403))
    );
}

#[test]
fn a_rule_is_asked_once_and_only_about_logins_that_brought_no_token() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let mut s = Scenario::with(|settings| {
        settings.login_rule = Some(LoginRule::new(move |_| {
            count.fetch_add(1, Relaxed);
            None
        }));
    });
    assert_eq!(
        outcome(&mut s, &response(503, &[])),
        unavailable(status(503))
    );
    assert_eq!(asked.load(Relaxed), 1);
    s.pass_time(5);
    let opened = response(200, &[&cookie("T")]);
    assert_eq!(outcome(&mut s, &opened), Outcome::Open);
    assert_eq!(asked.load(Relaxed), 1);
}

#[test]
fn a_reading_says_whether_there_is_a_token_and_is_told_to_no_session_yet() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    let reader = s.session.login_reader();
    let (good, bad) = (set_cookies(&[&cookie("T")]), set_cookies(&[]));
    assert!(!reader.read(status(200), &bad, &[]).has_token());
    assert!(!reader.read(status(401), &good, &[]).has_token());
    let reading = reader.read(status(200), &good, &[]);
    assert!(reading.has_token());
    assert_eq!(s.phase(), Phase::LoggingIn, "reading alone changes nothing");
    let now = s.now();
    let _ = s.session.login_response(ticket, reading, now);
    assert_eq!(s.token().as_deref(), Some("T"));
}

#[test]
fn guarantee_7_a_rule_that_panics_is_as_good_as_none() {
    let panics = || {
        Scenario::with(|settings| {
            settings.login_rule = Some(LoginRule::new(|_| panic!("a rule of the user's")));
        })
    };
    for code in [200, 302, 401, 404, 429, 500] {
        assert_eq!(
            outcome(&mut panics(), &response(code, &[])),
            outcome(&mut Scenario::new(), &response(code, &[])),
            "{code}"
        );
    }
}

#[test]
fn t26_trouble_without_end_is_tried_ever_more_rarely() {
    let mut s = Scenario::new();
    let day = 24 * 3600;
    for second in (0..day).step_by(10) {
        s.at(second);
        for admit in s.herd(3) {
            if let ctc_core::Admit::Login(order) = admit {
                let _ = s.login(order.ticket, if second % 20 == 0 { 500 } else { 200 }, &[]);
            }
        }
    }
    // Nine doublings of 5 s reach 15 minutes: from then on at most 5 an hour, jitter included.
    assert!((90..=24 * 6 + 9).contains(&s.logins), "{} logins", s.logins);
}

#[test]
fn t27_a_missing_response_is_not_a_rejection_and_is_charged_only_if_sent() {
    for (failure, cause, charged) in [
        (SendFailure::NotSent, LoginFailure::NotSent, false),
        (SendFailure::MaybeSent, LoginFailure::MaybeSent, true),
    ] {
        // One login, then one each two minutes.
        let mut s = Scenario::with(|settings| settings.fair_use.burst = 1.try_into().unwrap());
        let ticket = s.order().ticket;
        let LoginOutcome::Failed(Denial::BackingOff {
            until, cause: told, ..
        }) = s.fails(ticket, failure)
        else {
            panic!("a failure to send is for a while");
        };
        assert_eq!(told, cause);
        s.jump_to(until);
        match s.admit(&mut crate::scenario::call()) {
            ctc_core::Admit::Login(_) => assert!(!charged),
            ctc_core::Admit::Deny(Denial::BudgetSpent { until, .. }) => {
                assert!(charged);
                assert_eq!(until, s.moment(120));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_login_that_panicked_is_a_failed_one_and_is_charged_when_it_may_have_been_sent() {
    for failure in [SendFailure::NotSent, SendFailure::MaybeSent] {
        let sent = failure == SendFailure::MaybeSent;
        let mut s = Scenario::with(|settings| settings.fair_use.burst = 1.try_into().unwrap());
        let ticket = s.order().ticket;
        let (wait, now) = (s.waits(), s.now());
        let why = NoResponse::Panicked(failure);
        let LoginOutcome::Failed(denial) = s.session.login_failed(ticket, why, now) else {
            panic!("a login that panicked has failed")
        };
        let Denial::BackingOff { until, cause, .. } = &denial else {
            panic!("{denial:?}")
        };
        assert_eq!(*cause, LoginFailure::Panicked);
        assert_ne!(s.session.epoch(), wait.epoch, "the waiters are woken");
        assert_eq!(s.denied(), denial, "all others are told the same");
        assert!(denial.to_string().contains("panicked during the login"));
        s.jump_to(*until);
        let spent = matches!(
            s.admit(&mut crate::scenario::call()),
            ctc_core::Admit::Deny(Denial::BudgetSpent { .. })
        );
        assert_eq!(spent, sent);
    }
}

#[test]
fn t28_retry_after_at_login() {
    let (least, most) = (3, 5); // the first pause, less a quarter at most
    let cases: [(&str, Option<u64>, std::ops::RangeInclusive<u64>); 10] = [
        ("46", Some(46), 46..=46),
        ("  46 ", Some(46), 46..=46),
        ("0", Some(0), least..=most),
        ("1", Some(1), least..=most),
        ("soon", None, least..=most),
        ("", None, least..=most),
        ("-7", None, least..=most),
        ("86400", Some(86_400), 3600..=3600),
        (
            "99999999999999999999999999999999",
            Some(u64::MAX),
            3600..=3600,
        ),
        ("Wed, 15 Jan 2031 12:00:00 GMT", None, least..=most),
    ];
    for (text, asked, pause) in cases {
        let mut s = Scenario::new();
        let ticket = s.order().ticket;
        let now = s.now();
        let outcome = s.reports(ticket, &answer_with(429, "retry-after", text));
        let LoginOutcome::Failed(Denial::BackingOff { until, cause, .. }) = outcome else {
            panic!("{text}")
        };
        assert!(
            pause.contains(&until.duration_since(now).as_secs()),
            "{text:?}"
        );
        let retry_after = asked.map(Duration::from_secs);
        assert_eq!(
            cause,
            LoginFailure::unavailable(status(429), retry_after),
            "{text:?}"
        );
        s.jump_to(until - Duration::from_millis(1));
        assert_eq!(
            s.denied().retry_after(s.now()),
            Some(Duration::from_millis(1))
        );
        s.jump_to(until);
        let _ = s.order();
    }
}

#[test]
fn t28_a_date_counts_from_the_servers_own_clock() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    let mut response = answer_with(503, "retry-after", "Wed, 15 Jan 1997 12:01:30 GMT");
    response
        .headers_mut()
        .insert("date", "Wed, 15 Jan 1997 12:00:00 GMT".parse().unwrap());
    let now = s.now();
    let _ = s.reports(ticket, &response);
    assert_eq!(s.denied().retry_after(now), Some(Duration::from_secs(90)));
}

#[test]
fn the_very_token_just_refused_is_a_failed_login_once() {
    let mut s = Scenario::new().open("T1").after(3600);
    let mut sent = s.sent();
    let _ = s.response(&mut sent, 401, &[]);
    let same = response(200, &[&cookie("T1")]);
    assert_eq!(
        outcome(&mut s, &same),
        Outcome::Cooling(LoginFailure::SameToken)
    );
    assert_eq!(s.token(), None);
    s.pass_time(5);
    // A server that knows one token an account must not be locked out for ever.
    assert_eq!(outcome(&mut s, &same), Outcome::Open);
}

#[test]
fn the_very_token_just_refused_is_known_in_quotes_too() {
    for (first, again) in [("T1", "\"T1\""), ("\"T1\"", "T1")] {
        let mut s = Scenario::new().open(first).after(3600);
        let mut sent = s.sent();
        let _ = s.response(&mut sent, 401, &[]);
        assert_eq!(
            outcome(&mut s, &response(200, &[&cookie(again)])),
            Outcome::Cooling(LoginFailure::SameToken)
        );
        // Nor is the present one a new one, for being quoted otherwise.
        let mut s = Scenario::new().open(first).after(3600);
        let (mut sent, phase) = (s.sent(), s.phase());
        let _ = s.response(&mut sent, 200, &[&cookie(again)]);
        assert_eq!(s.phase(), phase);
    }
}

#[test]
fn t41_a_token_just_handed_out_is_not_over_by_a_clock_that_runs_ahead() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    let mut response = response(
        200,
        &["authToken=T1; Expires=Wed, 15 Jan 2031 11:59:00 GMT"],
    );
    response
        .headers_mut()
        .insert("date", "Wed, 15 Jan 2031 12:00:00 GMT".parse().unwrap());
    let outcome = s.reports(ticket, &response);
    assert!(matches!(outcome, LoginOutcome::Opened(_)), "{outcome:?}");
}
