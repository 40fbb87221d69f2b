//! What a record adds to a session that has a history of its own: the stricter of the two holds.

use ctc_core::{Denial, LoginFailure, LoginOutcome, Phase, Resumed};

use crate::scenario::{Scenario, answer_with, status};

impl Scenario {
    /// Cooling for as long as the server asked, by a response with this status.
    fn told_to_wait(mut self, code: u16, seconds: &str) -> Self {
        let ticket = self.order().ticket;
        let outcome = self.reports(ticket, &answer_with(code, "retry-after", seconds));
        assert!(matches!(
            outcome,
            LoginOutcome::Failed(Denial::BackingOff { .. })
        ));
        self
    }

    /// Takes over what another process has on record at this moment.
    fn learns_of(&mut self, other: &Self) {
        let (now, wall) = (self.now(), self.wall());
        let record = self.opened(&other.record());
        self.session.merge_history(&record, now, wall);
    }
}

#[test]
fn guarantee_5_a_record_without_a_stop_lifts_no_stop() {
    let mut s = Scenario::new().rejected(401);
    s.learns_of(&s.restarted());
    assert!(matches!(s.phase(), Phase::Rejected { status: found, .. } if found == status(401)));
    s.learns_of(&s.restarted().cooling());
    assert!(
        matches!(s.phase(), Phase::Rejected { status: found, .. } if found == status(401)),
        "nor does one with a pause"
    );

    let mut s = Scenario::new().cooling();
    let phase = s.phase();
    s.learns_of(&s.restarted());
    assert_eq!(s.phase(), phase);
}

#[test]
fn a_renewal_is_not_spared_by_the_very_token_that_it_renews() {
    let mut s = Scenario::new().open("T1");
    let (ticket, record) = (s.renewal(), s.record());
    assert!(matches!(
        s.offer_with(ticket, &record),
        Resumed::Continue(_)
    ));
}

#[test]
fn a_records_rejection_ends_a_pause_and_its_pause_begins_one() {
    let mut s = Scenario::new().cooling();
    s.learns_of(&s.restarted().rejected(403));
    assert!(matches!(s.phase(), Phase::Rejected { status: found, .. } if found == status(403)));
    let mut s = Scenario::new();
    s.learns_of(&s.restarted().told_to_wait(503, "700"));
    assert!(matches!(s.phase(), Phase::BackingOff { until: found, .. } if found == s.moment(700)));
}

#[test]
fn of_two_pauses_the_longer_holds_and_of_two_alike_our_own() {
    for (recorded, holds, by) in [("600", 700, 503), ("700", 700, 503), ("800", 800, 429)] {
        let mut s = Scenario::new().told_to_wait(503, "700");
        s.learns_of(&s.restarted().told_to_wait(429, recorded));
        let Denial::BackingOff { until, cause, .. } = s.denied() else {
            panic!("it is pausing")
        };
        assert_eq!(until, s.moment(holds));
        let LoginFailure::Unavailable { status: told, .. } = cause else {
            panic!("{cause:?}")
        };
        assert_eq!(told, status(by));
    }
}
