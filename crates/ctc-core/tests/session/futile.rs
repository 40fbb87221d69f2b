//! Logins that do not help: a forbidden resource with many ids, and tokens of other processes.

use ctc_core::{Admit, Call, Resumed, SessionRecord, Unauthorized, Verdict};
use http::Response;

use crate::scenario::{Scenario, Sent, call, cookie, response, with_field};

const ROUTE_REFUSED: Verdict = Verdict::Unauthorized(Unauthorized::RouteRejected);

/// A server that refuses all below `/forbidden` whatever the token.
fn forbids_some(one_token_an_account: bool) -> impl FnMut(Sent<'_>) -> Response<()> {
    let (mut logins, mut newest) = (0, String::new());
    move |sent| match sent {
        Sent::Login => {
            logins += 1;
            newest = format!("T{logins}");
            response(200, &[&cookie(&newest)])
        }
        Sent::Call { path, .. } if path.starts_with("/forbidden") => response(401, &[]),
        Sent::Call { token, .. } if one_token_an_account && token != newest => response(401, &[]),
        Sent::Call { .. } => response(200, &[]),
    }
}

#[test]
fn t12_a_forbidden_resource_with_ever_new_ids_costs_few_logins_a_day() {
    // Some servers end the old token at each login, and some do not.
    for one_token_an_account in [false, true] {
        let (mut s, mut server) = (Scenario::new(), forbids_some(one_token_an_account));
        for second in (0..24 * 3600).step_by(10) {
            s.at(second);
            // An ordinary call is under way meanwhile.
            let mut other = call();
            let under_way = s.token();
            if under_way.is_some() {
                let _ = s.proceeds(&mut other);
            }
            let polled = s.drive(&format!("/forbidden/{second}"), &mut server);
            assert!(matches!(polled, Ok((401, Some(_)))), "{polled:?}");
            if let Some(token) = under_way {
                let (path, token) = ("/a", token.as_str());
                let code = server(Sent::Call { path, token }).status().as_u16();
                if s.answer_on(&mut other, path, code, &[]) == Verdict::Replay {
                    let _ = s.proceeds(&mut other);
                    assert_eq!(s.answer_on(&mut other, path, 200, &[]), Verdict::Deliver);
                }
            }
            assert_eq!(s.drive("/a", &mut server), Ok((200, None)), "at {second}");
        }
        assert!((20..=50).contains(&s.logins), "{} logins a day", s.logins);
    }
}

/// A day of polls by calls that are not sent again, and of other calls, which make the logins.
fn logins_a_day_of_polls(
    every: usize,
    path: impl Fn(u64) -> String,
    server: &mut dyn FnMut(Sent<'_>) -> Response<()>,
) -> u32 {
    let mut s = Scenario::new();
    for second in (0..24 * 3600).step_by(every) {
        let polled = s
            .at(second)
            .drive_call(Call::new(false), &path(second), server);
        assert!(matches!(polled, Ok((200 | 401, _))), "{polled:?}");
        s.pass_time(5);
        assert_eq!(s.drive("/a", server), Ok((200, None)), "at {second}");
    }
    s.logins
}

#[test]
fn t12_a_forbidden_resource_that_only_calls_sent_once_ask_for_costs_few_logins_a_day() {
    let new_ids: fn(u64) -> String = |second| format!("/forbidden/{second}/state");
    let one = |_| "/forbidden/state".to_owned();
    // The account may see every other of them.
    let some = |second| match second / 10 % 2 {
        0 => "/forbidden/7/state".to_owned(),
        _ => "/forbidden/8/state".to_owned(),
    };
    for every in [10, 70, 310, 1210] {
        for one_token_an_account in [false, true] {
            for path in [new_ids, one, some] {
                let mut forbids = forbids_some(one_token_an_account);
                let mut server = |sent: Sent<'_>| match sent {
                    Sent::Call { path, token } if path.contains("/8/") => {
                        forbids(Sent::Call { path: "/a", token })
                    }
                    sent => forbids(sent),
                };
                let logins = logins_a_day_of_polls(every, path, &mut server);
                assert!(
                    (20..=50).contains(&logins),
                    "{every} s: {logins} logins a day"
                );
            }
        }
    }
}

