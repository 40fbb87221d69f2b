//! Keeps a session with the CalAmp Telematics Cloud (CTC) in a file, so that it outlives the
//! program and all processes of one user on a machine share it. Twenty workers, or a program that
//! cron starts every minute, need one login.
//!
//! ```
//! use ctc_store_file::FileStore;
//!
//! let store = FileStore::default_location();
//! // ctc_reqwest::Client::builder().store(store)…
//! // ctc_ureq::Client::builder().store(store)…
//! # let _ = store;
//! ```
//!
//! # Choosing a store
//!
//! | where the processes run | store |
//! | --- | --- |
//! | one process, all day | none |
//! | one machine, one user: cron, command-line tools, workers | this one |
//! | one machine, several users | this one for each user, or Redis |
//! | many machines, containers, pods | [`ctc-store-redis`](https://docs.rs/ctc-store-redis) |
//! | no files, a secret manager, a database | your own: see [`SessionStore`] |
//!
//! The directory must be on a local disk: network file systems (NFS, SMB) do not guarantee locks
//! and renames. Containers of one host may share it through a volume, if all run as the same user.
//!
//! # What is in the file
//!
//! Each session has one file, `<host>_<account>.json`, so that several accounts share a directory.
//! It contains the origin, a mark of the account, how many logins were made recently, a backoff in
//! force and, sealed, the tokens and rejections of recent passwords. It does not contain the
//! username, the password or the application key: see [`SessionRecord`].
//!
//! Beside it are `.lock` (the holder of the store lease, its number and its end) and two `.holder…`
//! files, which a holder locks for as long as it lives. They contain no secret and are never
//! removed. `.bad-1` to `.bad-3` are files that were found in place of a record and could not be
//! read.
//!
//! # Who can read it
//!
//! On Unix its user and root: the file has mode 0600 from the first byte, in a directory of mode
//! 0700. A looser mode is tightened when the file is next used. A symbolic link in its place is
//! moved away and never followed. A directory that belongs to another user (other than root), or
//! that other users can write to, is an error. On Windows the file inherits the rights of its
//! directory; only its user can access that of [`FileStore::default_location`].
//!
//! **A reader of the file gets no token:** it opens only with the password that obtained it. With
//! the username and the application key, a reader can test passwords, at 14 ms and 19 MiB each. A
//! common password does not withstand that, so exclude the file from backups and images ([all that
//! a record discloses](ctc_driver::ctc_core::manual::security)). A process with another password
//! finds nothing in it and leaves the token alone. A new process takes about 30 ms to derive its
//! key.
//!
//! # Resetting
//!
//! After a rejected login (a wrong password, a locked account) no process logs in again until the
//! credentials change, because repeating a wrong password can lock the account. To try the same
//! credentials again, for example after the account was unlocked, call `SharedSession::reset` in
//! each running process, or [`FileStore::forget`], or remove the `.json` file and start the program
//! again. Removing the whole directory is safe at any time and costs a login.
//!
//! # What it withstands
//!
//! - **Kill at any moment.** A record is written beside its place, synced and renamed: it is the
//!   old or the new one, never half of it. The next caller that logs in sees immediately that a
//!   killed process no longer holds the lease.
//! - **A frozen process** (a stopped one, a laptop that slept). Another process takes its lease
//!   when that expires. When the first one resumes, its write is discarded: each lease has a
//!   number, and only the newest may write.
//! - **A fork.** A child neither keeps its parent's locks nor ends them, and its copy of a store
//!   lease changes nothing.
//! - **A changed clock.** A lease never lasts longer than it was requested for; a token is tried
//!   whatever its age.
//! - **A file system that cannot sync.** The record is saved all the same, with one warning.
//! - **A full or read-only disk, a missing home.** The session continues in memory, with one
//!   warning.
//!
//! The driver limits how long a caller waits. Files are used around a login, at most once a minute
//! when the server replaces the token on an ordinary response, and at no other time while the token
//! is valid. The threads of the crate `blocking` serve asynchronous callers, on any runtime.
//!
//! # The manual
//!
//! [`ctc_driver::manual`] is its table of contents, with the page
//! [`stores`](ctc_driver::manual::stores); `cargo doc --open` in a clone of the repository shows
//! it.

