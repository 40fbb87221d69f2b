//! T80: when a session is dropped, its secrets are gone from the memory that it owned.
//!
//! The heap is read through `/proc/self/mem`, so this runs on Linux only. A needle is never kept in
//! the clear: it is made from its complement, and compared with it.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_types,
    reason = "a test's helpers are tests too, and this one reads memory"
)]

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, UNIX_EPOCH};

use ctc_core::{
    Admit, AppKey, Call, Credentials, Endpoint, Login, OAuth, Pass, Route, Session, Settings,
    Target,
};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use zeroize::Zeroizing;

/// A secret as its complement.
struct Needle([u8; 24]);

impl Needle {
    fn new(text: &[u8; 24]) -> Self {
        Self(text.map(|byte| !byte))
    }

    /// With something before it: an allocator writes over the first bytes of what it frees. So much
    /// that the memory is not at once taken for something small.
    fn reveal(&self) -> String {
        let mut text = String::with_capacity(500);
        text.extend(std::iter::repeat_n('-', 500 - self.0.len()));
        text.extend(self.0.iter().map(|byte| char::from(!byte)));
        text
    }

    fn is_at(&self, window: &[u8]) -> bool {
        window
            .iter()
            .zip(&self.0)
            .all(|(seen, hidden)| *seen == !hidden)
    }
}

/// How often each needle stands on the heap. The buffer is on the stack, which is not read.
fn count_on_heap(needles: &[Needle]) -> Vec<usize> {
    let mut counts = vec![0; needles.len()];
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    for line in maps.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let anonymous = words.len() == 5 || words.get(5) == Some(&"[heap]");
        if !words[1].starts_with("rw") || !anonymous {
            continue;
        }
        let (start, end) = words[0].split_once('-').unwrap();
        let (start, end) = (
            u64::from_str_radix(start, 16).unwrap(),
            u64::from_str_radix(end, 16).unwrap(),
        );
        let mut buffer = [0_u8; 16 * 1024];
        let mut at = start;
        while at < end {
            let length = buffer.len().min(usize::try_from(end - at).unwrap());
            if memory.seek(SeekFrom::Start(at)).is_err()
                || memory.read_exact(&mut buffer[..length]).is_err()
            {
                break;
            }
            for (count, needle) in counts.iter_mut().zip(needles) {
                *count += buffer[..length]
                    .windows(needle.0.len())
                    .filter(|window| needle.is_at(window))
                    .count();
            }
            // Overlap, so that nothing is missed at an edge.
            at += if at + length as u64 == end {
                length as u64
            } else {
                length as u64 - 32
            };
        }
    }
    counts
}

/// The body of an OAuth login's response, wiped as well. Each secret has an escape before it: a
/// reader that undoes one must not leave what it makes.
fn login_body(token: &Needle, id_token: &Needle) -> Zeroizing<Vec<u8>> {
    let (token, id_token) = (
        Zeroizing::new(token.reveal()),
        Zeroizing::new(id_token.reveal()),
    );
    let mut body = Zeroizing::new(Vec::with_capacity(4096));
    for part in [
        r#"{"token_type":"Bearer","expires_in":86400,"id_token":"\n\/"#,
        &*id_token,
        r#"","access_token":"\/"#,
        &*token,
        r#"","refresh_token":"\/"#,
        &*id_token,
        r#""}"#,
    ] {
        body.extend_from_slice(part.as_bytes());
    }
    body
}

/// A login's response whose own memory is wiped as well: it stands for the HTTP stack's.
fn login_answer(token: &Needle) -> Response<()> {
    let line = Zeroizing::new(
        format!("authToken={}; Path=/connect; HttpOnly", token.reveal()).into_bytes(),
    );
    let mut response = Response::new(());
    let value = HeaderValue::from_maybe_shared(bytes::Bytes::from_owner(line)).unwrap();
    response.headers_mut().append(SET_COOKIE, value);
    response
}

fn stamped(pass: &Pass, cookies: Option<&'static str>) -> HeaderMap {
    let mut request = Request::get("https://connect.calamp.com/connect/services/devices")
        .body(())
        .unwrap();
    if let Some(cookies) = cookies {
        request
            .headers_mut()
            .insert(COOKIE, HeaderValue::from_static(cookies));
    }
    let uri: Uri = request.uri().clone();
    pass.stamp(Target::from(&uri), request.headers_mut())
        .unwrap();
    std::mem::take(request.headers_mut())
}

