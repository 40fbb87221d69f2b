//! Leaders that vanish.

use std::time::{Duration, UNIX_EPOCH};

use ctc_core::{Admit, Call, Denial, LoginOutcome, Phase, SendFailure};

use crate::scenario::{Scenario, USER, call, cookie, credentials, field};

#[test]
fn t54_an_abandoned_login_is_taken_over_by_the_next_caller() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    let wait = s.waits();
    s.session.abandon(ticket);
    assert_ne!(s.session.epoch(), wait.epoch, "the waiters are woken");
    assert_eq!(s.phase(), Phase::Empty);
    let herd = s.herd(100);
    let orders = herd
        .iter()
        .filter(|admit| matches!(admit, Admit::Login(_)))
        .count();
    let waits = herd
        .iter()
        .filter(|admit| matches!(admit, Admit::Wait(_)))
        .count();
    assert_eq!((orders, waits), (1, 99), "exactly one more attempt");
}

#[test]
fn t54_leaders_that_keep_vanishing_spend_the_budget_and_no_more() {
    let mut s = Scenario::new();
    for _ in 0..3 {
        let ticket = s.order().ticket;
        s.session.abandon(ticket);
    }
    assert_eq!(s.denied(), Denial::budget_spent(s.moment(120)));
}

#[test]
fn t56_a_login_that_hangs_frees_its_place_when_the_lease_ends() {
    let mut s = Scenario::new();
    let hung = s.order().ticket;
    let wait = s.waits();
    assert_eq!(s.next_deadline(), Some(s.moment(60)));
    s.at(59);
    assert_eq!(s.phase(), Phase::LoggingIn);
    let _ = s.waits();
    s.at(60);
    assert_eq!(s.phase(), Phase::Empty);
    let second = s.order().ticket;
    assert_ne!(s.session.epoch(), wait.epoch);
    // The first one wakes up at last: it can change nothing any more.
    let late = s.login(hung, 200, &[&cookie("LATE")]);
    assert!(matches!(late, LoginOutcome::Stale { orphan: None, .. }));
    assert_eq!(s.phase(), Phase::LoggingIn);
    let _ = s.login(second, 200, &[&cookie("T1")]);
    assert_eq!(s.token().as_deref(), Some("T1"));
}

#[test]
fn t56_a_login_that_was_sent_has_a_lease_no_longer_than_it_may_take() {
    // The timeout and 10 s, or the lease where that is shorter.
    for (timeout, lease, ends) in [(30, 60, 40), (5, 60, 15), (30, 35, 35)] {
        let mut s = Scenario::with(|settings| {
            settings.login_timeout = Duration::from_secs(timeout);
            settings.lease = Duration::from_secs(lease);
        });
        let ticket = s.order().ticket;
        let now = s.now();
        assert!(s.session.login_starting(&ticket, now));
        assert_eq!(s.next_deadline(), Some(s.moment(ends)));
        assert_eq!(s.waits().deadline, s.moment(ends));
        s.at(ends - 1);
        assert_eq!(s.phase(), Phase::LoggingIn);
        s.at(ends);
        let _ = s.order();
    }
}

#[test]
fn t56_nobody_waits_for_longer_than_a_login_takes_whatever_the_lease_says() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    // Those who ask before it is sent would not hear that its lease is shorter then.
    assert_eq!(s.waits().deadline, s.moment(40));
    s.at(15);
    assert_eq!(s.waits().deadline, s.moment(55));
    // Nor is anybody told to wait past the lease.
    s.at(50);
    assert_eq!(s.waits().deadline, s.moment(60));
    let now = s.now();
    assert!(s.session.login_starting(&ticket, now));
    assert_eq!(s.waits().deadline, s.moment(90));
}

#[test]
fn t56_a_report_past_the_lease_counts_when_nobody_took_over() {
    let late = |lease_over: u64| {
        let mut s = Scenario::new();
        let ticket = s.order().ticket;
        let now = s.now();
        assert!(s.session.login_starting(&ticket, now));
        let wait = s.waits();
        s.at(lease_over);
        assert_eq!(s.phase(), Phase::Empty);
        (s, ticket, wait)
    };
    let (mut s, ticket, wait) = late(300);
    let outcome = s.login(ticket, 200, &[&cookie("T1")]);
    assert!(matches!(outcome, LoginOutcome::Opened(_)), "{outcome:?}");
    assert_eq!(s.token().as_deref(), Some("T1"));
    assert_ne!(s.session.epoch(), wait.epoch, "the waiters are woken");

    let (mut s, ticket, _) = late(40);
    assert!(matches!(
        s.login(ticket, 401, &[]),
        LoginOutcome::Failed(Denial::Rejected { .. })
    ));
    let (mut s, ticket, _) = late(40);
    assert!(matches!(
        s.fails(ticket, SendFailure::MaybeSent),
        LoginOutcome::Failed(Denial::BackingOff { .. })
    ));
}

