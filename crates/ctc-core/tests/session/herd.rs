//! Many callers, one session: one login, and reports that belong to a generation.

use ctc_core::{
    Admit, Denial, Endpoint, LoginOutcome, Settings, StampError, Target, Unauthorized, Verdict,
};
use http::{HeaderMap, Uri};

use crate::scenario::{HOST, KEY, PASSWORD, Scenario, call, cookie, stamped};

#[test]
fn t01_cold_start_herd_makes_one_login() {
    let mut s = Scenario::new();
    let first = s.order();
    let rest = s.herd(999);
    assert!(rest.iter().all(|admit| matches!(admit, Admit::Wait(_))));
    let before = s.session.epoch();
    assert!(matches!(
        s.login(first.ticket, 200, &[&cookie("T1")]),
        LoginOutcome::Opened(_)
    ));
    assert_ne!(s.session.epoch(), before);
    for admit in s.herd(1000) {
        let Admit::Proceed(pass) = admit else {
            panic!("{admit:?}")
        };
        assert_eq!(stamped(&pass, HeaderMap::new())["cookie"], "authToken=T1");
    }
    assert_eq!(s.logins, 1);
}

#[test]
fn guarantee_3_n_callers_and_one_dead_token_make_one_login_and_n_answers() {
    t02_expiry_herd(1000);
}

#[test]
fn t02_expiry_herd_of_one_and_of_two() {
    t02_expiry_herd(1);
    t02_expiry_herd(2);
}

fn t02_expiry_herd(n: usize) {
    let mut s = Scenario::new().open("T1").after(3600);
    let mut calls: Vec<_> = (0..n).map(|_| s.sent()).collect();
    // Every other one comes back before the login, the rest after it.
    let (early, late): (Vec<_>, Vec<_>) = calls
        .iter_mut()
        .enumerate()
        .partition(|(index, _)| index % 2 == 0);
    let mut early: Vec<_> = early.into_iter().map(|(_, call)| call).collect();
    for call in &mut early {
        assert_eq!(s.response(call, 401, &[]), Verdict::Replay);
    }
    let ticket = s.order().ticket;
    for call in &mut early {
        assert!(matches!(s.admit(call), Admit::Wait(_)));
    }
    let _ = s.login(ticket, 200, &[&cookie("T2")]);
    for call in late.into_iter().map(|(_, call)| call) {
        assert_eq!(s.response(call, 401, &[]), Verdict::Replay);
        early.push(call);
    }
    assert_eq!(early.len(), n);
    for call in early {
        let pass = s.proceeds(call);
        assert_eq!(stamped(&pass, HeaderMap::new())["cookie"], "authToken=T2");
        assert_eq!(s.response(call, 200, &[]), Verdict::Deliver);
    }
    assert_eq!(s.logins, 2, "one to open, one to renew");
}

#[test]
fn t03_late_401_for_an_old_token_replays_without_login() {
    let mut s = Scenario::new().open("T1").after(3600);
    let mut old = s.sent();
    let ticket = s.renewal();
    let _ = s.login(ticket, 200, &[&cookie("T2")]);
    s.pass_time(5);
    assert_eq!(s.response(&mut old, 401, &[]), Verdict::Replay);
    assert_eq!(s.token().as_deref(), Some("T2"));
    let pass = s.proceeds(&mut old);
    assert_eq!(stamped(&pass, HeaderMap::new())["cookie"], "authToken=T2");
    assert_eq!(s.logins, 1);
}

