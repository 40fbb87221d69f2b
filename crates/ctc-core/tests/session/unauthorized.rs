//! What becomes of a 401, and what is none.

use ctc_core::{Admit, Call, Denial, Unauthorized, Verdict};
use http::{HeaderMap, Response};

use crate::scenario::{
    PASSWORD, Scenario, Sent, USER, call, cookie, credentials, response, stamped,
};

const ROUTE_REFUSED: Verdict = Verdict::Unauthorized(Unauthorized::RouteRejected);

/// A server that gives a new token for each login and refuses some routes whatever the token.
fn forbids(paths: &'static [&'static str]) -> impl FnMut(Sent<'_>) -> Response<()> {
    let mut logins = 0;
    move |sent| match sent {
        Sent::Login => {
            logins += 1;
            response(200, &[&cookie(&format!("T{logins}"))])
        }
        Sent::Call { path, .. } if paths.contains(&path) => response(401, &[]),
        Sent::Call { token, .. } if token == format!("T{logins}") => response(200, &[]),
        Sent::Call { .. } => response(401, &[]),
    }
}

#[test]
fn the_401_table() {
    struct Row {
        name: &'static str,
        token_age: u64,
        replayable: bool,
        spent: bool,
        cookies: &'static [&'static str],
        verdict: Verdict,
        token_after: bool,
    }
    let retry = Row {
        name: "an old token, a call that can be replayed",
        token_age: 3600,
        replayable: true,
        spent: false,
        cookies: &[],
        verdict: Verdict::Replay,
        token_after: false,
    };
    let not_replayable = Verdict::Unauthorized(Unauthorized::NotReplayable);
    let rows = [
        Row {
            name: "a young token that the call did not wait for",
            token_age: 5,
            ..retry.clone()
        },
        Row {
            name: "a stream: the session is renewed all the same",
            replayable: false,
            verdict: not_replayable.clone(),
            ..retry.clone()
        },
        Row {
            name: "a clearing cookie besides",
            cookies: &["authToken=; Max-Age=0"],
            ..retry.clone()
        },
        Row {
            name: "a new token besides: a 401 says that a login is needed",
            cookies: &["authToken=NEW"],
            ..retry.clone()
        },
        Row {
            name: "another cookie besides",
            cookies: &["JSESSIONID=B", "AUTHTOKEN=C"],
            ..retry.clone()
        },
        Row {
            name: "a cleared token is gone even when no login can be made for it",
            spent: true,
            token_age: 1,
            cookies: &["authToken=\"\""],
            ..retry.clone()
        },
        retry,
    ];
    for row in rows {
        let s = if row.spent {
            Scenario::new().spent()
        } else {
            Scenario::new().open("T1")
        };
        let mut s = s.after(row.token_age);
        let mut call = Call::new(row.replayable);
        let _ = s.proceeds(&mut call);
        assert_eq!(
            s.response(&mut call, 401, row.cookies),
            row.verdict,
            "{}",
            row.name
        );
        assert_eq!(s.token().is_some(), row.token_after, "{}", row.name);
    }

    impl Clone for Row {
        fn clone(&self) -> Self {
            Self {
                verdict: self.verdict.clone(),
                ..*self
            }
        }
    }
}

#[test]
fn a_401_when_the_budget_is_spent_keeps_the_token_and_says_until_when() {
    let mut s = Scenario::new().spent().after(30);
    let token = s.token();
    for _ in 0..10 {
        let mut sent = s.sent();
        let Verdict::Unauthorized(Unauthorized::NoLogin { denial, .. }) =
            s.response(&mut sent, 401, &[])
        else {
            panic!("no login can be made");
        };
        assert_eq!(denial, Denial::budget_spent(s.moment(120)));
        assert_eq!(s.token(), token);
    }
    s.at(120);
    let mut sent = s.sent();
    assert_eq!(s.response(&mut sent, 401, &[]), Verdict::Replay);
    assert!(matches!(s.admit(&mut sent), Admit::Login(_)));
}

