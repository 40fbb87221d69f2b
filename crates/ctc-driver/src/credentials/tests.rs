//! The ready-made sources, with real files and programs.

use std::error::Error;
use std::path::PathBuf;

use super::{CredentialsEnv, MOST_BYTES, read_line};
use crate::ports::{CredentialsError, CredentialsSource};

fn chain(error: &dyn Error) -> String {
    let source = error.source().map(chain);
    format!("{error}: {}", source.unwrap_or_default())
}

/// What is given to the server, by the seed that both sides make of it.
fn says(source: &dyn CredentialsSource, username: &str, password: &str) -> bool {
    use ctc_core::__sealing::SealSeed;
    let config = crate::SessionConfig::new()
        .endpoint(ctc_core::Endpoint::us())
        .app_key("k");
    let session = config.credentials("u", "p").build().unwrap();
    session.set_credentials(source.credentials().unwrap());
    let expected = SealSeed::new(b"k", ctc_core::Endpoint::us().origin(), username, password);
    *session.record().seed() == expected
}

fn unavailable(source: &dyn CredentialsSource) -> String {
    let error = source.credentials().unwrap_err();
    assert!(
        matches!(error, CredentialsError::Unavailable(_)),
        "{error:?}"
    );
    chain(&error)
}

fn unusable(source: &dyn CredentialsSource) -> String {
    let error = source.credentials().unwrap_err();
    assert!(matches!(error, CredentialsError::Unusable(_)), "{error:?}");
    chain(&error)
}

#[test]
fn one_line_end_is_stripped_and_nothing_else() {
    for (bytes, expected) in [
        ("secret", "secret"),
        ("secret\n", "secret"),
        ("secret\r\n", "secret"),
        ("secret\n\n", "secret\n"),
        (" secret \t", " secret \t"),
        ("", ""),
    ] {
        assert_eq!(*read_line(bytes.as_bytes()).unwrap(), expected, "{bytes:?}");
    }
    assert!(read_line(&[0xff][..]).is_err());
    let most = vec![b'x'; MOST_BYTES];
    assert_eq!(read_line(&most[..]).unwrap().len(), MOST_BYTES);
    assert!(read_line(std::io::repeat(b'x')).is_err());
}

#[test]
fn variables_are_read_at_each_question_and_named_when_they_are_missing() {
    // Cargo sets these.
    let source = CredentialsEnv::new("CARGO_PKG_NAME", "CARGO_PKG_VERSION");
    assert!(says(&source, "ctc-driver", env!("CARGO_PKG_VERSION")));
    let source = CredentialsEnv::new("CARGO_PKG_NAME", "CTC_NO_SUCH_VARIABLE");
    let told = unusable(&source);
    assert!(told.contains("CTC_NO_SUCH_VARIABLE"), "{told}");
}

/// A folder of its own for each test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("ctc-credentials-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
mod on_unix {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::super::{CredentialsCommand, CredentialsFile, MOST_BYTES};
    use super::*;

    fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) {
        let _ = std::fs::remove_file(path);
        std::fs::write(path, content).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn files_are_read_again_at_each_login() {
        let folder = Folder::new("anew");
        let (user, password) = (folder.0.join("username"), folder.0.join("password"));
        let source = CredentialsFile::new(&user, &password);
        let told = unavailable(&source);
        assert!(told.contains("username"), "{told}");
        write(&user, "ada\n", 0o600);
        write(&password, "old\n", 0o400);
        assert!(says(&source, "ada", "old"));
        write(&password, "new", 0o440);
        assert!(says(&source, "ada", "new"));
        assert!(says(
            &CredentialsFile::for_user("bob", &password),
            "bob",
            "new"
        ));
        write(&password, "\n", 0o600);
        assert!(unavailable(&source).contains("empty"));
    }

    /// As Kubernetes does it: the files are links to `..data/`, which is a link to a folder, which
    /// is replaced as a whole.
    #[test]
    fn links_are_followed_and_may_be_turned() {
        let folder = Folder::new("links");
        for (data, password) in [("..1", "old"), ("..2", "new")] {
            std::fs::create_dir_all(folder.0.join(data)).unwrap();
            write(&folder.0.join(data).join("password"), password, 0o440);
        }
        let turn = |to: &str| {
            let next = folder.0.join("..next");
            symlink(to, &next).unwrap();
            std::fs::rename(next, folder.0.join("..data")).unwrap();
        };
        turn("..1");
        symlink("..data/password", folder.0.join("password")).unwrap();
        let source = CredentialsFile::for_user("ada", folder.0.join("password"));
        assert!(says(&source, "ada", "old"));
        turn("..2");
        assert!(says(&source, "ada", "new"));
        // The mode is that of the file, not of the link.
        write(&folder.0.join("..2/password"), "new", 0o444);
        assert!(unavailable(&source).contains("mode 0444"));
    }

    #[test]
    fn files_that_others_can_write_or_all_can_read_are_errors() {
        let folder = Folder::new("modes");
        let path = folder.0.join("password");
        let strict = CredentialsFile::for_user("ada", &path);
        let lenient = strict.clone().everybody_may_read();
        for mode in [0o400, 0o440, 0o600, 0o640] {
            write(&path, "secret", mode);
            assert!(says(&strict, "ada", "secret"), "{mode:o}");
        }
        for mode in [0o404, 0o444, 0o644] {
            write(&path, "secret", mode);
            let told = unavailable(&strict);
            assert!(
                told.contains(&format!("every user can read it (mode {mode:04o})")),
                "{told}"
            );
            assert!(says(&lenient, "ada", "secret"), "{mode:o}");
        }
        for mode in [0o620, 0o602, 0o660, 0o666] {
            write(&path, "secret", mode);
            for source in [&strict, &lenient] {
                let told = unavailable(source);
                assert!(told.contains("can write to it"), "{told}");
            }
        }
    }

    #[test]
    fn an_invalid_password_is_an_error_that_does_not_repeat_it() {
        let folder = Folder::new("content");
        let path = folder.0.join("password");
        let source = CredentialsFile::for_user("ada", &path);
        write(&path, b"CANARY\xff", 0o600);
        let told = unavailable(&source);
        assert!(
            told.contains("not UTF-8") && !told.contains("CANARY"),
            "{told}"
        );
        write(&path, "CANARY\nCANARY\n", 0o600);
        let told = unavailable(&source);
        assert!(
            told.contains("line break") && !told.contains("CANARY"),
            "{told}"
        );
        write(&path, vec![b'C'; MOST_BYTES + 1], 0o600);
        assert!(unavailable(&source).contains("longer than"));
        let told = unavailable(&CredentialsFile::for_user("ada", &folder.0));
        assert!(told.contains("not a regular file"), "{told}");
    }

    fn shell(script: &str) -> CredentialsCommand {
        CredentialsCommand::new("ada", "/bin/sh").args(["-c", script])
    }

    #[test]
    fn a_command_gives_its_first_line_and_gets_its_arguments_as_they_are() {
        let echo = CredentialsCommand::new("ada", "echo").arg("$HOME *  ;x");
        assert!(says(&echo, "ada", "$HOME *  ;x"), "no shell");
        assert!(says(&shell("printf secret"), "ada", "secret"));
        assert!(
            says(&shell("cat; echo from-$0"), "ada", "from-/bin/sh"),
            "no standard input"
        );
    }

    #[test]
    fn a_command_that_fails_tells_its_status_and_nothing_that_it_wrote() {
        let told = unavailable(&shell("echo CANARY; echo CANARY >&2; exit 3"));
        assert!(
            told.contains("exit status: 3") && !told.contains("CANARY"),
            "{told}"
        );
        assert!(unavailable(&shell("exit 0")).contains("empty"));
        let told = unusable(&CredentialsCommand::new("ada", "/no/such/CANARY/ctc-vault"));
        assert!(told.contains("ctc-vault"), "{told}");
        let printed = format!("{:?}", shell("CANARY"));
        assert!(
            printed.contains("/bin/sh") && !printed.contains("CANARY"),
            "{printed}"
        );
    }

    #[test]
    fn a_command_that_writes_without_end_is_killed() {
        let began = Instant::now();
        assert!(unavailable(&CredentialsCommand::new("ada", "yes")).contains("longer than"));
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_command_that_hangs_is_killed() {
        let folder = Folder::new("hangs");
        // With its output open, and closed.
        for (name, close) in [("open", ""), ("closed", "exec >&-;")] {
            let file = folder.0.join(name);
            let script = format!("echo $$ > {}; {close} exec sleep 60", file.display());
            let began = Instant::now();
            let told = unavailable(&shell(&script).timeout(Duration::from_millis(500)));
            assert!(told.contains("within 0.5 s"), "{told}");
            assert!(began.elapsed() < Duration::from_secs(10));
            let process = std::fs::read_to_string(file).unwrap();
            let still_there = Path::new("/proc").join(process.trim());
            assert!(
                !still_there.exists(),
                "it was not killed, or nobody waited for it"
            );
        }
    }
}