#[test]
fn guarantee_4_a_report_about_an_old_generation_never_touches_a_newer_token() {
    let clearing = "authToken=; Max-Age=0";
    for (code, cookies) in [
        (401, vec![]),
        (401, vec![clearing]),
        (200, vec![clearing]),
        (200, vec!["authToken=OLD"]),
        (500, vec![clearing]),
        (401, vec!["authToken=OLD"]),
    ] {
        let mut s = Scenario::new().open("T1").after(3600);
        let (mut first, mut second) = (s.sent(), s.sent());
        assert_eq!(s.response(&mut first, 401, &[]), Verdict::Replay);
        let mut s = s.open("T2");
        let generation = s.session.pass().unwrap().generation();
        let _ = s.response(&mut second, code, &cookies);
        assert_eq!(s.token().as_deref(), Some("T2"), "{code} {cookies:?}");
        assert_eq!(s.session.pass().unwrap().generation(), generation);
    }
}

#[test]
fn t04_a_401_from_before_a_finished_renewal_is_stale_and_not_a_permission() {
    let mut s = Scenario::new().open("T1").after(3600);
    let mut slow = s.sent();
    let mut other = s.sent();
    let _ = s.response(&mut other, 401, &[]);
    let mut s = s.open("T2");
    // The new token is seconds old: that must not be read as "a fresh token was refused".
    assert_eq!(s.response(&mut slow, 401, &[]), Verdict::Replay);
    assert!(!s.session.needs_every_response());
}

#[test]
fn t06_every_path_to_a_login_goes_through_the_same_flight() {
    let mut s = Scenario::new();
    let _ticket = s.order().ticket;
    assert!(matches!(s.admit(&mut call()), Admit::Wait(_)));
    let now = s.now();
    assert!(matches!(s.session.renew(now), Admit::Wait(_)));

    let mut s = Scenario::new().open("T1").after(3600);
    let mut sent = s.sent();
    let _ticket = s.renewal();
    assert_eq!(s.response(&mut sent, 401, &[]), Verdict::Replay);
    assert!(
        matches!(s.admit(&mut sent), Admit::Wait(_)),
        "the renewal under way is this call's login too"
    );
}

#[test]
fn t07_callers_that_queue_one_after_the_other_share_one_login() {
    let mut s = Scenario::new().open("T1").after(3600);
    let mut calls: Vec<_> = (0..100).map(|_| s.sent()).collect();
    for call in &mut calls {
        // One at a time, each through to its end: a lock without a second look would log in each
        // time.
        assert_eq!(s.response(call, 401, &[]), Verdict::Replay);
        if let Admit::Login(order) = s.admit(call) {
            let _ = s.login(order.ticket, 200, &[&cookie("T2")]);
            let _ = s.proceeds(call);
        }
        assert_eq!(s.response(call, 200, &[]), Verdict::Deliver);
    }
    assert_eq!(s.logins, 2);
}

#[test]
fn t08_calls_proceed_while_a_renewal_runs() {
    let mut s = Scenario::new().open("T1").after(3600);
    let _ticket = s.renewal();
    assert!(
        s.herd(10_000)
            .iter()
            .all(|admit| matches!(admit, Admit::Proceed(_)))
    );
}

#[test]
fn t10_accounts_keys_and_hosts_never_mix() {
    let eu = || {
        Scenario::of(
            Endpoint::eu(),
            KEY,
            "ada@example.com",
            PASSWORD,
            Settings::default(),
        )
    };
    let bob = || {
        Scenario::of(
            Endpoint::us(),
            KEY,
            "bob@example.com",
            PASSWORD,
            Settings::default(),
        )
    };
    let mut ada = Scenario::new();
    for mut other in [eu(), bob()] {
        // A ticket of one session reports nothing to another, though both have the same number.
        let foreign = other.order().ticket;
        let own = ada.order().ticket;
        let outcome = ada.login(foreign, 200, &[&cookie("THEIRS")]);
        assert!(matches!(outcome, LoginOutcome::Stale { orphan: None, .. }));
        assert_eq!(ada.token(), None);
        ada.session.abandon(own);
    }
    let pass = eu().open("EU").session.pass().unwrap().clone();
    let mut headers = HeaderMap::new();
    let us = Uri::from_static("https://connect.calamp.com/connect/services/devices");
    let refusal = pass.stamp(Target::from(&us), &mut headers).unwrap_err();
    assert_eq!(
        refusal,
        StampError::ForeignOrigin {
            endpoint: "https://connect.calamp.co.uk".to_owned()
        }
    );
    assert!(headers.is_empty());
    assert_ne!(HOST, pass.endpoint().origin());
}

