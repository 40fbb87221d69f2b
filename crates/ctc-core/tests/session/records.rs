//! What a store keeps: sessions that outlive their process.

use ctc_core::{
    Admit, Denial, Endpoint, LoginOutcome, LoginTicket, NoResponse, Phase, Resumed, SendFailure,
    SessionRecord, Settings, Verdict,
};
use serde_json::json;

use crate::scenario::{
    KEY, PASSWORD, Scenario, USER, call, cookie, credentials, field, opened, sealed, status,
    through_json, with_field,
};

impl Scenario {
    /// The elected caller of an empty session offers a record before it logs in.
    pub(crate) fn offer(&mut self, record: &SessionRecord) -> Resumed {
        let ticket = self.order().ticket;
        self.offer_with(ticket, record)
    }

    pub(crate) fn offer_with(&mut self, ticket: LoginTicket, record: &SessionRecord) -> Resumed {
        self.resumes(ticket, record)
    }
}

#[test]
fn a_record_comes_back_from_a_store_as_it_was() {
    let states = [
        Scenario::new(),
        Scenario::new().open("abc%3D%3D"),
        Scenario::new().cooling(),
        Scenario::new().rejected(403),
        Scenario::new().spent(),
        Scenario::new().open("T1").closed(),
    ];
    for s in states {
        let record = sealed(&s.session.record(s.now(), s.wall()));
        assert_eq!(through_json(&record), record);
        assert_eq!(record.key(), s.session.record_key());
    }
}