#[test]
fn tokens_that_live_for_a_quarter_of_an_hour_are_not_taken_for_futile_ones() {
    let (mut s, mut logins, mut dies_at) = (Scenario::new(), 0, 0);
    for second in (0..24 * 3600).step_by(10) {
        let mut server = |sent: Sent<'_>| match sent {
            Sent::Login => {
                logins += 1;
                dies_at = second + 900;
                response(200, &[&cookie(&format!("T{logins}"))])
            }
            Sent::Call { .. } if second >= dies_at => response(401, &[]),
            Sent::Call { .. } => response(200, &[]),
        };
        let path = format!("/orders/{second}");
        let posted = s
            .at(second)
            .drive_call(Call::new(false), &path, &mut server);
        let is_over = second > 0 && posted != Ok((200, None));
        let expected = Ok((401, Some(Unauthorized::NotReplayable)));
        assert!(!is_over || posted == expected, "{posted:?} at {second}");
    }
    assert!((90..=96).contains(&logins), "{logins} logins a day");
}

/// Whether the next login is as dear as one after others that did not help.
fn is_surcharged(s: &mut Scenario) -> bool {
    s.pass_time(24 * 3600);
    let now = s.now();
    let burst = (0..3).filter(|_| match s.session.renew(now) {
        Admit::Login(order) => {
            s.session.abandon(order.ticket);
            true
        }
        _ => false,
    });
    burst.count() < 3
}

/// Calls that are not sent again, each refused with the token that a login brought `age` seconds
/// ago.
fn refused_with_each_token(age: u64, mut with_each: impl FnMut(&mut Scenario)) -> Scenario {
    let mut s = Scenario::new();
    for number in 0..6 {
        s = s.open(&format!("T{number}")).after(age);
        with_each(&mut s);
        let mut once = Call::new(false);
        let _ = s.proceeds(&mut once);
        let verdict = s.answer_on(&mut once, "/orders/7", 401, &[]);
        assert_eq!(verdict, Verdict::Unauthorized(Unauthorized::NotReplayable));
    }
    s
}

#[test]
fn a_route_that_refuses_one_token_after_the_other_is_no_reason_to_log_in() {
    assert!(is_surcharged(&mut refused_with_each_token(1700, |_| {})));
    // But one that is asked for now and then is.
    assert!(!is_surcharged(&mut refused_with_each_token(1900, |_| {})));
    // As is one that takes the new token.
    let takes = |s: &mut Scenario| {
        let mut once = s.sent();
        assert_eq!(
            s.answer_on(&mut once, "/orders/7", 200, &[]),
            Verdict::Deliver
        );
    };
    assert!(!is_surcharged(&mut refused_with_each_token(1700, takes)));
}

#[test]
fn what_is_said_of_an_older_token_does_not_clear_a_route() {
    let mut older = None;
    let mut s = refused_with_each_token(1700, |s| {
        if let Some(mut call) = older.replace(s.sent()) {
            assert_eq!(
                s.answer_on(&mut call, "/orders/7", 200, &[]),
                Verdict::Deliver
            );
        }
    });
    assert!(is_surcharged(&mut s));
}

#[test]
fn a_route_is_convicted_once_for_each_login_whatever_the_server_rotates() {
    let mut once = Call::new(false);
    let mut s = Scenario::new().open("FIRST").after(600);
    let _ = s.proceeds(&mut once);
    let verdict = s.answer_on(&mut once, "/orders/7", 401, &[]);
    assert_eq!(verdict, Verdict::Unauthorized(Unauthorized::NotReplayable));
    let mut s = s.spent();
    let denied = |s: &mut Scenario| {
        let mut once = Call::new(false);
        let _ = s.proceeds(&mut once);
        let verdict = s.answer_on(&mut once, "/orders/7", 401, &[]);
        let no_login = matches!(verdict, Verdict::Unauthorized(Unauthorized::NoLogin { .. }));
        assert!(no_login, "{verdict:?}");
    };
    denied(&mut s);
    for number in 0..5 {
        let mut other = s.sent();
        let rotated = cookie(&format!("R{number}"));
        assert_eq!(
            s.answer_on(&mut other, "/a", 200, &[&rotated]),
            Verdict::Deliver
        );
        denied(&mut s);
    }
    assert!(!is_surcharged(&mut s));
}

#[test]
fn tokens_of_other_processes_convict_no_route() {
    let mut s = Scenario::new().open("T0");
    for number in 1..7 {
        if number > 1 {
            let other = s.restarted().open(&format!("T{number}")).record();
            let record = with_field(&other, "generation", serde_json::json!(number + 7));
            adopt_for(&mut s, &mut call(), &record);
        }
        s.pass_time(600);
        let mut once = Call::new(false);
        let _ = s.proceeds(&mut once);
        let verdict = s.answer_on(&mut once, "/orders/7", 401, &[]);
        assert_eq!(verdict, Verdict::Unauthorized(Unauthorized::NotReplayable));
    }
    assert!(!is_surcharged(&mut s));
}

