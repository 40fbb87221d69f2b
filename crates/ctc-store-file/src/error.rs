//! Errors of the files, and their texts.

use std::io;
use std::path::{Path, PathBuf};

use ctc_driver::StoreError;

/// Why the files could not be used. It comes as the source of [`StoreError::Unavailable`].
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The environment names neither a state directory nor a home directory.
    #[error("no home directory for the session: set HOME or XDG_STATE_HOME, or use FileStore::at")]
    NoHome,
    /// A file operation failed.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// The operation that failed.
        step: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// Another process holds the lock file for far longer than an operation takes.
    #[error(
        "the lock file {} is held by a process that makes no progress: resume it or end it",
        path.display()
    )]
    Stuck {
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file cannot be recognized after it was opened: it is replaced all the time, or its
    /// file system numbers files anew each time.
    #[error(
        "the lock file {} is replaced all the time, or its file system does not identify files: \
         use a directory on a local disk",
        path.display()
    )]
    Unlockable {
        /// The lock file.
        path: PathBuf,
    },
}

ctc_driver::ctc_core::__readable_debug!(FileError);

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

/// Adds the operation and the file to an error.
pub(crate) trait Doing<R> {
    fn doing(self, step: &'static str, path: &Path) -> Result<R, FileError>;
}

impl<R> Doing<R> for io::Result<R> {
    fn doing(self, step: &'static str, path: &Path) -> Result<R, FileError> {
        self.map_err(|source| FileError::Io {
            step,
            path: path.to_owned(),
            source,
        })
    }
}