#[test]
fn t56_a_late_token_counts_though_a_caller_was_denied_a_login_meanwhile() {
    let mut s = Scenario::with(|settings| settings.fair_use.burst = 1.try_into().unwrap());
    let ticket = s.order().ticket;
    let now = s.now();
    assert!(s.session.login_starting(&ticket, now));
    s.at(60);
    assert!(matches!(s.denied(), Denial::BudgetSpent { .. }));
    let outcome = s.login(ticket, 200, &[&cookie("T1")]);
    assert!(matches!(outcome, LoginOutcome::Opened(_)), "{outcome:?}");
}

#[test]
fn guarantee_5_a_late_report_changes_nothing_once_it_was_superseded() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    s.at(60);
    let _ = s.session.close();
    // Nobody holds its token, so the server is to be told.
    let outcome = s.login(ticket, 200, &[&cookie("LATE")]);
    assert!(matches!(
        outcome,
        LoginOutcome::Stale {
            orphan: Some(_),
            ..
        }
    ));
    assert_eq!(s.phase(), Phase::Closed);

    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    s.at(60);
    s.session.set_credentials(credentials(USER, "another"));
    assert!(matches!(
        s.login(ticket, 401, &[]),
        LoginOutcome::Stale { orphan: None, .. }
    ));
    assert_eq!(s.phase(), Phase::Empty);
}

#[test]
fn t56_logins_that_hang_for_ever_stay_within_the_budget() {
    let mut s = Scenario::new();
    for second in 0..3600 {
        s.at(second);
        for admit in s.herd(3) {
            if let Admit::Login(order) = admit {
                let now = s.now();
                assert!(s.session.login_starting(&order.ticket, now));
            } // and dropped without a word
        }
    }
    assert!((20..=33).contains(&s.logins), "{} logins", s.logins);
}

#[test]
fn guarantee_2_an_election_whose_lease_ends_before_the_login_is_sent_costs_nothing() {
    let mut s = Scenario::with(|settings| settings.fair_use.burst = 1.try_into().unwrap());
    for round in 0..100 {
        let ticket = s.order().ticket;
        let wait = s.waits();
        s.pass_time(60);
        let now = s.now();
        assert!(!s.session.login_starting(&ticket, now), "round {round}");
        let next = s.order().ticket;
        assert_ne!(s.session.epoch(), wait.epoch, "round {round}");
        // Its own end takes nothing back a second time.
        s.session.cancel_unsent(ticket, now);
        let starts = s.session.login_starting(&next, now);
        assert!(starts, "round {round}");
        let _ = s.fails(next, SendFailure::MaybeSent);
        s.session.reset();
        assert!(
            matches!(s.denied(), Denial::BudgetSpent { .. }),
            "round {round}"
        );
        s.pass_time(120);
    }
}

#[test]
fn t59_a_call_started_during_a_renewal_waits_and_never_goes_out_bare() {
    let mut s = Scenario::new().open("T1").after(3600);
    let mut sent = s.sent();
    let _ = s.response(&mut sent, 401, &[]);
    let ticket = s.order().ticket;
    let mut late = call();
    let Admit::Wait(wait) = s.admit(&mut late) else {
        panic!("there is no token")
    };
    let _ = s.login(ticket, 200, &[&cookie("T2")]);
    assert_ne!(s.session.epoch(), wait.epoch);
    let pass = s.proceeds(&mut late);
    assert_eq!(crate::scenario::token_of(&pass), "T2");
}

#[test]
fn guarantee_7_a_ticket_dropped_in_any_state_never_wedges_past_the_lease() {
    let states: [fn() -> Scenario; 4] = [
        Scenario::new,
        || Scenario::new().open("T1").after(3600),
        || Scenario::new().cooling().after(60),
        || {
            let mut s = Scenario::new().rejected(401);
            s.session.reset();
            s
        },
    ];
    for (number, state) in states.into_iter().enumerate() {
        let mut s = state();
        let now = s.now();
        drop(s.session.renew(now)); // the order, ticket and all
        s.pass_time(60);
        let now = s.now();
        match s.session.renew(now) {
            Admit::Login(order) => drop(s.login(order.ticket, 200, &[&cookie("NEXT")])),
            other => panic!("state {number}: {other:?}"),
        }
        assert_eq!(s.token().as_deref(), Some("NEXT"), "state {number}");
    }
}

