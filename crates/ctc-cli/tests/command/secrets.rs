//! Where secrets come from, and where they must not appear.

use ctc_testkit::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME};

use crate::support::{DEVICES, Machine, run, run_with_input};

/// The password as an editor saves it, with a line end.
fn password_file() -> String {
    format!("{DEFAULT_PASSWORD}\n")
}

#[test]
fn no_option_takes_a_secret() {
    let machine = Machine::new();
    for option in ["--password", "--app-key", "--token", "--key"] {
        machine.run(&["login", option, "s3cret!"]).ends_with(2);
    }
    let url = "redis://user:hunter2@127.0.0.1:1/0";
    let ran = machine.run(&["login", "--store", url]).ends_with(2);
    assert!(ran.err.contains("CTC_STORE"), "{}", ran.err);
    assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    assert_eq!(machine.server.counts().login_requests, 0);
}

#[test]
fn a_password_comes_from_a_file_that_only_its_owner_can_read() {
    let machine = Machine::new();
    let path = machine.file("password", &password_file(), 0o600);
    let path = path.to_str().unwrap();
    let key = machine.file("key", DEFAULT_APP_KEY, 0o400);
    let files = [
        "--password-file",
        path,
        "--app-key-file",
        key.to_str().unwrap(),
    ];
    let mut command = machine.command(&[&["login"][..], &files].concat());
    run(command.env_remove("CTC_PASSWORD").env_remove("CTC_APP_KEY")).ends_with(0);

    let mut command = machine.command(&["get", DEVICES]);
    run(command
        .env_remove("CTC_PASSWORD")
        .env("CTC_PASSWORD_FILE", path))
    .ends_with(0);
    let both = run(machine.command(&["login"]).env("CTC_PASSWORD_FILE", path)).ends_with(2);
    assert!(both.err.contains("both set"), "{}", both.err);
    assert_eq!(machine.server.counts().logins, 1);
}

#[cfg(unix)]
#[test]
fn a_password_file_that_others_can_read_is_an_error() {
    let machine = Machine::new();
    for mode in [0o640, 0o604, 0o644, 0o660] {
        let path = machine.file("password", &password_file(), mode);
        let ran = machine
            .run(&["login", "--password-file", path.to_str().unwrap()])
            .ends_with(2);
        assert!(ran.err.contains("chmod 600"), "{}", ran.err);
    }
    let key = machine.file("key", DEFAULT_APP_KEY, 0o640);
    machine
        .run(&["login", "--app-key-file", key.to_str().unwrap()])
        .ends_with(2);
    assert_eq!(machine.server.counts().login_requests, 0);

    // systemd's credentials have an access list, whose mask appears as the group's rights.
    let path = machine.file("credentials/password", &password_file(), 0o440);
    let mut command = machine.command(&["login", "--password-file", path.to_str().unwrap()]);
    let folder = path.parent().unwrap();
    run(command.env("CREDENTIALS_DIRECTORY", folder)).ends_with(0);
    let outside = machine.file("credentials-not/password", &password_file(), 0o440);
    let link = folder.join("link");
    std::os::unix::fs::symlink(outside, &link).unwrap();
    let mut command = machine.command(&["login", "--password-file", link.to_str().unwrap()]);
    run(command.env("CREDENTIALS_DIRECTORY", folder)).ends_with(2);
}

#[test]
fn a_password_comes_from_standard_input() {
    let machine = Machine::new();
    let mut command = machine.command(&["login", "--password-stdin"]);
    run_with_input(command.env_remove("CTC_PASSWORD"), &password_file()).ends_with(0);
    let mut command = machine.command(&["login", "--password-stdin"]);
    run_with_input(command.env_remove("CTC_PASSWORD"), "\n").ends_with(2);
    // Without a terminal there is no prompt.
    let mut command = machine.command(&["get", DEVICES]);
    let ran = run(command.env_remove("CTC_PASSWORD")).ends_with(2);
    assert!(ran.err.contains("--password-file"), "{}", ran.err);
    assert_eq!(machine.server.counts().logins, 1);
}

