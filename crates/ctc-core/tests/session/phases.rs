//! Phase, epoch and deadline, state by state.

use ctc_core::{Admit, Denial, Phase, SendFailure};

use crate::scenario::{Scenario, USER, call, cookie, credentials, status};

#[test]
fn each_state_says_where_it_stands() {
    let mut s = Scenario::new();
    assert_eq!((s.phase(), s.next_deadline()), (Phase::Empty, None));
    let ticket = s.order().ticket;
    assert_eq!(
        (s.phase(), s.next_deadline()),
        (Phase::LoggingIn, Some(s.moment(60)))
    );
    let _ = s.login(ticket, 200, &[&cookie("T1")]);
    let generation = s.session.pass().unwrap().generation();
    assert_eq!(generation.number(), 1);
    assert_eq!(
        (s.phase(), s.next_deadline()),
        (Phase::Open(generation), None)
    );
    let _ticket = s.renewal();
    assert_eq!(
        (s.phase(), s.next_deadline()),
        (Phase::Open(generation), Some(s.moment(60)))
    );
    s.session.close();
    assert_eq!(s.phase(), Phase::Closed);

    let s = Scenario::new().rejected(403);
    assert!(matches!(s.phase(), Phase::Rejected { status: found, .. } if found == status(403)));
    assert_eq!(s.next_deadline(), None);

    let mut s = Scenario::new().cooling();
    let until = s.next_deadline().unwrap();
    assert!(matches!(s.phase(), Phase::BackingOff { until: found, .. } if found == until));
    s.jump_to(until);
    assert_eq!(s.phase(), Phase::Empty);
}

#[test]
fn a_budget_that_is_spent_and_a_renewal_that_hangs_have_an_end() {
    let mut s = Scenario::new().spent();
    s.session.close();
    s.session.reopen();
    assert_eq!(
        (s.phase(), s.next_deadline()),
        (Phase::Empty, Some(s.moment(120)))
    );
    s.at(120);
    assert_eq!((s.phase(), s.next_deadline()), (Phase::Empty, None));

    let mut s = Scenario::new().open("T1");
    let _ticket = s.renewal();
    s.at(60);
    assert_eq!(s.next_deadline(), None, "that lease is over");
}

#[test]
fn every_transition_that_may_free_a_waiter_changes_the_epoch() {
    type Step = fn(&mut Scenario, ctc_core::LoginTicket);
    let steps: [(&str, Step); 10] = [
        ("opened", |s, ticket| {
            drop(s.login(ticket, 200, &[&cookie("T1")]));
        }),
        ("refused", |s, ticket| drop(s.login(ticket, 401, &[]))),
        ("trouble", |s, ticket| drop(s.login(ticket, 500, &[]))),
        ("not sent", |s, ticket| {
            drop(s.fails(ticket, SendFailure::NotSent));
        }),
        ("abandoned", |s, ticket| s.session.abandon(ticket)),
        ("closed", |s, _| drop(s.session.close())),
        ("logged out", |s, _| drop(s.session.logout())),
        ("new credentials", |s, _| {
            s.session.set_credentials(credentials(USER, "another"));
        }),
        ("reset", |s, _| s.session.reset()),
        ("lease over", |s, _| {
            s.pass_time(60);
            let _ = s.order();
        }),
    ];
    for (name, step) in steps {
        let mut s = Scenario::new();
        let ticket = s.order().ticket;
        let wait = s.waits();
        assert_eq!(wait.epoch, s.session.epoch());
        step(&mut s, ticket);
        assert_ne!(s.session.epoch(), wait.epoch, "{name}");
    }
}

#[test]
fn asking_and_looking_change_no_epoch() {
    let mut s = Scenario::new().open("T1");
    let epoch = s.session.epoch();
    let mut sent = s.sent();
    let _ = s.response(&mut sent, 200, &[]);
    let _ = s.response(&mut sent, 500, &["JSESSIONID=1"]);
    let _ = (
        s.record(),
        s.phase(),
        s.next_deadline(),
        s.session.record_key(),
    );
    let _ = s.herd(100);
    s.session.reopen();
    assert_eq!(s.session.epoch(), epoch);
}

#[test]
fn a_wait_names_an_epoch_that_is_current_even_when_a_lease_just_ended() {
    let mut s = Scenario::new();
    let _hung = s.order().ticket;
    s.pass_time(60);
    let _second = s.order().ticket;
    assert_eq!(s.waits().epoch, s.session.epoch());
}

#[test]
fn a_denial_by_the_budget_ends_at_the_moment_it_names() {
    let mut s = Scenario::new();
    for _ in 0..3 {
        let ticket = s.order().ticket;
        s.session.abandon(ticket);
    }
    let Denial::BudgetSpent { until, .. } = s.denied() else {
        panic!("spent")
    };
    assert_eq!(s.phase(), Phase::Empty, "the budget is no phase");
    s.jump_to(until);
    assert!(matches!(s.admit(&mut call()), Admit::Login(_)));
}

#[test]
fn the_settings_are_those_in_force() {
    let s = Scenario::with(|settings| settings.seed = 7);
    assert_eq!(s.session.settings().seed, 7);
}
