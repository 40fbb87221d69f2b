//! Tests of the conformance suite: a correct stack passes, and each faulty one fails the expected
//! cases.

#[allow(clippy::unwrap_used, reason = "a stack for tests only")]
mod plain_stack;
#[allow(clippy::unwrap_used, reason = "a stack for tests only")]
mod smol_stack;

use std::{collections::HashSet, thread};

use ctc_testkit::conformance::{BlockingStack, BoxError, Payload, Suite};
use http::{HeaderMap, Method, Response};
use plain_stack::{Body, PlainRequest, PlainStack, PlainTransport, Vice};

ctc_testkit::conformance_tests!(blocking, PlainStack(None), strict);

/// The same stack as an async one, with another runtime than tokio.
mod on_smol {
    use super::smol_stack::SmolStack;

    ctc_testkit::conformance_tests!(async, SmolStack, strict);
}

/// Each vice, and the cases that must fail because of it.
const FOUND_OUT: [(Vice, &[&str]); 23] = [
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
        // A slow body does not matter here, because no login's body is read.
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
    (Vice::GetHasBody, &["get_has_no_body"]),
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
        Vice::LosesCookieLines,
        &["login_response_arrives", "set_cookie_lines_all_arrive"],
    ),
    (
        Vice::BuffersBodies,
        &["response_is_delivered_before_its_body"],
    ),
    (Vice::CallNeverTimesOut, &["call_ends_by_its_timeout"]),
    (
        Vice::DropsRequestBodyOnReplay,
        &["body_is_sent_again_whole"],
    ),
];

#[test]
fn every_vice_is_detected() {
    let missed = |vice: Vice, case: &str| {
        let report = Suite::blocking(PlainStack(Some(vice)))
            .strict()
            .run_case(case);
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

#[test]
fn a_failed_should_is_reported_and_fails_only_a_strict_suite() {
    let suite = || Suite::blocking(PlainStack(Some(Vice::ClosesOnDiscard)));
    let report = suite().run_case("connections_are_kept_across_replays");
    assert!(report.passed(), "{report}");
    assert_eq!(report.shortfalls().count(), 1);
    let text = report.to_string();
    assert!(
        text.contains("FAILED should connections_are_kept_across_replays"),
        "{text}"
    );
    let report = suite()
        .strict()
        .run_case("connections_are_kept_across_replays");
    assert!(!report.passed(), "{report}");
    assert_eq!(report.failures().count(), 1);
}

#[test]
fn a_failed_must_always_fails_the_suite() {
    let report = Suite::blocking(PlainStack(Some(Vice::GetHasBody))).run_case("get_has_no_body");
    assert!(!report.passed(), "{report}");
}

#[test]
fn a_content_length_of_zero_counts_as_no_body() {
    let stack = PlainStack(Some(Vice::EmptyBodyHasLength));
    let suite = Suite::blocking(stack).strict();
    for case in ["get_has_no_body", "empty_post_is_empty"] {
        suite.run_case(case).assert_passed();
    }
}

#[test]
fn the_first_rung_counts_the_cookie_lines_and_ends_the_suite_if_it_fails() {
    let report = Suite::blocking(PlainStack(Some(Vice::LosesCookieLines))).run();
    let text = report.to_string();
    assert_eq!(report.lines.len(), 1, "{text}");
    assert_eq!(report.not_tried, Suite::cases().len() - 1);
    let rungs: HashSet<_> = Suite::cases().iter().map(|case| case.rung).collect();
    let first = format!(
        "rung 1 of {}, a login's response: 0 of 1 passed",
        rungs.len()
    );
    for part in [
        first.as_str(),
        "your stack gave 1 of 3 `Set-Cookie` lines",
        "next: login_response_arrives: return all headers of the response",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

/// If the author states what the stack cannot do, the case is skipped. If not, it fails and says
/// how to skip it.
#[test]
fn a_case_runs_only_if_its_stack_claims_what_it_needs() {
    let cases = [
        (
            Vice::BuffersBodies,
            "streams",
            "response_is_delivered_before_its_body",
        ),
        (
            Vice::OneCallAtATime,
            "sends_in_parallel",
            "late_401_costs_no_login",
        ),
        (
            Vice::ClosesOnDiscard,
            "keeps_connections",
            "connections_are_kept_across_replays",
        ),
    ];
    for (vice, capability, case) in cases {
        let claimed = Suite::blocking(PlainStack(Some(vice))).run_case(case);
        let text = claimed.to_string();
        let named = format!("let `{capability}` of the stack be false");
        assert!(text.contains(&named), "{named} is not in\n{text}");

        let unclaimed = Suite::blocking(Without(vice, capability))
            .strict()
            .run_case(case);
        let text = unclaimed.to_string();
        assert!(
            unclaimed.passed() && unclaimed.skipped().count() == 1,
            "{text}"
        );
        let named = format!("the stack does not claim `{capability}`");
        assert!(text.contains(&named), "{named} is not in\n{text}");
    }
}

/// A stack whose author states its vice.
struct Without(Vice, &'static str);

impl BlockingStack for Without {
    type Transport = PlainTransport;

    fn transport(&self) -> PlainTransport {
        PlainStack(Some(self.0)).transport()
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<PlainRequest> {
        PlainStack(Some(self.0)).request(method, url, headers, payload)
    }

    fn read(&self, response: Response<Body>) -> Result<Vec<u8>, BoxError> {
        PlainStack(None).read(response)
    }

    fn keeps_connections(&self) -> bool {
        self.1 != "keeps_connections"
    }

    fn streams(&self) -> bool {
        self.1 != "streams"
    }

    fn sends_in_parallel(&self) -> bool {
        self.1 != "sends_in_parallel"
    }
}