#[cfg(unix)]
#[test]
fn a_profile_names_account_store_and_sources() {
    let machine = Machine::new();
    let (url, user) = (machine.server.url(), DEFAULT_USERNAME);
    let password = machine.file("password", &password_file(), 0o600);
    let key = machine.file("key", DEFAULT_APP_KEY, 0o600);
    machine.profile(&format!(
        "[profile.fleet]\nbase_url = '{url}'\nuser = '{user}'\nstore = 'file:{}/sessions'\n\
         password = {{ command = ['sh', '-c', 'cat {}'] }}\napp_key = {{ file = '{}' }}\n",
        machine.home.path().display(),
        password.display(),
        key.display(),
    ));
    run(&mut machine.bare(&["get", DEVICES])).ends_with(0);
    run(&mut machine.bare(&["get", DEVICES, "--profile", "fleet"])).ends_with(0);
    let status = run(&mut machine.bare(&["status", "--json"]))
        .ends_with(0)
        .json();
    assert_eq!(status["account"]["profile"], "fleet");
    let place = status["store"]["place"].as_str().unwrap();
    assert!(place.contains("/sessions/"), "{place}");
    let wrong = run(&mut machine.bare(&["get", DEVICES, "--profile", "flet"])).ends_with(2);
    assert!(wrong.err.contains("use fleet"), "{}", wrong.err);
    assert_eq!(machine.server.counts().logins, 1);
}

/// A username with another account's password would be rejected, and rejections lock accounts.
#[test]
fn a_password_is_used_only_with_the_username_beside_it() {
    let machine = Machine::new();
    let (url, user) = (machine.server.url(), DEFAULT_USERNAME);
    let password = machine.file("password", &password_file(), 0o600);
    machine.profile(&format!(
        "[profile.fleet]\nbase_url = '{url}'\nuser = '{user}'\n\
         password = {{ file = '{}' }}\n",
        password.display()
    ));
    // The environment has another account.
    let mut other = machine.command(&["get", DEVICES, "--profile", "fleet"]);
    other
        .env("CTC_USERNAME", "bob@example.com")
        .env("CTC_PASSWORD", "bobs!");
    run(&mut other).ends_with(0);
    // With another username, the profile's password is not used.
    let mut bob = machine.command(&["get", DEVICES, "--user", "bob@example.com"]);
    let ran = run(bob.env_remove("CTC_USERNAME").env_remove("CTC_PASSWORD")).ends_with(2);
    assert!(ran.err.contains("no password"), "{}", ran.err);
    let mut bob = machine.command(&["get", DEVICES, "--user", "bob@example.com"]);
    let ran = run(bob.env("CTC_USERNAME", user)).ends_with(2);
    assert!(ran.err.contains("no password"), "{}", ran.err);
    assert_eq!(machine.server.counts().login_requests, 1);
}

#[test]
fn an_invalid_profile_file_says_where() {
    let machine = Machine::new();
    machine.profile("[profile.a]\nregion = 'us'\npasword = 'x'\n");
    let ran = machine.run(&["status"]).ends_with(2);
    assert!(
        ran.err.contains("line 3") && ran.err.contains("pasword"),
        "{}",
        ran.err
    );
    machine.profile("default = 'b'\n[profile.a]\n");
    machine.run(&["status"]).ends_with(2);
    machine.profile("[profile.a]\npassword = { file = '/x', command = ['y'] }\n");
    machine.run(&["status"]).ends_with(2);
    #[cfg(unix)]
    {
        let text = "[profile.a]\nstore = 'redis://ctc:hunter2@127.0.0.1:1'\n";
        machine.file(".config/ctc/config.toml", text, 0o644);
        let ran = machine.run(&["status"]).ends_with(2);
        assert!(
            ran.err.contains("chmod 600") && !ran.err.contains("hunter2"),
            "{}",
            ran.err
        );
    }
}

/// Runs every command with a marker as each secret, and searches its output. (Every run of every
/// test also checks standard error.)
#[test]
fn no_command_but_token_prints_a_secret() {
    let machine = Machine::new();
    machine.run(&["login"]).ends_with(0);
    let token = machine.run(&["token"]).ends_with(0).out;
    for args in [
        &["status"][..],
        &["status", "--check"],
        &["login"],
        &["get", "-i", DEVICES],
        &["store", "list"],
        &["store", "show"],
        &["doctor"],
        &["renew"],
        &["logout"],
        &["reset"],
        &["store", "forget"],
    ] {
        for form in [&[][..], &["--json"]] {
            let ran = machine.run(&[args, form].concat());
            for secret in [token.trim(), DEFAULT_PASSWORD, DEFAULT_APP_KEY] {
                assert!(
                    !ran.out.contains(secret),
                    "{args:?} {form:?} prints {secret}"
                );
            }
        }
    }
}
