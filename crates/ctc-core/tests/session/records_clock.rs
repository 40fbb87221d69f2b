//! Records and wall clocks: hours off, back from suspend, or plain nonsense.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ctc_core::{Denial, OpenRecord, Phase, Resumed, SessionRecord, Verdict};
use serde_json::json;

use crate::scenario::{Scenario, answer_with, field, json_with_field, through_json, with_field};

const HOUR: u64 = 3600;

/// A second process some time later, with a wall clock that is off by `hours`.
fn adopts(record: &SessionRecord, later: u64, hours: i64) -> Scenario {
    let mut s = Scenario::new();
    s.at(later);
    let ticket = s.order().ticket;
    let off = Duration::from_secs(hours.unsigned_abs() * HOUR);
    let wall = if hours < 0 {
        s.wall() - off
    } else {
        s.wall() + off
    };
    let resumed = s.resumes_at(wall, ticket, record);
    assert!(
        matches!(resumed, Resumed::Adopted(_)),
        "{hours} h off: {resumed:?}"
    );
    s
}

#[test]
fn t82_a_wall_clock_hours_off_still_tries_the_token() {
    for hours in [-7, -1, 0, 1, 7, 24 * 365] {
        let mut s = adopts(&Scenario::new().open("T1").record(), 600, hours);
        let mut sent = s.sent();
        assert_eq!(s.response(&mut sent, 200, &[]), Verdict::Deliver);
        assert_eq!(s.token().as_deref(), Some("T1"));
    }
}

#[test]
fn t82_a_wall_clock_hours_off_and_a_dead_token_cost_one_login() {
    // The adopting caller waited for the store as one waits for a login: that does not make the
    // token fresh.
    for hours in [-7, -1, 0, 1, 7, 24 * 365] {
        let mut s = Scenario::new();
        s.at(600);
        let mut call = crate::scenario::call();
        let ctc_core::Admit::Login(order) = s.admit(&mut call) else {
            panic!("the first caller")
        };
        let off = Duration::from_secs(hours_abs(hours));
        let wall = if hours < 0 {
            s.wall() - off
        } else {
            s.wall() + off
        };
        let record = Scenario::new().open("T1").record();
        let _ = s.resumes_at(wall, order.ticket, &record);
        let _ = s.proceeds(&mut call);
        assert_eq!(
            s.response(&mut call, 401, &[]),
            Verdict::Replay,
            "{hours} h off"
        );
        let mut s = s.open("T2");
        let _ = s.proceeds(&mut call);
        assert_eq!(s.response(&mut call, 200, &[]), Verdict::Deliver);
    }
}

fn hours_abs(hours: i64) -> u64 {
    hours.unsigned_abs() * HOUR
}

#[test]
fn t75_an_entry_without_expiry_or_date_is_tried_and_replaced() {
    let record = Scenario::new().open("T1").record();
    for field in ["expires_at", "obtained_at"] {
        let record = with_field(&record, field, json!(null));
        let mut s = Scenario::new();
        s.at(HOUR);
        let mut call = crate::scenario::call();
        let ctc_core::Admit::Login(order) = s.admit(&mut call) else {
            panic!("the first caller")
        };
        assert!(matches!(
            s.offer_with(order.ticket, &record),
            Resumed::Adopted(_)
        ));
        let _ = s.proceeds(&mut call);
        assert_eq!(s.response(&mut call, 401, &[]), Verdict::Replay, "{field}");
        let s = s.open("T2");
        assert_eq!(s.token().as_deref(), Some("T2"));
    }
}

#[test]
fn t82_a_pause_is_never_longer_than_the_longest_pause_there_is() {
    let record = Scenario::new().cooling().record();
    let pause = json!({ "until": u64::MAX, "cause": "NoToken" });
    let record = with_field(&record, "pause", pause);
    let mut s = Scenario::new();
    let Resumed::Denied(denial) = s.offer(&record) else {
        panic!("a pause")
    };
    assert!(denial.retry_after(s.now()).unwrap() <= Duration::from_secs(HOUR));
    s.pass_time(HOUR);
    let _ = s.order();
}

