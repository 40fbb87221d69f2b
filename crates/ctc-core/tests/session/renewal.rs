//! Renewal ahead of a token's known end: who makes it, who waits, and when none is made.

use std::collections::HashSet;
use std::time::Duration;

use ctc_core::{
    Admit, Denial, EarlyRenewal, Login, LoginOutcome, LoginTicket, OAuth, Resumed, SendFailure,
    Settings, SettingsError, Verdict,
};
use http::HeaderMap;

use crate::scenario::{PASSWORD, Scenario, USER, call, cookie, credentials, status};

const DAY: u64 = 86_400;
/// Of a day: the windows without the spread.
const ADVISED: u64 = DAY - DAY / 10;
const MANDATORY: u64 = DAY - DAY / 50;

fn oauth(change: impl FnOnce(&mut Settings)) -> Scenario {
    Scenario::with(|settings| {
        settings.login = Login::OAuth(OAuth::us());
        change(settings);
    })
}

fn opens(s: &mut Scenario, ticket: LoginTicket, token: &str, life: &str) {
    let body = format!(r#"{{"token_type":"Bearer","expires_in":{life},"access_token":"{token}"}}"#);
    let reading = s
        .session
        .login_reader()
        .read(status(200), &HeaderMap::new(), body.as_bytes());
    let now = s.now();
    let outcome = s.session.login_response(ticket, reading, now);
    assert!(matches!(outcome, LoginOutcome::Opened(_)), "{outcome:?}");
}

fn open_for(life: &str, change: impl FnOnce(&mut Settings)) -> Scenario {
    let mut s = oauth(change);
    let ticket = s.order().ticket;
    opens(&mut s, ticket, "T1", life);
    s
}

fn open() -> Scenario {
    open_for("86400", |_| {})
}

/// Seconds after the start.
fn due_at(s: &Scenario) -> Option<f64> {
    let at = s.session.renewal_at(s.now())?;
    Some(at.duration_since(s.moment(0)).as_secs_f64())
}

/// What `n` callers are told, by name.
fn told(s: &mut Scenario, n: usize) -> Vec<&'static str> {
    let name = |admit| match admit {
        Admit::Proceed(_) => "proceed",
        Admit::Login(_) | Admit::NeedCredentials(_) => "login",
        Admit::Wait(_) => "wait",
        Admit::Deny(_) => "deny",
    };
    s.herd(n).into_iter().map(name).collect()
}

#[test]
fn the_end_of_a_token_is_known_if_it_was_stated() {
    let s = open();
    assert_eq!(s.session.known_end(), Some(s.moment(DAY)));
    assert_eq!(open_for("null", |_| {}).session.known_end(), None);
    assert_eq!(oauth(|_| {}).session.known_end(), None);
}

/// A fleet that logged in at the same second does not renew in one.
#[test]
fn the_window_grows_with_the_life_and_its_beginning_is_spread() {
    for life in [300, 3600, DAY] {
        let due: Vec<f64> = (0..50)
            .map(|seed| due_at(&open_for(&life.to_string(), |s| s.seed = seed)).unwrap())
            .collect();
        let (first, last) = (0.90 * life as f64, 0.95 * life as f64);
        assert!(
            due.iter().all(|at| (first..=last).contains(at)),
            "{life}: {due:?}"
        );
        let parts: HashSet<u64> = due
            .iter()
            .map(|at| ((at - first) / (last - first) * 10.0) as u64)
            .collect();
        assert!(parts.len() >= 8, "{life}: bunched in {parts:?}");
    }
    assert_eq!(due_at(&open()), due_at(&open()), "the seed decides");
}

#[test]
fn in_the_first_window_one_caller_renews_and_nobody_waits() {
    let mut s = open();
    let due = due_at(&s).unwrap();
    s.at(due as u64 - 1);
    assert!(!s.session.renewal_is_due(s.now()));
    assert_eq!(told(&mut s, 2), ["proceed"; 2]);
    s.at(due as u64 + 1);
    assert!(s.session.renewal_is_due(s.now()));
    let ticket = s.order().ticket;
    assert!(s.session.is_renewing(s.now()) && !s.session.renewal_is_due(s.now()));
    assert_eq!(told(&mut s, 100), ["proceed"; 100]);
    opens(&mut s, ticket, "T2", "86400");
    assert_eq!(told(&mut s, 2), ["proceed"; 2]);
    let next = due_at(&s).unwrap();
    assert!(next > due + ADVISED as f64, "of the new token: {next}");
    assert_eq!(s.logins, 2);
}

