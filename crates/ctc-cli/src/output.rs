//! The output of the command: its result on standard output, everything else on standard error.

use std::io::{self, ErrorKind, IsTerminal, Write};

use serde_json::{Value, json};

use crate::exit::{Exit, Failure};

/// The form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text for people.
    Text,
    /// One JSON object, with the version of its format.
    Json,
}

impl Form {
    /// Prints a result, as `text` or as `json`, which must be an object.
    ///
    /// # Errors
    /// Returns [`Failure`] if standard output cannot be written to.
    pub(crate) fn print(self, text: &str, json: Value) -> Result<(), Failure> {
        match self {
            Self::Text => write_out(text.as_bytes()),
            Self::Json => write_out(versioned(json).as_bytes()),
        }
    }

    /// Prints why the command failed, and returns the exit code for it.
    pub(crate) fn print_failure(self, failure: &Failure) -> Exit {
        if self == Self::Json {
            // If standard output fails too, only the exit code is left to report it.
            drop(write_out(
                versioned(json!({ "error": failure.json() })).as_bytes(),
            ));
        }
        note(&format!("ctc: {}", failure.message));
        failure.exit
    }
}

fn versioned(mut value: Value) -> String {
    if let Value::Object(fields) = &mut value {
        fields.insert("version".to_owned(), json!(1));
    }
    format!("{value}\n")
}

/// Writes to standard output. A closed pipe is not a failure of this program.
///
/// # Errors
/// Returns [`Failure`] if it cannot be written to for any other reason.
pub(crate) fn write_out(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    written(out.write_all(bytes.as_ref()).and_then(|()| out.flush()))
}

/// Checks the result of a write to standard output. A closed pipe is not a failure.
///
/// # Errors
/// Returns [`Failure`] if the write failed for any other reason.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::error(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(()),
    }
}

/// Writes a line to standard error, which may be closed.
pub(crate) fn note(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Writes a line to standard error if that is a terminal.
pub(crate) fn progress(line: &str) {
    if io::stderr().is_terminal() {
        note(line);
    }
}