#[test]
fn a_401_waits_for_a_renewal_under_way_though_the_budget_is_spent() {
    let mut s =
        Scenario::with(|settings| settings.fair_use.burst = 2.try_into().unwrap()).open("T1");
    let mut sent = s.sent();
    let ticket = s.renewal();
    assert_eq!(s.response(&mut sent, 401, &[]), Verdict::Replay);
    assert!(matches!(s.admit(&mut sent), Admit::Wait(_)));
    let _ = s.login(ticket, 200, &[&cookie("T2")]);
    let _ = s.proceeds(&mut sent);
    assert_eq!(s.response(&mut sent, 200, &[]), Verdict::Deliver);
}

#[test]
fn a_401_while_refused_keeps_the_token() {
    let mut s = Scenario::new().open("T1").after(3600);
    let ticket = s.renewal();
    let _ = s.login(ticket, 403, &[]);
    let mut sent = s.sent();
    let verdict = s.response(&mut sent, 401, &[]);
    assert!(matches!(
        verdict,
        Verdict::Unauthorized(Unauthorized::NoLogin {
            denial: Denial::Rejected { .. },
            ..
        })
    ));
    assert_eq!(s.token().as_deref(), Some("T1"));
}

#[test]
fn t11_endless_401_takes_one_login_and_one_replay() {
    let mut s = Scenario::new().open("T0").after(3600);
    let (mut logins, mut sent) = (0, 0);
    let answered = s.drive("/a", &mut |request| match request {
        Sent::Login => {
            logins += 1;
            response(200, &[&cookie("T1")])
        }
        Sent::Call { .. } => {
            sent += 1;
            response(401, &[])
        }
    });
    assert_eq!(answered, Ok((401, Some(Unauthorized::RouteRejected))));
    assert_eq!((logins, sent), (1, 2));
}

#[test]
fn t11_a_cold_start_into_an_endless_401_takes_one_login_and_no_replay() {
    let mut s = Scenario::new();
    assert_eq!(
        s.drive("/a", &mut forbids(&["/a"])),
        Ok((401, Some(Unauthorized::RouteRejected)))
    );
    assert_eq!(s.logins, 1);
}

#[test]
fn t12_polling_one_forbidden_route_for_an_hour_costs_a_handful_of_logins() {
    let mut s = Scenario::new();
    let mut server = forbids(&["/a"]);
    for _ in 0..360 {
        let (status, why) = s.drive("/a", &mut server).unwrap();
        assert_eq!((status, why), (401, Some(Unauthorized::RouteRejected)));
        assert_eq!(
            s.drive("/b", &mut server),
            Ok((200, None)),
            "the other route is not affected"
        );
        s.pass_time(10);
    }
    assert!(s.logins <= 6, "{} logins", s.logins);
}

#[test]
fn t12_many_forbidden_routes_stay_within_the_budget_and_leave_the_others_alone() {
    const PATHS: &[&str] = &["/0", "/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9"];
    let mut s = Scenario::new();
    let mut server = forbids(PATHS);
    for _ in 0..360 {
        for path in PATHS {
            assert!(matches!(s.drive(path, &mut server), Ok((401, Some(_)))));
        }
        assert_eq!(s.drive("/b", &mut server), Ok((200, None)));
        s.pass_time(10);
    }
    assert!(s.logins <= 3 + 3600 / 120, "{} logins", s.logins);
}

#[test]
fn t12_a_forbidden_route_that_also_clears_the_cookie_stays_within_the_budget() {
    let mut s = Scenario::new();
    let mut logins = 0;
    for _ in 0..360 {
        let _ = s.drive("/a", &mut |sent| match sent {
            Sent::Login => {
                logins += 1;
                response(200, &[&cookie(&format!("T{logins}"))])
            }
            Sent::Call { .. } => response(401, &["authToken=; Max-Age=0"]),
        });
        s.pass_time(10);
    }
    assert!(logins <= 3 + 3600 / 120, "{logins} logins");
}

#[test]
fn t12_a_refused_route_is_forgotten_when_it_answers_otherwise() {
    let mut s = Scenario::new();
    let _ = s.drive("/a", &mut forbids(&["/a"]));
    assert!(s.session.needs_every_response());
    let mut sent = s.sent();
    assert_eq!(s.answer_on(&mut sent, "/a", 200, &[]), Verdict::Deliver);
    assert!(!s.session.needs_every_response());
    s.pass_time(120);
    let mut sent = s.sent();
    assert_eq!(
        s.answer_on(&mut sent, "/a", 401, &[]),
        Verdict::Replay,
        "now it is about the session again"
    );
}

