//! Everything that a client does, through each adapter, with secrets that share no piece with any
//! other text: each must be on the wire, and nowhere in what was printed, logged, formatted,
//! panicked or stored.
//!
//! Each run is a separate process of this program, so that all its output is captured.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test's helpers are tests too"
)]

mod asynchronous;
mod blocking;
mod by_hand;
mod search;
mod show;
mod store;
mod types;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use ctc_store_file::FileStore;
use ctc_testkit::{Class, Server};
use serde_json::{Value, json};

use search::{APP_KEY, GIVEN, Net, PASSWORD, USERNAME};

const DEVICES: &str = "/connect/services/devices";
/// Set in the child process: the folder of its store and its journal.
const FOLDER: &str = "CTC_CANARY_FOLDER";
const ADAPTER: &str = "CTC_CANARY_ADAPTER";
const STORE: &str = "store";
const JOURNAL: &str = "journal.json";
/// Marks the lines in which ureq logs every byte that it sends, at TRACE: the manual's page on
/// security warns of them.
const UREQ_WIRE_LOG: &str = " ureq_proto::util: ";

/// Where a transport panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Panics {
    Never,
    AtCalls,
    AtLogins,
}

/// The environment of a run.
struct Stage {
    server: Server,
    folder: PathBuf,
}

impl Stage {
    fn certificate(&self) -> &[u8] {
        self.server.certificate_der().unwrap()
    }

    fn store(&self) -> FileStore {
        FileStore::at(self.folder.join(STORE))
    }
}

/// What was sent to other servers than the stage's.
static ON_THE_WIRE: Mutex<String> = Mutex::new(String::new());

fn note_on_the_wire(said: &str) {
    ON_THE_WIRE.lock().unwrap().push_str(said);
}

/// The run itself, in the child process. Does nothing in the parent.
#[test]
fn life() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let server = Server::builder()
        .tls(true)
        .account(USERNAME, PASSWORD)
        .app_key(APP_KEY)
        .token_requests_per_second(1000)
        .start()
        .unwrap();
    let stage = Stage {
        server,
        folder: folder.into(),
    };
    match std::env::var(ADAPTER).unwrap().as_str() {
        "ctc_reqwest" => asynchronous::life::live(&stage),
        _ => blocking::life::live(&stage),
    }
    let journal =
        json!({ "entries": stage.server.journal(), "elsewhere": *ON_THE_WIRE.lock().unwrap() });
    std::fs::write(stage.folder.join(JOURNAL), journal.to_string()).unwrap();
}

/// The output of a run.
struct Remains {
    adapter: &'static str,
    stdout: String,
    stderr: String,
    journal: Value,
    stored: String,
}

impl Remains {
    fn of(adapter: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "life", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(ADAPTER, adapter);
        child
            .env("CTC_USERNAME", USERNAME)
            .env("CTC_PASSWORD", PASSWORD)
            .env("CTC_APP_KEY", APP_KEY);
        child
            .env("CTC_REGION", "us")
            .env_remove("CTC_BASE_URL")
            .env("RUST_BACKTRACE", "1");
        let output = child.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        if !output.status.success() {
            let last = &stderr[stderr.len().saturating_sub(6000)..];
            panic!(
                "the life through {adapter} broke off ({}): …{last}",
                output.status
            );
        }
        let journal = std::fs::read_to_string(folder.path().join(JOURNAL)).unwrap();
        let journal = serde_json::from_str(&journal).unwrap();
        Self {
            adapter,
            stdout,
            stderr,
            journal,
            stored: read_all(&folder.path().join(STORE)),
        }
    }

    /// Returns every token that was presented.
    fn tokens(&self) -> BTreeSet<String> {
        let entries = self.journal["entries"].as_array().unwrap().iter();
        let headers = entries.flat_map(|entry| entry["headers"].as_array().unwrap());
        let token = |header: &Value| {
            let value = header[1].as_str().unwrap();
            match header[0].as_str().unwrap() {
                "cookie" => Some(value.trim_start_matches("authToken=").to_owned()),
                "authorization" => value.strip_prefix("Bearer ").map(str::to_owned),
                _ => None,
            }
        };
        headers.filter_map(token).collect()
    }