#![cfg_attr(docsrs, feature(doc_cfg))]

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
use ctc_driver::ctc_core::{RecordKey, SessionRecord};
use ctc_driver::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, SessionStore, StoreError, StoreLease, Unblock,
};

use crate::claim::Locked;
use crate::error::Doing;
pub use crate::error::FileError;
use crate::lease::FileLease;
use crate::place::{Files, Folder};

/// How often a waiting process checks whether the lease is free.
const SHORTEST_LOOK: Duration = Duration::from_millis(2);
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// A store in files, one per session, for all processes of one user on a machine. Clones share the
/// directory.
///
/// Nothing is read or written before the first login. If the directory cannot be used, the session
/// continues in memory, and the driver warns once.
#[derive(Clone, Debug)]
pub struct FileStore {
    folder: Option<Folder>,
}

impl FileStore {
    /// Returns the store in this user's state directory: `$XDG_STATE_HOME/ctc`
    /// (`~/.local/state/ctc`), on macOS `~/Library/Application Support/ctc`, on Windows
    /// `%LOCALAPPDATA%\ctc`.
    ///
    /// Without a home directory every use fails with [`FileError::NoHome`], and sessions are kept
    /// only in memory.
    pub fn default_location() -> Self {
        Self {
            folder: Folder::of_this_user(),
        }
    }

    /// Returns the store in a directory of your choice, which is created (readable by its user
    /// only) if it is missing.
    ///
    /// An existing directory is used unchanged, unless it belongs to another user or other users
    /// can write to it: then every use fails.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: Some(Folder {
                path: folder.into(),
                ours: false,
            }),
        }
    }

    /// Returns the directory; `None` without a home directory.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(|folder| folder.path.as_path())
    }

    /// Returns the file of this key's record, which may not exist yet.
    pub fn record_path(&self, key: &RecordKey) -> Option<PathBuf> {
        self.folder().map(|folder| Files::of(folder, key).record())
    }

    /// Reads a record without its lease and without changes, for programs that show it. `None` if
    /// there is no valid record.
    ///
    /// # Errors
    /// Returns [`StoreError::Unavailable`] if the directory or the file cannot be read.
    pub fn read(&self, key: &RecordKey) -> Result<Option<SessionRecord>, StoreError> {
        let Some(path) = self.record_path(key) else {
            return Err(FileError::NoHome.into());
        };
        let found = disk::look(&path).doing("read", &path)?;
        Ok(found.filter(|record| record.key() == *key))
    }

    /// Reads all records of the directory, each with its file, in the order of the file names.
    /// Skips invalid files; a directory that does not exist has no records.
    ///
    /// # Errors
    /// Returns [`StoreError::Unavailable`] if the directory cannot be read.
    pub fn records(&self) -> Result<Vec<(PathBuf, SessionRecord)>, StoreError> {
        let folder = self.folder().ok_or(FileError::NoHome)?;
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.doing("list", folder)?,
        };
        let paths = entries.flatten().map(|entry| entry.path());
        let is_record = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
        let mut paths: Vec<_> = paths.filter(is_record).collect();
        paths.sort();
        let records = paths.into_iter().filter_map(|path| {
            let record = disk::look(&path).ok().flatten()?;
            // Of its own name: a copy beside it is not used by anybody.
            let is_used = self.record_path(&record.key()).as_ref() == Some(&path);
            is_used.then_some((path, record))
        });
        Ok(records.collect())
    }

    /// Removes a record with its token, backoff and rejections. Returns `false` if there was none.
    ///
    /// A session in use is not affected, and saves a new record at its next login.
    ///
    /// # Errors
    /// Returns [`StoreError::Unavailable`] if the directory cannot be used.
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
        let began = Instant::now();
        let files = self.files(key)?;
        let mut pause = SHORTEST_LOOK;
        loop {
            if let Some(lease) = FileLease::take(&files, key, terms.ttl)? {
                return Ok(Box::new(lease));
            }
            let left = terms.wait.saturating_sub(began.elapsed());
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

/// The README's snippet, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
