//! Properties over sequences of events and over wire input, with inputs that shrink.

#[path = "../../fuzz/src/bodies.rs"]
mod bodies;

use proptest::prelude::*;

/// Pieces of `Set-Cookie` lines, put together in every way.
fn cookie_line() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("authToken"),
        Just("AUTHTOKEN"),
        Just("xauthToken"),
        Just(" authToken ")
    ];
    let value = prop_oneof![
        "[!-~]{0,40}",
        "\"[!-~]{0,20}\"",
        Just(String::new()),
        Just("deleted".to_owned()),
        ".{0,10}",
        "[A-Za-z0-9+/]{76}=="
    ];
    let attribute = prop_oneof![
        Just("; Path=/connect".to_owned()),
        Just("; Secure; HttpOnly".to_owned()),
        any::<i64>().prop_map(|age| format!("; Max-Age={age}")),
        "; Max-Age=.{0,5}",
        (0..31u8, 1970..2100u16)
            .prop_map(|(day, year)| format!("; Expires=Wed, {day:02}-Jan-{year} 12:00:00 GMT")),
        "; Expires=.{0,20}"
    ];
    (name, value, prop::collection::vec(attribute, 0..4))
        .prop_map(|(name, value, attributes)| format!("{name}={value}{}", attributes.concat()))
}

fn retry_after() -> impl Strategy<Value = String> {
    let second = 0..60u8;
    prop_oneof![
        any::<u64>().prop_map(|seconds| seconds.to_string()),
        "[0-9]{1,40}",
        "[ \t]{0,2}[0-9]{1,4}[ \t]{0,2}",
        second.prop_map(|second| format!("Sun, 06 Nov 1994 12:59:{second:02} GMT")),
        ".{0,30}"
    ]
}

/// Members of a token response, well formed or not, and what may stand around them.
fn token_response() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("access_token"),
        Just("token_type"),
        Just("expires_in"),
        Just("error"),
        Just("errorCode"),
        Just("error_description"),
        Just("id_token"),
    ];
    let value = prop_oneof![
        Just("\"Bearer\"".to_owned()),
        Just("\"invalid_grant\"".to_owned()),
        Just("\"E0000047\"".to_owned()),
        "\"[A-Za-z0-9.+/=]{1,20}\"",
        "\"(\\\\u00[0-9a-f]{2}|\\\\/|[a-z]){1,9}\"",
        "-?[0-9]{1,40}(\\.[0-9]{1,3})?(e[0-9]{1,3})?",
        Just("null".to_owned()),
        "[ -~]{0,10}",
    ];
    let more = prop::collection::vec((name, value), 0..5);
    let token = prop_oneof![
        Just(String::new()),
        "\"token_type\":\"bearer\",\"access_token\":\"[a-z./+]{1,9}\""
    ];
    let status = prop_oneof![
        Just(200),
        Just(400),
        Just(401),
        Just(403),
        Just(429),
        Just(503)
    ];
    (status, token, more).prop_map(|(status, token, more)| {
        let more = more
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"));
        let members: Vec<_> = std::iter::once(token).chain(more).collect();
        let members = members.join(",");
        format!("{status}\n\n{{{}}}", members.trim_start_matches(','))
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_token_stands_in_the_cookie_as_it_is_carried(
        lines in prop::collection::vec(cookie_line(), 0..5),
    ) {
        bodies::cookie(lines.join("\n").as_bytes());
    }

    #[test]
    fn a_pause_is_as_long_as_asked_for_within_its_cap(
        asked in retry_after(),
        date in retry_after(),
    ) {
        bodies::retry_after(format!("{asked}\n{date}").as_bytes());
    }

    #[test]
    fn a_token_is_the_one_in_the_body(response in token_response()) {
        bodies::token_response(response.as_bytes());
    }

    #[test]
    fn no_order_of_events_breaks_a_guarantee(events in prop::collection::vec(any::<u8>(), 0..600)) {
        bodies::machine(&events);
    }

    #[test]
    fn no_record_is_a_panic(
        generation in any::<u64>(),
        times in prop::array::uniform4(any::<u64>()),
        sealed in prop::collection::vec(any::<u8>(), 0..60),
        failures in any::<u32>(),
        entries in 0_usize..12,
    ) {
        let [obtained, expires, saved, debt] = times;
        let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        let (half, nonce) = ("07".repeat(16), "09".repeat(24));
        let token = format!(
            "{{\"by\":\"{half}\",\"generation\":{generation},\"obtained_at\":{obtained},\
             \"expires_at\":{expires},\"nonce\":\"{nonce}\",\"sealed\":\"{hex}\"}}"
        );
        let refusal =
            format!("{{\"status\":401,\"generation\":{generation},\"tag\":\"{half}\"}}");
        let (tokens, refusals) = (vec![token; entries].join(","), vec![refusal; entries].join(","));
        let text = format!(
            "{{\"format\":2,\"origin\":\"https://connect.calamp.com\",\"account\":\"0\",\
             \"salt\":\"{half}\",\"generation\":{generation},\
             \"saved_at\":{saved},\"login_debt\":{debt},\"failures\":{failures},\
             \"pause\":{{\"until\":{expires},\"cause\":\"NoToken\"}},\
             \"tokens\":[{tokens}],\"refusals\":[{refusals}]}}"
        );
        // Or the rest would test nothing.
        prop_assert!(serde_json::from_str::<ctc_core::SessionRecord>(&text).is_ok());
        bodies::record(text.as_bytes());
    }
}
