//! The cases, one function each. Each case has its own servers and clients.

mod cancelled;
mod contact;
mod herds;
mod login;
mod logout;
mod oauth;
mod redirects;
mod renewal;
mod requests;
mod responses;
mod secrets;
mod sources;
mod trouble;

use super::{
    capability::Capability,
    case::{Case, Level},
    failure::Checked,
    stage::Stage,
};

// Each rung is a module. After the failure cases that a case covers come `Should`, if not every
// stack must pass it, and in brackets what it needs.
macro_rules! cases {
    ($($rung:ident {
        $($name:ident $covers:literal $($level:ident)? $([$($needs:ident)*])?,)*
    })*) => {
        /// All cases, in the order of the ladder.
        pub(super) const CASES: &[Case] = &[$($(
            Case {
                name: stringify!($name),
                covers: $covers,
                rung: stringify!($rung),
                level: level!($($level)?),
                needs: &[$($(Capability::$needs),*)?],
                run: $rung::$name as fn(&Stage<'_>) -> Checked,
            },
        )*)*];
    };
}

macro_rules! level {
    () => {
        Level::Must
    };
    ($level:ident) => {
        Level::$level
    };
}

// The test macro repeats these names; a test of this crate compares the two lists.
cases! {
    contact {
        login_response_arrives "",
    }
    login {
        login_is_the_vendors "T39",
        second_login_carries_no_cookie "T43",
        any_password_arrives "T42",
        password_and_key_are_never_in_a_url "T81",
        an_html_page_is_not_a_login "T26",
        large_login_answer_is_taken "",
        absurd_login_answer_does_no_harm "",
        accounts_never_mix "T10",
    }
    requests {
        token_is_carried_byte_for_byte "T37 T39",
        quoted_token_keeps_its_quotes "T37",
        call_carries_key_and_one_cookie "T43",
        callers_headers_are_kept "T14 T16",
        foreign_host_header_does_not_arrive "T46",
        url_arrives_as_it_was "",
        get_has_no_body "",
        post_has_its_length "",
        empty_post_is_empty "",
        stream_arrives_whole "",
        every_method_arrives "",
        other_origin_is_refused "T46",
    }
    responses {
        every_status_is_a_response "T13",
        refusals_come_with_headers_and_body "T13",
        set_cookie_lines_all_arrive "T43",
        large_body_arrives_whole "",
        response_is_delivered_before_its_body "T60" [Streams],
        slow_download_blocks_no_caller "T60" [SendsInParallel],
        broken_body_is_told "",
        connections_are_kept "" Should [KeepsConnections],
        connections_are_kept_across_replays "" Should [KeepsConnections],
    }
    redirects {
        redirected_call_is_delivered_not_followed "T44",
        redirect_takes_nothing_to_another_origin "T45",
        redirected_login_is_a_failure "T22 T45",
    }
    renewal {
        dead_token_is_renewed_unseen "T14 T21",
        body_is_sent_again_whole "T18",
        post_is_not_replayed_unless_allowed "T19",
        stream_is_not_replayed "T18",
        endless_401_ends "T11 T12",
        delivered_401_says_why "T11 T18",
        late_401_costs_no_login "T03" [SendsInParallel],
        rotated_token_is_adopted "",
        late_rotation_is_ignored "T48",
        clearing_cookie_ends_the_token "T40",
    }
    herds {
        cold_herd_logs_in_once "T01 T09 T59",
        herd_on_a_dead_token_logs_in_once "T02 T07" [SendsInParallel],
        refused_herd_logs_in_once "T23 T24",
        herd_whose_renewal_is_refused_is_told "T24 T25" [SendsInParallel],
    }
    trouble {
        throttled_login_waits_as_asked "T28 T30",
        unavailable_login_is_typed "T27",
        hanging_login_is_bounded "T56",
        dripping_login_is_bounded "T56",
        login_needs_no_body "T56" Should,
        slow_login_is_waited_for "T59",
        lost_login_answer_is_maybe_sent "T27",
        login_on_a_kept_connection_is_sent_once "T27",
        unreachable_login_is_not_sent "T27" Should,
        lost_call_leaves_the_session_alone "T27",
        call_ends_by_its_timeout "" Should,
    }
    logout {
        logout_is_as_assumed "",
        closed_session_sends_nothing "T52",
        logout_tells_how_it_went "T52",
        unreachable_logout_closes_all_the_same "T52",
        logout_with_calls_under_way_causes_no_login "T51" [SendsInParallel],
        a_login_response_after_logout_opens_nothing "T49",
    }
    oauth {
        oauth_login_reaches_the_token_endpoint_alone "T42 T81",
        oauth_session_ignores_the_cookie "",
        oauth_redirected_login_is_a_failure "T22 T45",
        oauth_login_whose_body_does_not_end_is_bounded "T56",
        oauth_refused_herd_logs_in_once "T23 T24",
        an_oauth_rejection_is_not_a_401_of_the_api "T23",
        oauth_rate_limit_ends_by_the_servers_clock "T28",
        oauth_dead_token_is_renewed_unseen "T14 T21",
        oauth_insufficient_scope_causes_no_login "T11",
        oauth_calls_at_the_known_end_log_in_once "T02",
    }
    sources {
        source_is_asked_once_a_login "T01",
        herd_on_a_changed_password_logs_in_twice "T02",
        same_password_after_a_refusal_ends_it "T23 T24",
        failing_source_sends_nothing "",
        silent_source_is_bounded "T56",
    }
    secrets {
        errors_tell_no_secret "T78 T79",
        errors_of_connecting_tell_no_secret "T79",
        tls_carries_the_same "",
        unknown_certificate_is_not_trusted "T27",
        plain_server_gets_nothing_over_https "T45",
    }
    cancelled {
        a_cancelled_elected_caller_costs_no_login "T54" [Cancels],
        cancelling_all_wedges_nothing "T54" [Cancels],
        cancelled_call_wedges_nothing "T54" [Cancels],
    }
}

/// Helpers of the cases.
mod prelude {
    pub(super) use std::time::Duration;

    pub(super) use ctc_driver::{
        Denied,
        ctc_core::{Denial, LoginFailure, SendFailure, Unauthorized},
    };

    pub(super) use crate::conformance::{
        client::{Call, Why},
        failure::{Checked, equal, fail, that},
        stack::Certificate,
        stage::{DEVICES, ECHO, NOTES, Scene, Setup, Stage, answered, denied},
    };
    pub(super) use crate::{Class, Fault, Matcher, Point, Rule, Server};

    /// Longer than any backoff.
    pub(super) const HOUR: Duration = Duration::from_secs(3600);

    /// Returns why the last login failed.
    #[track_caller]
    pub(super) fn cause(denied: &Denied) -> Checked<LoginFailure> {
        match denied.denial() {
            Denial::BackingOff { cause, .. } => Ok(cause.clone()),
            other => fail("the denial", "BackingOff".into(), format!("{other:?}")),
        }
    }

    pub(super) fn certificate(server: &Server) -> Option<Certificate<'_>> {
        let (pem, der) = server.certificate_pem().zip(server.certificate_der())?;
        Some(Certificate { pem, der })
    }

    /// Returns a URL at which nothing listens, and a guard that keeps it so: its port is the local
    /// end of a connection.
    pub(super) fn nobody_there(stage: &Stage<'_>) -> Checked<(String, std::net::TcpStream)> {
        let server = stage.server(Server::builder())?;
        let taken = std::net::TcpStream::connect(server.address())
            .and_then(|stream| Ok((stream.local_addr()?.port(), stream)));
        match taken {
            Ok((port, stream)) => Ok((format!("http://127.0.0.1:{port}"), stream)),
            Err(error) => fail("a port", "to be found".into(), error.to_string()),
        }
    }
}
