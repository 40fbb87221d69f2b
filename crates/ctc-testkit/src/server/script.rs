//! Reads a rule from the control path. A rule that could never apply, or would not do what it says,
//! is an error that names the member.

use http::{HeaderName, HeaderValue, Method};

use super::{
    fault::{Fault, Matcher, RetryAfter, Rule, Times},
    journal::JOURNALED_BODY,
};

/// Limit of additional header lines: a header map has room for 32,768.
const MOST_HEADERS: u32 = 30_000;
/// Limit of a header's value, in bytes: it is built in memory.
const LONGEST_HEADER: u32 = 16 * 1024 * 1024;

pub(super) fn read(body: &[u8], body_len: u64) -> Result<Rule, String> {
    if body_len > body.len() as u64 {
        return Err(format!(
            "the rule is {body_len} bytes long: send {JOURNALED_BODY} bytes at most"
        ));
    }
    // The parser's error names the field and its variants, with line and column.
    let rule: Rule = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    matcher(&rule.on)?;
    if rule.times == Times::N(0) {
        return Err("times.n: 0 is never: use 1 or more, or leave the rule out".into());
    }
    fault(&rule.fault)?;
    strikes(&rule)?;
    Ok(rule)
}

fn matcher(on: &Matcher) -> Result<(), String> {
    match on {
        Matcher::Path(prefix) => path("on.path", prefix),
        Matcher::Route {
            method,
            path: exact,
        } => {
            let known = method.parse::<Method>().is_ok();
            if !known || method.chars().any(|letter| letter.is_ascii_lowercase()) {
                return Err(format!(
                    "on.route.method: {method:?} is not a method: use capitals, as in \"GET\""
                ));
            }
            path("on.route.path", exact)
        }
        _ => Ok(()),
    }
}

fn path(place: &str, path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        Err(format!("{place}: {path:?} does not begin with a slash"))
    } else if let Some(wrong) = path.chars().find(|letter| "?# ".contains(*letter)) {
        Err(format!(
            "{place}: {path:?} has a {wrong:?}: give the path alone, as it is sent"
        ))
    } else if path == "/_ctc" || path.starts_with("/_ctc/") {
        Err(format!(
            "{place}: {path:?} is the control path, where no fault applies"
        ))
    } else {
        Ok(())
    }
}

fn fault(fault: &Fault) -> Result<(), String> {
    match fault {
        Fault::Respond {
            status: code,
            headers,
            ..
        } => {
            status("fault.respond.status", *code, 200, 999)?;
            lines("fault.respond.headers", headers)
        }
        Fault::Clear {
            status: Some(code), ..
        } => status("fault.clear.status", *code, 200, 999),
        Fault::Refuse { status: code } => status("fault.refuse.status", *code, 400, 499),
        Fault::Throttle {
            retry_after: RetryAfter::Raw(text),
        } => value("fault.throttle.retry_after.raw", text),
        Fault::Redirect {
            status: code,
            location,
        } => {
            if ![301, 302, 303, 307, 308].contains(code) {
                return Err(format!(
                    "fault.redirect.status: {code} is not a redirect: \
                     use 301, 302, 303, 307 or 308"
                ));
            }
            value("fault.redirect.location", location)
        }
        Fault::SetCookies(cookies) => {
            some(
                "fault.set_cookies",
                cookies,
                "use \"no_token\" for a login without a cookie",
            )?;
            cookies
                .iter()
                .enumerate()
                .try_for_each(|(at, line)| value(&format!("fault.set_cookies[{at}]"), line))
        }
        Fault::Headers(headers) => {
            some("fault.headers", headers, "give at least one header")?;
            lines("fault.headers", headers)
        }
        Fault::ManyHeaders(count) => within("fault.many_headers", *count, MOST_HEADERS),
        Fault::HugeHeader(bytes) => within("fault.huge_header", *bytes, LONGEST_HEADER),
        Fault::HugeBody(0) => Err(nothing("fault.huge_body")),
        Fault::Delay(0) => Err(nothing("fault.delay")),
        Fault::Late(0) => Err(nothing("fault.late")),
        Fault::EndlessBody(0) => Err(nothing("fault.endless_body")),
        Fault::WrongClock(0) => Err(nothing("fault.wrong_clock")),
        Fault::SlowBody { chunk: 0, .. } => Err(nothing("fault.slow_body.chunk")),
        Fault::SlowBody { pause: 0, .. } => Err(nothing("fault.slow_body.pause")),
        _ => Ok(()),
    }
}

/// Checks that the fault can affect the requests that the rule matches.
fn strikes(rule: &Rule) -> Result<(), String> {
    let needs = |kind: &str, fits: bool| match fits {
        true => Ok(()),
        false => Err(format!("on: this fault changes the response to {kind}")),
    };
    let on = &rule.on;
    let elsewhere = |wrong: &[Matcher]| !wrong.contains(on);
    match rule.fault {
        Fault::Refuse { .. } | Fault::NoToken => needs(
            "a login: use \"login\"",
            elsewhere(&[Matcher::Logout, Matcher::Revocation, Matcher::AnyCall]),
        ),
        Fault::SetCookies(_) => needs(
            "a cookie login: use \"login\"",
            elsewhere(&[
                Matcher::Logout,
                Matcher::Token,
                Matcher::Revocation,
                Matcher::AnyCall,
            ]),
        ),
        Fault::TokenBody(_) => needs(
            "a token request: use \"token\"",
            elsewhere(&[Matcher::Logout, Matcher::Revocation, Matcher::AnyCall]),
        ),
        Fault::Revoke { .. } | Fault::Expire { .. } | Fault::Rotate { .. } => needs(
            "a call or logout, which present a token; a login does not",
            elsewhere(&[Matcher::Login, Matcher::Token, Matcher::Revocation]),
        ),
        _ => Ok(()),
    }
}

fn status(place: &str, status: u16, least: u16, most: u16) -> Result<(), String> {
    if (least..=most).contains(&status) {
        return Ok(());
    }
    Err(format!(
        "{place}: {status} is not a status that can be sent: use {least} to {most}"
    ))
}

fn lines(place: &str, headers: &[(String, String)]) -> Result<(), String> {
    for (at, (name, text)) in headers.iter().enumerate() {
        let place = format!("{place}[{at}]");
        let Ok(known) = name.parse::<HeaderName>() else {
            return Err(format!("{place}: {name:?} is not the name of a header"));
        };
        if known == http::header::CONTENT_LENGTH || known == http::header::TRANSFER_ENCODING {
            return Err(format!(
                "{place}: the server sets {name} itself, after the body"
            ));
        }
        value(&place, text)?;
    }
    Ok(())
}

fn value(place: &str, text: &str) -> Result<(), String> {
    match HeaderValue::from_bytes(text.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!(
            "{place}: {text:?} has a character that no header can carry, such as a line break"
        )),
    }
}

fn some<T>(place: &str, list: &[T], instead: &str) -> Result<(), String> {
    if list.is_empty() {
        return Err(format!("{place}: the list is empty: {instead}"));
    }
    Ok(())
}

fn within(place: &str, number: u32, most: u32) -> Result<(), String> {
    if (1..=most).contains(&number) {
        return Ok(());
    }
    Err(format!(
        "{place}: {number} is out of range: use 1 to {most}"
    ))
}

fn nothing(place: &str) -> String {
    format!("{place}: 0 changes nothing: use another number")
}
