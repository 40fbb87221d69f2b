//! Fair use: the budget, the pauses, tokens that die young.

use std::time::Duration;

use ctc_core::{Admit, Denial, LoginOutcome, SendFailure, Verdict};

use crate::scenario::{Scenario, Sent, cookie, response};

#[test]
fn guarantee_2_logins_stay_within_burst_and_refill_whatever_the_server_does() {
    type Login = fn(u32) -> (u16, Vec<String>);
    let responses: [Login; 6] = [
        |n| (200, vec![cookie(&format!("T{n}"))]),
        |_| (200, vec![cookie("ALWAYS-THE-SAME")]),
        |_| (200, vec![]),
        |_| (500, vec![]),
        |_| (302, vec![cookie("T")]),
        |n| {
            if n % 2 == 0 {
                (200, vec![cookie(&format!("T{n}"))])
            } else {
                (429, vec![])
            }
        },
    ];
    for (kind, login) in responses.into_iter().enumerate() {
        for clears in [&[] as &[&str], &["authToken=; Max-Age=0"]] {
            let mut s =
                Scenario::with(|settings| settings.fair_use.backoff = Duration::from_millis(1));
            let mut logins = 0;
            for second in 0..4000 {
                s.at(second);
                // Each route is asked once, so that no memory of routes holds anything back.
                let _ = s.drive(&format!("/{second}"), &mut |sent| match sent {
                    Sent::Login => {
                        logins += 1;
                        let (code, cookies) = login(logins);
                        response(
                            code,
                            &cookies.iter().map(String::as_str).collect::<Vec<_>>(),
                        )
                    }
                    Sent::Call { .. } => response(401, clears),
                });
                let allowed = 3 + u32::try_from(second / 120).unwrap();
                assert!(
                    logins <= allowed,
                    "server {kind}: {logins} logins by second {second}"
                );
            }
            assert!(logins > 2, "server {kind}: it does try");
        }
    }
}

#[test]
fn the_burst_comes_back_one_login_at_a_time() {
    let mut s = Scenario::new().spent();
    assert_eq!(s.logins, 3);
    for minutes in [2, 4, 6] {
        s.at(minutes * 60 - 1);
        let now = s.now();
        let Admit::Deny(denial) = s.session.renew(now) else {
            panic!("too soon at {minutes}")
        };
        assert_eq!(denial, Denial::budget_spent(s.moment(minutes * 60)));
        s.at(minutes * 60);
        let ticket = s.renewal();
        assert!(matches!(
            s.login(ticket, 200, &[&cookie("T")]),
            LoginOutcome::Opened(_)
        ));
    }
    // It never saves up more than the burst.
    s.at(30 * 24 * 3600);
    let now = s.now();
    let burst = (0..10).filter(|_| match s.session.renew(now) {
        Admit::Login(order) => {
            s.session.abandon(order.ticket);
            true
        }
        _ => false,
    });
    assert_eq!(burst.count(), 3);
}

#[test]
fn pauses_double_up_to_their_cap_with_jitter_that_only_shortens() {
    let pauses = |seed| {
        let mut s = Scenario::with(|settings| {
            settings.seed = seed;
            settings.fair_use.burst = 1000.try_into().unwrap();
        });
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let ticket = s.order().ticket;
            let LoginOutcome::Failed(denial) = s.fails(ticket, SendFailure::MaybeSent) else {
                panic!()
            };
            let pause = denial.retry_after(s.now()).unwrap();
            pauses.push(pause);
            s.jump_to(s.now() + pause);
        }
        pauses
    };
    for seed in 0..100 {
        for (number, pause) in pauses(seed).into_iter().enumerate() {
            let full = Duration::from_secs((5 << number).min(900));
            assert!(
                pause <= full && pause >= full * 3 / 4,
                "pause {number} is {pause:?}"
            );
        }
    }
    assert_eq!(pauses(7), pauses(7), "the same seed gives the same pauses");
    assert_ne!(pauses(7), pauses(8));
}