#[test]
fn t83_back_from_suspend_a_herd_makes_one_login() {
    // The monotonic clock stood still; the wall clock went on for ten hours.
    let mut s = Scenario::new().open("T1").after(120);
    let mut calls: Vec<_> = (0..100).map(|_| s.sent()).collect();
    for call in &mut calls {
        assert_eq!(s.response(call, 401, &[]), Verdict::Replay);
    }
    let mut s = s.open("T2");
    for call in &mut calls {
        let _ = s.proceeds(call);
        assert_eq!(s.response(call, 200, &[]), Verdict::Deliver);
    }
    assert_eq!(s.logins, 2);
}

/// What another process was told after this one logged in counts here, and what it was told before
/// does not, however long the machine slept since.
#[test]
fn t83_sleep_makes_no_record_older_than_it_is() {
    let refused = |s: &Scenario| s.restarted().rejected(401).record();
    let paused = |s: &Scenario| {
        let mut other = s.restarted();
        let ticket = other.order().ticket;
        let _ = other.reports(ticket, &answer_with(503, "retry-after", "300"));
        other.record()
    };
    for told in [refused, paused] {
        for slept in [0, 60, 200] {
            for is_newer in [false, true] {
                let mut s = Scenario::new();
                let before = told(&s);
                s.pass_time(10);
                let mut s = s.open("T1").after(10);
                let record = if is_newer { told(&s) } else { before };
                s.pass_time(20);
                s.sleep(slept);
                let mut sent = s.sent();
                assert_eq!(s.response(&mut sent, 401, &[]), Verdict::Replay);
                let offered = s.offer(&record);
                let counts = matches!(offered, Resumed::Denied(_));
                assert_eq!(counts, is_newer, "slept {slept} s: {offered:?}");
            }
        }
    }
}

#[test]
fn guarantee_10_a_record_full_of_nonsense_does_no_harm() {
    let record = Scenario::new().open("T1").record();
    for field in [
        "generation",
        "obtained_at",
        "expires_at",
        "saved_at",
        "login_debt",
    ] {
        for value in [0, 1, u64::from(u32::MAX), u64::MAX] {
            let record = with_field(&record, field, json!(value));
            for wall in [
                UNIX_EPOCH,
                UNIX_EPOCH - Duration::from_secs(1),
                SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40),
            ] {
                let mut s = Scenario::new();
                let ticket = s.order().ticket;
                let now = s.now();
                let resumed = s.resumes_at(wall, ticket, &record);
                assert!(matches!(resumed, Resumed::Adopted(_)), "{field} {value}");
                let saved = s.session.record(now, wall);
                assert!(saved.same_token(&s.opened(&record)));
                let mut sent = s.sent();
                let _ = s.response(&mut sent, 401, &[]);
            }
        }
    }
    // What its own key opens and can be no token is none.
    for token in ["a b", "", "a;b"] {
        let record = with_field(&record, "token", json!(token));
        assert!(matches!(
            Scenario::new().offer(&record),
            Resumed::Continue(_)
        ));
    }
    let nonsense = [
        ("by", json!("00")),
        ("by", json!("zz".repeat(16))),
        ("by", json!("é".repeat(16))),
        ("nonce", json!("0".repeat(47))),
        ("sealed", json!("123")),
        ("sealed", json!(7)),
        ("salt", json!("")),
        ("tokens", json!(null)),
        ("refusals", json!([{}])),
        ("saved_at", json!(-1)),
    ];
    for (field, value) in nonsense {
        let broken = json_with_field(&record, field, value);
        assert!(
            serde_json::from_value::<SessionRecord>(broken).is_err(),
            "{field}"
        );
    }
}

#[test]
fn a_debt_beyond_reason_ends_all_the_same() {
    let record = with_field(&Scenario::new().record(), "login_debt", json!(u64::MAX));
    let mut s = Scenario::new();
    let Resumed::Denied(Denial::BudgetSpent { until, .. }) = s.offer(&record) else {
        panic!("a debt")
    };
    assert!(until <= s.moment(30 * 24 * HOUR));
    s.jump_to(until);
    let _ = s.order();
}

