//! Token values, and the `Set-Cookie` lines that set or clear them.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use serde::{Deserialize, Serialize};

/// What the tokens of this server look like: 76 characters of base64 like the vendor's sample, with
/// or without padding. A client must send each one back unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenStyle {
    /// No padding.
    Plain,
    /// Ends in `==`.
    Padded,
    /// Ends in `==` and is in quotes, which belong to the cookie's value (RFC 6265): a cookie
    /// without them is a token that was never issued, and so is a bearer token with them.
    Quoted,
    /// Ends in `%3D%3D`: a client that decodes it sends a token that was never issued.
    #[default]
    PercentEncoded,
}

/// The ways to clear the cookie that a client must recognize.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClearingForm {
    /// An empty value and nothing else.
    Empty,
    /// Two quote characters as the value.
    Quoted,
    /// Some value, but `Max-Age=0`.
    MaxAgeZero,
    /// Some value, but a negative `Max-Age`.
    MaxAgeNegative,
    /// Some value, but an `Expires` in the past, with dashes in the date.
    ExpiresPast,
    /// An empty value, `Max-Age=0` and an `Expires` in the past.
    EmptyMaxAgeExpires,
    /// Two quote characters and an `Expires` in the past.
    QuotedExpires,
    /// The value `deleted`, `Max-Age=0` and an `Expires` in the past.
    Deleted,
}

impl ClearingForm {
    /// All variants, to loop over.
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::Quoted,
        Self::MaxAgeZero,
        Self::MaxAgeNegative,
        Self::ExpiresPast,
        Self::EmptyMaxAgeExpires,
        Self::QuotedExpires,
        Self::Deleted,
    ];

    /// Returns the value of the `Set-Cookie` header.
    pub fn line(self) -> &'static str {
        match self {
            Self::Empty => "authToken=; Path=/connect",
            Self::Quoted => "authToken=\"\"; Path=/connect",
            Self::MaxAgeZero => "authToken=AAAA; Max-Age=0; Path=/connect",
            Self::MaxAgeNegative => "authToken=AAAA; Max-Age=-1; Path=/connect",
            Self::ExpiresPast => {
                "authToken=AAAA; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/connect"
            }
            Self::EmptyMaxAgeExpires => {
                "authToken=; Max-Age=0; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/connect"
            }
            Self::QuotedExpires => {
                "authToken=\"\"; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/connect"
            }
            Self::Deleted => {
                "authToken=deleted; Max-Age=0; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/connect"
            }
        }
    }
}

/// Generates token values and session ids.
#[derive(Debug)]
pub(super) struct Mint {
    provider: CryptoProvider,
    style: TokenStyle,
    /// The state of a seeded generator, which makes the tokens the same in every run.
    seed: Option<Cell<u64>>,
}

impl Mint {
    pub(super) fn new(style: TokenStyle, seed: Option<u64>) -> Self {
        Self {
            provider: rustls::crypto::ring::default_provider(),
            style,
            seed: seed.map(Cell::new),
        }
    }

    /// Returns a token of the token endpoint: three parts in URL-safe base64, separated by dots.
    pub(super) fn access_token(&self) -> String {
        let part = |bytes: &[u8]| base64(bytes).replace('+', "-").replace('/', "_");
        [
            part(&self.random::<15>()),
            part(&self.random::<57>()),
            part(&self.random::<33>()),
        ]
        .join(".")
    }

    pub(super) fn token(&self) -> String {
        match self.style {
            TokenStyle::Plain => base64(&self.random::<57>()),
            TokenStyle::Padded => base64(&self.random::<55>()),
            TokenStyle::Quoted => format!("\"{}\"", base64(&self.random::<55>())),
            TokenStyle::PercentEncoded => base64(&self.random::<55>()).replace('=', "%3D"),
        }
    }

    pub(super) fn session_id(&self) -> String {
        self.random::<16>()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect()
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        if let Some(seed) = &self.seed {
            bytes.iter_mut().for_each(|byte| *byte = next_byte(seed));
            return bytes;
        }
        // Tokens protect nothing here, so the time is good enough on a machine without randomness.
        if self.provider.secure_random.fill(&mut bytes).is_err() {
            let nanos = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_nanos();
            bytes
                .iter_mut()
                .zip(nanos.to_le_bytes())
                .for_each(|(byte, noise)| *byte = noise);
        }
        bytes
    }
}