#[test]
fn t32_t34_one_process_per_command_logs_in_once() {
    let mut record = Scenario::new().open("T1").record();
    let mut logins = 0;
    for run in 0..50 {
        let mut s = Scenario::new();
        s.at(run);
        match s.offer(&record) {
            Resumed::Adopted(_) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(s.token().as_deref(), Some("T1"));
        let mut sent = s.sent();
        logins += u32::from(s.response(&mut sent, 200, &[]) != Verdict::Deliver);
        record = s.record();
    }
    assert_eq!(logins, 0);
}

#[test]
fn t32_a_program_started_every_minute_with_a_wrong_password_logs_in_once() {
    let mut logins = 0;
    let mut record: Option<SessionRecord> = None;
    for minute in 0..60 {
        let mut s = Scenario::new();
        s.at(minute * 60);
        let ticket = s.order().ticket;
        let resumed = match &record {
            Some(record) => s.offer_with(ticket, record),
            None => Resumed::Continue(ticket),
        };
        match resumed {
            Resumed::Continue(ticket) => {
                logins += 1;
                let _ = s.login(ticket, 401, &[]);
            }
            Resumed::Denied(denial) => assert_eq!(denial, Denial::rejected(status(401))),
            other => panic!("{other:?}"),
        }
        assert_eq!(s.denied(), Denial::rejected(status(401)));
        record = Some(s.record());
    }
    assert_eq!(logins, 1);
}

#[test]
fn a_rejection_counts_only_for_the_credentials_that_were_rejected() {
    let record = Scenario::new().rejected(401).record();
    let process =
        |password: &str| Scenario::of(Endpoint::us(), KEY, USER, password, Settings::default());
    assert!(matches!(
        process(PASSWORD).offer(&record),
        Resumed::Denied(Denial::Rejected { .. })
    ));
    assert!(matches!(
        process("the new one!").offer(&record),
        Resumed::Continue(_)
    ));
    // New credentials in the same process.
    let mut s = Scenario::new().rejected(401);
    let record = s.record();
    s.session.set_credentials(credentials(USER, "the new one!"));
    assert!(matches!(s.offer(&record), Resumed::Continue(_)));
}

/// The credentials may have changed after a record was opened with the old ones.
#[test]
fn guarantee_11_what_a_record_says_to_other_credentials_counts_for_nothing() {
    let process =
        |password: &str| Scenario::of(Endpoint::us(), KEY, USER, password, Settings::default());
    let theirs = process("another");
    let seed = theirs.session.seal_seed();
    let record = opened(&theirs.open("T1").record(), &seed);
    assert!(record.has_token());
    let mut s = process(PASSWORD);
    let ticket = s.order().ticket;
    let (now, wall) = (s.now(), s.wall());
    let resumed = s.session.login_resumed(ticket, &record, now, wall);
    assert!(matches!(resumed, Resumed::Continue(_)), "{resumed:?}");
    let Resumed::Continue(ticket) = resumed else {
        return;
    };
    let overtaken = s.session.login_overtaken(ticket, &record, now, wall);
    assert!(matches!(overtaken, Resumed::Continue(_)), "{overtaken:?}");
    assert_eq!(s.token(), None);

    let record = opened(&process("another").rejected(401).record(), &seed);
    let mut s = process(PASSWORD);
    s.session.merge_history(&record, now, wall);
    assert_eq!(s.phase(), Phase::Empty);
}

#[test]
fn a_reset_outweighs_the_rejection_in_the_record_once() {
    let mut s = Scenario::new().rejected(401);
    let record = s.record();
    s.session.reset();
    let Resumed::Continue(ticket) = s.offer(&record) else {
        panic!("it was reset")
    };
    let _ = s.login(ticket, 401, &[]);
    assert!(matches!(s.denied(), Denial::Rejected { .. }));
    let mut next = s.restarted();
    assert!(matches!(
        next.offer(&s.record()),
        Resumed::Denied(Denial::Rejected { .. })
    ));
}

#[test]
fn a_reset_outweighs_the_records_rejection_until_a_login_was_made_whatever_was_adopted() {
    let mut other = Scenario::new().open("T1").after(3600);
    let renewal = other.renewal();
    let _ = other.login(renewal, 401, &[]);
    let both = other.record();
    let mut s = Scenario::new().rejected(401);
    s.session.reset();
    assert!(matches!(s.offer(&both), Resumed::Adopted(_)));
    s.pass_time(3600);
    let mut sent = s.sent();
    assert_eq!(s.response(&mut sent, 401, &[]), Verdict::Replay);
    assert!(matches!(s.offer(&both), Resumed::Continue(_)));
}

#[test]
fn a_reset_does_not_outweigh_a_rejection_that_came_after_a_login() {
    let rejected = Scenario::new().after(3000).rejected(401).record();
    let mut s = Scenario::new();
    s.session.reset();
    let mut s = s.open("T1").after(3600);
    let mut sent = s.sent();
    assert_eq!(s.response(&mut sent, 401, &[]), Verdict::Replay);
    assert!(matches!(
        s.offer(&rejected),
        Resumed::Denied(Denial::Rejected { .. })
    ));
}

#[test]
fn a_tokens_times_count_from_when_the_login_was_sent() {
    let mut s = Scenario::new();
    s.at(100);
    let sent_at = field(&s.record(), "saved_at").as_u64().unwrap();
    let ticket = s.order().ticket;
    s.at(120);
    let _ = s.login(ticket, 200, &["authToken=T1; Max-Age=60"]);
    s.at(500);
    let record = s.record();
    assert_eq!(field(&record, "obtained_at"), json!(sent_at));
    assert_eq!(field(&record, "expires_at"), json!(sent_at + 60_000));
    assert_eq!(field(&record, "saved_at"), json!(sent_at + 400_000));
}

#[test]
fn a_pause_and_the_debt_are_carried_over() {
    let s = Scenario::new().cooling();
    let mut other = s.restarted();
    let Resumed::Denied(denial) = other.offer(&s.record()) else {
        panic!("it is pausing")
    };
    let Denial::BackingOff { until, .. } = denial else {
        panic!("{denial:?}")
    };
    let expected = s.next_deadline().unwrap();
    let apart = until.max(expected) - until.min(expected);
    assert!(apart.as_millis() <= 1, "a record counts in milliseconds");
    assert_eq!(other.denied(), denial);

    let s = Scenario::new().spent();
    let record = s.record().without_token();
    let mut other = s.restarted();
    let Resumed::Denied(Denial::BudgetSpent { until, .. }) = other.offer(&record) else {
        panic!("spent")
    };
    assert_eq!(until, s.moment(120));
    other.at(120);
    let Resumed::Continue(ticket) = other.offer(&record) else {
        panic!("one refill later")
    };
    assert!(matches!(
        other.login(ticket, 200, &[&cookie("T9")]),
        LoginOutcome::Opened(_)
    ));
}

#[test]
fn guarantee_2_restarts_do_not_add_to_the_budget() {
    let mut logins = 0;
    let mut record = Scenario::new().record();
    for second in 0..3600 {
        let mut s = Scenario::new();
        s.at(second);
        if let Resumed::Continue(ticket) = s.offer(&record) {
            logins += 1;
            let answered = s.login(ticket, 200, &[&cookie(&format!("T{second}"))]);
            assert!(matches!(answered, LoginOutcome::Opened(_)));
        }
        record = s.record().without_token(); // whatever was won is lost again
        let allowed = 3 + second / 120;
        assert!(logins <= allowed, "{logins} logins by second {second}");
    }
    assert!(logins >= 30, "{logins}");
}

#[test]
fn an_offer_that_is_adopted_or_denied_is_not_counted_as_a_login() {
    let mut s = Scenario::new();
    let record = Scenario::new().open("T1").record();
    // The record's own login is counted, the adoptions are not: two are left.
    for (generation, name) in ["A", "B", "C", "D", "E"].into_iter().enumerate() {
        let ticket = s.renewal();
        let record = with_field(&record, "token", json!(name));
        let record = with_field(&record, "generation", json!(generation + 2));
        assert!(
            matches!(s.offer_with(ticket, &record), Resumed::Adopted(_)),
            "{name}"
        );
    }
    for _ in 0..2 {
        let ticket = s.renewal();
        s.session.abandon(ticket);
    }
    let now = s.now();
    assert!(matches!(
        s.session.renew(now),
        Admit::Deny(Denial::BudgetSpent { .. })
    ));
}

#[test]
fn t10_a_record_of_another_origin_account_key_or_format_is_never_used() {
    let record = Scenario::new().open("T1").record();
    let default = Settings::default;
    let others = [
        Scenario::of(Endpoint::eu(), KEY, USER, PASSWORD, default()),
        Scenario::of(Endpoint::us(), "app-key-2", USER, PASSWORD, default()),
        Scenario::of(Endpoint::us(), KEY, "bob@example.com", PASSWORD, default()),
        Scenario::of(
            Endpoint::new("https://connect.calamp.com:8443").unwrap(),
            KEY,
            USER,
            PASSWORD,
            default(),
        ),
    ];
    for mut other in others {
        assert_ne!(other.session.record_key(), record.key());
        assert!(matches!(other.offer(&record), Resumed::Continue(_)));
        assert_eq!((other.token(), other.phase()), (None, Phase::LoggingIn));
    }
    for format in [0, 1, 3, u32::MAX] {
        let other_format = with_field(&record, "format", json!(format));
        assert!(matches!(
            Scenario::new().offer(&other_format),
            Resumed::Continue(_)
        ));
    }
    // Not even its rejection, its pause or its debt.
    let rejected = with_field(
        &Scenario::new().rejected(401).record(),
        "origin",
        json!("https://x.example"),
    );
    assert!(matches!(
        Scenario::new().offer(&rejected),
        Resumed::Continue(_)
    ));
    let spent = with_field(&Scenario::new().spent().record(), "account", json!("00"));
    assert!(matches!(
        Scenario::new().offer(&spent),
        Resumed::Continue(_)
    ));
}

#[test]
fn t10_an_overtaking_record_of_another_account_is_not_used_either() {
    let record = with_field(&Scenario::new().open("T1").record(), "account", json!("00"));
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    assert!(matches!(s.overtaken(ticket, &record), Resumed::Continue(_)));
    assert_eq!(s.token(), None);
}

#[test]
fn a_rejected_token_is_not_adopted_from_a_record() {
    let mut s = Scenario::new().open("T1").after(3600);
    let record = s.record();
    let mut sent = s.sent();
    let _ = s.response(&mut sent, 401, &[]);
    let Resumed::Continue(ticket) = s.offer(&record) else {
        panic!("that one was refused")
    };
    let _ = s.login(ticket, 200, &[&cookie("T2")]);
    assert_eq!(s.token().as_deref(), Some("T2"));
}

#[test]
fn t65_a_newer_token_of_another_process_is_adopted_without_a_login() {
    let mut first = Scenario::new().open("T1").after(3600);
    let mut second = first.restarted();
    assert!(matches!(second.offer(&first.record()), Resumed::Adopted(_)));
    let (mut one, mut two) = (first.sent(), second.sent());
    assert_eq!(first.response(&mut one, 401, &[]), Verdict::Replay);
    assert_eq!(second.response(&mut two, 401, &[]), Verdict::Replay);
    let first = first.open("T2");
    let epoch = second.session.epoch();
    let Resumed::Adopted(generation) = second.offer(&first.record()) else {
        panic!("T2 is newer")
    };
    assert_ne!(second.session.epoch(), epoch);
    assert!(generation >= first.session.pass().unwrap().generation());
    assert_eq!(second.token().as_deref(), Some("T2"));
}

#[test]
fn t66_a_login_refused_because_another_process_was_faster_takes_the_winners_token() {
    let winner = Scenario::new().open("WINNER");
    let mut loser = winner.restarted();
    let ticket = loser.order().ticket;
    // The server said 401: the store is read again before that is reported.
    let resumed = loser.overtaken(ticket, &winner.record());
    assert!(matches!(resumed, Resumed::Adopted(_)));
    assert_eq!(loser.token().as_deref(), Some("WINNER"));
    let mut sent = loser.sent();
    assert_eq!(loser.response(&mut sent, 200, &[]), Verdict::Deliver);
}

#[test]
fn t66_without_a_winner_the_refusal_is_reported_as_it_was() {
    let empty = Scenario::new().record();
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    let Resumed::Continue(ticket) = s.overtaken(ticket, &empty) else {
        panic!("nothing to adopt");
    };
    assert!(matches!(
        s.login(ticket, 401, &[]),
        LoginOutcome::Failed(Denial::Rejected { .. })
    ));
}

#[test]
fn guarantee_1_t68_an_offer_past_the_lease_changes_nothing() {
    let record = Scenario::new().open("T1").record();
    let mut s = Scenario::new();
    let (early, late) = (s.order().ticket, 60);
    s.at(late);
    assert!(matches!(s.offer_with(early, &record), Resumed::Stale));
    // A login that was sent: once another caller is elected it changes nothing either.
    let ticket = s.order().ticket;
    s.at(2 * late);
    let _another = s.order();
    assert!(matches!(s.overtaken(ticket, &record), Resumed::Stale));
    assert_eq!(s.token(), None);
}

#[test]
fn a_late_report_still_finds_what_another_process_saved() {
    let record = Scenario::new().open("T1").record();
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    s.at(60);
    assert!(matches!(s.overtaken(ticket, &record), Resumed::Adopted(_)));
    assert_eq!(s.token().as_deref(), Some("T1"));
}

#[test]
fn t35_a_reset_is_in_force_until_the_server_has_spoken() {
    let rejected = Scenario::new().rejected(401).record();
    type End = fn(&mut Scenario, LoginTicket);
    let ends: [(&str, End, u64); 7] = [
        (
            "store busy",
            |s, ticket| {
                let now = s.now();
                drop(s.session.login_failed(ticket, NoResponse::StoreBusy, now));
            },
            5,
        ),
        (
            "not sent",
            |s, ticket| drop(s.fails(ticket, SendFailure::NotSent)),
            5,
        ),
        (
            "cancelled",
            |s, ticket| {
                let now = s.now();
                s.session.cancel_unsent(ticket, now);
            },
            0,
        ),
        ("abandoned", |s, ticket| s.session.abandon(ticket), 0),
        (
            "panicked",
            |s, ticket| {
                let now = s.now();
                let why = NoResponse::Panicked(SendFailure::NotSent);
                drop(s.session.login_failed(ticket, why, now));
            },
            5,
        ),
        (
            "no answer",
            |s, ticket| drop(s.fails(ticket, SendFailure::MaybeSent)),
            5,
        ),
        ("trouble", |s, ticket| drop(s.login(ticket, 503, &[])), 5),
    ];
    for (name, end, pause) in ends {
        let mut s = Scenario::new();
        assert!(matches!(s.offer(&rejected), Resumed::Denied(_)), "{name}");
        s.session.reset();
        let Resumed::Continue(ticket) = s.offer(&rejected) else {
            panic!("{name}: a reset overrides the record")
        };
        end(&mut s, ticket);
        s.pass_time(pause);
        let Resumed::Continue(ticket) = s.offer(&rejected) else {
            panic!("{name}: the reset was used up by a login that had no answer")
        };
        // The server says it again: now it holds, and so does the record.
        assert!(matches!(
            s.login(ticket, 401, &[]),
            LoginOutcome::Failed(Denial::Rejected { .. })
        ));
        let mut other = s.restarted();
        assert!(matches!(other.offer(&s.record()), Resumed::Denied(_)));
    }
}

#[test]
fn what_was_done_here_counts_for_more_than_an_older_record() {
    let died = |s: &mut Scenario| {
        s.pass_time(3600);
        let mut sent = s.sent();
        assert_eq!(s.response(&mut sent, 401, &[]), Verdict::Replay);
    };
    // The number of a record's token says nothing: without its store a session counts for itself.
    for generation in [0, 41] {
        // The store was away while this session logged in, and now it is back.
        for older in [Scenario::new().rejected(401), Scenario::new().cooling()] {
            let record = with_field(&older.record(), "generation", json!(generation));
            let mut s = Scenario::new().after(2).open("T1");
            died(&mut s);
            let offered = s.offer(&record);
            assert!(matches!(offered, Resumed::Continue(_)), "{offered:?}");
        }
        // One that is newer than the login counts.
        let newer = Scenario::new().after(3000).rejected(401);
        let record = with_field(&newer.record(), "generation", json!(generation));
        let mut s = Scenario::new().open("T1");
        died(&mut s);
        assert!(matches!(s.offer(&record), Resumed::Denied(_)));
    }
    // A reset, a login without the store, and the record of before.
    let mut s = Scenario::new().rejected(401);
    let record = s.record();
    s.pass_time(1);
    s.session.reset();
    let mut s = s.open("T1");
    died(&mut s);
    assert!(matches!(s.offer(&record), Resumed::Continue(_)));
    // What another password brought says nothing of this one.
    let mut s = Scenario::new().after(2).open("T1");
    s.session.set_credentials(credentials(USER, "another"));
    s.session.set_credentials(credentials(USER, PASSWORD));
    died(&mut s);
    assert!(matches!(s.offer(&record), Resumed::Denied(_)));
}

#[test]
fn generations_go_on_from_the_records() {
    let record = with_field(
        &Scenario::new().open("T1").record(),
        "generation",
        json!(41),
    );
    let mut s = Scenario::new();
    let Resumed::Adopted(generation) = s.offer(&record) else {
        panic!("a good token")
    };
    assert_eq!(generation.number(), 41);
    let ticket = s.renewal();
    let LoginOutcome::Opened(generation) = s.login(ticket, 200, &[&cookie("T2")]) else {
        panic!("200")
    };
    assert_eq!(generation.number(), 42);
    assert_eq!(s.record().generation(), generation);
}

#[test]
fn a_record_without_its_token_still_holds_the_history() {
    let record = Scenario::new().rejected(401).record().without_token();
    assert!(!record.has_token());
    assert!(matches!(Scenario::new().offer(&record), Resumed::Denied(_)));
    let s = Scenario::new().open("T1");
    let with = s.session.record(s.now(), s.wall());
    assert!(with.has_token() && with.same_token(&with));
    let without = with.clone().without_token();
    assert!(!without.has_token() && !without.same_token(&without) && !without.same_token(&with));
}

/// The number decides, then the time; what is not known decides nothing.
#[test]
fn the_younger_of_two_tokens_is_known() {
    let record = |token, number: u64, obtained: Option<u64>| {
        let record = with_field(
            &Scenario::new().open(token).record(),
            "generation",
            json!(number),
        );
        with_field(&record, "obtained_at", json!(obtained))
    };
    let kept = record("T1", 7, Some(1_000));
    let none = record("T2", 7, Some(2_000)).without_token();
    for (saved, stays) in [
        (record("T2", 7, Some(999)), true),
        (record("T2", 7, Some(1_000)), false),
        (record("T2", 7, Some(1_001)), false),
        (record("T2", 7, None), false),
        (record("T2", 6, Some(9_000)), true),
        (record("T2", 8, Some(1)), false),
        // A store cannot tell that it is the same: its writer has seen the record, and counts on.
        (record("T1", 6, Some(1)), true),
        (with_field(&none, "generation", json!(6)), true),
        (none.clone(), false),
    ] {
        assert_eq!(kept.has_younger_token_than(&saved), stays, "{saved:?}");
        assert!(!kept.clone().without_token().has_younger_token_than(&saved));
    }
    // Each password has a token of its own: only the same password's counts.
    let theirs = |token, number| {
        let settings = Settings::default();
        let other = Scenario::of(Endpoint::us(), KEY, USER, "another", settings).open(token);
        with_field(&other.record(), "generation", json!(number))
    };
    assert!(!kept.has_younger_token_than(&theirs("T9", 7)));
    assert!(
        kept.has_younger_token_than(&theirs("T9", 6)),
        "it would be dropped"
    );
    // Theirs is newer, and stands first; ours beside it is what counts.
    let beside = |number: u64| {
        let ours = json!(record("T2", number, Some(1)));
        let mut both = json!(theirs("T9", 9));
        both["tokens"]
            .as_array_mut()
            .unwrap()
            .push(ours["tokens"][0].clone());
        serde_json::from_value::<SessionRecord>(both).unwrap()
    };
    assert!(kept.has_younger_token_than(&beside(6)) && !kept.has_younger_token_than(&beside(8)));
    // Nobody counts so far: it was planted, and must not keep out every record to come.
    let planted = record("T1", u64::MAX, Some(1_000));
    let mut s = Scenario::new();
    assert!(matches!(s.offer(&planted), Resumed::Adopted(_)));
    assert!(!planted.has_younger_token_than(&s.record().without_token()));
    // Not even by its time.
    let planted = record("T1", u64::MAX, Some(u64::MAX));
    let mut s = Scenario::new();
    assert!(matches!(s.offer(&planted), Resumed::Adopted(_)));
    let ticket = s.renewal();
    let _ = s.login(ticket, 200, &[&cookie("T2")]);
    assert!(!planted.has_younger_token_than(&s.record()));
}

#[test]
fn what_a_401_was_promised_holds_when_the_store_is_asked_first() {
    let empty = Scenario::new().record();
    let mut s = Scenario::new();
    for (number, token) in ["T1", "T2", "T3"].into_iter().enumerate() {
        // Each token dies young, which makes the login after the next dearer, and this one not.
        let Resumed::Continue(ticket) = s.offer(&empty) else {
            panic!("login {number} was permitted")
        };
        let _ = s.login(ticket, 200, &[&cookie(token)]);
        let mut sent = s.sent();
        let verdict = s.response(&mut sent, 401, &[]);
        assert_eq!(verdict == Verdict::Replay, number < 2, "login {number}");
    }
    assert_eq!(s.token().as_deref(), Some("T3"));
}

#[test]
fn a_record_that_is_older_than_the_token_held_is_not_adopted() {
    let old = Scenario::new().open("OLD").record();
    let mut s = Scenario::new().open("T1");
    let ticket = s.renewal();
    let _ = s.login(ticket, 200, &[&cookie("NEW")]);
    let ticket = s.renewal();
    assert!(matches!(s.offer_with(ticket, &old), Resumed::Continue(_)));
    assert_eq!(s.token().as_deref(), Some("NEW"));
}

#[test]
fn t68_a_login_gets_a_higher_generation_than_the_record_it_did_not_adopt() {
    let record = Scenario::new().open("T1").record();
    let record = with_field(
        &with_field(&record, "generation", json!(41)),
        "token",
        json!(null),
    );
    let mut s = Scenario::new();
    let ticket = s.order().ticket;
    let Resumed::Continue(ticket) = s.offer_with(ticket, &record) else {
        panic!("no token to adopt")
    };
    let _ = s.login(ticket, 200, &[&cookie("T2")]);
    assert_eq!(s.record().generation().number(), 42);
}

#[test]
fn a_young_token_from_a_store_that_is_over_already_is_renewed_at_once() {
    let record = Scenario::new().open("T1").record();
    let mut s = Scenario::new();
    let mut call = call();
    let Admit::Login(order) = s.admit(&mut call) else {
        panic!("the first caller is elected")
    };
    assert!(matches!(
        s.offer_with(order.ticket, &record),
        Resumed::Adopted(_)
    ));
    let _ = s.proceeds(&mut call);
    assert_eq!(s.response(&mut call, 401, &[]), Verdict::Replay);
    let _ = s.order();
}
