//! Who holds the lease: a line in the lock file, read and written under its lock.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::disk;
use crate::error::{Doing, FileError};
use crate::place::Files;

/// The lock file is held only for a few file operations. A process that holds it for longer is
/// stopped or worse.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// A file that this process has locked. The lock ends when this is dropped, or with the process.
struct LockedFile {
    file: File,
    process: u32,
}

impl LockedFile {
    /// `None` while another has it locked.
    fn lock(file: File) -> io::Result<Option<Self>> {
        let process = std::process::id();
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file, process })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Closing the file would not do: a lock lives as long as any descriptor of the open file, and a
/// forked child has one. For the same reason the child must not unlock what its parent has locked.
impl Drop for LockedFile {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            let _ = self.file.unlock();
        }
    }
}

/// The lock file, locked. It is let go when this is dropped, or when the process ends.
pub(crate) struct Locked<'a> {
    lock: LockedFile,
    files: &'a Files,
}

impl<'a> Locked<'a> {
    pub(crate) fn lock(files: &'a Files) -> Result<Self, FileError> {
        Self::lock_if(files, LOCK_PATIENCE, disk::is_at)
    }

    fn lock_if(
        files: &'a Files,
        patience: Duration,
        is_at: impl Fn(&File, &Path) -> io::Result<bool>,
    ) -> Result<Self, FileError> {
        let path = files.lock();
        let give_up = Instant::now() + patience;
        let mut pause = Duration::from_micros(200);
        loop {
            let file = disk::open_lock(&path).doing("open the lock file", &path)?;
            let locked = LockedFile::lock(file).doing("lock", &path)?;
            let is_held = locked.is_none();
            if let Some(lock) = locked
                // Someone may have removed the file by hand between the two: then nobody else would
                // see the lock.
                && is_at(&lock.file, &path).doing("check the lock file", &path)?
            {
                return Ok(Self { lock, files });
            }
            if Instant::now() >= give_up {
                return Err(match is_held {
                    true => FileError::Stuck { path },
                    false => FileError::Unlockable { path },
                });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    /// What the file says; a line that cannot be read counts as none.
    pub(crate) fn read(&mut self) -> Result<Claim, FileError> {
        let mut line = String::new();
        let read = self.lock.file.seek(SeekFrom::Start(0)).and_then(|_| {
            (&mut self.lock.file)
                .take(Claim::LENGTH)
                .read_to_string(&mut line)
                .or_else(|error| {
                    if error.kind() == io::ErrorKind::InvalidData {
                        Ok(0)
                    } else {
                        Err(error)
                    }
                })
        });
        read.doing("read the lock file", &self.files.lock())?;
        Ok(Claim::parse(&line).unwrap_or_default())
    }

    /// Writes the line in place. It always has the same length, and one write of so little is not
    /// torn by a kill; it need not survive a power cut, which ends every holder as well.
    pub(crate) fn write(&mut self, claim: &Claim) -> Result<(), FileError> {
        let line = claim.to_string();
        let file = &mut self.lock.file;
        let written = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| file.write_all(line.as_bytes()));
        written.doing("write the lock file", &self.files.lock())
    }

    /// Takes the lease for `ttl`, or says that another process has it.
    pub(crate) fn take(&mut self, ttl: Duration) -> Result<Option<Taken>, FileError> {
        let found = self.read()?;
        let mut mark = None;
        if found.runs_at(wall_ms()) {
            mark = match found.slot.map(|slot| self.mark(slot)) {
                Some(Ok(Some(mark))) => Some(mark),
                // Its holder lives, or cannot be looked at.
                _ => return Ok(None),
            };
        }
        // A frozen holder keeps its own slot locked. If both are kept, the lease goes by its time
        // alone.
        let free = |slot| self.mark(slot).ok().flatten();
        let mark = mark.or_else(|| free(0)).or_else(|| free(1));
        let claim = Claim {
            fence: found.fence.wrapping_add(1),
            until: wall_ms().saturating_add(millis(ttl)),
            ttl: millis(ttl),
            slot: mark.as_ref().map(|mark| mark.slot),
            owner: disk::random(),
        };
        self.write(&claim)?;
        Ok(Some(Taken { claim, _mark: mark }))
    }

    /// The slot's lock, unless a living process has it.
    fn mark(&self, slot: u8) -> io::Result<Option<Mark>> {
        let file = disk::open_lock(&self.files.holder(slot))?;
        let lock = LockedFile::lock(file)?;
        Ok(lock.map(|lock| Mark { slot, _lock: lock }))
    }
}

/// The lease, taken.
pub(crate) struct Taken {
    pub(crate) claim: Claim,
    /// The system releases it when the process ends, however it ends: then no other process waits
    /// for its time to pass.
    _mark: Option<Mark>,
}

struct Mark {
    slot: u8,
    _lock: LockedFile,
}

/// One line: who holds the lease, until when, and how many have held it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The fencing number: one more with every lease. Only the newest may write.
    fence: u64,
    /// Milliseconds since 1970; 0 when it was given back.
    until: u64,
    ttl: u64,
    slot: Option<u8>,
    /// Tells leases of one number apart, should the file have been removed in between.
    owner: u128,
}

impl Claim {
    const LENGTH: u64 = 110;

