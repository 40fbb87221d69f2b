//! Logout and close, and what comes after them.

use ctc_core::{Admit, Denial, LoginOutcome, Phase, SendFailure, Unauthorized, Verdict};

use crate::scenario::{PASSWORD, Scenario, USER, cookie, credentials};

#[test]
fn t49_a_login_response_after_logout_returns_the_orphan() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    assert!(s.session.logout().is_none(), "no token yet");
    let LoginOutcome::Stale {
        orphan: Some(orphan),
        ..
    } = s.login(ticket, 200, &[&cookie("T1")])
    else {
        panic!("somebody should end that token");
    };
    assert_eq!(
        orphan.uri(),
        "https://connect.calamp.com/connect/services/logout"
    );
    assert_eq!(orphan.headers()["cookie"], "authToken=T1");
    assert_eq!((s.phase(), s.token()), (Phase::Closed, None));
}

#[test]
fn t49_a_failed_login_after_logout_leaves_nothing_to_end() {
    for code in [401, 500, 302] {
        let mut s = Scenario::new();
        let ticket = s.order().ticket;
        s.session.close();
        assert!(matches!(
            s.login(ticket, code, &[&cookie("T1")]),
            LoginOutcome::Stale { orphan: None, .. }
        ));
        s.session.reopen();
        assert_eq!(s.phase(), Phase::Empty, "{code}");
    }
}

#[test]
fn t51_calls_in_flight_at_logout_finish_and_none_triggers_a_login() {
    let mut s = Scenario::new().open("T1").after(3600);
    let mut calls: Vec<_> = (0..10).map(|_| s.sent()).collect();
    let _ = s.session.logout();
    for (number, call) in calls.iter_mut().enumerate() {
        let cookies: &[&str] = if number % 3 == 0 {
            &["authToken=NEW"]
        } else {
            &[]
        };
        if number % 2 == 0 {
            assert_eq!(s.response(call, 200, cookies), Verdict::Deliver);
        } else {
            assert_eq!(
                s.response(call, 401, cookies),
                Verdict::Unauthorized(Unauthorized::Closed)
            );
        }
        assert!(matches!(s.admit(call), Admit::Deny(Denial::Closed)));
    }
    assert_eq!((s.token(), s.logins), (None, 1));
}

#[test]
fn t52_logout_closes_at_once_whatever_becomes_of_its_request() {
    let mut s = Scenario::new().open("T1");
    let request = s.session.logout().unwrap();
    assert_eq!(s.phase(), Phase::Closed);
    assert_eq!(request.method(), "POST");
    assert_eq!(
        request.uri(),
        "https://connect.calamp.com/connect/services/logout"
    );
    assert_eq!(request.headers()["cookie"], "authToken=T1");
    assert_eq!(
        request.headers()["calamp-services-app"],
        crate::scenario::KEY
    );
    assert!(request.body().as_ref().is_empty());
    drop(request); // never sent: closed all the same
    assert_eq!(s.denied(), Denial::Closed);
    assert!(s.session.logout().is_none(), "once is enough");
}

#[test]
fn the_logout_path_is_a_setting() {
    let mut s =
        Scenario::with(|settings| settings.logout_path = "/bye?now=1".to_owned()).open("T1");
    assert_eq!(
        s.session.logout().unwrap().uri(),
        "https://connect.calamp.com/bye?now=1"
    );
}

#[test]
fn close_hands_back_the_pass_and_asks_for_no_logout() {
    let mut s = Scenario::new().open("T1");
    let pass = s.session.close().unwrap();
    assert_eq!(crate::scenario::token_of(&pass), "T1");
    assert!(s.session.close().is_none());
}

#[test]
fn guarantee_5_no_login_after_close_until_reopen() {
    let states = [
        Scenario::new(),
        Scenario::new().open("T1"),
        Scenario::new().cooling(),
        Scenario::new().rejected(401),
        Scenario::new().spent(),
    ];
    for mut s in states {
        let logins = s.logins;
        s.session.close();
        s.session.set_credentials(credentials(USER, PASSWORD));
        s.session.reset();
        for day in 0..30 {
            s.at(day * 24 * 3600);
            assert_eq!(s.denied(), Denial::Closed);
            let now = s.now();
            assert!(matches!(s.session.renew(now), Admit::Deny(Denial::Closed)));
        }
        assert_eq!(s.logins, logins);
        let epoch = s.session.epoch();
        s.session.reopen();
        assert_ne!(s.session.epoch(), epoch);
        let _ = s.order();
    }
}

