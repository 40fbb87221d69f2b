//! Secrets with line ends and unseen characters, given to the client of either adapter.

use std::process::Command;

use ctc_testkit::Server;

use crate::{BuildError, Client, ConfigError, builder};

/// The error says where, and never what.
fn is_told(built: Result<Client, BuildError>, position: usize) {
    let error = built.unwrap_err();
    assert!(matches!(error, BuildError::Config(ConfigError::Secret(_))));
    let told = format!("{error} {error:?}");
    assert!(told.contains(&format!("character {position}")), "{told}");
    assert!(!told.contains("n0body"), "{told}");
}

#[test]
fn a_line_end_in_a_secret_is_refused_when_the_client_is_built() {
    let server = Server::start().unwrap();
    for line_end in ["\n", "\r\n", "\u{200b}"] {
        let secret = format!("n0body{line_end}");
        is_told(builder(&server).credentials("u", &secret).build(), 7);
        is_told(builder(&server).credentials(&secret, "p").build(), 7);
        is_told(builder(&server).app_key(&secret).build(), 7);
    }
    assert_eq!(server.counts().connections, 0);
}

#[test]
fn a_line_end_in_the_environment_is_refused_when_the_client_is_built() {
    const CHILD: &str = "CTC_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return is_told(Client::from_env(), 7);
    }
    let names = ["CTC_USERNAME", "CTC_PASSWORD", "CTC_APP_KEY"];
    for wrong in names {
        let test = concat!(
            "line_ends::",
            "a_line_end_in_the_environment_is_refused_when_the_client_is_built"
        );
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", test, "--nocapture"]);
        child.env(CHILD, "1").env("CTC_REGION", "us");
        child.env_remove("CTC_BASE_URL");
        for name in names {
            child.env(name, if name == wrong { "n0body\n" } else { "fine" });
        }
        let output = child.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{wrong}: {told}");
        let ran = String::from_utf8_lossy(&output.stdout);
        assert!(ran.contains("1 passed"), "{ran}");
    }
}
