//! Refused credentials, and the ways out.

use std::time::Duration;

use ctc_core::{
    Admit, Denial, LoginOutcome, LoginTicket, NoResponse, Phase, Resumed, SendFailure, Verdict,
};

use crate::scenario::{
    PASSWORD, Scenario, USER, answer_with, cookie, credentials, response, status,
};

#[test]
fn t23_a_wrong_password_makes_one_login_for_a_thousand_callers_in_ten_minutes() {
    let mut s = Scenario::new().rejected(401);
    for second in (0..600).step_by(6) {
        s.at(second);
        for admit in s.herd(10) {
            let Admit::Deny(denial) = admit else {
                panic!("{admit:?}")
            };
            assert_eq!(denial, Denial::rejected(status(401)));
            assert_eq!(
                denial.retry_after(s.now()),
                None,
                "time alone does not help"
            );
        }
    }
    assert_eq!(s.logins, 1);
}

#[test]
fn t24_a_failed_login_is_not_retried_by_each_waiter() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    let wait = s.waits();
    let LoginOutcome::Failed(told) = s.login(ticket, 503, &[]) else {
        panic!("trouble")
    };
    assert_ne!(s.session.epoch(), wait.epoch, "the waiters are woken");
    for admit in s.herd(1000) {
        let Admit::Deny(denial) = admit else {
            panic!("{admit:?}")
        };
        assert_eq!(denial, told);
    }
    assert_eq!(s.logins, 1);
}

#[test]
fn t25_a_password_changed_elsewhere_costs_one_refused_login() {
    let mut s = Scenario::new().open("T1").after(3600);
    let mut sent = s.sent();
    assert_eq!(s.response(&mut sent, 401, &[]), Verdict::Replay);
    let mut s = s.rejected(401);
    assert!(
        s.herd(100)
            .iter()
            .all(|admit| matches!(admit, Admit::Deny(Denial::Rejected { .. })))
    );
    assert_eq!(s.logins, 2);
    s.session.set_credentials(credentials(USER, "the new one!"));
    let order = s.order();
    assert!(
        order
            .request
            .body()
            .as_ref()
            .ends_with(b"&password=the+new+one%21")
    );
    assert!(matches!(
        s.login(order.ticket, 200, &[&cookie("T2")]),
        LoginOutcome::Opened(_)
    ));
}

#[test]
fn a_new_password_keeps_a_token_that_serves() {
    let mut s = Scenario::new().open("T1");
    s.session.set_credentials(credentials(USER, "the new one!"));
    assert_eq!(s.token().as_deref(), Some("T1"));
}

#[test]
fn a_refusal_of_the_old_credentials_says_nothing_about_the_new_ones() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    s.session.set_credentials(credentials(USER, "the new one!"));
    assert!(matches!(
        s.login(ticket, 401, &[]),
        LoginOutcome::Stale { orphan: None, .. }
    ));
    assert_eq!(s.phase(), Phase::Empty);
    let s = s.open("T1");
    assert_eq!(s.token().as_deref(), Some("T1"));
}

#[test]
fn t30_a_denial_comes_at_once_with_the_time_of_the_next_try() {
    let mut s = Scenario::new().cooling();
    let denial = s.denied();
    let wait = denial.retry_after(s.now()).unwrap();
    assert!((3..=5).contains(&wait.as_secs()));
    let mut s = Scenario::new().spent();
    s.session
        .set_credentials(credentials("bob@example.com", PASSWORD));
    let Denial::BudgetSpent { until, .. } = s.denied() else {
        panic!("the budget is spent")
    };
    assert_eq!(until, s.moment(120));
}

#[test]
fn t35_nothing_is_latched_for_ever() {
    let mut s = Scenario::new().rejected(403);
    s.pass_time(30 * 24 * 3600);
    assert!(matches!(s.denied(), Denial::Rejected { .. }));
    s.session.reset();
    let mut s = s.open("T1");
    let _ = s.sent();

    let mut s = Scenario::new().cooling();
    s.session.reset();
    let _ = s.order();

    let mut s = Scenario::new().rejected(403);
    s.session.set_credentials(credentials(USER, "another"));
    let _ = s.order();
}