    /// Whether both are one and the same lease.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.fence, self.owner) == (other.fence, other.owner)
    }

    /// The claim after its lease was given back.
    pub(crate) fn over(self) -> Self {
        Self {
            until: 0,
            slot: None,
            ..self
        }
    }

    /// Whether its time still runs. One that has longer to go than it was taken for was written by
    /// a clock that has been set back since: it is over, and its holder's writes lose by the
    /// number.
    fn runs_at(&self, wall_ms: u64) -> bool {
        let left = self.until.saturating_sub(wall_ms);
        left > 0 && left <= self.ttl
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line
            .strip_prefix("ctc-lease 1 ")?
            .strip_suffix('\n')?
            .split(' ');
        let mut number = || words.next()?.parse().ok();
        let (fence, until, ttl) = (number()?, number()?, number()?);
        let slot = match words.next()? {
            "-" => None,
            slot => Some(slot.parse().ok()?),
        };
        let owner = u128::from_str_radix(words.next()?, 16).ok()?;
        words.next().is_none().then_some(Self {
            fence,
            until,
            ttl,
            slot,
            owner,
        })
    }
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let slot = self.slot.map_or("-".to_owned(), |slot| slot.to_string());
        let Self {
            fence,
            until,
            ttl,
            owner,
            ..
        } = self;
        writeln!(
            f,
            "ctc-lease 1 {fence:020} {until:020} {ttl:020} {slot:1} {owner:032x}"
        )
    }
}

fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(millis)
        .unwrap_or_default()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let claim = Claim {
            fence: 7,
            until: u64::MAX,
            ttl: 60_000,
            slot: Some(1),
            owner: u128::MAX,
        };
        for claim in [claim.clone(), claim.over(), Claim::default()] {
            let line = claim.to_string();
            assert_eq!(u64::try_from(line.len()).unwrap(), Claim::LENGTH);
            assert_eq!(Claim::parse(&line), Some(claim));
            assert_eq!(Claim::parse(&line[..line.len() - 1]), None, "cut off");
        }
        assert_eq!(Claim::parse(""), None);
    }

    fn files(folder: &tempfile::TempDir) -> Files {
        Files {
            folder: folder.path().to_owned(),
            name: "session".to_owned(),
        }
    }

    /// Some file systems give an open file another number than its name has.
    #[test]
    fn a_lock_file_that_is_never_found_at_its_place_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(&folder);
        let locked = Locked::lock_if(&files, Duration::from_millis(50), |_, _| Ok(false));
        let error = locked.err().unwrap();
        assert!(matches!(error, FileError::Unlockable { .. }), "{error}");
    }

    fn takes_the_lease(files: &Files) -> bool {
        let began = Instant::now();
        let taken = Locked::lock(files)
            .unwrap()
            .take(Duration::from_secs(60))
            .unwrap();
        taken.is_some() && began.elapsed() < LOCK_PATIENCE / 2
    }

    /// A child that was forked has every file that its parent had open: the very same, with its
    /// lock, as a duplicate has it here.
    #[test]
    fn a_lock_that_a_forked_child_inherited_does_not_outlive_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(&folder);
        let mut locked = Locked::lock(&files).unwrap();
        let taken = locked.take(Duration::from_secs(60)).unwrap().unwrap();
        let mark = taken._mark.as_ref().unwrap();
        let _inherited =
            [&locked.lock.file, &mark._lock.file].map(|file| file.try_clone().unwrap());
        drop(locked);
        assert!(!takes_the_lease(&files), "its holder lives");
        drop(taken);
        assert!(takes_the_lease(&files));
    }

    /// The child that ends first must not end its parent's locks.
    #[test]
    fn a_forked_child_lets_go_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(&folder);
        let mut taken = Locked::lock(&files)
            .unwrap()
            .take(Duration::from_secs(60))
            .unwrap()
            .unwrap();
        let lock = &mut taken._mark.as_mut().unwrap()._lock;
        let _of_the_parent = lock.file.try_clone().unwrap();
        lock.process = lock.process.wrapping_add(1);
        drop(taken);
        assert!(!takes_the_lease(&files));
    }

    #[test]
    fn a_clock_set_back_does_not_make_a_lease_endless() {
        let claim = Claim {
            until: 1_000_000,
            ttl: 60_000,
            ..Claim::default()
        };
        assert!(claim.runs_at(950_000) && !claim.runs_at(1_000_000));
        assert!(!claim.runs_at(900_000), "40 s before it was taken");
    }
}
