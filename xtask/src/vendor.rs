//! `cargo xtask vendor`: runs the client that the vendor documents, in Python, against our test
//! server.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::shell::{cargo, responses, run as run_command};

/// Logs in to `ctc-server` and calls it with the client of the vendor's page, over http and https.
pub(crate) fn run() -> Result<(), String> {
    if !responses("python3", &["-c", "import requests"]) {
        return Err(
            "python3 with the module requests is needed (Debian: python3-requests)".to_owned(),
        );
    }
    run_command(cargo(&[
        "build",
        "--quiet",
        "--package",
        "ctc-testkit",
        "--bin",
        "ctc-server",
    ]))?;
    let certificate = std::env::temp_dir().join(format!("ctc-server-{}.pem", std::process::id()));
    let certificate = certificate.to_string_lossy().into_owned();
    let result = over(&[], None).and_then(|()| {
        over(
            &["--tls", "--cert-out", &certificate],
            Some(certificate.as_str()),
        )
    });
    // Ignore the error: the file is missing if the server did not start.
    let _ = std::fs::remove_file(certificate);
    result
}

fn over(flags: &[&str], certificate: Option<&str>) -> Result<(), String> {
    let mut server = cargo(&[
        "run",
        "--quiet",
        "--package",
        "ctc-testkit",
        "--bin",
        "ctc-server",
        "--",
        "--port",
        "0",
    ]);
    let mut server = Server::start(server.args(flags))?;
    let url = server.url()?;
    let mut client = Command::new("python3");
    client
        .arg("crates/ctc-testkit/tests/vendor_client.py")
        .arg(url)
        .args(certificate);
    run_command(client)
}

struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Result<Self, String> {
        command
            .stdout(Stdio::piped())
            .spawn()
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// Returns the address in the first line that has one.
    fn url(&mut self) -> Result<String, String> {
        let stdout = self.0.stdout.as_mut().ok_or("the server has no output")?;
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(|error| error.to_string())?;
            if let Some(at) = line.find("http") {
                let url = line[at..].split_whitespace().next().unwrap_or_default();
                return Ok(url.trim_end_matches(['.', ',']).to_owned());
            }
        }
        Err("the server printed no address".to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It runs until it is killed. Both steps fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