#[test]
fn t80_no_secret_is_left_on_the_heap_when_a_session_is_dropped() {
    // The complements, so that not even the program's own text has the secrets.
    let needles = [
        Needle(
            *b"\xBC\xBE\xB1\xBE\xAD\xA6\xD2\x8F\x9E\x8C\x8C\x88\
            \x90\x8D\x9B\xD2\xC8\xC9\xCA\xCB\xCC\xCD\xCE\xCF",
        ),
        Needle(
            *b"\xBC\xBE\xB1\xBE\xAD\xA6\xD2\x94\x9A\x86\xD2\xD2\
            \xD2\xD2\xD2\xD2\xC8\xC9\xCA\xCB\xCC\xCD\xCE\xCF",
        ),
        Needle(
            *b"\xBC\xBE\xB1\xBE\xAD\xA6\xD2\x8B\x90\x94\x9A\x91\
            \xD2\xD2\xD2\xD2\xC8\xC9\xCA\xCB\xCC\xCD\xCE\xCF",
        ),
        Needle(
            *b"\xBC\xBE\xB1\xBE\xAD\xA6\xD2\x96\x9B\xD2\xD2\xD2\
            \xD2\xD2\xD2\xD2\xC8\xC9\xCA\xCB\xCC\xCD\xCE\xCF",
        ),
    ];

    // The probe finds what is there.
    let alive = needles
        .iter()
        .map(Needle::reveal)
        .map(Zeroizing::new)
        .collect::<Vec<_>>();
    assert_eq!(count_on_heap(&needles), [1, 1, 1, 1]);
    drop(alive);
    assert_eq!(
        count_on_heap(&needles),
        [0, 0, 0, 0],
        "the test itself leaves copies"
    );

    for login in [Login::AuthToken, Login::OAuth(OAuth::us())] {
        live(login, &needles);
        assert_eq!(count_on_heap(&needles), [0, 0, 0, 0]);
    }

    // Made once more from plain text, so that the complements above are what they are meant to be.
    assert_eq!(Needle::new(b"CANARY-password-76543210").0, needles[0].0);
}

/// The whole life of a session.
#[expect(clippy::disallowed_methods, reason = "the one clock of this test")]
fn live(login: Login, needles: &[Needle; 4]) {
    let [password, key, token, id_token] = needles;
    let now = std::time::Instant::now();
    let is_oauth = matches!(login, Login::OAuth(_));
    let mut settings = Settings::default();
    settings.login = login;
    let mut session = Session::new(
        Endpoint::us(),
        AppKey::new(key.reveal()).unwrap(),
        Credentials::new("ada@example.com", password.reveal()).unwrap(),
        settings,
    )
    .unwrap();
    let mut call = Call::new(true);
    let Admit::Login(order) = session.admit(&mut call, now) else {
        panic!("the first caller logs in")
    };
    let (response, body) = if is_oauth {
        (Response::new(()), login_body(token, id_token))
    } else {
        (login_answer(token), Zeroizing::default())
    };
    let reading = session
        .login_reader()
        .read(response.status(), response.headers(), &body);
    drop((response, body));
    let [_, _, token, id_token] = *count_on_heap(needles) else {
        panic!("as many as there are needles")
    };
    assert_eq!(
        (token, id_token),
        (1, 0),
        "of a response the token is kept, once"
    );
    let outcome = session.login_response(order.ticket, reading, now);
    assert!(
        count_on_heap(needles)[..3].iter().all(|count| *count > 0),
        "a session in use holds its secrets"
    );
    drop((outcome, order.request));
    let Admit::Proceed(pass) = session.admit(&mut call, now) else {
        panic!("the session is open")
    };
    let sent = [
        stamped(&pass, None),
        stamped(&pass, Some("theirs=1; authToken=old")),
    ];
    let record = session.record(now, UNIX_EPOCH + Duration::from_secs(1_900_000_000));
    let route = Route::new(&Method::GET, "/connect/services/devices");
    let later = now + Duration::from_secs(3600);
    let verdict = session.observe(
        &mut call,
        route,
        StatusCode::UNAUTHORIZED,
        &HeaderMap::new(),
        later,
    );
    let printed = format!("{session:?} {pass:?} {record:?} {verdict:?} {call:?}");
    drop((pass, sent, record, session, call, printed));
}