#[test]
fn a_success_ends_the_doubling() {
    let mut s = Scenario::new()
        .cooling()
        .after(60)
        .cooling()
        .after(60)
        .open("T1")
        .after(600);
    let ticket = s.renewal();
    let LoginOutcome::Failed(denial) = s.login(ticket, 503, &[]) else {
        panic!("trouble")
    };
    assert!(denial.retry_after(s.now()).unwrap() <= Duration::from_secs(5));
}

#[test]
fn t33_thirty_days_of_hourly_expiry_and_faults_stay_within_the_budget() {
    let mut s = Scenario::new();
    let (mut logins, mut delivered, mut denied) = (0, 0, 0);
    let mut token = String::new();
    for minute in 0..30_u64 * 24 * 60 {
        s.at(minute * 60);
        if minute % 60 == 0 {
            token.clear(); // the server ends the session
        }
        let faulty = minute % 1440 < 120; // two hours of trouble a day
        let answered = s.drive("/a", &mut |sent| match sent {
            Sent::Login if faulty => {
                logins += 1;
                response(503, &[])
            }
            Sent::Login => {
                logins += 1;
                token = format!("T{logins}");
                response(200, &[&cookie(&token)])
            }
            Sent::Call { token: sent, .. } if sent == token => response(200, &[]),
            Sent::Call { .. } => response(401, &[]),
        });
        match answered {
            Ok((200, _)) => delivered += 1,
            Ok(other) => panic!("{other:?}"),
            Err(denial) => {
                assert!(
                    denial.retry_after(s.now()).is_some(),
                    "fails with the time of the next try"
                );
                denied += 1;
            }
        }
    }
    assert!(logins < 30 * 60, "{logins} logins"); // 24 a day for expiry, the rest for trouble
    assert!(
        delivered > 30 * 1300 && denied < 30 * 140,
        "{delivered} delivered, {denied} denied"
    );
}

#[test]
fn tokens_that_die_young_make_the_next_refills_longer() {
    let logins_in_an_hour = |short_token_lifetime: u64| {
        let mut s = Scenario::with(|settings| {
            settings.fair_use.short_token_lifetime = Duration::from_secs(short_token_lifetime);
        });
        let mut logins = 0;
        for second in 0..3600 {
            s.at(second);
            // A 200 that clears the cookie ends each token one second after its birth.
            let _ = s.drive("/a", &mut |sent| match sent {
                Sent::Login => {
                    logins += 1;
                    response(200, &[&cookie(&format!("T{logins}"))])
                }
                Sent::Call { .. } => response(200, &["authToken=; Max-Age=0"]),
            });
        }
        logins
    };
    assert_eq!(logins_in_an_hour(0), 3 + 29);
    assert!(logins_in_an_hour(60) <= 8);
}

#[test]
fn a_token_that_lives_long_ends_the_lengthening() {
    let mut s = Scenario::new();
    let die = |s: &mut Scenario| {
        let mut sent = s.sent();
        assert_eq!(
            s.response(&mut sent, 200, &["authToken="]),
            Verdict::Deliver
        );
    };
    // Young deaths, each an hour apart: none, one, three refills more.
    for (name, extra) in [("A", 0), ("B", 120), ("C", 360)] {
        s = s.open(name);
        die(&mut s);
        s.pass_time(3600);
        assert!(extra < 3600);
    }
    s = s.open("D");
    s.pass_time(3600);
    die(&mut s);
    // Back to none: three logins at once, as ever.
    s = s.open("E");
    die(&mut s);
    s = s.open("F");
    assert_eq!(s.token().as_deref(), Some("F"));
}

#[test]
fn guarantee_2_not_sent_logins_are_paced_by_the_pause_alone() {
    let mut s = Scenario::new();
    let mut tries = 0;
    for second in 0..3600 {
        s.at(second);
        if let Admit::Login(order) = s.admit(&mut crate::scenario::call()) {
            tries += 1;
            let _ = s.fails(order.ticket, SendFailure::NotSent);
        }
    }
    // One every 8 to 10 s: none reaches the server, and the network may be back at any time.
    assert!(
        (360..=450).contains(&tries),
        "{tries} tries in an hour offline"
    );
    s.pass_time(10);
    let s = s.open("T1");
    assert_eq!(s.token().as_deref(), Some("T1"), "the budget is untouched");
}
