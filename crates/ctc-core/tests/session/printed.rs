//! What prints says what it is about, so that a log can be read. (What it must not say:
//! `secrets.rs`.)

use ctc_core::{AppKey, Endpoint, Generation, Target};
use http::Uri;

use crate::scenario::{PASSWORD, Scenario, USER, call, credentials};

#[test]
fn an_endpoint_prints_as_its_origin() {
    let local = Endpoint::danger_plain_http("http://localhost:8080/").unwrap();
    assert_eq!(local.to_string(), "http://localhost:8080");
    assert_eq!(format!("{local:?}"), "Endpoint(http://localhost:8080)");
}

#[test]
fn secrets_print_as_their_type() {
    assert_eq!(
        format!("{:?}", AppKey::new("k").unwrap()),
        "AppKey([redacted])"
    );
    assert_eq!(
        format!("{:?}", credentials(USER, PASSWORD)),
        "Credentials([redacted])"
    );
    assert_eq!(
        format!("{:?}", Scenario::new().order().request.body()),
        "FormBody([redacted])"
    );
}

#[test]
fn a_generation_prints_as_its_number() {
    assert_eq!(Generation::default().to_string(), "0");
    let s = Scenario::new().open("T1");
    assert_eq!(s.session.pass().unwrap().generation().to_string(), "1");
}

#[test]
fn a_pass_and_a_ticket_print_their_number() {
    let mut s = Scenario::new().open("T1");
    let pass = s.proceeds(&mut call());
    let rest = "{ generation: 1, endpoint: https://connect.calamp.com, token: [redacted] }";
    assert_eq!(format!("{pass:?}"), format!("Pass {rest}"));
    let uri = Uri::from_static("https://connect.calamp.com/");
    let bound = pass.bound_for(Target::from(&uri)).unwrap();
    assert_eq!(format!("{bound:?}"), format!("BoundPass {rest}"));
    assert_eq!(format!("{:?}", s.renewal()), "LoginTicket(2)");
}

#[test]
fn a_session_and_its_record_print_where_they_stand() {
    let mut s = Scenario::new().open("T1").after(3600);
    let mut sent = s.sent();
    let _ = s.response(&mut sent, 401, &[]);
    let session = format!("{:?}", s.session);
    for part in [
        "Session {",
        "open: None",
        "generation: Generation(1)",
        "refused: Some(Generation(1))",
    ] {
        assert!(session.contains(part), "{part}: {session}");
    }
    let record = format!("{:?}", Scenario::new().open("T1").record());
    for part in [
        "SessionRecord {",
        "generation: 1",
        "tokens: 1",
        "refusals: 0",
    ] {
        assert!(record.contains(part), "{part}: {record}");
    }
}