/// Input 38: 100 calls at the second the token ends.
#[test]
fn close_to_the_end_callers_wait_for_the_one_login() {
    for second in [MANDATORY + 1, DAY - 1, DAY, DAY + 1, 40 * DAY] {
        let mut s = open();
        s.at(second);
        let ticket = s.order().ticket;
        assert!(s.session.renewal_is_due(s.now()), "while it runs");
        assert_eq!(told(&mut s, 99), ["wait"; 99], "at {second}");
        opens(&mut s, ticket, "T2", "86400");
        assert_eq!(told(&mut s, 99), ["proceed"; 99]);
        assert_eq!(s.logins, 2);
    }
}

/// The login began in the first window, and is still on its way in the second.
#[test]
fn callers_wait_for_a_renewal_that_takes_until_the_second_window() {
    let mut s = open_for("86400", |s| s.lease = Duration::from_secs(3 * 3600));
    s.at(MANDATORY - 5);
    let ticket = s.order().ticket;
    assert_eq!(told(&mut s, 1), ["proceed"]);
    assert_eq!(due_at(&s), Some(MANDATORY as f64));
    s.at(MANDATORY + 1);
    assert_eq!(told(&mut s, 1), ["wait"]);
    opens(&mut s, ticket, "T2", "86400");
    assert_eq!(told(&mut s, 1), ["proceed"]);
}

/// The old token serves on until a 401, and the next try comes after the pause.
#[test]
fn t36_a_failed_renewal_keeps_the_token_and_is_tried_again_after_the_pause() {
    for second in [ADVISED + DAY / 20, MANDATORY + 1, DAY + 1] {
        let mut s = open();
        s.at(second);
        for pause in [5.0, 10.0, 20.0] {
            let ticket = s.order().ticket;
            let LoginOutcome::Failed(denial) = s.fails(ticket, SendFailure::MaybeSent) else {
                panic!("it did not fail");
            };
            assert_eq!(told(&mut s, 100), ["proceed"; 100], "at {second}");
            assert_eq!(bearer(&s), "Bearer T1");
            let wait = denial.retry_after(s.now()).unwrap().as_secs_f64();
            assert!((0.75 * pause..=pause).contains(&wait), "{wait}");
            // The budget of three logins may make it later.
            let due = due_at(&s).unwrap() - s.now().duration_since(s.moment(0)).as_secs_f64();
            assert!(due >= wait - 1e-6, "{due} before {wait}");
            s.pass_time(due.ceil() as u64);
        }
        let ticket = s.order().ticket;
        opens(&mut s, ticket, "T2", "86400");
        assert_eq!(bearer(&s), "Bearer T2");
    }
}

fn bearer(s: &Scenario) -> String {
    let headers = crate::scenario::stamped(s.session.pass().unwrap(), HeaderMap::new());
    headers["authorization"].to_str().unwrap().to_owned()
}

/// Whatever becomes of the elected caller, the next one is elected.
#[test]
fn an_abandoned_renewal_is_made_by_the_next_caller() {
    let mut s = open();
    s.at(ADVISED + DAY / 20);
    let ticket = s.order().ticket;
    s.session.abandon(ticket);
    let ticket = s.order().ticket;
    let now = s.now();
    s.session.cancel_unsent(ticket, now);
    let _lost = s.order().ticket;
    s.pass_time(61);
    assert_eq!(told(&mut s, 2), ["login", "proceed"], "its lease is over");
}

#[test]
fn after_a_rejection_the_token_stays_and_is_not_renewed() {
    let mut s = open();
    s.at(ADVISED + DAY / 20);
    let ticket = s.order().ticket;
    let body = br#"{"error":"invalid_grant"}"#;
    let reading = s
        .session
        .login_reader()
        .read(status(400), &HeaderMap::new(), body);
    let now = s.now();
    let outcome = s.session.login_response(ticket, reading, now);
    assert!(matches!(
        outcome,
        LoginOutcome::Failed(Denial::Rejected { .. })
    ));
    s.at(DAY + 1);
    assert_eq!(due_at(&s), None);
    assert_eq!(told(&mut s, 100), ["proceed"; 100]);
    s.session.set_credentials(credentials(USER, "another"));
    assert_eq!(told(&mut s, 2), ["login", "wait"]);
}

