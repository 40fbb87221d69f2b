//! What to do when a case fails: for each rung, and for the cases whose remedy is known.

/// The title of a rung, and what to look at if a case on it fails.
pub(super) fn of_rung(rung: &str) -> (&'static str, &'static str) {
    match rung {
        "contact" => (
            "a login's response",
            "send the login as it is, and hand status and headers of its response on",
        ),
        "login" => (
            "the login on the wire",
            "send `LoginRequest::request` as it is: its URL, its headers, its form, nothing added",
        ),
        "requests" => (
            "calls on the wire",
            "send method, URL, headers and body as they are in the request",
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
            "let the HTTP client take as many calls at once as there are callers",
        ),
        "trouble" => (
            "logins and calls that fail",
            "end a login within `LoginRequest::timeout`, send nothing twice, and tell by the stage \
             that was reached whether a request was sent (`TransportError::failure`)",
        ),
        "logout" => (
            "the logout",
            "a logout goes through `send_login` as well: see the rung of the login",
        ),
        "oauth" => (
            "the OAuth login",
            "go by the URL of `LoginRequest::request`, which may be on another origin, and read \
             `body_limit` bytes of its response's body",
        ),
        "sources" => (
            "credentials that are asked for",
            "send each login as it is: user name and password may differ from the last one's",
        ),
        "secrets" => (
            "secrets and TLS",
            "print no form, no header and no query in an error, and check certificates",
        ),
        "cancelled" => (
            "calls that are dropped",
            "hold nothing that another call needs while a request is out",
        ),
        _ => ("further cases", "see what the case looked at"),
    }
}

/// What to do about a case whose remedy is known.
pub(super) fn of_case(name: &str) -> Option<&'static str> {
    let own = OF_CASES.iter().find(|(names, _)| names.contains(&name))?;
    Some(own.1)
}

const OF_CASES: &[(&[&str], &str)] = &[
    (
        &["login_response_arrives"],
        "hand all headers of the response on, each line of a name that comes several times: \
         HTTP clients that keep headers in a map lose all but one, or join them with commas",
    ),
    (
        &["second_login_carries_no_cookie"],
        "turn off the cookie jar of your HTTP client",
    ),
    (
        &["large_login_answer_is_taken"],
        "let the HTTP client take responses with 50 headers, and headers of 8 KB; of a \
         login's body read `LoginRequest::body_limit` bytes at most",
    ),
    (
        &["accounts_never_mix"],
        "keep nothing in statics: two transports must not share cookies, nor a cache",
    ),
    (
        &[
            "token_is_carried_byte_for_byte",
            "quoted_token_keeps_its_quotes",
        ],
        "send header values as they are: no decoding, no quoting, no cookie jar",
    ),
    (
        &["call_carries_key_and_one_cookie"],
        "send the request's own `Cookie` header and no other: turn off the cookie jar",
    ),
    (
        &["foreign_host_header_does_not_arrive"],
        "take the host from the URL alone",
    ),
    (
        &["url_arrives_as_it_was"],
        "send path and query as they are: do not decode or encode them",
    ),
    (
        &["get_has_no_body"],
        "send a request without a body with no body (a `content-length: 0` is fine)",
    ),
    (
        &["post_has_its_length"],
        "send bytes in memory with a `content-length`, not in chunks",
    ),
    (
        &["every_status_is_a_response"],
        "return every status as a response: many HTTP clients make an error of 4xx and 5xx \
         unless told not to",
    ),
    (
        &["response_is_delivered_before_its_body"],
        "return from `send` when the head of the response is there",
    ),
    (
        &["broken_body_is_told"],
        "fail if a body ends before its `content-length`, or before its last chunk",
    ),
    (
        &["large_body_arrives_whole"],
        "read bodies as bytes, not as text, without a limit of your own; take headers of 8 KB",
    ),
    (
        &["connections_are_kept"],
        "keep one HTTP client in the transport, with its pool",
    ),
    (
        &["connections_are_kept_across_replays"],
        "let `discard` read a body of up to 64 KiB to its end, so that its connection serves \
         the replay",
    ),
    (
        &["slow_download_blocks_no_caller"],
        "hold no lock while a body is read, and let the pool open a further connection",
    ),
    (
        &["body_is_sent_again_whole", "stream_is_not_replayed"],
        "`Outgoing::replay_copy` is a copy of the whole request, or `None` for a body that \
         can be read only once",
    ),
    (
        &["delivered_401_says_why"],
        "let `Incoming::extensions_mut` be what the caller gets with the response",
    ),
    (
        &["hanging_login_is_bounded", "dripping_login_is_bounded"],
        "bound `send_login` as a whole by `LoginRequest::timeout`: a limit for each read is \
         started anew by every byte",
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
        "send a login on a connection of its own, and turn off your HTTP client's retries",
    ),
    (
        &["unreachable_login_is_not_sent"],
        "let `TransportError::failure` say `NotSent` if no connection was made: such a login \
         costs nothing",
    ),
    (
        &["call_ends_by_its_timeout"],
        "bound a call by the `RequestTimeout` in the extensions of its request",
    ),
    (
        &[
            "errors_tell_no_secret",
            "errors_of_connecting_tell_no_secret",
        ],
        "take URL, headers and body out of your errors: `Display`, `Debug` and all sources",
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
