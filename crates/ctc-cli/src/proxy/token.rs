//! The local token, which callers must send if the proxy requires it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use http::HeaderMap;
use subtle::ConstantTimeEq;

use super::reply::{Reason, Reply};

/// The header with the token. It is not forwarded.
pub(super) const HEADER: &str = "ctc-proxy-token";
/// Bytes of randomness.
const BYTES: usize = 32;

/// The token that this proxy requires.
pub(super) struct LocalToken(String);

impl LocalToken {
    /// Reads the token in the file at `path`, or creates one if there is none yet. So the token
    /// stays the same when the proxy restarts.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or created, other users can read it, or it
    /// contains anything else.
    pub(super) fn in_file(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        check_private(&file)?;
        // Hold the lock until the file is closed: if two proxies start at once, one of them creates
        // the token.
        file.lock()?;
        let mut text = String::new();
        (&file).take(1024).read_to_string(&mut text)?;
        let token = text.trim();
        if token.is_empty() {
            let mut bytes = [0; BYTES];
            getrandom::fill(&mut bytes).map_err(io::Error::other)?;
            let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(file, "{token}")?;
            file.sync_all()?;
            return Ok(Self(token));
        }
        if token.len() != 2 * BYTES || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let why = "it does not contain a token of this proxy: remove it";
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        }
        Ok(Self(token.to_owned()))
    }

    /// # Errors
    /// Returns the response to a request without this token.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Reply> {
        let mut shown = headers.get_all(HEADER).iter();
        // The length is not secret. The bytes are compared in constant time.
        let is_right = match (shown.next(), shown.next()) {
            (Some(shown), None) => shown.as_bytes().ct_eq(self.0.as_bytes()).into(),
            _ => false,
        };
        if is_right {
            return Ok(());
        }
        let why =
            format!("the header {HEADER} is missing or wrong: send the token in the proxy's file");
        Err(Reply::new(Reason::LocalToken, why))
    }
}

#[cfg(unix)]
fn check_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    if file.metadata()?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    let why = "other users can read it: run `chmod 600` on it, or remove it";
    Err(io::Error::new(ErrorKind::PermissionDenied, why))
}

#[cfg(not(unix))]
fn check_private(_: &File) -> io::Result<()> {
    Ok(())
}

impl fmt::Debug for LocalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalToken([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_token_is_created_once_private_and_required() {
        use std::fs::{self, Permissions};
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = LocalToken::in_file(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(LocalToken::in_file(&path).unwrap().0, token.0);
        assert_eq!(format!("{token:?}"), "LocalToken([redacted])");

        let mut headers = HeaderMap::new();
        assert!(token.check(&headers).is_err());
        let right = HeaderValue::from_str(&token.0).unwrap();
        headers.insert(HEADER, right.clone());
        assert!(token.check(&headers).is_ok());
        headers.append(HEADER, right);
        assert!(token.check(&headers).is_err(), "twice");
        for wrong in [
            "",
            "x",
            &token.0[1..],
            &token.0.to_uppercase().replace('A', "B"),
        ] {
            headers.insert(HEADER, HeaderValue::from_str(wrong).unwrap());
            assert!(token.check(&headers).is_err(), "{wrong}");
        }

        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(LocalToken::in_file(&path).is_err());
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "hunter2\n").unwrap();
        assert!(LocalToken::in_file(&path).is_err());
        // A proxy that was killed at its start leaves an empty file.
        fs::write(&path, "").unwrap();
        assert_ne!(LocalToken::in_file(&path).unwrap().0, token.0);
    }
}
