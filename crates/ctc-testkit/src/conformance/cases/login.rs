//! The login on the wire.

use super::prelude::*;
use crate::{DEFAULT_APP_KEY, DEFAULT_PASSWORD, DEFAULT_USERNAME, Entry};

/// The headers that an HTTP client may add by itself.
pub(super) const CLIENTS_OWN: [&str; 7] = [
    "host",
    "content-length",
    "accept",
    "accept-encoding",
    "accept-language",
    "user-agent",
    "connection",
];

pub(super) fn login_is_the_vendors(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    let login = scene.last(Class::Login)?;
    is_the_vendors(&login)?;
    let form: Vec<_> = form_urlencoded::parse(&login.body).into_owned().collect();
    let expected = [
        ("username", DEFAULT_USERNAME),
        ("password", DEFAULT_PASSWORD),
    ];
    equal(
        "the form",
        form,
        expected
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
    )?;
    scene.counts(1, 0)
}

fn is_the_vendors(login: &Entry) -> Checked {
    equal("the method of the login", login.method.as_str(), "POST")?;
    equal("its path", login.path.as_str(), "/connect/services/login")?;
    equal("its query", login.query.as_str(), "useAuthToken=true")?;
    equal(
        "its content type",
        login.header("content-type"),
        vec!["application/x-www-form-urlencoded"],
    )?;
    equal(
        "its key",
        login.header("calamp-services-app"),
        vec![DEFAULT_APP_KEY],
    )?;
    equal("its cookies", login.header("cookie"), Vec::<&str>::new())?;
    let length = login.body_len.to_string();
    equal(
        "its content length",
        login.header("content-length"),
        vec![length.as_str()],
    )?;
    let ours = ["content-type", "calamp-services-app"];
    let strange: Vec<_> = login
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !ours.contains(name) && !CLIENTS_OWN.contains(name))
        .collect();
    equal(
        "headers of the login that neither the vendor nor HTTP asks for",
        strange,
        Vec::new(),
    )
}

/// The server sets cookies with each login, and clears one: a cookie jar in the transport would
/// send them.
pub(super) fn second_login_carries_no_cookie(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.server.revoke_all();
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    let logins = scene.entries(Class::Login);
    equal("logins", logins.len(), 2)?;
    logins.iter().try_for_each(is_the_vendors)?;
    equal("both logins are equal", &logins[0].body, &logins[1].body)
}

pub(super) fn any_password_arrives(stage: &Stage<'_>) -> Checked {
    let passwords = [
        "+",
        "100%&=$ ;?#",
        "%2B%00",
        " lead and trail ",
        "Größe €😀",
        "a\"b'c\\d",
        "tab-less\u{a0}space",
        "x&username=y",
    ];
    let accounts = passwords.map(|password| (format!("{password}@example.com"), password));
    let builder = accounts
        .iter()
        .fold(Server::builder(), |builder, (name, password)| {
            builder.account(name.as_str(), *password)
        });
    let server = stage.server(builder)?;
    for (name, password) in &accounts {
        stage
            .client(&server, Setup::default().account(name, password))?
            .open()?;
    }
    equal("logins", server.counts().logins, accounts.len() as u64)?;
    equal("violations", server.counts().violations, 0)
}

pub(super) fn password_and_key_are_never_in_a_url(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.client.logout()?;
    for entry in scene.server.journal() {
        for secret in [DEFAULT_PASSWORD, "password", DEFAULT_APP_KEY, "authToken="] {
            let url = format!("{}?{}", entry.path, entry.query);
            that(
                format!("no {secret:?} in a URL"),
                !url.contains(secret),
                url,
            )?;
        }
    }
    scene.clean()
}

/// An HTML page for people is not a login.
pub(super) fn an_html_page_is_not_a_login(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene()?;
    scene
        .server
        .inject(Rule::once(Matcher::Login, Fault::html_page()));
    let denied = scene.client.denied(scene.client.get(DEVICES))?;
    equal("the cause", cause(&denied)?, LoginFailure::NoToken)?;
    scene.counts(1, 0)
}

/// Headers and bodies of sizes that an HTTP client must accept.
pub(super) fn large_login_answer_is_taken(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene()?;
    scene
        .server
        .inject(Rule::once(Matcher::Login, Fault::ManyHeaders(50)));
    scene
        .server
        .inject(Rule::once(Matcher::Login, Fault::HugeHeader(8_000)));
    scene
        .server
        .inject(Rule::once(Matcher::Login, Fault::HugeBody(2_000_000)));
    scene.client.open()?;
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(1, 1)
}

/// Unreasonably many headers: the login may succeed or fail, but it must end, and the caller must
/// get the result.
pub(super) fn absurd_login_answer_does_no_harm(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene()?;
    scene
        .server
        .inject(Rule::once(Matcher::Login, Fault::ManyHeaders(20_000)));
    scene
        .server
        .inject(Rule::once(Matcher::Login, Fault::HugeHeader(4_000_000)));
    if let Err(denied) = scene.client.login()? {
        equal("the cause", cause(&denied)?, LoginFailure::MaybeSent)?;
    }
    scene.client.clock.advance(HOUR);
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    // The client may not have received the first token, so a second login is not needless.
    equal("violations", scene.server.counts().violations, 0)
}

/// Two accounts over two transports of one stack must not share anything.
pub(super) fn accounts_never_mix(stage: &Stage<'_>) -> Checked {
    let builder = Server::builder()
        .account("ada@example.com", "one!")
        .account("bob@example.com", "two!");
    let server = stage.server(builder)?;
    let (ada, bob) = (
        stage.client(&server, Setup::default().account("ada@example.com", "one!"))?,
        stage.client(&server, Setup::default().account("bob@example.com", "two!"))?,
    );
    for token in ["ADA", "BOB"] {
        let line = format!("authToken={token}; Path=/connect");
        server.inject(
            Rule::once(Matcher::Login, Fault::SetCookies(vec![line]))
                .after(u32::from(token == "BOB")),
        );
    }
    ada.open()?;
    bob.open()?;
    for _ in 0..2 {
        ada.expect(ada.get("/connect/test/echo/ADA"), 200)?;
        bob.expect(bob.get("/connect/test/echo/BOB"), 200)?;
    }
    for entry in server
        .journal()
        .into_iter()
        .filter(|entry| entry.class == Class::Call)
    {
        let expected = format!(
            "authToken={}",
            entry.path.trim_start_matches("/connect/test/echo/")
        );
        equal(
            "the cookie of a call",
            entry.header("cookie"),
            vec![expected.as_str()],
        )?;
    }
    equal("violations", server.counts().violations, 0)
}
