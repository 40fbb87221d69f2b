//! What `WWW-Authenticate` says of a bearer token (RFC 9110, 11.6.1; RFC 6750, 3).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// The challenge for a bearer token in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BearerChallenge {
    /// There is none: the server may not have looked at the token.
    Missing,
    /// There is one, and a new token may help.
    Present,
    /// The token is good, and its scope too small.
    InsufficientScope,
}

impl BearerChallenge {
    /// Several challenges may share a line, and one may go on in the next.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let (mut challenge, mut in_bearer) = (Self::Missing, false);
        let lines = headers.get_all(WWW_AUTHENTICATE).iter();
        for element in lines.flat_map(|line| elements(line.as_bytes())) {
            let (word, rest) = split_token(element);
            // Either another parameter of the same challenge, or a scheme and perhaps its first
            // parameter.
            let parameter = rest.strip_prefix(b"=").map(|value| (word, value));
            let parameter = parameter.or_else(|| {
                in_bearer = word.eq_ignore_ascii_case(b"Bearer");
                let (word, rest) = split_token(rest);
                Some((word, rest.strip_prefix(b"=")?))
            });
            if !in_bearer {
                continue;
            }
            let is_error = |name: &[u8]| name.eq_ignore_ascii_case(b"error");
            match parameter {
                Some((name, value))
                    if is_error(name) && unquote(value) == b"insufficient_scope" =>
                {
                    return Self::InsufficientScope;
                }
                _ => challenge = Self::Present,
            }
        }
        challenge
    }
}

/// What stands between the commas of a line that are not in a quoted string.
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let elements = line.split(move |&byte| {
        let is_escaped = std::mem::take(&mut escaped);
        match byte {
            b'"' if !is_escaped => quoted = !quoted,
            b'\\' if !is_escaped => escaped = quoted,
            _ => {}
        }
        byte == b',' && !quoted
    });
    elements
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// The token that `text` begins with, and what follows it and the white space behind it.
fn split_token(text: &[u8]) -> (&[u8], &[u8]) {
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = text.iter().position(|byte| !is_inside(byte));
    let (token, rest) = text.split_at(end.unwrap_or(text.len()));
    (token, rest.trim_ascii_start())
}

/// A parameter's value: a token, or a quoted string.
fn unquote(value: &[u8]) -> Vec<u8> {
    let value = value.trim_ascii();
    let Some(quoted) = value.strip_prefix(b"\"") else {
        return value.to_vec();
    };
    let (mut text, mut bytes) = (Vec::new(), quoted.iter());
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => text.extend(bytes.next()),
            byte => text.push(byte),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(lines: &[&[u8]]) -> BearerChallenge {
        let mut headers = HeaderMap::new();
        for line in lines {
            let line = HeaderValue::from_bytes(line).unwrap();
            headers.append(WWW_AUTHENTICATE, line);
        }
        BearerChallenge::read(&headers)
    }

    #[test]
    fn insufficient_scope_is_found_in_every_spelling() {
        let spellings: [&[&[u8]]; 12] = [
            &[b"Bearer error=\"insufficient_scope\""],
            &[b"bearer Error=insufficient_scope"],
            &[b"BEARER realm=\"a\", error=\"insufficient_scope\", scope=\"x\""],
            &[b"Basic realm=\"x\", Bearer error=\"insufficient_scope\""],
            &[b"Bearer error=\"insufficient_scope\", Basic realm=\"x\""],
            &[b"Basic realm=\"x\"", b"Bearer error=\"insufficient_scope\""],
            &[b"Bearer realm=\"x\"", b"error=\"insufficient_scope\""],
            &[b"Negotiate abc==, Bearer error = insufficient_scope"],
            &[b"Bearer realm=\"a, Basic \\\" b\",error=insufficient_scope"],
            &[b"Bearer , ,\terror=\"insufficient\\_scope\""],
            &[b"Bearer error=invalid_token, Bearer error=insufficient_scope"],
            &[b"Bearer realm=\"\xff\", error=insufficient_scope"],
        ];
        for lines in spellings {
            assert_eq!(read(lines), BearerChallenge::InsufficientScope, "{lines:?}");
        }
    }

    #[test]
    fn any_other_bearer_challenge_is_present() {
        let spellings: [&[&[u8]]; 9] = [
            &[b"Bearer"],
            &[b"Bearer realm=\\\", error=insufficient_scope"],
            &[b"Bearer error=\"invalid_token\""],
            &[b"Basic realm=\"x\", bearer Error=invalid_token"],
            &[b"Bearer error_description=\"insufficient_scope\""],
            &[b"Bearer error=\"insufficient_scope_\""],
            &[b"Bearer realm=\"error=insufficient_scope\""],
            &[b"Bearer realm=\"a\", Basic error=insufficient_scope"],
            &[b"Bearer realm=\"never closed, error=insufficient_scope"],
        ];
        for lines in spellings {
            assert_eq!(read(lines), BearerChallenge::Present, "{lines:?}");
        }
    }

    #[test]
    fn without_a_bearer_challenge_it_is_missing() {
        let spellings: [&[&[u8]]; 8] = [
            &[],
            &[b""],
            &[b", ,"],
            &[b"Basic realm=\"Bearer\""],
            &[b"Basic realm=\"x, Bearer error=insufficient_scope\""],
            &[b"Bearer2 error=insufficient_scope"],
            &[b"error=insufficient_scope"],
            &[b"=,\"Bearer\",\\"],
        ];
        for lines in spellings {
            assert_eq!(read(lines), BearerChallenge::Missing, "{lines:?}");
        }
    }
}
