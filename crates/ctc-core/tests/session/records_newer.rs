//! Records of a newer version of this crate, as an older process finds them in a rolling upgrade.

use ctc_core::{Denial, LoginFailure, Resumed};
use serde_json::json;

use crate::scenario::{Scenario, with_field};

#[test]
fn a_cause_that_is_not_known_here_costs_neither_the_pause_nor_the_record() {
    let mut cooling = Scenario::new().cooling();
    let known = serde_json::to_value(cooling.record()).unwrap()["pause"].clone();
    assert_eq!(known["cause"]["Unavailable"]["status"], json!(503));
    let Denial::BackingOff {
        until: expected, ..
    } = cooling.denied()
    else {
        panic!("it is pausing")
    };
    for cause in [
        json!("Tired"),
        json!({ "Tired": { "of": ["you"] } }),
        json!({ "Unavailable": {} }),
    ] {
        let mut pause = known.clone();
        pause["cause"] = cause;
        let record = with_field(&cooling.record(), "pause", pause);
        let Resumed::Denied(Denial::BackingOff { until, cause, .. }) =
            Scenario::new().offer(&record)
        else {
            panic!("a pause is a pause");
        };
        assert_eq!(cause, LoginFailure::MaybeSent);
        assert!(until.max(expected) - until.min(expected) < std::time::Duration::from_secs(1));
    }
    // What is known stays as it is.
    let record = with_field(&cooling.record(), "pause", known);
    assert_eq!(record, cooling.record());
}

#[test]
fn a_token_survives_fields_that_are_not_known_here() {
    let mut json = serde_json::to_value(Scenario::new().open("T1").record()).unwrap();
    json["mood"] = json!({ "good": true });
    let record = serde_json::from_value(json).unwrap();
    let mut s = Scenario::new();
    assert!(matches!(s.offer(&record), Resumed::Adopted(_)));
    assert_eq!(s.token().as_deref(), Some("T1"));
}
