//! Time out of order, and time beyond all bounds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ctc_core::{Admit, Denial, Instant, LoginOutcome, Phase, SendFailure, Verdict};

use crate::scenario::{Scenario, answer_with, call, cookie};

/// The furthest moments that can be named from here, and some in between.
fn moments(base: Instant) -> Vec<Instant> {
    let mut moments = vec![base];
    for shift in (0..64).step_by(3) {
        let span = Duration::from_secs(1 << shift);
        moments.extend(base.checked_add(span));
        moments.extend(base.checked_sub(span));
    }
    // The very last one, found bit by bit.
    let mut last = base;
    for shift in (0..64).rev() {
        last = last
            .checked_add(Duration::from_secs(1 << shift))
            .unwrap_or(last);
    }
    moments.push(last);
    moments
}

#[test]
fn a_now_older_than_the_last_one_counts_as_the_last_one() {
    let mut s = Scenario::new();
    s.at(1000);
    let mut s = s.cooling();
    let until = s.next_deadline().unwrap();
    s.at(0);
    let Denial::BackingOff { until: told, .. } = s.denied() else {
        panic!("cooling")
    };
    assert_eq!(told, until);
    assert!(matches!(s.phase(), Phase::BackingOff { until: found, .. } if found == until));
    s.at(1010);
    let ticket = s.order().ticket;
    // Back in time: neither does the lease start anew nor the token live longer.
    s.at(0);
    assert_eq!(s.next_deadline(), Some(s.moment(1070)));
    assert_eq!(s.waits().deadline, s.moment(1050));
    assert!(matches!(
        s.login(ticket, 200, &[&cookie("T1")]),
        LoginOutcome::Opened(_)
    ));
    let mut sent = s.sent();
    s.at(5000);
    assert_eq!(s.response(&mut sent, 401, &[]), Verdict::Replay);
}

#[test]
fn guarantee_10_time_out_of_order_adds_nothing_to_the_budget() {
    let mut s = Scenario::new();
    for round in 0..1000 {
        s.at(if round % 2 == 0 { 0 } else { 100 });
        if let Admit::Login(order) = s.admit(&mut call()) {
            s.session.abandon(order.ticket);
        }
    }
    assert_eq!(s.logins, 3);
}

#[test]
fn guarantee_10_no_moment_makes_any_verb_panic() {
    let start = Scenario::new().now();
    for first in moments(start) {
        for second in moments(start) {
            let walls = [
                UNIX_EPOCH,
                UNIX_EPOCH - Duration::from_secs(9),
                SystemTime::UNIX_EPOCH + Duration::MAX / 4,
            ];
            let walls = walls.map(std::hint::black_box);
            for wall in walls {
                let mut s = Scenario::new();
                s.jump_to(first);
                let Admit::Login(order) = s.admit(&mut call()) else {
                    panic!("the first caller")
                };
                s.jump_to(second);
                let response = answer_with(429, "retry-after", "18446744073709551615");
                let _ = s.reports(order.ticket, &response);
                if let Admit::Deny(denial) = s.admit(&mut call()) {
                    let _ = denial.retry_after(first);
                    let _ = denial.retry_after(second);
                }
                let record = s.session.record(second, wall);
                s.session.reset();
                if let Admit::Login(order) = s.session.renew(first) {
                    let _ = s.session.login_resumed(order.ticket, &record, first, wall);
                }
                if let Admit::Login(order) = s.session.renew(second) {
                    let lifetime = format!("authToken=T1; Max-Age={}", u64::MAX);
                    let _ = s.login(order.ticket, 200, &[&lifetime]);
                }
                let mut sent = call();
                if let Admit::Proceed(_) = s.admit(&mut sent) {
                    let _ = s.response(&mut sent, 401, &["authToken=T2; Max-Age=99999999999"]);
                }
                let _ = (s.next_deadline(), s.phase(), s.session.record(first, wall));
                if let Admit::Login(order) = s.session.renew(second) {
                    let _ = s.fails(order.ticket, SendFailure::NotSent);
                }
            }
        }
    }
}

#[test]
fn guarantee_10_no_setting_that_is_accepted_makes_it_panic() {
    let spans = [
        Duration::ZERO,
        Duration::from_millis(1),
        Duration::from_secs(30 * 24 * 3600),
        Duration::MAX,
    ];
    for span in spans {
        let mut s = Scenario::with(|settings| {
            let most = span.min(Duration::from_secs(30 * 24 * 3600));
            settings.fair_use.burst = u32::MAX.try_into().unwrap();
            settings.fair_use.refill = most.max(Duration::from_millis(1));
            settings.fair_use.backoff = most.max(Duration::from_millis(1));
            settings.fair_use.backoff_cap = most.max(Duration::from_millis(1));
            settings.fair_use.retry_after_cap = most;
            settings.fair_use.rejected_route_memory = span;
            settings.fair_use.short_token_lifetime = span;
        });
        for _ in 0..100 {
            if let Admit::Login(order) = s.admit(&mut call()) {
                let _ = s.fails(order.ticket, SendFailure::MaybeSent);
            }
            s.session.reset();
            let mut waited = call();
            if let Admit::Login(order) = s.admit(&mut waited) {
                let _ = s.login(order.ticket, 200, &[&cookie("T1")]);
            }
            if let Admit::Proceed(_) = s.admit(&mut waited) {
                let _ = s.response(&mut waited, 401, &[]);
            }
            s.pass_time(1);
        }
    }
}

#[test]
fn guarantee_10_no_set_cookie_line_makes_it_panic() {
    let pieces = [
        "authToken",
        "=",
        ";",
        "\"",
        " ",
        "Max-Age",
        "Expires",
        "-",
        "9",
        ",",
        "\u{ff}",
        "%",
        "\t",
        "T",
    ];
    let mut seed = 1_u64;
    for _ in 0..20_000 {
        let mut line = Vec::new();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let index = usize::try_from(seed >> 33).unwrap() % pieces.len();
            line.extend_from_slice(pieces[index].as_bytes());
        }
        let Ok(value) = http::HeaderValue::from_bytes(&line) else {
            continue;
        };
        let mut s = Scenario::new();
        let ticket = s.order().ticket;
        let mut response = crate::scenario::response(200, &[]);
        response.headers_mut().insert("set-cookie", value);
        let _ = s.reports(ticket, &response);
    }
}
