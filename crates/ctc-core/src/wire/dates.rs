//! `Retry-After`, `X-Rate-Limit-Reset` and `Date`. A date counts against the response's own `Date`:
//! no clock but the server's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// The pause that `Retry-After` asks for, in both its forms (RFC 9110, 10.2.3). `None` when it is
/// absent or rubbish. Huge numbers saturate; the governor caps them.
pub(crate) fn read_retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are a very long time.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(
        until
            .duration_since(server_date(headers)?)
            .unwrap_or_default(),
    )
}

/// The pause until the moment that `X-Rate-Limit-Reset` names, in seconds since 1970. That moment
/// is on the server's clock; `wall` is ours, for a response without a `Date`.
pub(crate) fn read_rate_limit_reset(
    headers: &HeaderMap,
    wall: Option<SystemTime>,
) -> Option<Duration> {
    let text = headers.get("x-rate-limit-reset")?.to_str().ok()?;
    let reset = UNIX_EPOCH.checked_add(Duration::from_secs(text.trim().parse().ok()?))?;
    let from = server_date(headers).or(wall)?;
    Some(reset.duration_since(from).unwrap_or_default())
}

/// The server's own time when it responded.
pub(crate) fn server_date(headers: &HeaderMap) -> Option<SystemTime> {
    let text = headers.get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const NOON: &str = "Sun, 06 Nov 1994 12:00:00 GMT";

    fn wait(retry_after: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        read_retry_after(&headers)
    }

    fn seconds(count: u64) -> Option<Duration> {
        Some(Duration::from_secs(count))
    }

    #[test]
    fn t28_each_form_of_retry_after() {
        assert_eq!(wait("46", None), seconds(46));
        assert_eq!(wait("  46\t", None), seconds(46));
        assert_eq!(wait("0", None), seconds(0));
        assert_eq!(
            wait("Sun, 06 Nov 1994 12:01:30 GMT", Some(NOON)),
            seconds(90)
        );
        assert_eq!(
            wait("Sunday, 06-Nov-94 12:01:30 GMT", Some(NOON)),
            seconds(90)
        );
        assert_eq!(
            wait(
                "Sun, 06 Nov 1994 12:01:30 GMT ",
                Some(&format!(" {NOON}\t"))
            ),
            seconds(90)
        );
        assert_eq!(
            wait("Sun, 06 Nov 1994 11:00:00 GMT", Some(NOON)),
            seconds(0)
        );
        assert_eq!(wait("99999999999999999999999999", None), seconds(u64::MAX));
    }

    #[test]
    fn a_rate_limit_ends_by_the_servers_clock_or_else_by_ours() {
        let noon = httpdate::parse_http_date(NOON).unwrap();
        let epoch = noon.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let ours = noon - Duration::from_secs(3600);
        let reset = |text: &str, date: Option<&'static str>, wall| {
            let mut headers = HeaderMap::new();
            let text = HeaderValue::from_str(text).unwrap();
            headers.insert("x-rate-limit-reset", text);
            if let Some(date) = date {
                headers.insert(DATE, HeaderValue::from_static(date));
            }
            read_rate_limit_reset(&headers, wall)
        };
        let text = format!(" {}\t", epoch + 7);
        assert_eq!(reset(&text, Some(NOON), Some(ours)), seconds(7));
        assert_eq!(reset(&text, None, Some(ours)), seconds(3607));
        assert_eq!(reset(&text, None, None), None);
        assert_eq!(reset("0", Some(NOON), None), seconds(0));
        for rubbish in ["", "soon", "-1", "1.5", "99999999999999999999999"] {
            assert_eq!(reset(rubbish, Some(NOON), Some(ours)), None, "{rubbish}");
        }
        assert_eq!(reset(&u64::MAX.to_string(), Some(NOON), None), None);
    }

    #[test]
    fn t28_rubbish_reads_as_absent() {
        for rubbish in [
            "",
            "   ",
            "-5",
            "+5",
            "1.5",
            "soon",
            "5 seconds",
            "0x10",
            "Sun, 99 Nov 1994 12:00:00 GMT",
        ] {
            assert_eq!(wait(rubbish, Some(NOON)), None, "{rubbish:?}");
        }
        // A date without the server's own date says nothing: its clock may be hours off ours.
        assert_eq!(wait("Sun, 06 Nov 1994 12:01:30 GMT", None), None);
        assert_eq!(wait("Sun, 06 Nov 1994 12:01:30 GMT", Some("rubbish")), None);
        assert_eq!(read_retry_after(&HeaderMap::new()), None);
    }
}
