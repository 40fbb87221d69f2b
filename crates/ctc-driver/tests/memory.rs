//! With a source, the password is on the heap during a login only.
//!
//! The heap is read through `/proc/self/mem`, so this runs on Linux only. The needle is never kept
//! in the clear: it is made from its complement, and compared with it.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers are tests too, and this one reads memory"
)]

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use ctc_driver::ctc_core::{Credentials, Endpoint};
use ctc_driver::{
    CallOptions, CredentialsCommand, CredentialsFile, CredentialsSource, Driver, LoginRequest,
    LoginResponse, MemoryStore, SessionConfig, Transport, TransportError,
};
use http::{HeaderMap, Request, Response, StatusCode};
use zeroize::Zeroizing;

/// The complement of the password's end. What stands before that makes it long, since an allocator
/// writes over the first bytes of what it frees.
const NEEDLE: [u8; 24] = *b"\xBC\xBE\xB1\xBE\xAD\xA6\xD2\x8F\x9E\x8C\x8C\x88\
    \x90\x8D\x9B\xD2\xC8\xC9\xCA\xCB\xCC\xCD\xCE\xCF";

fn password() -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(500));
    text.extend(std::iter::repeat_n('-', 500 - NEEDLE.len()));
    text.extend(NEEDLE.iter().map(|byte| char::from(!byte)));
    text
}

/// How often the needle is on the heap.
fn count_on_heap() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    let mut count = 0;
    for line in maps.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let anonymous = words.len() == 5 || words.get(5) == Some(&"[heap]");
        if !words[1].starts_with("rw") || !anonymous {
            continue;
        }
        let (start, end) = words[0].split_once('-').unwrap();
        let mut at = u64::from_str_radix(start, 16).unwrap();
        let end = u64::from_str_radix(end, 16).unwrap();
        // Wiped after each piece: this thread's own stack is read as well.
        let mut buffer = Zeroizing::new([0_u8; 16 * 1024]);
        while at < end {
            let length = buffer.len().min(usize::try_from(end - at).unwrap());
            let read = memory.seek(SeekFrom::Start(at)).is_ok()
                && memory.read_exact(&mut buffer[..length]).is_ok();
            if !read {
                break;
            }
            let is_needle = |window: &&[u8]| window.iter().zip(NEEDLE).all(|(a, b)| *a == !b);
            count += buffer[..length]
                .windows(NEEDLE.len())
                .filter(is_needle)
                .count();
            // Overlap, so that nothing is missed at an edge.
            let last = at + length as u64 == end;
            at += length as u64 - if last { 0 } else { 32 };
        }
    }
    count
}

/// Notes how often the password is on the heap while the login is sent.
#[derive(Default)]
struct Looks(AtomicUsize);

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;
impl TransportError for Never {}

impl Transport for Looks {
    type Request = Request<Vec<u8>>;
    type Response = Response<Vec<u8>>;
    type Error = Never;

    fn send(&self, _: Self::Request) -> Result<Self::Response, Never> {
        Ok(Response::new(vec![]))
    }

    fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, Never> {
        self.0.store(count_on_heap(), SeqCst);
        drop(login);
        let cookie = "authToken=AAAA".parse().unwrap();
        let headers = HeaderMap::from_iter([(http::header::SET_COOKIE, cookie)]);
        Ok(LoginResponse::new(StatusCode::OK, headers))
    }
}

/// Logs in. Returns how often the password is on the heap during the login and after it.
fn during_and_after(config: SessionConfig) -> (usize, usize) {
    let session = config
        .endpoint(Endpoint::us())
        .app_key("k")
        .build()
        .unwrap();
    let store = std::sync::Arc::new(MemoryStore::new());
    let driver = Driver::new(session, Looks::default(), Some(store));
    let request = Request::get("/connect/services/devices")
        .body(vec![])
        .unwrap();
    driver.execute(request, &CallOptions::default()).unwrap();
    assert_eq!(driver.session().counts().logins, 1);
    let after = count_on_heap();
    (driver.transport().0.load(SeqCst), after)
}

#[test]
fn the_password_of_a_source_is_not_kept_after_the_login() {
    // The probe finds what is there.
    let alive = password();
    assert_eq!(count_on_heap(), 1);
    drop(alive);
    assert_eq!(count_on_heap(), 0, "the test itself leaves copies");

    let path = std::env::temp_dir().join(format!("ctc-memory-{}", std::process::id()));
    fs::write(&path, password().as_bytes()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let own = || Ok(Credentials::new("ada", std::mem::take(&mut *password()))?);
    let sources: [Box<dyn Fn() -> SessionConfig>; 3] = [
        Box::new(|| with(own)),
        Box::new(|| with(CredentialsFile::for_user("ada", &path))),
        Box::new(|| with(CredentialsCommand::new("ada", "cat").arg(&path))),
    ];
    for (number, config) in sources.iter().enumerate() {
        let (during, after) = during_and_after(config());
        assert!(during > 0, "{number}: the login holds it");
        assert_eq!(after, 0, "source {number}");
        assert_eq!(count_on_heap(), 0, "source {number}, when all is dropped");
    }
    fs::remove_file(&path).unwrap();

    // Fixed credentials are kept: the test can tell.
    let fixed = SessionConfig::new().credentials("ada", std::mem::take(&mut *password()));
    let (_, after) = during_and_after(fixed);
    assert!(after > 0);
}

fn with(source: impl CredentialsSource + 'static) -> SessionConfig {
    SessionConfig::new().credentials_source(source)
}
