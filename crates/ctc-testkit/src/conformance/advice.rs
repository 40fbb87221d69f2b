//! What to do when a case fails: for each rung, and for the cases with a known fix.

/// Returns the title of a rung, and what to check if a case on it fails.
pub(super) fn of_rung(rung: &str) -> (&'static str, &'static str) {
    match rung {
        "contact" => (
            "a login's response",
            "send the login unchanged, and return status and headers of its response",
        ),
        "login" => (
            "the login on the wire",
            "send `LoginRequest::request` unchanged: URL, headers and form, and nothing else",
        ),
        "requests" => (
            "calls on the wire",
            "send method, URL, headers and body of the request unchanged",
        ),
        "responses" => (
            "responses",
            "return every status as a response, with all of its headers and its whole body",
        ),
        "redirects" => (
            "redirects",
            "turn off redirects in your HTTP client: a 3xx is a response like any other",
        ),
        "renewal" => (
            "a token that ends",
            "look for a cookie jar, a cache or retries in your HTTP client, and turn them off",
        ),
        "herds" => (
            "many callers at once",
            "let the HTTP client send as many calls at a time as there are callers",
        ),
        "trouble" => (
            "logins and calls that fail",
            "end a login within `LoginRequest::timeout`, send nothing twice, and decide by the \
             stage that was reached whether a request was sent (`TransportError::failure`)",
        ),
        "logout" => (
            "the logout",
            "a logout also uses `send_login`: see the rung of the login",
        ),
        "oauth" => (
            "the OAuth login",
            "use the URL of `LoginRequest::request`, which may be on another origin, and read \
             `body_limit` bytes of its response's body",
        ),
        "sources" => (
            "credentials from a source",
            "send each login unchanged: its credentials may differ from those of the last one",
        ),
        "secrets" => (
            "secrets and TLS",
            "do not print forms, headers or queries in errors, and check certificates",
        ),
        "cancelled" => (
            "calls that are dropped",
            "do not hold anything that another call needs while a request is in progress",
        ),
        _ => ("further cases", "see what the case checked"),
    }
}

/// Returns what to do about a case with a known fix.
pub(super) fn of_case(name: &str) -> Option<&'static str> {
    let own = OF_CASES.iter().find(|(names, _)| names.contains(&name))?;
    Some(own.1)
}

const OF_CASES: &[(&[&str], &str)] = &[
    (
        &["login_response_arrives"],
        "return all headers of the response, every line of a name that occurs several times: \
         HTTP clients with a map of headers lose all but one, or join them with commas",
    ),
    (
        &["second_login_carries_no_cookie"],
        "turn off the cookie jar of your HTTP client",
    ),
    (
        &["large_login_answer_is_taken"],
        "let the HTTP client accept responses with 50 headers, and headers of 8 KB; read at \
         most `LoginRequest::body_limit` bytes of a login's body",
    ),
    (
        &["accounts_never_mix"],
        "store nothing in statics: two transports must share neither cookies nor a cache",
    ),
    (
        &[
            "token_is_carried_byte_for_byte",
            "quoted_token_keeps_its_quotes",
        ],
        "send header values unchanged: no decoding, no quoting, no cookie jar",
    ),
    (
        &["call_carries_key_and_one_cookie"],
        "send the request's own `Cookie` header and no other: turn off the cookie jar",
    ),
    (
        &["foreign_host_header_does_not_arrive"],
        "take the host from the URL only",
    ),
    (
        &["url_arrives_as_it_was"],
        "send path and query unchanged: do not decode or encode them",
    ),
    (
        &["get_has_no_body"],
        "send no body with a request that has none (a `content-length: 0` is fine)",
    ),
    (
        &["post_has_its_length"],
        "send bytes in memory with a `content-length`, not in chunks",
    ),
    (
        &["every_status_is_a_response"],
        "return every status as a response: many HTTP clients turn 4xx and 5xx into errors \
         unless configured otherwise",
    ),
    (
        &["response_is_delivered_before_its_body"],
        "return from `send` as soon as the head of the response has arrived",
    ),
    (
        &["broken_body_is_told"],
        "fail if a body ends before its `content-length`, or before its last chunk",
    ),
    (
        &["large_body_arrives_whole"],
        "read bodies as bytes, not as text, without a limit of your own; accept headers of 8 KB",
    ),
    (
        &["connections_are_kept"],
        "keep one HTTP client in the transport, with its pool",
    ),
    (
        &["connections_are_kept_across_replays"],
        "let `discard` read a body of up to 64 KiB to its end, so that the replay can use its \
         connection",
    ),
    (
        &["slow_download_blocks_no_caller"],
        "hold no lock while a body is read, and let the pool open a further connection",
    ),
    (
        &["body_is_sent_again_whole", "stream_is_not_replayed"],
        "let `Outgoing::replay_copy` return a copy of the whole request, or `None` if its body \
         can be read only once",
    ),
    (
        &["delivered_401_says_why"],
        "let `Incoming::extensions_mut` return the extensions that the caller gets",
    ),
    (
        &["hanging_login_is_bounded", "dripping_login_is_bounded"],
        "limit all of `send_login` by `LoginRequest::timeout`: a limit for each read starts \
         again with every byte",
    ),
    (
        &["login_needs_no_body"],
        "read no more of a login's body than `LoginRequest::body_limit`, nothing if it is 0",
    ),
    (
        &[
            "login_on_a_kept_connection_is_sent_once",
            "lost_login_answer_is_maybe_sent",
        ],
        "send each login on a new connection, and turn off your HTTP client's retries",
    ),
    (
        &["unreachable_login_is_not_sent"],
        "let `TransportError::failure` return `NotSent` if no connection was made: such a login \
         is not charged",
    ),
    (
        &["call_ends_by_its_timeout"],
        "limit a call by the `RequestTimeout` in the extensions of its request",
    ),
    (
        &[
            "errors_tell_no_secret",
            "errors_of_connecting_tell_no_secret",
        ],
        "remove URL, headers and body from your errors: `Display`, `Debug` and all sources",
    ),
    (
        &["unknown_certificate_is_not_trusted"],
        "check certificates, and the names in them",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::cases::CASES;

    #[test]
    fn every_rung_has_a_title_of_its_own() {
        let other = of_rung("no such rung");
        let untitled: Vec<_> = CASES
            .iter()
            .filter(|case| of_rung(case.rung) == other)
            .collect();
        assert!(untitled.is_empty(), "{untitled:?}");
    }

    #[test]
    fn every_piece_of_advice_is_about_a_case() {
        let names = OF_CASES.iter().flat_map(|(names, _)| *names);
        let is_case = |name: &&&str| CASES.iter().any(|case| case.name == **name);
        let strange: Vec<_> = names.filter(|name| !is_case(name)).collect();
        assert!(strange.is_empty(), "{strange:?}");
    }

    #[test]
    fn a_capability_is_named_with_the_advice() {
        let case = |name| CASES.iter().find(|case| case.name == name).unwrap();
        let advice = case("response_is_delivered_before_its_body").advice();
        assert!(
            advice.contains("let `streams` of the stack be false"),
            "{advice}"
        );
        let advice = case("every_status_is_a_response").advice();
        assert!(!advice.contains("of the stack"), "{advice}");
    }
}
