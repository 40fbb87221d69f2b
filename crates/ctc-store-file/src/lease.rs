//! One lease on one record.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ctc_driver::ctc_core::{RecordKey, SessionRecord};
use ctc_driver::{StoreError, StoreLease};
use tracing::warn;

use crate::claim::{Locked, Taken};
use crate::disk::{self, Draft, Found};
use crate::error::{Doing, FileError};
use crate::place::Files;

/// How many unreadable records are kept for diagnosis.
const KEPT_BAD: u8 = 3;

/// The lease. Dropping it ends the holder's lock, which shows others that the lease is free.
pub(crate) struct FileLease {
    files: Files,
    key: RecordKey,
    taken: Taken,
    /// By the monotonic clock.
    deadline: Option<Instant>,
    /// A forked child has a copy of its parent's lease, which is not its own.
    process: u32,
}

impl FileLease {
    /// Takes the lease if it is free.
    pub(crate) fn take(
        files: &Files,
        key: &RecordKey,
        ttl: Duration,
    ) -> Result<Option<Self>, FileError> {
        let began = Instant::now();
        let taken = Locked::lock(files)?.take(ttl)?;
        Ok(taken.map(|taken| Self {
            files: files.clone(),
            key: key.clone(),
            taken,
            deadline: began.checked_add(ttl),
            process: std::process::id(),
        }))
    }

    /// The lock, if this lease is still the newest and its time not over.
    fn lock(&self) -> Result<Locked<'_>, StoreError> {
        let mut locked = Locked::lock(&self.files)?;
        if !locked.read()?.is(&self.taken.claim) {
            return Err(StoreError::LeaseLost);
        }
        self.in_time()?;
        Ok(locked)
    }

    fn in_time(&self) -> Result<(), StoreError> {
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => Err(StoreError::LeaseLost),
            _ => self.is_own(),
        }
    }

    fn is_own(&self) -> Result<(), StoreError> {
        if self.process == std::process::id() {
            Ok(())
        } else {
            Err(StoreError::LeaseLost)
        }
    }

    fn read(&self) -> Result<Found, StoreError> {
        let path = self.files.record();
        let found = disk::read_record(&path).doing("read", &path)?;
        Ok(match found {
            Found::Record(record) if record.key() != self.key => Found::Foreign,
            found => found,
        })
    }

    /// Moves what is no record of ours out of the way. Looked at once more under the lock: by now
    /// it may have been replaced with a good one.
    fn set_aside(&self) -> Result<Option<SessionRecord>, StoreError> {
        let _locked = self.lock()?;
        match self.read()? {
            Found::Nothing => return Ok(None),
            Found::Record(record) => return Ok(Some(*record)),
            Found::Foreign => {}
        }
        let path = self.files.record();
        let bad = self.place_for_bad();
        fs::rename(&path, &bad).doing("set aside", &path)?;
        warn!(
            target: "ctc",
            path = %bad.display(),
            "a session file could not be read and was set aside"
        );
        Ok(None)
    }

    /// A free name; when all are taken the last is used again, unless it is a folder, which may
    /// hold anything.
    fn place_for_bad(&self) -> PathBuf {
        let mut places = (1..=KEPT_BAD).map(|number| self.files.bad(&number.to_string()));
        let free = places.find(|place| fs::symlink_metadata(place).is_err());
        free.unwrap_or_else(|| {
            let last = self.files.bad(&KEPT_BAD.to_string());
            match fs::remove_file(&last) {
                Ok(()) => last,
                Err(_) => self.files.bad(&format!("{:032x}", disk::random())),
            }
        })
    }
}

impl StoreLease for FileLease {
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        match self.read()? {
            Found::Nothing => Ok(None),
            Found::Record(record) => Ok(Some(*record)),
            Found::Foreign => self.set_aside(),
        }
    }

    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        self.in_time()?;
        let path = self.files.record();
        // The slow part, writing and syncing, is done before the lock is taken.
        let draft = Draft::write(&self.files, record).doing("write", &path)?;
        let locked = self.lock()?;
        if matches!(self.read()?, Found::Record(kept) if kept.has_younger_token_than(record)) {
            return Ok(());
        }
        draft.publish(&self.files).doing("replace", &path)?;
        disk::sweep_drafts(&self.files);
        drop(locked);
        disk::sync_folder(&self.files.folder);
        Ok(())
    }

    fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.is_own()?;
        let mut locked = Locked::lock(&self.files)?;
        let found = locked.read()?;
        // Another's by now: then there is nothing to give back.
        if found.is(&self.taken.claim) {
            locked.write(&found.over())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_childs_copy_of_a_lease_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let key = RecordKey {
            origin: "https://connect.calamp.com".to_owned(),
            account: "0123abcd".to_owned(),
        };
        let files = Files::of(folder.path(), &key);
        let take = FileLease::take(&files, &key, Duration::from_secs(60));
        let mut copy = take.unwrap().unwrap();
        copy.process = copy.process.wrapping_add(1);
        let claim = fs::read(files.lock()).unwrap();
        assert!(matches!(copy.lock(), Err(StoreError::LeaseLost)));
        assert!(matches!(
            Box::new(copy).release(),
            Err(StoreError::LeaseLost)
        ));
        assert_eq!(
            fs::read(files.lock()).unwrap(),
            claim,
            "the parent holds it"
        );
    }
}
