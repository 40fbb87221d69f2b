//! The program `ctc-server`: its options, and the sample clients in other languages.
#![allow(clippy::print_stderr, reason = "a test says what it leaves out")]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// The program, ended when dropped.
struct Program {
    child: Child,
    described: Value,
}

impl Program {
    /// Starts it with `--json` and reads the line that it prints.
    fn start(options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ctc-server"))
            .arg("--json")
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        Self {
            child,
            described: serde_json::from_str(&line).expect("JSON"),
        }
    }

    fn text(&self, name: &str) -> &str {
        self.described[name].as_str().expect("a text")
    }

    /// Runs a sample client, unless its interpreter is not installed.
    fn serves(&self, interpreter: &str, file: &str, arguments: &[&str]) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("clients")
            .join(file);
        let probe = Command::new(interpreter).arg("--version").output();
        if interpreter != "sh" && !probe.is_ok_and(|output| output.status.success()) {
            eprintln!("LEFT OUT: {file}: no {interpreter}");
            return;
        }
        let output = Command::new(interpreter)
            .arg(path)
            .args(arguments)
            .env("CTC_SERVER", self.described.to_string())
            .output()
            .expect("the client");
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success() && said.contains("ok: "), "{said}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn port(url: &str) -> &str {
    let rest = url.split("://127.0.0.1:").nth(1).expect("loopback");
    rest.split('/').next().expect("a port")
}

#[test]
fn the_python_sample_runs() {
    Program::start(&[]).serves("python3", "client.py", &[]);
}

#[test]
fn the_node_sample_runs() {
    Program::start(&[]).serves("node", "client.mjs", &[]);
}

#[test]
fn the_curl_sample_runs() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("LEFT OUT: client.sh: no curl");
        return;
    }
    let program = Program::start(&["--login", "oauth"]);
    let arguments = [program.text("url"), program.text("token_url")];
    program.serves("sh", "client.sh", &arguments);
}

#[test]
fn the_vectors_page_shows_python_that_runs() {
    let page = include_str!("../vectors/README.md");
    let code = page.split("```python\n").nth(1).expect("a block");
    let code = code.split("```").next().expect("its end");
    let probe = Command::new("python3").arg("--version").output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("LEFT OUT: vectors/README.md: no python3");
        return;
    }
    let output = Command::new("python3")
        .args(["-c", code])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
        .output()
        .expect("python3");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && output.stdout.len() > 1000,
        "{said}"
    );
}

#[test]
fn the_program_writes_its_ports_to_a_file() {
    let folder = std::env::temp_dir().join(format!("ctc-server-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("ports");
    let options = ["--bind", "127.0.0.1", "--seed", "7", "--port-file"];
    let options: Vec<_> = options
        .into_iter()
        .chain([file.to_str().unwrap()])
        .collect();
    let program = Program::start(&options);
    // The file is written after the line.
    let written = (0..200).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        std::fs::read_to_string(&file).ok()
    });
    let expected = format!(
        "{}\n{}\n",
        port(program.text("url")),
        port(program.text("token_url"))
    );
    assert_eq!(written, Some(expected));
    for name in ["username", "password", "app_key", "client_id"] {
        assert!(!program.text(name).is_empty(), "{name}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
