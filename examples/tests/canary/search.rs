//! The secrets, and the search for any piece of them in any encoding.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Texts that share no piece with any other text. Some have characters that each encoding writes
/// differently.
pub(crate) const USERNAME: &str = "Uq83hVw2+kR7w@Zt5nBxQe9x";
pub(crate) const PASSWORD: &str = "Pw7%kX+Qz \"Jf\\Lb&Ny=é€R4;vT#m9s";
pub(crate) const WRONG_PASSWORD: &str = "Wp3?gH/Dc 'Mk\\Vr&Sx=ü€K8;bF#z6t";
pub(crate) const APP_KEY: &str = "Ak4Zr8Tn2Wm6Yc1Vb5Xs9Qd3";
/// The token of the session that is driven by hand.
pub(crate) const TOKEN: &str = "Tk6Gh1Lw9Bz4Cn7Jv2Px5Mr8Fs3Dq";
/// Other tokens in a token response, which must not be stored.
pub(crate) const ID_TOKEN: &str = "It5Zk9Wq3Hd7Lc1Mx4Rb8Vp2Ny6Gj.Jt2Fs7Kw";
pub(crate) const REDIS_PASSWORD: &str = "Rd2Mx7Kp5Hg9Tz4Lw6Vn1Bc8";

/// The secrets that must be nowhere but on the wire.
pub(crate) const GIVEN: [(&str, &str); 7] = [
    ("the username", USERNAME),
    ("the password", PASSWORD),
    ("the wrong password", WRONG_PASSWORD),
    ("the application key", APP_KEY),
    ("the token made by hand", TOKEN),
    ("the ID token", ID_TOKEN),
    ("the password of Redis", REDIS_PASSWORD),
];

/// All pieces of all secrets, in every encoding that we could think of.
pub(crate) struct Net {
    /// By the length of the pieces.
    pieces: HashMap<usize, HashMap<Vec<u8>, String>>,
    /// Whether a piece may begin with these four bytes, to skip most places of a text quickly.
    begins: Vec<bool>,
}

impl Net {
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut net = Self {
            pieces: HashMap::new(),
            begins: vec![false; 1 << 20],
        };
        for (name, secret) in secrets {
            for (form, length, text) in forms(secret) {
                assert!(
                    text.len() >= length,
                    "{name} is too short to be searched for as {form}"
                );
                for piece in text.as_bytes().windows(length) {
                    net.begins[beginning(piece)] = true;
                    let pieces = net.pieces.entry(length).or_default();
                    pieces.insert(piece.to_vec(), format!("{name} ({form})"));
                }
            }
        }
        net
    }

    /// Returns the pieces of secrets in a text, with their surroundings.
    pub(crate) fn find(&self, text: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let bytes = text.as_bytes();
        for (at, _) in bytes
            .windows(4)
            .enumerate()
            .filter(|(_, four)| self.begins[beginning(four)])
        {
            for (length, pieces) in &self.pieces {
                if let Some(what) = bytes
                    .get(at..at + length)
                    .and_then(|piece| pieces.get(piece))
                    && !found.iter().any(|known| known.starts_with(what))
                {
                    let around = &bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())];
                    found.push(format!("{what}: …{}…", String::from_utf8_lossy(around)));
                }
            }
        }
        found
    }
}

/// Returns four bytes as twenty bits.
fn beginning(piece: &[u8]) -> usize {
    let four = u32::from_le_bytes([piece[0], piece[1], piece[2], piece[3]]);
    (four.wrapping_mul(0x9e37_79b1) >> 12) as usize
}

/// Returns a secret in each encoding: its name, how long a piece must be to be no coincidence, and
/// the text.
fn forms(secret: &str) -> Vec<(&'static str, usize, String)> {
    let bytes = secret.as_bytes();
    let each = |write: fn(u8) -> String| bytes.iter().map(|byte| write(*byte)).collect::<String>();
    let mut forms = vec![
        ("as it is", 8, secret.to_owned()),
        (
            "escaped",
            8,
            format!("{secret:?}").trim_matches('"').to_owned(),
        ),
        ("escaped as bytes", 8, bytes.escape_ascii().to_string()),
        ("in percent", 10, percent(secret, false)),
        ("in percent, lower case", 10, percent(secret, true)),
        ("as a form", 10, form(secret)),
        ("in hex", 16, each(|byte| format!("{byte:02x}"))),
        ("in HEX", 16, each(|byte| format!("{byte:02X}"))),
        ("as numbers", 20, each(|byte| format!("{byte}, "))),
        ("as hex numbers", 20, each(|byte| format!("{byte:x}, "))),
        ("as 0x numbers", 24, each(|byte| format!("{byte:#x}, "))),
    ];
    // Base64 of a text around the secret, in each of the three alignments, without the characters
    // that depend on the text around.
    for before in 0..3 {
        let padded = [&[0; 3][..before], bytes].concat();
        for (name, engine) in [("in base64", STANDARD), ("in base64 for URLs", URL_SAFE)] {
            let text = engine.encode(&padded);
            forms.push((name, 12, text[4..text.len() - 4].to_owned()));
        }
    }
    forms
}

/// Encodes a text as in a URL.
fn percent(text: &str, lower: bool) -> String {
    let written = |byte: u8| match byte {
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ if lower => format!("%{byte:02x}"),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(written).collect()
}

/// Encodes a text as in the body of a login.
pub(crate) fn form(text: &str) -> String {
    percent(text, false).replace("%20", "+")
}

#[test]
fn a_secret_is_found_in_every_encoding() {
    let net = Net::new(GIVEN);
    for (name, secret) in GIVEN {
        for (form, length, text) in forms(secret) {
            let text = format!(
                "before {} after",
                &text[text.len() - text.len().min(length + 4)..]
            );
            assert!(
                net.find(&text).iter().any(|found| found.starts_with(name)),
                "{name} {form}: {text}"
            );
        }
        assert_eq!(
            net.find(&format!("{name} is not told: {}", "*".repeat(secret.len()))),
            [""; 0]
        );
    }
}
