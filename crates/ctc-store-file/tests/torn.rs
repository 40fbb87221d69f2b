//! T70: `kill -9` in the midst of thousands of writes never leaves half a record.
//!
//! The writer is this very program, started once more to run the test `writer` alone. 1,000 writes
//! by default; `CTC_LONG_TESTS=1` makes 10,000 of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]
#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{lease, load, named, record};
use ctc_store_file::FileStore;

const WRITER: &str = "CTC_TORN_FOLDER";
const USER: &str = "ada";

/// Records of many lengths, so that a mixture of two could not be read.
fn token(n: usize) -> String {
    format!("t{n}x").repeat(1 + n * 37 % 400)
}

#[test]
fn writer() {
    let Some(folder) = std::env::var_os(WRITER) else {
        return;
    };
    let store = FileStore::at(folder);
    let mut out = std::io::stdout();
    for n in 0.. {
        let mut lease = lease(&store, USER);
        lease.save(&record(USER, &token(n))).unwrap();
        lease.release().unwrap();
        // The parent counts these lines.
        if out
            .write_all(b"\nwrote\n")
            .and_then(|()| out.flush())
            .is_err()
        {
            return;
        }
    }
}

#[test]
fn killed_at_any_moment() {
    let long = std::env::var_os("CTC_LONG_TESTS").is_some();
    // A disk that syncs slowly does not hold everybody up: ten seconds are enough to see a torn
    // record.
    let (wanted, began) = (if long { 10_000 } else { 1_000 }, Instant::now());
    let in_time = || long || began.elapsed() < Duration::from_secs(10);
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::at(folder.path());
    let (mut writes, mut kills) = (0, 0);
    while writes < wanted && in_time() || writes == 0 {
        let writer = start(folder.path());
        // Another delay each time: the kill falls on every step of a write by and by.
        thread::sleep(Duration::from_micros(20_000 + kills * 7_919 % 60_000));
        writes += kill_and_count(writer);
        kills += 1;
        let record = load(&store, USER);
        assert!(
            record.is_some() || writes == 0,
            "no record after {writes} writes and {kills} kills"
        );
        assert_eq!(
            named(folder.path(), ".bad-"),
            Vec::<std::path::PathBuf>::new(),
            "a torn record was set aside"
        );
    }
    assert!(
        named(folder.path(), ".draft-").len() <= 1,
        "drafts are swept"
    );
    let size: u64 = named(folder.path(), "")
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    println!("{writes} writes, {kills} kills, {size} bytes left");
}

fn start(folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["writer", "--exact", "--nocapture", "--test-threads=1"])
        .env(WRITER, folder);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

fn kill_and_count(mut writer: Child) -> usize {
    writer.kill().unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let writes = lines.filter(|line| line.ends_with("wrote")).count();
    writer.wait().unwrap();
    writes
}