#[test]
fn t10_a_foreign_ticket_never_asks_for_a_logout_of_the_other_sessions_token() {
    let foreign = Scenario::new().order().ticket;
    let mut s = Scenario::new().closed();
    let outcome = s.login(foreign, 200, &[&cookie("THEIRS")]);
    assert!(
        matches!(outcome, LoginOutcome::Stale { orphan: None, .. }),
        "{outcome:?}"
    );
}

#[test]
fn t10_another_user_name_forgets_the_token_and_late_answers_to_it() {
    let mut s = Scenario::new().open("ADA").after(3600);
    let (mut first, mut second) = (s.sent(), s.sent());
    s.session
        .set_credentials(crate::scenario::credentials("bob@example.com", PASSWORD));
    assert_eq!(s.token(), None);
    let _ = s.response(&mut first, 200, &["authToken=ADA2"]);
    assert_eq!(s.token(), None, "a token of ada's, for bob");
    let s = s.open("BOB");
    let mut s = s.after(1);
    let _ = s.response(&mut second, 401, &[]);
    assert_eq!(s.token().as_deref(), Some("BOB"));
}

#[test]
fn t10_a_login_under_way_for_another_user_name_opens_nothing() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    s.session
        .set_credentials(crate::scenario::credentials("bob@example.com", PASSWORD));
    let outcome = s.login(ticket, 200, &[&cookie("ADA")]);
    assert!(matches!(outcome, LoginOutcome::Stale { .. }));
    assert_eq!(s.token(), None);
    let form = s.order().request.into_body();
    assert!(form.as_ref().starts_with(b"username=bob%40example.com&"));
}

#[test]
fn guarantee_1_at_most_one_login_is_in_flight() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    for second in 0..59 {
        s.at(second);
        assert!(
            s.herd(10)
                .iter()
                .all(|admit| matches!(admit, Admit::Wait(_)))
        );
        let now = s.now();
        assert!(matches!(s.session.renew(now), Admit::Wait(_)));
    }
    let _ = s.login(ticket, 200, &[&cookie("T1")]);
    let _renewal = s.renewal();
    let now = s.now();
    assert!(matches!(s.session.renew(now), Admit::Wait(_)));
}

#[test]
fn guarantee_3_n_callers_and_refused_credentials_make_one_login_and_n_equal_errors() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    assert!(
        s.herd(999)
            .iter()
            .all(|admit| matches!(admit, Admit::Wait(_)))
    );
    let LoginOutcome::Failed(first) = s.login(ticket, 401, &[]) else {
        panic!("refused")
    };
    assert!(matches!(first, Denial::Rejected { .. }));
    for admit in s.herd(1000) {
        let Admit::Deny(denial) = admit else {
            panic!("{admit:?}")
        };
        assert_eq!(denial, first);
    }
    assert_eq!(s.logins, 1);
}

#[test]
fn guarantee_4_a_call_sees_at_most_one_replay() {
    let mut s = Scenario::new().open("T0").after(3600);
    let mut call = s.sent();
    let mut replays = 0;
    for round in 1..20 {
        // Each time the token has long been there when the call goes out, so that its age excuses
        // nothing.
        match s.response(&mut call, 401, &[]) {
            Verdict::Replay => replays += 1,
            Verdict::Unauthorized(why) => assert_eq!(why, Unauthorized::AlreadyReplayed),
            Verdict::Deliver => panic!("a 401 needs a word"),
        }
        if s.token().is_none() {
            s = s.open(&format!("T{round}"));
        }
        s.pass_time(3600);
        let _ = s.proceeds(&mut call);
    }
    assert_eq!(replays, 1);
}