/// Nothing is renewed early whose end is not known, or that lives too briefly.
#[test]
fn without_a_known_end_a_long_enough_life_and_the_setting_nothing_is_renewed_early() {
    let lives = [
        open_for("null", |_| {}),
        open_for("0", |_| {}),
        open_for("5", |_| {}),
        open_for("299", |_| {}),
        open_for("86400", |s| s.early_renewal = None),
        Scenario::new().open("T1"),
    ];
    for mut s in lives {
        assert_eq!(due_at(&s), None);
        s.at(2 * DAY);
        assert_eq!(told(&mut s, 3), ["proceed"; 3]);
    }
    assert!(due_at(&open_for("300", |_| {})).is_some());
}

/// The vendor's page asks to keep the cookie's token until a 401, whatever its cookie says.
#[test]
fn the_cookie_login_knows_no_end_and_is_not_renewed_early() {
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    let line = format!("{}; Max-Age=86400", cookie("T1"));
    let _ = s.login(ticket, 200, &[&line]);
    assert_eq!((s.session.known_end(), due_at(&s)), (None, None));
    s.at(DAY + 1);
    assert_eq!(told(&mut s, 3), ["proceed"; 3]);
}

/// Even where a life of five seconds is to be renewed early: no more than the budget.
#[test]
fn a_short_life_costs_no_more_logins_than_the_budget_has() {
    let rules = |s: &mut Settings| {
        let mut renewal = EarlyRenewal::default();
        renewal.shortest_life = Duration::ZERO;
        s.early_renewal = Some(renewal);
    };
    let mut s = open_for("5", rules);
    for second in 0..3600 {
        s.at(second);
        for _ in 0..10 {
            if let Admit::Login(order) = s.admit(&mut call()) {
                opens(&mut s, order.ticket, &format!("T{second}"), "5");
            }
        }
    }
    // 3 at once, and one each 2 minutes.
    assert!((20..=33).contains(&s.logins), "{}", s.logins);
}

/// Both ways, by more than a life.
#[test]
fn a_jump_of_the_clock_causes_one_login_at_most() {
    let mut s = open();
    s.at(100 * DAY);
    let ticket = s.order().ticket;
    opens(&mut s, ticket, "T2", "86400");
    for second in [0, 50 * DAY, 100 * DAY, 1, 100 * DAY + 60] {
        s.at(second);
        assert_eq!(told(&mut s, 50), ["proceed"; 50], "at {second}");
    }
    assert_eq!(s.logins, 2);
    // What was due stays due.
    let mut s = open();
    s.at(MANDATORY);
    let ticket = s.order().ticket;
    s.session.abandon(ticket);
    s.at(1);
    assert!(s.session.renewal_is_due(s.now()));
}

#[test]
fn an_adopted_token_is_renewed_ahead_of_the_end_on_record() {
    let mut one = open();
    one.at(ADVISED + DAY / 20);
    let mut two = one.restarted();
    let ticket = two.order().ticket;
    assert!(matches!(
        two.resumes(ticket, &one.record()),
        Resumed::Adopted(_)
    ));
    assert!(two.session.known_end().is_some());
    // Another process renews it in this one's place: nothing is sent.
    let ticket = one.order().ticket;
    opens(&mut one, ticket, "T2", "86400");
    let ticket = two.order().ticket;
    assert!(matches!(
        two.resumes(ticket, &one.record()),
        Resumed::Adopted(_)
    ));
    assert_eq!(bearer(&two), "Bearer T2");
    assert_eq!(told(&mut two, 9), ["proceed"; 9]);
}