#[test]
fn t12_a_mark_ends_by_itself_and_with_it_the_need_to_see_every_response() {
    let mut s = Scenario::new();
    let refused = Ok((401, Some(Unauthorized::RouteRejected)));
    assert_eq!(s.drive("/a", &mut forbids(&["/a"])), refused);
    assert!(s.session.needs_every_response());
    s.pass_time(119);
    let mut other = s.sent();
    assert_eq!(s.answer_on(&mut other, "/b", 200, &[]), Verdict::Deliver);
    assert!(s.session.needs_every_response());
    s.pass_time(1);
    let mut other = s.sent();
    assert_eq!(s.answer_on(&mut other, "/b", 200, &[]), Verdict::Deliver);
    assert!(!s.session.needs_every_response());
}

#[test]
fn t12_only_a_response_from_behind_the_check_of_the_token_ends_a_mark() {
    let behind = [200, 201, 202, 204, 304, 400, 403, 405, 409];
    for code in (200..600).filter(|code| *code != 401) {
        let mut s = Scenario::new();
        let refused = Ok((401, Some(Unauthorized::RouteRejected)));
        assert_eq!(s.drive("/a", &mut forbids(&["/a"])), refused);
        let mut sent = s.sent();
        assert_eq!(s.answer_on(&mut sent, "/a", code, &[]), Verdict::Deliver);
        let ends = behind.contains(&code) || (200..300).contains(&code);
        assert_eq!(s.session.needs_every_response(), !ends, "{code}");
    }
}

#[test]
fn t12_memory_for_refused_routes_is_bounded() {
    let mut s = Scenario::with(|settings| settings.fair_use.burst = 1.try_into().unwrap());
    let mut waited = call();
    let Admit::Login(order) = s.admit(&mut waited) else {
        panic!("the first")
    };
    let _ = s.login(order.ticket, 200, &[&cookie("T1")]);
    for number in 0..1000 {
        let _ = s.proceeds(&mut waited);
        assert_eq!(
            s.answer_on(&mut waited, &format!("/{number}"), 401, &[]),
            ROUTE_REFUSED
        );
    }
    // No longer fresh, and no login to be had: what is still refused is refused from memory.
    s.pass_time(61);
    let remembered = (0..1000)
        .filter(|number| {
            let mut sent = s.sent();
            s.answer_on(&mut sent, &format!("/{number}"), 401, &[]) == ROUTE_REFUSED
        })
        .count();
    assert_eq!(remembered, 64);
}

#[test]
fn t13_no_status_but_401_touches_the_session() {
    for code in (100..600).filter(|code| *code != 401) {
        let mut s = Scenario::new().open("T1").after(3600);
        let epoch = s.session.epoch();
        let mut sent = s.sent();
        assert_eq!(s.response(&mut sent, code, &[]), Verdict::Deliver, "{code}");
        assert_eq!(s.token().as_deref(), Some("T1"), "{code}");
        assert_eq!(s.session.epoch(), epoch, "{code}");
    }
}

#[test]
fn t14_the_replay_carries_the_new_token_and_not_the_old_one() {
    let mut s = Scenario::new().open("T1").after(3600);
    let mut call = call();
    let sent = stamped(&s.proceeds(&mut call), HeaderMap::new());
    assert_eq!(s.response(&mut call, 401, &[]), Verdict::Replay);
    let mut s = s.open("T2");
    let replay = stamped(&s.proceeds(&mut call), sent);
    assert_eq!(
        replay.get_all("cookie").iter().collect::<Vec<_>>(),
        ["authToken=T2"]
    );
    assert_eq!(replay.get_all("calamp-services-app").iter().count(), 1);
}

#[test]
fn t18_t19_what_is_not_to_be_sent_twice_is_delivered_and_the_session_renewed() {
    let mut s = Scenario::new().open("T1").after(3600);
    let mut stream = Call::new(false);
    let _ = s.proceeds(&mut stream);
    let verdict = s.response(&mut stream, 401, &[]);
    assert_eq!(verdict, Verdict::Unauthorized(Unauthorized::NotReplayable));
    let mut s = s.open("T2");
    let mut next = s.sent();
    assert_eq!(s.response(&mut next, 201, &[]), Verdict::Deliver);
}