#[test]
fn guarantee_7_a_dropped_call_leaves_nothing_behind() {
    let mut s = Scenario::new().open("T1").after(3600);
    let mut sent = s.sent();
    let _ = s.response(&mut sent, 401, &[]);
    // It was to be replayed, but its caller is gone.
    let s = s.open("T2");
    assert_eq!(s.token().as_deref(), Some("T2"));
}

#[test]
fn guarantee_1_a_holder_that_outlived_its_lease_can_change_nothing() {
    let reports: [fn(&mut Scenario, ctc_core::LoginTicket); 4] = [
        |s, ticket| drop(s.login(ticket, 200, &[&cookie("LATE")])),
        |s, ticket| drop(s.login(ticket, 401, &[])),
        |s, ticket| drop(s.fails(ticket, SendFailure::MaybeSent)),
        |s, ticket| s.session.abandon(ticket),
    ];
    for (number, report) in reports.into_iter().enumerate() {
        let mut s = Scenario::new();
        let late = s.order().ticket;
        s.at(60);
        let _second = s.order().ticket;
        let (phase, epoch) = (s.phase(), s.session.epoch());
        report(&mut s, late);
        assert_eq!(
            (s.phase(), s.session.epoch()),
            (phase, epoch),
            "report {number}"
        );
        assert!(
            matches!(s.admit(&mut call()), Admit::Wait(_)),
            "the second still holds the login"
        );
    }
}

#[test]
fn a_login_that_had_to_wait_for_the_store_has_its_lease_from_when_it_is_sent() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    s.at(50);
    let now = s.now();
    assert!(s.session.login_starting(&ticket, now));
    assert_eq!(s.waits().deadline, s.moment(90));
    s.at(80);
    let sent_at = s.wall() - Duration::from_secs(30);
    assert!(matches!(
        s.login(ticket, 200, &[&cookie("T1")]),
        LoginOutcome::Opened(_)
    ));
    let obtained_at = field(&s.record(), "obtained_at").as_u64().unwrap();
    assert_eq!(
        UNIX_EPOCH + Duration::from_millis(obtained_at),
        sent_at,
        "and so has its token"
    );
}

#[test]
fn guarantee_1_a_login_that_is_no_longer_wanted_is_not_sent() {
    type Spoil = fn(&mut Scenario, &mut Call);
    let spoils: [(&str, Spoil); 5] = [
        ("closed", |s, _| drop(s.session.close())),
        ("closed and open again", |s, _| {
            s.session.close();
            s.session.reopen();
        }),
        ("new password", |s, _| {
            s.session.set_credentials(credentials(USER, "another"));
        }),
        ("lease over", |s, _| s.pass_time(60)),
        ("the refused token was replaced", |s, late| {
            let _ = s.response(late, 200, &[&cookie("T2")]);
            assert_eq!(s.token().as_deref(), Some("T2"));
        }),
    ];
    for (name, spoil) in spoils {
        // Two calls with one token: the first one's 401 asks for a login.
        let mut s = Scenario::new().open("T1").after(3600);
        let (mut first, mut late) = (s.sent(), s.sent());
        let _ = s.response(&mut first, 401, &[]);
        let ticket = s.order().ticket;
        let now = s.now();
        assert!(s.session.login_is_wanted(&ticket, now), "{name}");
        spoil(&mut s, &mut late);
        let now = s.now();
        assert!(!s.session.login_is_wanted(&ticket, now), "{name}");
        assert!(!s.session.login_starting(&ticket, now), "{name}");
        s.pass_time(60);
        assert_ne!(
            s.phase(),
            Phase::LoggingIn,
            "{name}: its lease is what it was"
        );
    }
    let mut s = Scenario::new();
    let foreign = s.restarted().order().ticket;
    let _ticket = s.order().ticket;
    let now = s.now();
    assert!(!s.session.login_is_wanted(&foreign, now) && !s.session.login_starting(&foreign, now));
}

#[test]
fn a_renewal_is_not_sent_once_the_server_has_replaced_the_token() {
    for (token, is_wanted) in [("T1", true), ("T2", false)] {
        let mut s = Scenario::new().open("T1");
        let (mut sent, ticket) = (s.sent(), s.renewal());
        let _ = s.response(&mut sent, 200, &[&cookie(token)]);
        let now = s.now();
        assert_eq!(
            s.session.login_is_wanted(&ticket, now),
            is_wanted,
            "{token}"
        );
        assert_eq!(s.session.login_starting(&ticket, now), is_wanted, "{token}");
    }
}
