//! A login that a limit on the logins of many sessions had no room for.

use std::time::Duration;

use ctc_core::{Denial, LoginFailure, LoginOutcome, NoResponse, Phase};

use crate::scenario::Scenario;

fn limited(s: &mut Scenario, pause: u64) -> LoginOutcome {
    let (ticket, now) = (s.order().ticket, s.now());
    let why = NoResponse::Limited(Duration::from_secs(pause));
    s.session.login_failed(ticket, why, now)
}

#[test]
fn it_may_be_made_at_the_time_that_was_said_and_the_pause_does_not_grow() {
    let mut s = Scenario::new();
    // More often than the budget has logins: none of them is charged.
    for pause in [7, 7, 7, 7, 1, 700] {
        let until = s.now() + Duration::from_secs(pause);
        let denial = Denial::backing_off(until, LoginFailure::Limited);
        let outcome = limited(&mut s, pause);
        assert!(matches!(&outcome, LoginOutcome::Failed(told) if *told == denial));
        assert_eq!(s.denied(), denial);
        assert!(matches!(s.phase(), Phase::BackingOff { .. }));
        s.pass_time(pause);
    }
    s.order();
}

#[test]
fn it_is_of_this_process_alone_and_a_late_report_says_nothing() {
    let mut s = Scenario::new();
    assert!(matches!(limited(&mut s, 60), LoginOutcome::Failed(_)));
    let mut other = s.restarted();
    let record = s.record();
    let ticket = other.order().ticket;
    let resumed = other.resumes(ticket, &record);
    assert!(matches!(resumed, ctc_core::Resumed::Continue(_)));

    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    let _ = s.session.close();
    let now = s.now();
    let outcome = s
        .session
        .login_failed(ticket, NoResponse::Limited(Duration::MAX), now);
    assert!(matches!(outcome, LoginOutcome::Stale { .. }));
}

#[test]
fn a_renewal_that_is_limited_leaves_the_token_in_use() {
    let mut s = Scenario::new().open("T1");
    let ticket = s.renewal();
    let now = s.now();
    let why = NoResponse::Limited(Duration::from_secs(9));
    let outcome = s.session.login_failed(ticket, why, now);
    assert!(matches!(outcome, LoginOutcome::Failed(_)));
    assert_eq!(s.token().as_deref(), Some("T1"));
}