#[test]
fn a_call_may_learn_as_it_is_sent_whether_it_can_be_sent_twice() {
    for replayable in [false, true] {
        let mut s = Scenario::new().open("T1").after(3600);
        let mut call = Call::new(!replayable);
        call.set_replayable(replayable);
        let _ = s.proceeds(&mut call);
        assert_eq!(
            s.response(&mut call, 401, &[]) == Verdict::Replay,
            replayable
        );
    }
}

#[test]
fn t21_the_triggering_call_sees_the_answer_to_its_replay() {
    let mut s = Scenario::new();
    let mut server = forbids(&[]);
    assert_eq!(s.drive("/a", &mut server), Ok((200, None)));
    s.pass_time(3600);
    let _ = server(Sent::Login); // somebody else's login ends our token
    assert_eq!(s.drive("/a", &mut server), Ok((200, None)));
    assert_eq!(s.logins, 2);
}

#[test]
fn an_answer_to_a_call_that_was_never_admitted_says_nothing() {
    let mut s = Scenario::new().open("T1");
    assert_eq!(
        s.response(&mut call(), 401, &["authToken=X"]),
        Verdict::Deliver
    );
    assert_eq!(s.token().as_deref(), Some("T1"));
}

#[test]
fn t12_a_clearing_cookie_beside_a_401_ends_the_token_on_a_forbidden_route_too() {
    let clearing = ["authToken=; Max-Age=0"];
    let mut s = Scenario::new().open("T1").after(3600);
    let mut poll = s.sent();
    assert_eq!(
        s.answer_on(&mut poll, "/forbidden", 401, &clearing),
        Verdict::Replay
    );
    let order = s.order();
    let _ = s.login(order.ticket, 200, &[&cookie("T2")]);
    let _ = s.proceeds(&mut poll);
    let refused = Verdict::Unauthorized(Unauthorized::RouteRejected);
    assert_eq!(
        s.answer_on(&mut poll, "/forbidden", 401, &clearing),
        refused
    );
    // The route is marked, and yet the token is over: the server says so.
    assert_eq!(s.token(), None);
    let mut s = s.open("T3");
    let mut poll = s.sent();
    assert_eq!(s.answer_on(&mut poll, "/forbidden", 401, &[]), refused);
    assert_eq!(s.token().as_deref(), Some("T3"));
    let mut poll = s.sent();
    assert_eq!(
        s.answer_on(&mut poll, "/forbidden", 401, &clearing),
        refused
    );
    assert_eq!(s.token(), None);
}

#[test]
fn a_token_is_young_until_it_is_as_old_as_a_short_life() {
    for (age, verdict) in [(59, ROUTE_REFUSED), (60, Verdict::Replay)] {
        let mut s = Scenario::new();
        let mut waited = call();
        let Admit::Login(order) = s.admit(&mut waited) else {
            panic!("the first caller")
        };
        let _ = s.login(order.ticket, 200, &[&cookie("T1")]);
        let _ = s.proceeds(&mut waited);
        s.at(age);
        assert_eq!(s.response(&mut waited, 401, &[]), verdict, "{age} s");
    }
}

#[test]
fn t12_refused_routes_are_forgotten_with_what_they_are_about() {
    type Forget = fn(&mut Scenario);
    let forgets: [(&str, Forget, bool); 4] = [
        ("reset", |s| s.session.reset(), true),
        ("closed", |s| drop(s.session.close()), true),
        (
            "another user",
            |s| {
                s.session
                    .set_credentials(credentials("bob@example.com", PASSWORD));
            },
            true,
        ),
        (
            "another password",
            |s| {
                s.session.set_credentials(credentials(USER, "another"));
            },
            false,
        ),
    ];
    for (name, forget, forgotten) in forgets {
        let mut s = Scenario::new();
        assert_eq!(
            s.drive("/a", &mut forbids(&["/a"])),
            Ok((401, Some(Unauthorized::RouteRejected)))
        );
        assert!(s.session.needs_every_response());
        forget(&mut s);
        assert_eq!(s.session.needs_every_response(), !forgotten, "{name}");
    }
}
