//! Sources of secrets. The command line is not one: every user of the machine can read it.

use std::env;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::exit::{Failure, chain};

/// The longest secret, in bytes. A longer file is the wrong file.
const LONGEST: u64 = 64 * 1024;

/// The source of one secret, which is read each time it is needed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// A file that only its owner may read.
    File(PathBuf),
    /// The first line that a program prints; the program is started without a shell.
    Command(Vec<String>),
    /// An environment variable.
    Env(String),
    /// Standard input.
    #[serde(skip)]
    Stdin,
}

impl Source {
    /// Reads the secret, called `what` in errors.
    ///
    /// # Errors
    /// Returns [`Failure`] (usage) if it cannot be read, is empty, or others can read it too.
    pub(crate) fn read(&self, what: &str) -> Result<Zeroizing<String>, Failure> {
        let secret = match self {
            Self::File(path) => read_file(path, what)?,
            Self::Command(words) => read_command(words, what)?,
            Self::Env(name) => Zeroizing::new(env::var(name).map_err(|_| {
                Failure::usage(format!(
                    "cannot read the {what} from {name}: the variable is not set, or is not valid \
                     Unicode"
                ))
            })?),
            Self::Stdin => read_text(&mut io::stdin().lock(), "standard input", what)?,
        };
        if secret.is_empty() {
            return Err(Failure::usage(format!(
                "the {what} is empty: check its source"
            )));
        }
        Ok(secret)
    }
}

/// Asks for a password on the terminal, without echo.
pub(crate) fn prompt(user: &str, origin: &str) -> Result<Zeroizing<String>, Failure> {
    let none = "no password: give it with --password-file, --password-stdin, the profile or \
                CTC_PASSWORD";
    // Without a terminal on standard error, nobody would see the prompt.
    if !io::stderr().is_terminal() {
        return Err(Failure::usage(none));
    }
    let question = format!("Password of {user} on {origin}: ");
    let typed = rpassword::prompt_password(question);
    let typed = typed.map_err(|error| Failure::usage(format!("{none} ({error})")))?;
    if typed.is_empty() {
        return Err(Failure::usage(none));
    }
    Ok(Zeroizing::new(typed))
}

fn read_file(path: &Path, what: &str) -> Result<Zeroizing<String>, Failure> {
    let shown = path.display();
    let cannot =
        |error: io::Error| Failure::usage(format!("cannot read the {what} from {shown}: {error}"));
    let mut file = File::open(path).map_err(cannot)?;
    check_private(&file, path, what)?;
    read_text(&mut file, &shown.to_string(), what)
}

/// Checks the open file, not its path: the path may lead to another file by now.
#[cfg(unix)]
pub(crate) fn check_private(file: &File, path: &Path, what: &str) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;

    let found = file
        .metadata()
        .map_err(|error| Failure::usage(format!("cannot read the {what}: {error}")))?;
    let mode = found.permissions().mode() & 0o777;
    // systemd gives a service its credentials through an access list, whose mask appears as the
    // group's rights (mode 0440). No other user can enter that folder.
    if mode & 0o077 == 0 || is_credential_of_this_service(path) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} has the {what}, and other users can read it (mode {mode:04o}): run `chmod 600` on it",
        path.display()
    )))
}

#[cfg(not(unix))]
pub(crate) fn check_private(_: &File, _: &Path, _: &str) -> Result<(), Failure> {
    Ok(())
}

#[cfg(unix)]
fn is_credential_of_this_service(path: &Path) -> bool {
    let Some(folder) = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from) else {
        return false;
    };
    match (folder.canonicalize(), path.canonicalize()) {
        (Ok(folder), Ok(path)) => path.starts_with(folder),
        _ => false,
    }
}

fn read_command(words: &[String], what: &str) -> Result<Zeroizing<String>, Failure> {
    let Some((program, args)) = words.split_first() else {
        return Err(Failure::usage(format!(
            "the command for the {what} is empty: write it as a list of words"
        )));
    };
    let fails = |why: String| {
        Failure::error(format!(
            "the command for the {what} ({program}) failed: {why}"
        ))
    };
    let mut child = Command::new(program)
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| fails(chain(&error)))?;
    let mut text = Ok(Zeroizing::default());
    if let Some(mut output) = child.stdout.take() {
        text = read_text(&mut output, program, what);
    }
    // Nobody reads the rest of its output, and it must not stay behind.
    if text.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| fails(chain(&error)))?;
    let text = text?;
    if !status.success() {
        return Err(fails(status.to_string()));
    }
    let first = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(first.to_owned()))
}

/// Reads a text without the line end that editors and `echo` append.
fn read_text(input: &mut dyn Read, from: &str, what: &str) -> Result<Zeroizing<String>, Failure> {
    // Reserve all the space at the start: a buffer that grows leaves copies in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    let read = input.take(LONGEST + 1).read_to_end(&mut bytes);
    let cannot = |why: &str| Failure::usage(format!("cannot read the {what} from {from}: {why}"));
    read.map_err(|error| cannot(&chain(&error)))?;
    if bytes.len() as u64 > LONGEST {
        return Err(cannot("it is too long"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| cannot("it is not valid UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    Ok(Zeroizing::new(text.to_owned()))
}

/// Whether a `Set-Cookie` line has the session's token, however its name is written, and also among
/// cookies that a gateway folded into one line: the session reads those, too.
pub(crate) fn sets_token(line: &[u8]) -> bool {
    line.split(|byte| *byte == b',').any(|cookie| {
        let name = cookie.split(|byte| matches!(byte, b'=' | b';')).next();
        name.is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"authToken"))
    })
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn a_command_with_too_much_output_does_not_stay_behind() {
        use super::*;

        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("echo $$ > {}; exec head -c 100000 /dev/zero", pid.display());
        let source = Source::Command(["sh", "-c", &script].map(str::to_owned).to_vec());
        assert!(source.read("password").is_err());
        let pid = std::fs::read_to_string(pid).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists());
    }
}
