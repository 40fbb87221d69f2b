//! The macro that makes a test of each case.

/// Makes one `#[test]` of each case of the [conformance suite](crate::conformance):
/// `conformance_tests!(async, stack)` for an [`AsyncStack`](crate::conformance::AsyncStack),
/// `conformance_tests!(blocking, stack)` for a
/// [`BlockingStack`](crate::conformance::BlockingStack). With a third word,
/// `conformance_tests!(async, stack, strict)`, a *should* that fails fails its test
/// ([`Suite::strict`](crate::conformance::Suite::strict)). `stack` is an expression, which each
/// test evaluates. No async test attribute is needed: the suite has its own runtime.
#[macro_export]
macro_rules! conformance_tests {
    (async, $stack:expr $(, $strict:ident)?) => {
        $crate::__conformance_tests!(
            $crate::conformance::Suite::asynchronous($stack)$(.$strict())?
        );
    };
    (blocking, $stack:expr $(, $strict:ident)?) => {
        $crate::__conformance_tests!(
            $crate::conformance::Suite::blocking($stack)$(.$strict())?
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($suite:expr) => {
        $crate::__conformance_test! { $suite,
            login_response_arrives
            login_is_the_vendors
            second_login_carries_no_cookie
            any_password_arrives
            password_and_key_are_never_in_a_url
            an_html_page_is_not_a_login
            large_login_answer_is_taken
            absurd_login_answer_does_no_harm
            accounts_never_mix
            token_is_carried_byte_for_byte
            quoted_token_keeps_its_quotes
            call_carries_key_and_one_cookie
            callers_headers_are_kept
            foreign_host_header_does_not_arrive
            url_arrives_as_it_was
            get_has_no_body
            post_has_its_length
            empty_post_is_empty
            stream_arrives_whole
            every_method_arrives
            other_origin_is_refused
            every_status_is_a_response
            refusals_come_with_headers_and_body
            set_cookie_lines_all_arrive
            large_body_arrives_whole
            response_is_delivered_before_its_body
            slow_download_blocks_no_caller
            broken_body_is_told
            connections_are_kept
            connections_are_kept_across_replays
            redirected_call_is_delivered_not_followed
            redirect_takes_nothing_to_another_origin
            redirected_login_is_a_failure
            dead_token_is_renewed_unseen
            body_is_sent_again_whole
            post_is_not_replayed_unless_allowed
            stream_is_not_replayed
            endless_401_ends
            delivered_401_says_why
            late_401_costs_no_login
            rotated_token_is_adopted
            late_rotation_is_ignored
            clearing_cookie_ends_the_token
            cold_herd_logs_in_once
            herd_on_a_dead_token_logs_in_once
            refused_herd_logs_in_once
            herd_whose_renewal_is_refused_is_told
            throttled_login_waits_as_asked
            unavailable_login_is_typed
            hanging_login_is_bounded
            dripping_login_is_bounded
            login_needs_no_body
            slow_login_is_waited_for
            lost_login_answer_is_maybe_sent
            login_on_a_kept_connection_is_sent_once
            unreachable_login_is_not_sent
            lost_call_leaves_the_session_alone
            call_ends_by_its_timeout
            logout_is_as_assumed
            closed_session_sends_nothing
            logout_tells_how_it_went
            unreachable_logout_closes_all_the_same
            logout_with_calls_under_way_causes_no_login
            a_login_response_after_logout_opens_nothing
            oauth_login_reaches_the_token_endpoint_alone
            oauth_session_ignores_the_cookie
            oauth_redirected_login_is_a_failure
            oauth_login_whose_body_does_not_end_is_bounded
            oauth_refused_herd_logs_in_once
            an_oauth_rejection_is_not_a_401_of_the_api
            oauth_rate_limit_ends_by_the_servers_clock
            oauth_dead_token_is_renewed_unseen
            oauth_insufficient_scope_causes_no_login
            oauth_calls_at_the_known_end_log_in_once
            source_is_asked_once_a_login
            herd_on_a_changed_password_logs_in_twice
            same_password_after_a_refusal_ends_it
            failing_source_sends_nothing
            silent_source_is_bounded
            errors_tell_no_secret
            errors_of_connecting_tell_no_secret
            tls_carries_the_same
            unknown_certificate_is_not_trusted
            plain_server_gets_nothing_over_https
            a_cancelled_elected_caller_costs_no_login
            cancelling_all_wedges_nothing
            cancelled_call_wedges_nothing
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_test {
    ($suite:expr, $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $suite.run_case(stringify!($name)).assert_passed();
            }
        )*

        #[test]
        fn every_case_has_its_test() {
            let listed = [$(stringify!($name)),*];
            let cases = $crate::conformance::Suite::cases().iter();
            assert_eq!(listed.as_slice(), cases.map(|case| case.name).collect::<Vec<_>>());
        }
    };
}
