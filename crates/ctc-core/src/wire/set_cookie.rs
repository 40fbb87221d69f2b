//! What a response's `Set-Cookie` headers say about the token.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cookie::{Cookie, Expiration};
use http::HeaderMap;
use http::header::SET_COOKIE;

use super::TOKEN_COOKIE;
use super::dates::server_date;
use crate::secret::AuthToken;

/// What a response says about the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenChange {
    /// Nothing.
    None,
    /// Here is one, good for this long as far as the cookie tells.
    Set {
        token: AuthToken,
        lifetime: Option<Duration>,
    },
    /// The one you have is gone.
    Cleared,
    /// There is an `authToken`, but it can be no cookie value.
    Unusable,
}

/// Whether any `Set-Cookie` begins like the token's: cheap, and enough to leave all others alone.
#[inline]
pub(crate) fn mentions_token(headers: &HeaderMap) -> bool {
    // Most answers set no cookie at all, and have few headers.
    headers.keys().any(|name| name == SET_COOKIE) && sets_token(headers)
}

fn sets_token(headers: &HeaderMap) -> bool {
    let begins = |text: &[u8]| text.trim_ascii_start().starts_with(TOKEN_COOKIE.as_bytes());
    headers.get_all(SET_COOKIE).iter().any(|line| {
        let line = line.as_bytes();
        begins(line) || line.split(|&byte| byte == b',').skip(1).any(begins)
    })
}

/// Finds `authToken` by its exact name across all `Set-Cookie` headers. If several set it, the last
/// valid one wins; a clearing cookie beside one that sets a token is the old token's, and does not
/// count.
///
/// `held` is the token that the call carried, if any. Only that one can be over by an `Expires`
/// before the server's `Date`: a token that is just handed out is not, whatever some proxy's clock
/// says.
pub(crate) fn read_token_change(headers: &HeaderMap, held: Option<&AuthToken>) -> TokenChange {
    let date = server_date(headers);
    let mut change = TokenChange::None;
    for line in headers.get_all(SET_COOKIE) {
        // What is not UTF-8 keeps a replacement character, which no token may have.
        let line = String::from_utf8_lossy(line.as_bytes());
        for cookie in unfold(&line) {
            let Ok(cookie) = Cookie::parse(cookie) else {
                continue;
            };
            if cookie.name() != TOKEN_COOKIE {
                continue;
            }
            match (read_cookie(&cookie, date, held), &change) {
                (set @ TokenChange::Set { .. }, _) => change = set,
                (_, TokenChange::Set { .. }) => {}
                (other, _) => change = other,
            }
        }
    }
    change
}

/// The cookies in one line. A line has one, but some gateways fold several into one line with
/// commas (RFC 9110, 5.3 asks them not to). Such a comma is known by the white space and the
/// `name=` behind it, which an `Expires` does not have, and stands in no quotes.
fn unfold(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let fold = text.match_indices(',').find(|(at, _)| {
            let (before, after) = (&text[..*at], &text[at + 1..]);
            begins_cookie(after) && before.matches('"').count() % 2 == 0
        });
        let Some((at, _)) = fold else {
            return rest.take();
        };
        rest = Some(&text[at + 1..]);
        Some(&text[..at])
    })
}

fn begins_cookie(text: &str) -> bool {
    let trimmed = text.trim_ascii_start();
    // What a name may hold (RFC 9110, 5.6.2).
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    trimmed.len() < text.len()
        && trimmed
            .split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(is_name))
}

fn read_cookie(
    cookie: &Cookie<'_>,
    date: Option<SystemTime>,
    held: Option<&AuthToken>,
) -> TokenChange {
    // Whether the value is empty is asked of what stands inside its quotes; otherwise it is opaque,
    // quotes and all (RFC 6265, 4.1.1).
    let inside = cookie.value_trimmed();
    let is_held = held.is_some_and(|held| held.without_quotes() == inside.as_bytes());
    let lifetime = match lifetime(cookie, date) {
        Some(Duration::ZERO) if !is_held => lifetime(cookie, None),
        lifetime => lifetime,
    };
    // "deleted" is what some servers write where others leave the value empty.
    if matches!(inside, "" | "deleted") || lifetime == Some(Duration::ZERO) {
        return TokenChange::Cleared;
    }
    match AuthToken::new(cookie.value()) {
        Ok(token) => TokenChange::Set { token, lifetime },
        Err(_) => TokenChange::Unusable,
    }
}