/// `SplitMix64`, which accepts any number as its state. Each byte is the lowest of its output.
fn next_byte(state: &Cell<u64>) -> u8 {
    let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    state.set(next);
    let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as u8
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, i| {
            bits << 8 | u32::from(group.get(i).copied().unwrap_or(0))
        });
        for position in 0..4 {
            if position <= group.len() {
                text.push(char::from(
                    ALPHABET[(bits >> (18 - 6 * position)) as usize & 63],
                ));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// The `Set-Cookie` lines of an accepted login. `Secure` is set on https only: on plain http a
/// client's cookie jar would drop such a cookie, and tests about jars would show nothing.
pub(super) fn login_lines(
    mint: &Mint,
    token: &str,
    lifetime: Duration,
    now: SystemTime,
    tls: bool,
) -> [String; 3] {
    let secure = if tls { "; Secure" } else { "" };
    [
        format!(
            "JSESSIONID={}; Path=/connect{secure}; HttpOnly",
            mint.session_id()
        ),
        token_line(token, lifetime, now, tls),
        format!(
            "JSESSIONID={}; Path=/connect{secure}; HttpOnly",
            mint.session_id()
        ),
    ]
}

/// Returns the line that sets a token, with a date in the form with dashes.
pub(super) fn token_line(token: &str, lifetime: Duration, now: SystemTime, tls: bool) -> String {
    let secure = if tls { "; Secure" } else { "" };
    let expires = dashed(&httpdate::fmt_http_date(later(now, lifetime)));
    format!(
        "authToken={token}; Max-Age={}; Expires={expires}; Path=/connect{secure}; HttpOnly",
        lifetime.as_secs()
    )
}

/// Turns `Wed, 15 Jan 2031 12:00:00 GMT` into `Wed, 15-Jan-2031 12:00:00 GMT`.
fn dashed(date: &str) -> String {
    date.char_indices()
        .map(|(at, c)| if at == 7 || at == 11 { '-' } else { c })
        .collect()
}

/// The latest time that this server supports, since 1970. It is in the year 9987, because an HTTP
/// date has four digits for the year.
const LATEST: Duration = Duration::from_secs(253_000_000_000);

/// Returns a later time, but not later than the latest one.
pub(super) fn later(time: SystemTime, by: Duration) -> SystemTime {
    let latest = SystemTime::UNIX_EPOCH + LATEST;
    time.checked_add(by).map_or(latest, |time| time.min(latest))
}

/// Returns a time shifted by seconds, within the range of HTTP dates.
pub(super) fn shifted(time: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        time.checked_sub(by).map_or(SystemTime::UNIX_EPOCH, |time| {
            time.max(SystemTime::UNIX_EPOCH)
        })
    } else {
        later(time, by)
    }
}

/// Returns the values of the `authToken` cookies in a `Cookie` header, unchanged. Empty values are
/// left out.
pub(super) fn auth_tokens(line: &str) -> impl Iterator<Item = &str> {
    line.split(';')
        .filter_map(|pair| pair.trim().strip_prefix("authToken="))
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded_as_usual() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    }

    #[test]
    fn tokens_are_76_characters_of_base64() {
        assert_eq!(Mint::new(TokenStyle::Plain, None).token().len(), 76);
        let padded = Mint::new(TokenStyle::Padded, None).token();
        assert!(padded.len() == 76 && padded.ends_with("=="));
        let quoted = Mint::new(TokenStyle::Quoted, None).token();
        assert!(quoted.len() == 78 && quoted.starts_with('"') && quoted.ends_with("==\""));
        assert!(
            Mint::new(TokenStyle::PercentEncoded, None)
                .token()
                .ends_with("%3D%3D")
        );
    }

    #[test]
    fn no_time_is_out_of_range() {
        let now = SystemTime::now();
        for time in [
            later(now, Duration::MAX),
            shifted(now, i64::MAX),
            shifted(now, i64::MIN),
        ] {
            assert!(httpdate::fmt_http_date(time).ends_with(" GMT"));
        }
        assert!(token_line("A", Duration::MAX, now, false).contains("9987"));
    }

    #[test]
    fn dates_have_dashes() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_736_942_400 - 60);
        assert_eq!(
            token_line("AAAA", Duration::from_secs(60), now, true),
            "authToken=AAAA; Max-Age=60; Expires=Wed, 15-Jan-2025 12:00:00 GMT; Path=/connect; \
             Secure; HttpOnly"
        );
    }
}