#[test]
fn t23_the_same_credentials_pushed_again_lift_no_rejection_and_no_pause() {
    // A poller that hands over what the secret manager says.
    let mut s = Scenario::new().rejected(401);
    for second in 0..3600 {
        s.at(second);
        let epoch = s.session.epoch();
        assert!(!s.session.set_credentials(credentials(USER, PASSWORD)));
        assert_eq!(s.session.epoch(), epoch, "nobody is woken for nothing");
        assert!(matches!(s.denied(), Denial::Rejected { .. }));
    }
    assert_eq!(s.logins, 1);
    // To try the same again is said otherwise.
    s.session.reset();
    let _ = s.order();

    let mut s = Scenario::new().cooling();
    assert!(!s.session.set_credentials(credentials(USER, PASSWORD)));
    assert!(matches!(s.denied(), Denial::BackingOff { .. }));
    assert!(s.session.set_credentials(credentials(USER, "another")));
    let _ = s.order();

    // Nor do they end a login's say.
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    assert!(!s.session.set_credentials(credentials(USER, PASSWORD)));
    let now = s.now();
    assert!(s.session.login_is_wanted(&ticket, now));
}

#[test]
fn a_failed_login_with_the_old_credentials_does_not_pause_the_new_ones() {
    type Fail = fn(&mut Scenario, LoginTicket) -> LoginOutcome;
    let ways: [(&str, Fail); 9] = [
        ("401", |s, ticket| s.login(ticket, 401, &[])),
        ("503", |s, ticket| s.login(ticket, 503, &[])),
        ("302", |s, ticket| s.login(ticket, 302, &[])),
        ("no token", |s, ticket| s.login(ticket, 200, &[])),
        ("unusable", |s, ticket| {
            s.login(ticket, 200, &["authToken=T T"])
        }),
        ("the same token", |s, ticket| {
            s.login(ticket, 200, &[&cookie("T1")])
        }),
        ("not sent", |s, ticket| {
            s.fails(ticket, SendFailure::NotSent)
        }),
        ("no answer", |s, ticket| {
            s.fails(ticket, SendFailure::MaybeSent)
        }),
        ("panicked", |s, ticket| {
            let now = s.now();
            s.session
                .login_failed(ticket, NoResponse::Panicked(SendFailure::MaybeSent), now)
        }),
    ];
    for (name, fail) in ways {
        let mut s = Scenario::new().open("T1").after(3600);
        let mut sent = s.sent();
        let _ = s.response(&mut sent, 401, &[]);
        let ticket = s.order().ticket;
        assert!(s.session.set_credentials(credentials(USER, "the new one!")));
        let outcome = fail(&mut s, ticket);
        let stale = matches!(outcome, LoginOutcome::Stale { orphan: None, .. });
        assert!(stale, "{name}: {outcome:?}");
        assert_eq!(s.phase(), Phase::Empty, "{name}");
        let order = s.order();
        let body = order.request.body().as_ref();
        assert!(body.ends_with(b"&password=the+new+one%21"), "{name}");
    }
}

#[test]
fn a_reset_leaves_the_budget_as_it_is() {
    let mut s = Scenario::new();
    for _ in 0..3 {
        s = s.rejected(401);
        s.session.reset();
    }
    assert!(matches!(s.denied(), Denial::BudgetSpent { .. }));
}

#[test]
fn guarantee_5_no_login_while_rejected_until_the_credentials_change() {
    let mut s = Scenario::new().rejected(401);
    for day in 0..30 {
        s.at(day * 24 * 3600);
        assert!(matches!(s.denied(), Denial::Rejected { .. }));
        let now = s.now();
        assert!(matches!(
            s.session.renew(now),
            Admit::Deny(Denial::Rejected { .. })
        ));
        s.session.close();
        s.session.reopen();
    }
    assert!(matches!(s.phase(), Phase::Rejected { status: found, .. } if found == status(401)));
    assert_eq!(s.logins, 1);
    s.session.set_credentials(credentials(USER, "other"));
    let _ = s.order();
}