#[test]
fn a_login_that_helps_ends_the_surcharge_of_those_that_did_not() {
    for helps in [true, false] {
        let (mut s, mut server) = (Scenario::new(), forbids_some(false));
        let forbidden = Ok((401, Some(Unauthorized::RouteRejected)));
        for round in 0..5 {
            s.pass_time(24 * 3600);
            let path = format!("/forbidden/{round}");
            assert_eq!(s.drive(&path, &mut server), forbidden);
        }
        if helps {
            s.pass_time(24 * 3600);
            // The server has forgotten the token, and the new one is as good as ever.
            let mut sent = s.sent();
            assert_eq!(s.response(&mut sent, 401, &[]), Verdict::Replay);
            s = s.open("NEW");
            let _ = s.proceeds(&mut sent);
            assert!(sent.was_replayed());
            assert_eq!(s.response(&mut sent, 200, &[]), Verdict::Deliver);
        }
        assert_ne!(is_surcharged(&mut s), helps);
    }
}

/// A session whose call was refused once, and whose replay is about to go out with a token that
/// another process had left in the store and that the server has forgotten too.
fn replays_with_an_adopted_token() -> (Scenario, Call) {
    let mut s = Scenario::new().open("T1").after(3600);
    let other = s.restarted().open("T2").record();
    let record = with_field(&other, "generation", serde_json::json!(7));
    let mut call = s.sent();
    assert_eq!(s.response(&mut call, 401, &[]), Verdict::Replay);
    adopt_for(&mut s, &mut call, &record);
    assert_eq!(s.token().as_deref(), Some("T2"));
    let _ = s.proceeds(&mut call);
    (s, call)
}

fn adopt_for(s: &mut Scenario, call: &mut Call, record: &SessionRecord) {
    let Admit::Login(order) = s.admit(call) else {
        panic!("the token is gone")
    };
    let adopted = s.offer_with(order.ticket, record);
    assert!(matches!(adopted, Resumed::Adopted(_)), "{adopted:?}");
}

#[test]
fn an_adopted_token_is_no_proof_against_a_route_and_uses_up_no_replay() {
    let (mut s, mut call) = replays_with_an_adopted_token();
    assert_eq!(s.response(&mut call, 401, &[]), Verdict::Replay);
    assert!(!s.session.needs_every_response(), "no route is marked");
    let mut s = s.open("T3");
    let _ = s.proceeds(&mut call);
    let delivered = s.response(&mut call, 200, &[]);
    assert_eq!(delivered, Verdict::Deliver);

    // A fresh token is: the route is forbidden.
    let (mut s, mut call) = replays_with_an_adopted_token();
    assert_eq!(s.response(&mut call, 401, &[]), Verdict::Replay);
    let Admit::Login(order) = s.admit(&mut call) else {
        panic!("the token is gone")
    };
    let _ = s.login(order.ticket, 200, &[&cookie("T3")]);
    let _ = s.proceeds(&mut call);
    assert_eq!(s.response(&mut call, 401, &[]), ROUTE_REFUSED);
}

#[test]
fn guarantee_4_adopted_tokens_without_end_are_not_replayed_without_end() {
    let (mut s, mut call) = replays_with_an_adopted_token();
    assert_eq!(s.response(&mut call, 401, &[]), Verdict::Replay);
    let third = s.restarted().open("T3").record();
    let record = with_field(&third, "generation", serde_json::json!(8));
    adopt_for(&mut s, &mut call, &record);
    let _ = s.proceeds(&mut call);
    assert_eq!(
        s.response(&mut call, 401, &[]),
        Verdict::Unauthorized(Unauthorized::AlreadyReplayed)
    );
    assert_eq!(s.token(), None, "the next call logs in");
}

#[test]
fn an_adopted_token_that_another_process_ended_uses_up_no_replay() {
    let (mut s, mut call) = replays_with_an_adopted_token();
    let mut other = s.sent();
    assert_eq!(s.response(&mut other, 401, &[]), Verdict::Replay);
    let mut s = s.open("T3");
    assert_eq!(s.response(&mut call, 401, &[]), Verdict::Replay);
}