#[test]
fn the_highest_generation_a_record_can_name_still_tells_old_from_new() {
    let record = with_field(
        &Scenario::new().open("T1").record(),
        "generation",
        json!(u64::MAX),
    );
    let mut s = Scenario::new();
    let _ = s.offer(&record);
    s.pass_time(HOUR);
    let mut old = s.sent();
    let ticket = s.renewal();
    let _ = s.login(ticket, 200, &[crate::scenario::cookie("T2").as_str()]);
    assert_eq!(s.response(&mut old, 401, &[]), Verdict::Replay);
    assert_eq!(s.token().as_deref(), Some("T2"));
}

#[test]
fn debt_and_pause_run_down_while_no_process_runs() {
    let record = Scenario::new().spent().record().without_token();
    let mut s = Scenario::new();
    s.at(6 * 60);
    assert!(matches!(s.offer(&record), Resumed::Continue(_)));
    let record = Scenario::new().cooling().record();
    let mut s = Scenario::new();
    s.at(10);
    assert!(matches!(s.offer(&record), Resumed::Continue(_)));
    assert_eq!(s.phase(), Phase::LoggingIn);
}

/// A record saved by a clock 7 h ahead, paused for 5 s: to a reader the pause is what it was, not
/// hours.
#[test]
fn t82_a_pause_written_by_a_clock_ahead_stays_as_long_as_it_was() {
    let record = Scenario::new().cooling().record();
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    let (now, wall) = (s.now(), s.wall() - Duration::from_secs(7 * HOUR));
    let Resumed::Denied(denial) = s.resumes_at(wall, ticket, &record) else {
        panic!("a pause")
    };
    let left = denial.retry_after(now).unwrap();
    assert!(
        !left.is_zero() && left <= Duration::from_secs(5),
        "{left:?}"
    );
}

/// A store with a clock of its own knows the age: then neither clock's error matters.
#[test]
fn t82_by_this_clock_moves_every_time_alike() {
    let s = Scenario::new().open("T1");
    let record = s.record();
    let wall = |record: &SessionRecord, field: &str| json!(record)[field].as_u64().unwrap();
    let (age, tolerance) = (Duration::from_secs(600), Duration::from_secs(5));
    let saved = UNIX_EPOCH + Duration::from_millis(wall(&record, "saved_at"));
    assert_eq!(
        record.clone().with_local_clock(age, saved + age, tolerance),
        record,
        "the clocks agree"
    );
    for off in [-7, 7] {
        let by = Duration::from_secs(hours_abs(off));
        let here = if off < 0 {
            saved + age - by
        } else {
            saved + age + by
        };
        let moved = record.clone().with_local_clock(age, here, tolerance);
        assert_eq!(wall(&moved, "saved_at"), millis(here - age));
        // What is bound to the token stays as it is in the record; its reader sees it moved.
        assert_eq!(field(&moved, "obtained_at"), field(&record, "obtained_at"));
        let (here_too, there) = (s.opened(&moved), s.opened(&record));
        assert!(here_too.same_token(&there));
        let obtained = |record: &OpenRecord| record.token_to_seal().unwrap().1.obtained_at.unwrap();
        assert_eq!(
            obtained(&here_too),
            millis(here - age) - (wall(&record, "saved_at") - obtained(&there))
        );
        // A store has it back with its times by the clock of the process that saved it.
        assert_eq!(
            field(&through_json(&moved), "obtained_at"),
            json!(obtained(&there))
        );
    }
}

#[test]
fn t82_a_record_is_moved_from_the_tolerance_on() {
    let record = Scenario::new().open("T1").record();
    let saved = UNIX_EPOCH + Duration::from_millis(json!(record)["saved_at"].as_u64().unwrap());
    let tolerance = Duration::from_secs(5);
    for (apart, moves) in [
        (0, false),
        (1, false),
        (4_999, false),
        (5_000, true),
        (5_001, true),
    ] {
        for here in [
            saved + Duration::from_millis(apart),
            saved - Duration::from_millis(apart),
        ] {
            let moved = record
                .clone()
                .with_local_clock(Duration::ZERO, here, tolerance);
            assert_eq!(moved != record, moves, "{apart} ms");
        }
    }
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis()
        .try_into()
        .unwrap()
}