#[test]
fn guarantee_5_a_login_under_way_at_close_opens_nothing_even_after_reopen() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    s.session.close();
    s.session.reopen();
    assert!(matches!(
        s.login(ticket, 200, &[&cookie("T1")]),
        LoginOutcome::Stale { .. }
    ));
    assert_eq!(s.token(), None);
    let mut s = s.open("T2");
    assert_eq!(s.token().as_deref(), Some("T2"));
    // …and responses to calls from before do not touch what came after.
    let mut old = s.sent();
    s.session.close();
    s.session.reopen();
    let _ = s.response(&mut old, 200, &[&cookie("OLD")]);
    assert_eq!(s.token(), None);
    let mut s = s.open("T3").after(3600);
    let _ = s.response(&mut old, 401, &["authToken=; Max-Age=0"]);
    assert_eq!(s.token().as_deref(), Some("T3"));
}

#[test]
fn every_report_on_a_login_that_no_longer_counts_is_stale() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    s.session.close();
    assert!(matches!(
        s.fails(ticket, SendFailure::NotSent),
        LoginOutcome::Stale { orphan: None, .. }
    ));
    s.session.reopen();
    let ticket = s.order().ticket;
    s.session.close();
    s.session.abandon(ticket);
    assert_eq!(s.phase(), Phase::Closed);
    s.session.reopen();
    let _ = s.order();
}

#[test]
fn guarantee_1_after_reopen_a_login_from_before_is_waited_for() {
    let mut s = Scenario::new();
    let before = s.order().ticket;
    s.session.close();
    s.session.reopen();
    let wait = s.waits();
    // It decides nothing, and its token, which nobody wants any more, is to be logged out.
    let outcome = s.login(before, 200, &[&cookie("T1")]);
    assert!(
        matches!(
            outcome,
            LoginOutcome::Stale {
                orphan: Some(_),
                ..
            }
        ),
        "{outcome:?}"
    );
    assert_ne!(s.session.epoch(), wait.epoch);
    assert_eq!(s.token(), None);
    let _ = s.order();
}

#[test]
fn guarantee_1_after_reopen_a_login_that_was_never_reported_is_waited_for_until_its_lease_ends() {
    let mut s = Scenario::new();
    let _lost = s.order();
    s.session.close();
    s.session.reopen();
    let _ = s.waits();
    s.at(60);
    let _ = s.order();
}

#[test]
fn a_logout_forgets_the_token_that_was_refused_before() {
    let mut s = Scenario::new().open("T1").after(3600);
    let mut sent = s.sent();
    let _ = s.response(&mut sent, 401, &[]);
    s.session.close();
    s.session.reopen();
    let s = s.open("T1");
    assert_eq!(s.token().as_deref(), Some("T1"));
}

#[test]
fn a_login_that_is_no_longer_wanted_is_not_sent_and_not_counted() {
    let mut s = Scenario::new();
    for _ in 0..20 {
        let order = s.order();
        assert!(s.session.login_is_wanted(&order.ticket, s.now()));
        s.session.set_credentials(credentials(USER, "another"));
        assert!(!s.session.login_is_wanted(&order.ticket, s.now()));
        let now = s.now();
        s.session.cancel_unsent(order.ticket, now);
        s.session.set_credentials(credentials(USER, PASSWORD));
    }
    let _ = s.order();
}

#[test]
fn a_token_that_came_for_another_user_is_handed_back_to_be_logged_out() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    s.session
        .set_credentials(credentials("bob@example.com", PASSWORD));
    let outcome = s.login(ticket, 200, &[&cookie("T1")]);
    assert!(
        matches!(
            outcome,
            LoginOutcome::Stale {
                orphan: Some(_),
                ..
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(s.token(), None);
}