    /// Returns all that was sent, as text.
    fn wire(&self) -> String {
        let mut wire = self.journal["elsewhere"].as_str().unwrap().to_owned();
        for entry in self.journal["entries"].as_array().unwrap() {
            let headers = entry["headers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|header| header[1].as_str().unwrap());
            for text in headers.chain([entry["body"].as_str().unwrap()]) {
                wire.push('\n');
                wire.push_str(text);
            }
        }
        wire
    }

    /// Returns what was logged: first everything else, then what ureq logs of the bytes that it
    /// sends.
    fn log(&self) -> (String, String) {
        let (wire, log): (Vec<_>, Vec<_>) = self
            .stderr
            .lines()
            .partition(|line| line.contains(UREQ_WIRE_LOG));
        // Its rows have sixteen bytes each, at the end of a line, with dots for spaces and other
        // such characters.
        let wire = wire
            .iter()
            .map(|line| line.get(line.len() - 16..).unwrap_or_default())
            .collect();
        (log.join("\n"), wire)
    }
}

fn read_all(folder: &Path) -> String {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .map(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned())
        .collect()
}

/// Both runs, once for all tests.
static LIVES: LazyLock<[Remains; 2]> = LazyLock::new(|| {
    std::thread::scope(|scope| {
        let lives =
            ["ctc_reqwest", "ctc_ureq"].map(|adapter| scope.spawn(move || Remains::of(adapter)));
        lives.map(|life| life.join().unwrap())
    })
});

#[test]
fn guarantee_9_each_secret_is_on_the_wire_and_nowhere_else() {
    for life in &*LIVES {
        let (adapter, wire, tokens) = (life.adapter, life.wire(), life.tokens());
        for (name, secret) in GIVEN {
            let sent = wire.contains(secret) || wire.contains(&search::form(secret));
            assert!(
                sent,
                "{name} was never sent through {adapter}: the life proves nothing"
            );
        }
        assert!(
            tokens.len() > 20,
            "only {} tokens were in use",
            tokens.len()
        );
        let (log, ureq_wire_log) = life.log();
        let sources = match adapter {
            "ctc_reqwest" => &["ctc: ", "reqwest::", "hyper_util::", "rustls::"][..],
            _ => &["ctc: ", "ureq::", "ureq_proto::", "rustls::"],
        };
        for source in sources {
            assert!(
                log.contains(source),
                "nothing from {source} was caught, so the log proves nothing"
            );
        }
        let names = tokens.iter().map(|token| ("a token", token.as_str()));
        let net = Net::new(GIVEN.into_iter().chain(names));
        let mut found = Vec::new();
        let places = [
            ("printed", &life.stdout),
            ("logged or panicked", &log),
            ("stored", &life.stored),
        ];
        for (place, text) in places {
            let here = net.find(text).into_iter();
            found.extend(here.map(|what| format!("{place} through {adapter}: {what}")));
        }
        assert!(
            found.is_empty(),
            "{} leaks\n{}",
            found.len(),
            found.join("\n\n")
        );
        assert!(
            life.stored.contains("\"sealed\":\""),
            "the store has no token to keep"
        );
        assert_eq!(
            adapter == "ctc_ureq",
            ureq_wire_log.contains(APP_KEY),
            "{UREQ_WARNING}"
        );
    }
}

const UREQ_WARNING: &str = "ureq's wire log is not as the page on security says: correct that page";

#[test]
fn every_public_type_is_shown_or_cannot_hold_a_secret() {
    let shown = LIVES
        .iter()
        .flat_map(|life| types::shown(&life.stdout, life.adapter))
        .collect();
    let undecided = types::undecided(&shown);
    assert!(undecided.is_empty(), "{}", undecided.join("\n"));
}

#[test]
fn the_journal_distinguishes_logins_from_calls() {
    let of = |class: Class, life: &Remains| {
        let entries = life.journal["entries"].as_array().unwrap().iter();
        entries
            .filter(|entry| entry["class"] == json!(class))
            .count()
    };
    for life in &*LIVES {
        assert!(of(Class::Login, life) > 15 && of(Class::Token, life) > 15);
        assert!(of(Class::Revocation, life) > 0);
    }
}