/// How long the cookie says it lives: zero when it is over, `None` when it does not say. `Max-Age`
/// beats `Expires` (RFC 6265, 5.3), and `Expires` counts from the server's own `Date`.
fn lifetime(cookie: &Cookie<'_>, date: Option<SystemTime>) -> Option<Duration> {
    if let Some(max_age) = cookie.max_age() {
        return Some(max_age.try_into().unwrap_or_default());
    }
    let Some(Expiration::DateTime(expires)) = cookie.expires() else {
        return None;
    };
    // 2000-01-01: no server means a token to end before that, whatever its clock says.
    const LONG_AGO: i64 = 946_684_800;
    let expires = expires.unix_timestamp();
    if expires < LONG_AGO {
        return Some(Duration::ZERO);
    }
    let date = date?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(
        expires.unsigned_abs().saturating_sub(date),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::DATE;

    const NOON: &str = "Wed, 15 Jan 2031 11:59:00 GMT";

    fn read(lines: &[&str]) -> TokenChange {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_static(NOON));
        for line in lines {
            headers.append(
                SET_COOKIE,
                HeaderValue::from_bytes(line.as_bytes()).unwrap(),
            );
        }
        read_token_change(&headers, Some(&held()))
    }

    fn held() -> AuthToken {
        AuthToken::new("HELD").unwrap()
    }

    fn set(token: &str, lifetime: Option<u64>) -> TokenChange {
        let token = AuthToken::new(token).unwrap();
        TokenChange::Set {
            token,
            lifetime: lifetime.map(Duration::from_secs),
        }
    }

    #[test]
    fn every_form_that_sets_a_token() {
        let forms = [
            (
                "authToken=AAAA; Expires=Wed, 15-Jan-2031 12:00:00 GMT; Path=/connect; Secure; \
                 HttpOnly",
                Some(60),
            ),
            (
                "authToken=AAAA; Max-Age=1209600; Expires=Wed, 15-Jan-2031 12:00:00 GMT; \
                 Path=/connect",
                Some(1_209_600),
            ),
            (
                "authToken=AAAA; Path=/connect; Secure; HttpOnly; Expires=Wed, 15 Jan 2031 \
                 12:01:00 GMT",
                Some(120),
            ),
            (
                "authToken=AAAA; Expires=Wed, 15 Jan 2031 12:00:00 GMT; Max-Age=60",
                Some(60),
            ),
            ("authToken=AAAA", None),
            ("authToken=AAAA; Expires=garbage", None),
            ("authToken=AAAA; Max-Age=garbage", None),
            ("  authToken = AAAA ; httponly", None),
        ];
        for (line, lifetime) in forms {
            assert_eq!(read(&[line]), set("AAAA", lifetime), "{line}");
        }
    }

    #[test]
    fn t40_every_form_that_clears_it() {
        for line in [
            "authToken=\"\"; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/connect",
            "authToken=; Max-Age=0; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/connect",
            "authToken=AAAA; Max-Age=0; Path=/connect",
            "authToken=AAAA; Max-Age=-1",
            "authToken=AAAA; Expires=Thu, 01-Jan-1970 00:00:10 GMT",
            "authToken=HELD; Expires=Wed, 15 Jan 2031 11:58:59 GMT",
            "authToken=\"HELD\"; Expires=Wed, 15 Jan 2031 11:58:59 GMT",
            "authToken=deleted",
            "authToken=\"deleted\"",
            "authToken=\"AAAA\"; Max-Age=0",
            "authToken=",
            "authToken=\"\"",
        ] {
            assert_eq!(read(&[line]), TokenChange::Cleared, "{line}");
        }
    }

    #[test]
    fn t39_found_by_its_exact_name_and_the_last_valid_one_wins() {
        let session = "JSESSIONID=BBBB; Path=/connect; HttpOnly";
        assert_eq!(
            read(&[session, "authToken=AAAA", session]),
            set("AAAA", None)
        );
        assert_eq!(
            read(&["authToken=AAAA", session, "authToken=CCCC"]),
            set("CCCC", None)
        );
        assert_eq!(
            read(&["authToken=AAAA", "authToken=C,C"]),
            set("AAAA", None)
        );
        assert_eq!(
            read(&["authToken=; Max-Age=0", "authToken=AAAA"]),
            set("AAAA", None)
        );
        assert_eq!(
            read(&["authToken=AAAA", "authToken=; Max-Age=0"]),
            set("AAAA", None)
        );
        for other in [
            "AUTHTOKEN=AAAA",
            "xauthToken=AAAA; Path=/",
            "authToken2=A",
            "x=authToken=AAAA",
            session,
            "",
        ] {
            assert_eq!(read(&[other]), TokenChange::None, "{other}");
        }
    }

    #[test]
    fn t37_the_value_is_kept_byte_for_byte() {
        for token in [
            "abc%3D%3D",
            "a+b/c==",
            "%zz%",
            "a\"b",
            "x".repeat(8192).as_str(),
        ] {
            assert_eq!(
                read(&[&format!("authToken={token}; Path=/")]),
                set(token, None)
            );
        }
    }

    #[test]
    fn t41_a_token_just_handed_out_is_not_over_by_the_servers_date() {
        for (line, lifetime) in [
            (
                "authToken=AAAA; Expires=Wed, 15 Jan 2031 11:58:59 GMT",
                None,
            ),
            (
                "authToken=HELDX; Expires=Wed, 15-Jan-2031 11:00:00 GMT",
                None,
            ),
            (
                "authToken=HELD; Expires=Wed, 15 Jan 2031 11:59:01 GMT",
                Some(1),
            ),
        ] {
            let token = &line["authToken=".len()..line.find(';').unwrap()];
            assert_eq!(read(&[line]), set(token, lifetime), "{line}");
        }
        // Long ago is over on any clock, and so is what says so itself.
        for line in [
            "authToken=AAAA; Expires=Thu, 01-Jan-1970 00:00:10 GMT",
            "authToken=AAAA; Max-Age=0; Expires=Wed, 15 Jan 2031 12:00:00 GMT",
        ] {
            assert_eq!(read(&[line]), TokenChange::Cleared, "{line}");
        }
    }

    #[test]
    fn a_token_is_found_among_cookies_that_a_gateway_folded_into_one_line() {
        let session = "JSESSIONID=BBBB; Path=/; HttpOnly";
        let dated = "lb=1; Expires=Wed, 15-Jan-2031 12:00:00 GMT; Path=/";
        for (line, lifetime) in [
            (format!("{session}, authToken=AAAA"), None),
            (format!("{session},\tauthToken=AAAA; Max-Age=60"), Some(60)),
            (format!("{dated}, authToken=AAAA; Max-Age=60"), Some(60)),
            (
                format!("authToken=AAAA; Max-Age=60, {session}, {dated}"),
                Some(60),
            ),
            (format!("authToken=AAAA, {session}"), None),
            (format!("authToken=AAAA, __Host-lb.1=2, {session}"), None),
            (
                format!("{dated}, authToken=AAAA; Expires=Wed, 15-Jan-2031 12:00:00 GMT, {dated}"),
                Some(60),
            ),
            (
                format!("authToken=; Max-Age=0, {session}, authToken=AAAA"),
                None,
            ),
        ] {
            assert_eq!(read(&[&line]), set("AAAA", lifetime), "{line}");
            let mut headers = HeaderMap::new();
            headers.insert(SET_COOKIE, HeaderValue::try_from(&line).unwrap());
            assert!(mentions_token(&headers), "{line}");
        }
        let cleared = format!("{session}, authToken=; Max-Age=0, {dated}");
        assert_eq!(read(&[&cleared]), TokenChange::Cleared);
        // Not certain enough: a comma in a value, in quotes, or without white space behind it.
        for line in [
            "x=1,authToken=AAAA",
            "x=\"1, authToken=AAAA\"",
            "x=1, xauthToken=AAAA",
            "x=1, AUTHTOKEN=AAAA",
            "x=1, y, authToken",
        ] {
            assert_eq!(read(&[line]), TokenChange::None, "{line}");
        }
    }

    /// A server may quote the same token at one time and not at another.
    #[test]
    fn a_token_that_is_held_is_over_by_the_servers_date_with_and_without_quotes() {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_static(NOON));
        for value in ["HELD", "\"HELD\""] {
            let line = format!("authToken={value}; Expires=Wed, 15 Jan 2031 11:58:59 GMT");
            headers.insert(SET_COOKIE, HeaderValue::try_from(line).unwrap());
            for held in ["HELD", "\"HELD\""] {
                let held = AuthToken::new(held).unwrap();
                let change = read_token_change(&headers, Some(&held));
                assert_eq!(change, TokenChange::Cleared, "{value} {held:?}");
            }
        }
    }

    #[test]
    fn a_quoted_value_keeps_its_quotes() {
        for token in ["\"QUFBQQ==\"", "\"A", "A\"", "\"\"A\"\""] {
            let line = format!("authToken={token}; Version=1; Max-Age=60; Path=/connect");
            assert_eq!(read(&[&line]), set(token, Some(60)), "{line}");
        }
    }

    #[test]
    fn what_is_no_cookie_value_is_unusable() {
        // The vendor's own sample ends in a typographic quote.
        for line in [
            "authToken=SkNC%3D\u{2019}",
            "authToken=A A",
            "authToken=A,B",
            "authToken=AAAA, =x",
        ] {
            assert_eq!(read(&[line]), TokenChange::Unusable, "{line}");
        }
        let mut headers = HeaderMap::new();
        headers.append(
            SET_COOKIE,
            HeaderValue::from_bytes(b"authToken=A\xff").unwrap(),
        );
        assert_eq!(read_token_change(&headers, None), TokenChange::Unusable);
    }

    #[test]
    fn t41_an_odd_expiry_is_a_hint_at_most() {
        let huge = format!("authToken=AAAA; Max-Age={}", u64::MAX);
        assert!(matches!(read(&[&huge]), TokenChange::Set { .. }));
        let mut no_date = HeaderMap::new();
        let line = "authToken=AAAA; Expires=Wed, 15-Jan-2031 12:00:00 GMT";
        no_date.append(SET_COOKIE, HeaderValue::from_static(line));
        assert_eq!(read_token_change(&no_date, None), set("AAAA", None));
        // Long ago is before 2000, whosever clock it is.
        for (expires, change) in [
            ("Fri, 31 Dec 1999 23:59:59 GMT", TokenChange::Cleared),
            ("Sat, 01 Jan 2000 00:00:00 GMT", set("AAAA", None)),
        ] {
            let line = format!("authToken=AAAA; Expires={expires}");
            no_date.insert(SET_COOKIE, HeaderValue::try_from(line).unwrap());
            assert_eq!(read_token_change(&no_date, None), change, "{expires}");
        }
    }
}
