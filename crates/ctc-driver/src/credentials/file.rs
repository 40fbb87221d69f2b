//! Credentials from files, such as mounted secrets.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use ctc_core::Credentials;
use zeroize::Zeroizing;

use super::{NoLine, read_line};
use crate::ports::{CredentialsError, CredentialsSource};

/// Files as a [`CredentialsSource`], read at each login: secrets that Kubernetes, Docker or a
/// vault's agent puts into files and replaces when they change.
///
/// Each file contains one value as UTF-8, with or without a final line break. Symbolic links are
/// followed, because Kubernetes replaces secrets that way. If username and password are replaced
/// between the two reads, the server rejects that login, and the files are read again.
///
/// On Unix, a file that users other than its owner can write to, or that every user can read, is an
/// error. A file that is missing, too open or invalid is
/// [`Unavailable`](CredentialsError::Unavailable), because it may be corrected at any time.
///
/// ```
/// use ctc_driver::{CredentialsFile, SessionConfig};
///
/// // A secret of the type kubernetes.io/basic-auth, mounted with defaultMode: 0440.
/// let source = CredentialsFile::new("/etc/ctc/username", "/etc/ctc/password");
/// let config = SessionConfig::new().credentials_source(source);
/// ```
#[derive(Clone)]
pub struct CredentialsFile {
    username: Username,
    password: PathBuf,
    everybody_may_read: bool,
}

#[derive(Clone)]
enum Username {
    Fixed(String),
    File(PathBuf),
}

impl CredentialsFile {
    /// Reads username and password from one file each.
    pub fn new(username: impl Into<PathBuf>, password: impl Into<PathBuf>) -> Self {
        Self::with(Username::File(username.into()), password.into())
    }

    /// Reads the password of this user from a file.
    pub fn for_user(username: impl Into<String>, password: impl Into<PathBuf>) -> Self {
        Self::with(Username::Fixed(username.into()), password.into())
    }

    fn with(username: Username, password: PathBuf) -> Self {
        Self {
            username,
            password,
            everybody_may_read: false,
        }
    }

    /// Also accepts files that every user can read. In a container with one user this is harmless,
    /// and Docker (0444) and Kubernetes (0644) mount secrets so by default.
    #[must_use]
    pub fn everybody_may_read(mut self) -> Self {
        self.everybody_may_read = true;
        self
    }

    fn read(&self, path: &Path) -> Result<Zeroizing<String>, CredentialsError> {
        let failed = |why| {
            let path = path.to_owned();
            CredentialsError::unavailable(FileError { path, why })
        };
        let io = |error| failed(Why::Content(NoLine::Io(error)));
        let file = File::open(path).map_err(io)?;
        // Of what was opened: the path may lead elsewhere by now.
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(failed(Why::NoFile));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = metadata.permissions().mode() & 0o7777;
            if mode & 0o022 != 0 {
                return Err(failed(Why::Writable { mode }));
            }
            if mode & 0o004 != 0 && !self.everybody_may_read {
                return Err(failed(Why::Readable { mode }));
            }
        }
        read_line(file).map_err(|error| failed(Why::Content(error)))
    }
}

impl CredentialsSource for CredentialsFile {
    fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let username = match &self.username {
            Username::Fixed(username) => username.clone(),
            Username::File(path) => std::mem::take(&mut *self.read(path)?),
        };
        let password = std::mem::take(&mut *self.read(&self.password)?);
        Ok(Credentials::new(username, password)?)
    }
}

impl fmt::Debug for CredentialsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("CredentialsFile");
        if let Username::File(path) = &self.username {
            f.field("username", path);
        }
        f.field("password", &self.password).finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the file {} cannot be used", path.display())]
struct FileError {
    path: PathBuf,
    #[source]
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("it is not a regular file")]
    NoFile,
    #[cfg(unix)]
    #[error("users other than its owner can write to it (mode {mode:04o}): run chmod go-w on it")]
    Writable { mode: u32 },
    #[cfg(unix)]
    #[error(
        "every user can read it (mode {mode:04o}): run chmod o-r on it, mount it with defaultMode \
         0440, or allow it with everybody_may_read()"
    )]
    Readable { mode: u32 },
    #[error(transparent)]
    Content(NoLine),
}
