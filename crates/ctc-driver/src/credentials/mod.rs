//! The ready-made sources of credentials.

mod command;
mod env;
mod file;

use std::io::{self, Read};

use zeroize::Zeroizing;

pub use command::CredentialsCommand;
pub use env::CredentialsEnv;
pub use file::CredentialsFile;

/// More than any username or password needs.
const MOST_BYTES: usize = 16 * 1024;

/// Why a file or the output of a command is not a line of text. The error never repeats it.
#[derive(Debug, thiserror::Error)]
enum NoLine {
    #[error("it cannot be read")]
    Io(#[source] io::Error),
    #[error("it is longer than {MOST_BYTES} bytes")]
    TooLong,
    #[error("it is not UTF-8 text")]
    NotText,
}

/// Reads a text without its final line break, into memory that is wiped and never moves.
fn read_line(from: impl Read) -> Result<Zeroizing<String>, NoLine> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_BYTES + 1));
    let most = u64::try_from(MOST_BYTES)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    from.take(most)
        .read_to_end(&mut bytes)
        .map_err(NoLine::Io)?;
    if bytes.len() > MOST_BYTES {
        return Err(NoLine::TooLong);
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = str::from_utf8(line).map_err(|_| NoLine::NotText)?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests;
