//! What can go wrong with files, in words that help.

use std::io;
use std::path::{Path, PathBuf};

use ctc_driver::StoreError;

/// Why the files could not be used. It comes as the source of [`StoreError::Unavailable`].
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is neither a state folder nor a home in the environment.
    #[error(
        "no home folder to keep the session in: set HOME or XDG_STATE_HOME, or use FileStore::at"
    )]
    NoHome,
    /// The operating system refused.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// What was to be done.
        step: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process kept the lock file, which nobody does for longer than a moment.
    #[error(
        "the lock file {} is kept by a process that does not go on; is one stopped?",
        path.display()
    )]
    Stuck {
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

/// Adds what was to be done, and with which file.
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
