//! Programs in other languages, which know a base URL and nothing about logins.

use crate::support::{Scene, left_out, output};

/// Runs a program twice and revokes the token in between: two logins in total, and no violation.
/// `needs` is a command that succeeds if what the program needs is installed.
fn run(needs: &[&str], program: &[&str], package: &str) {
    let name = program.join(" ");
    if !output(needs[0], &needs[1..]).is_some_and(|(is_there, ..)| is_there) {
        let why = format!("{package} is not installed: `apt-get install {package}`");
        return left_out(&name, &why);
    }
    let scene = Scene::new();
    let proxy = scene.proxy(&[]);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/");
    let (file, options) = program[1..].split_last().unwrap();
    let file = format!("{folder}{file}");
    let args = [options, &[file.as_str(), proxy.url.as_str()]].concat();
    for logins in [1, 2] {
        let (succeeded, told, wrong) = output(program[0], &args).unwrap();
        assert!(
            succeeded && told.ends_with("fine\n"),
            "{name}: {told}{wrong}{}",
            proxy.told()
        );
        let counts = scene.server.counts();
        assert_eq!((counts.logins, counts.violations), (logins, 0), "{name}");
        scene.server.revoke_all();
    }
}

#[test]
fn python_requests_needs_nothing_but_the_base_url() {
    let needs = ["python3", "-c", "import requests"];
    run(&needs, &["python3", "with_requests.py"], "python3-requests");
}

#[test]
fn python_httpx_needs_nothing_but_the_base_url() {
    let needs = ["python3", "-c", "import httpx"];
    run(&needs, &["python3", "with_httpx.py"], "python3-httpx");
}

#[test]
fn node_fetch_needs_nothing_but_the_base_url() {
    let needs = ["node", "-e", "fetch"];
    run(&needs, &["node", "with_fetch.mjs"], "nodejs");
}

#[test]
fn java_http_client_needs_nothing_but_the_base_url() {
    // Optimizing a program that runs for one second would take half of that time.
    let program = ["java", "-XX:TieredStopAtLevel=1", "WithHttpClient.java"];
    run(&["javac", "--version"], &program, "default-jdk-headless");
}

#[test]
fn curl_needs_nothing_but_the_base_url() {
    run(&["curl", "--version"], &["sh", "with_curl.sh"], "curl");
}