/// Found by the simulator: a process that was closed and opened again had counted on alone. It took
/// the newer token of another for an older one, and put its own in that one's place.
#[test]
fn a_process_that_counted_on_alone_takes_up_the_newer_token_of_another() {
    let adopts = |two: &mut Scenario, one: &Scenario| {
        let ticket = two.order().ticket;
        let resumed = two.resumes(ticket, &one.record());
        assert!(matches!(resumed, Resumed::Adopted(_)), "{resumed:?}");
    };
    for is_refused in [false, true] {
        let mut one = open();
        let mut two = one.restarted();
        for _ in 0..3 {
            two.session.close();
            two.session.reopen();
        }
        adopts(&mut two, &one);
        assert!(two.session.pass().unwrap().generation().number() > 3);
        let record = serde_json::to_value(two.record()).unwrap();
        assert_eq!(record["tokens"][0]["generation"], 1, "as others know it");

        let mut sent = call();
        two.proceeds(&mut sent);
        one.at(ADVISED + DAY / 20);
        two.at(ADVISED + DAY / 20);
        let ticket = one.order().ticket;
        opens(&mut one, ticket, "T2", "86400");
        if is_refused {
            let verdict = two.response(&mut sent, 401, &[]);
            assert_eq!(verdict, Verdict::Replay);
        }
        adopts(&mut two, &one);
        assert_eq!(bearer(&two), "Bearer T2", "after a 401: {is_refused}");
    }
}

/// Found by the simulator: by a wall clock that is hours ahead a short life seemed to last until
/// now, and the token was renewed at once.
#[test]
fn a_wrong_wall_clock_makes_no_life_longer() {
    let one = open_for("40", |_| {});
    let mut two = one.restarted();
    let ticket = two.order().ticket;
    let wall = two.wall() + Duration::from_secs(7 * 3600);
    let resumed = two.resumes_at(wall, ticket, &one.record());
    assert!(matches!(resumed, Resumed::Adopted(_)), "{resumed:?}");
    assert_eq!(told(&mut two, 9), ["proceed"; 9]);
}

/// By a wall clock that is a day ahead the record's token is over: one login, not one a call.
#[test]
fn a_wrong_wall_clock_costs_one_login() {
    let one = open();
    let mut two = one.restarted();
    let ticket = two.order().ticket;
    let wall = two.wall() + Duration::from_secs(2 * DAY);
    let resumed = two.resumes_at(wall, ticket, &one.record());
    assert!(matches!(resumed, Resumed::Adopted(_)), "{resumed:?}");
    let ticket = two.order().ticket;
    opens(&mut two, ticket, "T2", "86400");
    for second in [1, 60, 3600, DAY / 2] {
        two.at(second);
        assert_eq!(told(&mut two, 50), ["proceed"; 50]);
    }
}

/// A call that waited for a renewal went out with a token as fresh as can be: its 401 is about the
/// route, and no login cures it.
#[test]
fn a_401_after_a_renewal_that_was_waited_for_is_about_the_route() {
    let mut s = open();
    s.at(DAY);
    let ticket = s.order().ticket;
    let mut waiting = call();
    assert!(matches!(s.admit(&mut waiting), Admit::Wait(_)));
    opens(&mut s, ticket, "T2", "86400");
    s.proceeds(&mut waiting);
    let verdict = s.response(&mut waiting, 401, &[]);
    assert!(matches!(verdict, Verdict::Unauthorized(_)), "{verdict:?}");
    assert_eq!(bearer(&s), "Bearer T2");
}

#[test]
fn a_closed_session_renews_nothing() {
    let mut s = open();
    s.at(DAY);
    let ticket = s.order().ticket;
    s.session.close();
    assert_eq!(due_at(&s), None);
    let now = s.now();
    s.session.cancel_unsent(ticket, now);
    assert_eq!(told(&mut s, 2), ["deny"; 2]);
}

#[test]
fn windows_that_are_none_are_not_accepted() {
    let rules = |advised: u8, mandatory: u8| {
        let mut settings = Settings::default();
        let mut renewal = EarlyRenewal::default();
        (renewal.advised_percent, renewal.mandatory_percent) = (advised, mandatory);
        settings.early_renewal = Some(renewal);
        let key = ctc_core::AppKey::new("k").unwrap();
        let endpoint = ctc_core::Endpoint::us();
        ctc_core::Session::new(endpoint, key, credentials(USER, PASSWORD), settings).err()
    };
    let refused = [(0, 0), (101, 1), (10, 6), (1, 1), (255, 255)];
    for (advised, mandatory) in refused {
        assert_eq!(
            rules(advised, mandatory),
            Some(SettingsError::RenewalWindows)
        );
    }
    for (advised, mandatory) in [(1, 0), (2, 1), (100, 50), (100, 0)] {
        assert_eq!(rules(advised, mandatory), None);
    }
}
