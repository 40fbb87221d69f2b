//! Keeps a CTC session in a file.

mod claim;
mod disk;
mod error;
mod lease;
mod place;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ctc_driver::ctc_core::RecordKey;
use ctc_driver::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, SessionStore, StoreError, StoreLease, Unblock,
};

use crate::claim::Locked;
use crate::error::Doing;
pub use crate::error::FileError;
use crate::lease::FileLease;
use crate::place::{Files, Folder};

/// How often a waiting process looks whether the lease is free.
const SHORTEST_LOOK: Duration = Duration::from_millis(2);
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// Keeps sessions in files, one each, for every process of this machine and user. Cloning shares the folder.
///
/// Nothing is read or written before the first login. A folder that cannot be used is no error here: the session
/// then goes on in memory, and the driver warns once.
#[derive(Clone, Debug)]
pub struct FileStore {
    folder: Option<Folder>,
}

impl FileStore {
    /// The store in this user's state folder: `$XDG_STATE_HOME/ctc` (`~/.local/state/ctc`), on macOS
    /// `~/Library/Application Support/ctc`, on Windows `%LOCALAPPDATA%\ctc`.
    ///
    /// Without a home every use fails with [`FileError::NoHome`], and sessions are kept in memory only.
    pub fn default_location() -> Self {
        Self { folder: Folder::of_this_user() }
    }

    /// The store in a folder of your choice, which is made (readable by its user only) when it is missing.
    ///
    /// An existing folder is used as it is, unless other users may write to it: then every use fails.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(Folder { path: folder.into(), ours: false }) }
    }

    /// The folder; `None` when there is no home to have one in.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(|folder| folder.path.as_path())
    }

    /// The file that this key's record is or will be in.
    pub fn record_path(&self, key: &RecordKey) -> Option<PathBuf> {
        self.folder().map(|folder| Files::of(folder, key).record())
    }

    /// Removes a record, and with it the token, a pause and a rejection. `false` when there was none.
    ///
    /// A session in use notices nothing, and saves a new record when it logs in next.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the folder is out of reach.
    pub fn forget(&self, key: &RecordKey) -> Result<bool, StoreError> {
        let files = self.files(key)?;
        let _locked = Locked::lock(&files)?;
        let path = files.record();
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Ok(Err(error).doing("remove", &path)?),
        }
    }

    fn files(&self, key: &RecordKey) -> Result<Files, FileError> {
        let folder = self.folder.as_ref().ok_or(FileError::NoHome)?;
        folder.prepare().doing("use the folder", &folder.path)?;
        Ok(Files::of(&folder.path, key))
    }
}

impl SessionStore for FileStore {
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        let give_up = Instant::now() + terms.wait;
        let files = self.files(key)?;
        let mut pause = SHORTEST_LOOK;
        loop {
            if let Some(lease) = FileLease::take(&files, key, terms.ttl)? {
                return Ok(Box::new(lease));
            }
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(StoreError::Busy);
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }
}

#[async_trait]
impl AsyncSessionStore for FileStore {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        AsyncSessionStore::lease(&Unblock(self.clone()), key, terms).await
    }
}
