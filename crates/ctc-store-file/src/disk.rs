//! Files that only their user may read, and that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ctc_driver::ctc_core::SessionRecord;
use tracing::warn;
use zeroize::Zeroizing;

use crate::place::Files;

/// No record is longer; what is, is none of ours.
const LONGEST_RECORD: u64 = 256 * 1024;

/// What lies where the record should.
pub(crate) enum Found {
    Nothing,
    Record(Box<SessionRecord>),
    /// Half a record, another program's file, a folder, a symbolic link.
    Foreign,
}

/// Reads the record. A mode that lets others read is tightened.
pub(crate) fn read_record(path: &Path) -> io::Result<Found> {
    read(path, tighten)
}

/// Reads the record and leaves everything as it is.
pub(crate) fn look(path: &Path) -> io::Result<Option<SessionRecord>> {
    Ok(match read(path, |_, _| Ok(()))? {
        Found::Record(record) => Some(*record),
        Found::Nothing | Found::Foreign => None,
    })
}

fn read(
    path: &Path,
    check: impl FnOnce(&File, &fs::Metadata) -> io::Result<()>,
) -> io::Result<Found> {
    let mut file = match open(path, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(_) if !is_plain_file(path) => return Ok(Found::Foreign),
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    if !found.is_file() || found.len() > LONGEST_RECORD {
        return Ok(Found::Foreign);
    }
    check(&file, &found)?;
    // Room for all of it from the start: a buffer that grows would leave copies of the token
    // behind.
    let room = usize::try_from(found.len()).unwrap_or_default() + 1;
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    (&mut file).take(found.len()).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)
        .map_or(Found::Foreign, |record| Found::Record(Box::new(record))))
}

/// A record written in full and on disk, beside its place, and gone when it is dropped.
pub(crate) struct Draft(PathBuf);

impl Draft {
    /// Writes `record` to a new file that no other process can foresee or have prepared.
    pub(crate) fn write(files: &Files, record: &SessionRecord) -> io::Result<Self> {
        let name = format!("{}{:032x}", files.draft_prefix(), random());
        let draft = Self(files.folder.join(name));
        let mut text = Zeroizing::new(Vec::with_capacity(4096));
        serde_json::to_writer(&mut *text, record)?;
        let mut file = open(&draft.0, OpenOptions::new().write(true).create_new(true))?;
        file.write_all(&text)?;
        settle(file.sync_all(), &files.folder, &WARNED)?;
        Ok(draft)
    }

    /// Renames it into place: readers see the old record or this one.
    pub(crate) fn publish(self, files: &Files) -> io::Result<()> {
        fs::rename(&self.0, files.record())
    }
}

/// One warning a process: what one file shows holds for all of its file system.
static WARNED: AtomicBool = AtomicBool::new(false);

/// What became of a sync. Some file systems (network, FUSE, those of some containers) have none:
/// the record is kept all the same, since without it every process would log in for itself. A disk
/// that fails is another matter.
fn settle(synced: io::Result<()>, folder: &Path, warned: &AtomicBool) -> io::Result<()> {
    match synced {
        Err(error) if cannot_sync(&error) => {
            if !warned.swap(true, Relaxed) {
                warn!(
                    target: "ctc",
                    folder = %folder.display(),
                    %error,
                    "this file system cannot sync: a power cut may cost a session file"
                );
            }
            Ok(())
        }
        synced => synced,
    }
}

/// `EINVAL`, `ENOTSUP` and `ENOSYS` say that there is no sync here. So does `ENOTTY`, where a sync
/// is a control command (macOS).
fn cannot_sync(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::ENOTTY) {
        return true;
    }
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `publish` there is nothing of this name any more.
        let _ = fs::remove_file(&self.0);
    }
}

/// Removes drafts that a killed process left. Only the holder of the lease may do it, under the
/// lock: every other draft is then one that can no longer be published.
pub(crate) fn sweep_drafts(files: &Files) {
    let prefix = files.draft_prefix();
    let Ok(entries) = fs::read_dir(&files.folder) else {
        return;
    };
    for entry in entries.flatten() {
        if entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(&prefix))
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Makes a rename last through a power cut. What cannot be synced (some network file systems) is
/// left to them.
pub(crate) fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = folder;
}

/// A file that is locked but says little; made when it is missing, and never removed.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    let file = open(path, OpenOptions::new().read(true).write(true).create(true))?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this is no plain file",
        ));
    }
    tighten(&file, &found)?;
    Ok(file)
}

/// Whether `path` still leads to this very file.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let (open, there) = (
        file.metadata()?,
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        },
    );
    Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
}

/// A file that is open cannot be removed on Windows.
#[cfg(not(unix))]
pub(crate) fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// 128 unpredictable bits: `std` keys its hashers from the operating system's randomness.
pub(crate) fn random() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    half() << 64 | half()
}

/// Opens without following a symbolic link, without waiting for the other end of a pipe, and
/// private if it is made.
#[cfg(unix)]
fn open(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    how.mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this is a symbolic link",
        ));
    }
    how.open(path)
}

#[cfg(unix)]
fn tighten(file: &File, found: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    if found.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn tighten(_: &File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

fn is_plain_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

#[cfg(all(test, unix))]
mod tests {
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// What `fsync` says where there is none, and what it says of a disk that fails.
    #[test]
    fn a_file_system_without_sync_keeps_records_with_one_warning() {
        let (warned, log) = (AtomicBool::new(false), Count::default());
        let settle = |code| {
            let refused = Err(io::Error::from_raw_os_error(code));
            settle(refused, Path::new("/home/ada/.local/state/ctc"), &warned)
        };
        tracing::subscriber::with_default(log.clone(), || {
            for real in [
                libc::EIO,
                libc::ENOSPC,
                libc::EDQUOT,
                libc::EROFS,
                libc::EBADF,
            ] {
                let error = settle(real).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(real));
            }
            assert_eq!(log.warnings(), 0);
            for none in [
                libc::EINVAL,
                libc::ENOTSUP,
                libc::EOPNOTSUPP,
                libc::ENOSYS,
                libc::ENOTTY,
            ] {
                settle(none).unwrap();
            }
            assert_eq!(log.warnings(), 1);
        });
    }

    #[derive(Clone, Default)]
    struct Count(std::sync::Arc<std::sync::atomic::AtomicU32>);

    impl Count {
        fn warnings(&self) -> u32 {
            self.0.load(Relaxed)
        }
    }

    impl Subscriber for Count {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Relaxed);
        }
    }
}
