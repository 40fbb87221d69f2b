//! A text in JSON, which need not be written out: a string, a repeated string, or a list of both.

use serde::{Deserialize, Deserializer, de::Error};

/// The longest text, in bytes: it is built in memory.
const LONGEST: usize = 64 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Repeated { repeat: String, times: usize },
    List(Vec<Self>),
}

pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let mut text = String::new();
    match Text::deserialize(deserializer)?.append_to(&mut text) {
        true => Ok(text),
        false => Err(Error::custom("the text is longer than 64 MiB")),
    }
}

impl Text {
    /// Returns `false` if the text would be too long.
    fn append_to(&self, text: &mut String) -> bool {
        let (part, times) = match self {
            Self::Plain(part) => (part, 1),
            Self::Repeated { repeat, times } => (repeat, *times),
            Self::List(parts) => return parts.iter().all(|part| part.append_to(text)),
        };
        if part.len().saturating_mul(times) > LONGEST - text.len() {
            return false;
        }
        text.extend(std::iter::repeat_n(part.as_str(), times));
        true
    }
}
