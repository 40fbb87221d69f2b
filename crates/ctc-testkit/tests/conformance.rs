//! The conformance suite, put through itself: a good stack passes, and each bad one is found out
//! where it should be.

#[allow(clippy::unwrap_used, reason = "a stack for tests only")]
mod plain_stack;
#[allow(clippy::unwrap_used, reason = "a stack for tests only")]
mod smol_stack;

use std::thread;

use ctc_testkit::conformance::Suite;
use plain_stack::{PlainStack, Vice};

ctc_testkit::conformance_tests!(blocking, PlainStack(None));

/// The same stack for tasks, with another runtime than tokio.
mod on_smol {
    use super::smol_stack::SmolStack;

    ctc_testkit::conformance_tests!(async, SmolStack);
}

/// Each vice, and cases that must fail for it.
const FOUND_OUT: [(Vice, &[&str]); 20] = [
    (
        Vice::FollowsRedirects,
        &[
            "redirected_call_is_delivered_not_followed",
            "redirect_takes_nothing_to_another_origin",
            "redirected_login_is_a_failure",
            "logout_tells_how_it_went",
        ],
    ),
    (
        Vice::KeepsCookies,
        &[
            "second_login_carries_no_cookie",
            "call_carries_key_and_one_cookie",
        ],
    ),
    (
        Vice::SticksToFirstCookie,
        &["dead_token_is_renewed_unseen", "rotated_token_is_adopted"],
    ),
    (
        // A body that drips costs it nothing, as no login's body is read.
        Vice::LoginNeverTimesOut,
        &["hanging_login_is_bounded"],
    ),
    (Vice::TimesOutPerRead, &["dripping_login_is_bounded"]),
    (
        Vice::StatusIsError,
        &[
            "every_status_is_a_response",
            "refusals_come_with_headers_and_body",
        ],
    ),
    (Vice::EmptyBodyHasLength, &["get_has_no_body"]),
    (
        Vice::SendsLostRequestsAgain,
        &[
            "lost_login_answer_is_maybe_sent",
            "login_on_a_kept_connection_is_sent_once",
        ],
    ),
    (
        Vice::EveryErrorIsMaybeSent,
        &["unreachable_login_is_not_sent"],
    ),
    (
        Vice::EveryErrorIsNotSent,
        &[
            "lost_login_answer_is_maybe_sent",
            "lost_call_leaves_the_session_alone",
        ],
    ),
    (
        Vice::DecodesCookies,
        &[
            "token_is_carried_byte_for_byte",
            "call_carries_key_and_one_cookie",
        ],
    ),
    (
        Vice::ErrorsShowUrl,
        &[
            "errors_tell_no_secret",
            "errors_of_connecting_tell_no_secret",
        ],
    ),
    (Vice::ErrorsShowForm, &["errors_tell_no_secret"]),
    (
        Vice::OneCallAtATime,
        &[
            "herd_on_a_dead_token_logs_in_once",
            "late_401_costs_no_login",
        ],
    ),
    (
        Vice::ClosesOnDiscard,
        &["connections_are_kept_across_replays"],
    ),
    (Vice::SendsCookieTwice, &["call_carries_key_and_one_cookie"]),
    (
        Vice::TrustsAnyCertificate,
        &["unknown_certificate_is_not_trusted"],
    ),
    (Vice::ReplaysStreams, &["stream_is_not_replayed"]),
    (
        Vice::LosesResponseHeaders,
        &["refusals_come_with_headers_and_body"],
    ),
    (
        Vice::DropsRequestBodyOnReplay,
        &["body_is_sent_again_whole"],
    ),
];

#[test]
fn every_vice_is_found_out() {
    let missed = |vice: Vice, case: &str| {
        let report = Suite::blocking(PlainStack(Some(vice))).run_case(case);
        report
            .passed()
            .then(|| format!("{case} does not find out {vice:?}:\n{report}"))
    };
    let pairs = FOUND_OUT
        .iter()
        .flat_map(|(vice, cases)| cases.iter().map(|case| (*vice, *case)));
    let missed: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = pairs
            .map(|(vice, case)| scope.spawn(move || missed(vice, case)))
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn unknown_names_do_not_pass() {
    assert!(
        !Suite::blocking(PlainStack(None))
            .run_case("no_such_case")
            .passed()
    );
}