#[test]
fn guarantee_6_a_failed_login_never_removes_a_usable_token() {
    // T36: every way for a renewal to end but success.
    let fail: [fn(&mut Scenario, ctc_core::LoginTicket); 11] = [
        |s, ticket| drop(s.login(ticket, 401, &[])),
        |s, ticket| drop(s.login(ticket, 403, &["authToken=; Max-Age=0"])),
        |s, ticket| drop(s.login(ticket, 404, &[])),
        |s, ticket| drop(s.login(ticket, 302, &[&cookie("T2")])),
        |s, ticket| drop(s.login(ticket, 429, &[])),
        |s, ticket| drop(s.login(ticket, 500, &["authToken=; Max-Age=0"])),
        |s, ticket| drop(s.login(ticket, 200, &[])),
        |s, ticket| drop(s.login(ticket, 200, &["authToken=; Max-Age=0"])),
        |s, ticket| drop(s.fails(ticket, SendFailure::NotSent)),
        |s, ticket| drop(s.fails(ticket, SendFailure::MaybeSent)),
        |s, ticket| s.session.abandon(ticket),
    ];
    for (number, fail) in fail.into_iter().enumerate() {
        let mut s = Scenario::new().open("T1").after(3600);
        let generation = s.session.pass().unwrap().generation();
        let ticket = s.renewal();
        fail(&mut s, ticket);
        assert!(
            s.herd(10)
                .iter()
                .all(|admit| matches!(admit, Admit::Proceed(_))),
            "way {number}"
        );
        assert_eq!(s.phase(), Phase::Open(generation), "way {number}");
        assert_eq!(s.token().as_deref(), Some("T1"), "way {number}");
    }
}

#[test]
fn t36_after_a_failed_renewal_the_next_one_waits_its_turn() {
    let mut s = Scenario::new().open("T1").after(3600);
    let ticket = s.renewal();
    let _ = s.login(ticket, 503, &[]);
    let now = s.now();
    let Admit::Deny(denial) = s.session.renew(now) else {
        panic!("too soon")
    };
    s.pass_time(denial.retry_after(now).unwrap().as_secs() + 1);
    let ticket = s.renewal();
    let _ = s.login(ticket, 200, &[&cookie("T2")]);
    assert_eq!(s.token().as_deref(), Some("T2"));
}

#[test]
fn each_rejection_says_what_to_check() {
    let text = |code| {
        let mut s = Scenario::new().rejected(code);
        s.denied().to_string()
    };
    assert!(text(401).contains("check the username, password and application key"));
    for code in [404, 405] {
        assert!(text(code).contains("check the base URL"), "{code}");
        assert!(!text(code).contains("password"), "{code}");
    }
}

#[test]
fn a_failed_login_states_the_status_and_the_requested_wait() {
    let text = |response: &http::Response<()>| {
        let mut s = Scenario::new();
        let ticket = s.order().ticket;
        let _ = s.reports(ticket, response);
        s.denied().to_string()
    };
    assert!(
        text(&response(503, &[]))
            .contains("the server responded with 503 Service Unavailable: it may be down")
    );
    assert!(text(&response(429, &[])).contains("overloaded"));
    assert!(text(&response(407, &[])).contains("a proxy responded with 407"));
    assert!(text(&response(421, &[])).contains("does not concern the credentials"));
    let asked = text(&answer_with(429, "retry-after", "90"));
    assert!(
        asked.contains("429 Too Many Requests and asked clients to wait 90 s"),
        "{asked}"
    );
}

#[test]
fn an_adopted_token_ends_the_series_of_failures() {
    let mut s = Scenario::new();
    for _ in 0..8 {
        let ticket = s.order().ticket;
        let _ = s.login(ticket, 503, &[]);
        s.pass_time(3600);
    }
    // Another process logs in without trouble, and its token is adopted here.
    let record = s.restarted().open("T1").record();
    let ticket = s.order().ticket;
    assert!(matches!(s.resumes(ticket, &record), Resumed::Adopted(_)));
    // A month later, one failure.
    s.pass_time(30 * 24 * 3600);
    let mut sent = s.sent();
    let _ = s.response(&mut sent, 401, &[]);
    let ticket = s.order().ticket;
    let LoginOutcome::Failed(denial) = s.login(ticket, 503, &[]) else {
        panic!("a 503 is a failure")
    };
    let pause = denial.retry_after(s.now()).unwrap();
    assert!(
        pause <= Duration::from_secs(5),
        "the first failure in a month pauses {pause:?}"
    );
}
