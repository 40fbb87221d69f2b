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
        s.pass_time(24 * 3600);
        if helps {
            // The server has forgotten the token, and the new one is as good as ever.
            let mut sent = s.sent();
            assert_eq!(s.response(&mut sent, 401, &[]), Verdict::Replay);
            s = s.open("NEW");
            let _ = s.proceeds(&mut sent);
            assert!(sent.was_replayed());
            assert_eq!(s.response(&mut sent, 200, &[]), Verdict::Deliver);
            s.pass_time(24 * 3600);
        }
        let now = s.now();
        let burst = (0..3).filter(|_| match s.session.renew(now) {
            Admit::Login(order) => {
                s.session.abandon(order.ticket);
                true
            }
            _ => false,
        });
        assert_eq!(burst.count(), if helps { 3 } else { 1 });
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
