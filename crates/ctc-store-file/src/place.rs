//! Where records lie: the folder, and the names of the files in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ctc_driver::ctc_core::RecordKey;

/// The folder of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// Created only for this purpose, so that a loose mode is tightened and not only an error.
    pub(crate) ours: bool,
}

impl Folder {
    /// `ctc` in the place that this system has for the state of programs; `None` without a home.
    pub(crate) fn of_this_user() -> Option<Self> {
        Some(Self {
            path: state_folder()?.join("ctc"),
            ours: true,
        })
    }

    /// Makes the folder if it is missing, private from the start, and checks it if it is there.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        match fs::metadata(&self.path) {
            Ok(found) if found.is_dir() => self.check(&found),
            Ok(_) => Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                "this is no folder",
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_private(&self.path)?;
                self.check(&fs::metadata(&self.path)?)
            }
            Err(error) => Err(error),
        }
    }

    #[cfg(unix)]
    fn check(&self, found: &fs::Metadata) -> io::Result<()> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};

        let refused = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        // Root may do anything anyway.
        if found.uid() != 0 && found.uid() != this_user()? {
            return refused("this folder belongs to another user: choose one of your own");
        }
        let mode = found.mode();
        if self.ours && mode & 0o077 != 0 {
            return fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700));
        }
        if mode & 0o022 != 0 {
            return refused(
                "others may write to this folder: choose one of your own, or `chmod 700` it",
            );
        }
        Ok(())
    }

    /// On Windows a folder inherits who may read it: that of `%LOCALAPPDATA%` is its user's own.
    #[cfg(not(unix))]
    fn check(&self, _: &fs::Metadata) -> io::Result<()> {
        Ok(())
    }
}

/// The user of this process. `std` does not provide it, but a pipe belongs to the user that created
/// it.
#[cfg(unix)]
fn this_user() -> io::Result<u32> {
    use std::os::{fd::OwnedFd, unix::fs::MetadataExt};

    let (pipe, _) = io::pipe()?;
    Ok(fs::File::from(OwnedFd::from(pipe)).metadata()?.uid())
}

fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(not(any(windows, target_os = "macos")))]
fn state_folder() -> Option<PathBuf> {
    // The base directory specification says that a relative path is to be ignored.
    let named = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    named.or_else(|| Some(home()?.join(".local/state")))
}

#[cfg(target_os = "macos")]
fn state_folder() -> Option<PathBuf> {
    Some(home()?.join("Library/Application Support"))
}

#[cfg(windows)]
fn state_folder() -> Option<PathBuf> {
    let named = std::env::var_os("LOCALAPPDATA")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    named.or_else(|| Some(home()?.join("AppData").join("Local")))
}

fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| home.is_absolute())
}

/// The files of one session. They are told apart by their endings.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
}

impl Files {
    pub(crate) fn of(folder: &Path, key: &RecordKey) -> Self {
        Self {
            folder: folder.to_owned(),
            name: name(key),
        }
    }

    /// The record: what all the others are there for.
    pub(crate) fn record(&self) -> PathBuf {
        self.with(".json")
    }

    /// Locked for moments, around every look at the lease and every change of the record.
    pub(crate) fn lock(&self) -> PathBuf {
        self.with(".lock")
    }

    /// Locked by a holder for as long as it lives. There are two, so that a frozen holder's can be
    /// passed by.
    pub(crate) fn holder(&self, slot: u8) -> PathBuf {
        self.with(&format!(".holder{slot}"))
    }

    /// Where a record that cannot be read is put.
    pub(crate) fn bad(&self, mark: &str) -> PathBuf {
        self.with(&format!(".bad-{mark}"))
    }

    /// What the name of a record that is being written begins with.
    pub(crate) fn draft_prefix(&self) -> String {
        format!(".{}.draft-", self.name)
    }

    fn with(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}{ending}", self.name))
    }
}

/// Names stay below the 255 bytes that file systems allow, endings included.
const LONGEST: usize = 180;

/// One name a key: the host, to be read by people, and the account's mark.
fn name(key: &RecordKey) -> String {
    let host = key.origin.strip_prefix("https://").unwrap_or(&key.origin);
    let mut name = format!("{}_{}", escape(host), escape(&key.account));
    if name.len() > LONGEST {
        let rest = fnv1a(name.as_bytes());
        name.truncate(LONGEST - 17);
        name.push_str(&format!("-{rest:016x}"));
    }
    name
}

/// Lower-case letters, digits, dots and dashes stay; all else becomes `~xx`, so that no two keys
/// meet in one name and none leaves the folder. File systems that ignore case cannot mix names up
/// either.
fn escape(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => name.push(char::from(byte)),
            b'.' if !name.is_empty() => name.push('.'),
            _ => name.push_str(&format!("~{byte:02x}")),
        }
    }
    name
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(origin: &str, account: &str) -> String {
        name(&RecordKey {
            origin: origin.into(),
            account: account.into(),
        })
    }

    #[test]
    fn names_are_readable_and_never_meet() {
        assert_eq!(
            name_of("https://connect.calamp.com", "0123abcd"),
            "connect.calamp.com_0123abcd"
        );
        assert_eq!(
            name_of("https://[::1]:8443", "00"),
            "~5b~3a~3a1~5d~3a8443_00"
        );
        assert_ne!(
            name_of("http://a.example", "00"),
            name_of("https://a.example", "00")
        );
        assert_ne!(name_of("https://a_b", "c"), name_of("https://a", "b_c"));
        assert_ne!(name_of("https://a", "AB"), name_of("https://a", "ab"));
        assert_eq!(name_of("../../etc", "x/../y"), "~2e.~2f..~2fetc_x~2f..~2fy");
    }

    #[test]
    fn long_names_are_cut_and_still_differ() {
        let long = format!("https://{}.example", "a".repeat(250));
        let (one, other) = (name_of(&long, "01"), name_of(&long, "02"));
        assert!(
            one.len() <= LONGEST && other.len() <= LONGEST,
            "{one} {other}"
        );
        assert_ne!(one, other);
    }
}
