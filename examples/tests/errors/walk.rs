//! One error after the other. Compiled once for each adapter: `super` says which.

use std::error::Error;
use std::ffi::OsString;
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ctc_driver::ctc_core::{AppKey, Login, OAuth, Settings, Unauthorized};
use ctc_driver::{SessionConfig, StoreError};
use ctc_testkit::{
    DEFAULT_APP_KEY, DEFAULT_CLIENT_ID, DEFAULT_PASSWORD, DEFAULT_USERNAME, Fault, Matcher, Point,
    Rule, Server,
};
use http::HeaderMap;

use super::adapter::{
    Client, ClientBuilder, CredentialsCommand, CredentialsEnv, CredentialsError, CredentialsFile,
    CredentialsSource, Endpoint, LoginLimiter, MemoryStore, Replay, SendError,
};
use super::{http_client, native, of_its_own, wait, with_stream};
use crate::store::Busy;
use crate::{Report, text};

pub(crate) const DEVICES: &str = "/connect/services/devices";
const FORBIDDEN: &str = "/connect/test/status/401";

pub(crate) fn everything(report: &mut Report) {
    report.heading("Errors of the setup");
    endpoints(report);
    environment(report);
    building(report);
    report.heading("Errors of the login");
    refused(report);
    refused_oauth(report);
    in_trouble(report);
    unreachable(report);
    held_back(report);
    sources(report);
    of_its_own(report);
    report.heading("Errors of a call");
    paths(report);
    requests(report);
    no_response(report);
    report.heading("Reasons of a delivered 401 (in the response's extensions)");
    delivered(report);
    report.heading("Outcomes of a logout (`LogoutOutcome`, not an error)");
    logouts(report);
    report.heading("Errors of a store (as events; calls continue)");
    report.tell("the lease has expired", &StoreError::LeaseLost);
    let disk = std::io::Error::other("read-only file system");
    report.tell(
        "the store cannot be used",
        &StoreError::Unavailable(disk.into()),
    );
}

/// Builds a client with short timeouts.
pub(crate) fn builder(server: &Server) -> ClientBuilder {
    at(&server.url()).credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
}

fn at(url: &str) -> ClientBuilder {
    Client::builder()
        .endpoint(Endpoint::danger_plain_http(url).unwrap())
        .app_key(DEFAULT_APP_KEY)
        .credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD)
        .login_timeout(Duration::from_millis(500))
}

fn client(server: &Server) -> Client {
    builder(server).build().unwrap()
}

pub(crate) fn login(client: &Client) -> impl Error + use<> {
    wait(client.login()).unwrap_err()
}

fn nowhere() -> String {
    format!(
        "http://{}",
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    )
}

/// Sources of credentials.
fn sources(report: &mut Report) {
    let server = Server::start().unwrap();
    let folder = std::env::temp_dir().join(format!("ctc-errors-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(name);
        std::fs::write(&path, "s3cret").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        CredentialsFile::for_user("ada", path)
    };
    let command = |script: &str| CredentialsCommand::new("ada", "sh").args(["-c", script]);
    let missing = CredentialsFile::new("/etc/ctc/no-username", "/etc/ctc/no-password");
    let (readable, writable) = (write("readable", 0o644), write("writable", 0o660));
    let slow = || {
        std::thread::sleep(Duration::from_secs(2));
        Err(CredentialsError::unavailable("too late"))
    };
    let with = |source: Arc<dyn CredentialsSource>| at(&server.url()).credentials_source(source);
    let sources: [(_, Arc<dyn CredentialsSource>); 7] = [
        ("a credentials file is missing", Arc::new(missing)),
        ("every user can read the password file", Arc::new(readable)),
        (
            "other users can write to the password file",
            Arc::new(writable),
        ),
        (
            "the command that prints the password does not exist",
            Arc::new(CredentialsCommand::new("ada", "ctc-no-such-vault")),
        ),
        ("the command fails", Arc::new(command("exit 2"))),
        (
            "the command hangs",
            Arc::new(command("exec sleep 60").timeout(Duration::from_millis(100))),
        ),
        (
            "an environment variable with credentials is not set",
            Arc::new(CredentialsEnv::new(
                "CTC_NO_SUCH_USER",
                "CTC_NO_SUCH_PASSWORD",
            )),
        ),
    ];
    for (what, source) in sources {
        let client = with(source).build().unwrap();
        let told = text(&login(&client));
        report.say(what, &told.replace(folder.to_str().unwrap(), "/etc/ctc"));
    }
    let client = at(&server.url()).credentials_source(slow).build().unwrap();
    report.tell("a source takes too long", &login(&client));
    std::fs::remove_dir_all(folder).unwrap();
}

fn endpoints(report: &mut Report) {
    for (what, url) in [
        (
            "the portal's host as the endpoint",
            "https://x-loginapi.developer.calamp.com",
        ),
        ("an http URL as the endpoint", "http://connect.calamp.com"),
        (
            "an endpoint with a path",
            "https://connect.calamp.com/connect",
        ),
        (
            "an endpoint with a password in it",
            "https://ada:s3cret@connect.calamp.com",
        ),
        ("an endpoint that is not a URL", "connect.calamp.com"),
    ] {
        report.tell(what, &Endpoint::new(url).unwrap_err());
    }
    let plain = Endpoint::danger_plain_http("http://connect.calamp.com").unwrap_err();
    report.tell("plain http to another machine", &plain);
}

fn environment(report: &mut Report) {
    let mut told = |what, more: &[(&str, &str)], keep: usize| {
        let vars = [
            ("CTC_USERNAME", "u"),
            ("CTC_PASSWORD", "s3cret"),
            ("CTC_APP_KEY", "k"),
        ];
        let vars = [&vars[..keep], more].concat();
        let var = |name| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        };
        report.tell(what, &SessionConfig::from_vars(var).unwrap_err());
    };
    told("environment variables are missing", &[], 1);
    told(
        "`CTC_REGION` has another value",
        &[("CTC_REGION", "asia")],
        3,
    );
    told(
        "`CTC_REGION` and `CTC_BASE_URL` are both set",
        &[("CTC_REGION", "us"), ("CTC_BASE_URL", "https://a.example")],
        3,
    );
    told(
        "`CTC_BASE_URL` is plain http",
        &[("CTC_BASE_URL", "http://a.example")],
        3,
    );
    let (us, oauth) = (("CTC_REGION", "us"), ("CTC_LOGIN", "oauth"));
    let (id, url) = (("CTC_CLIENT_ID", "c"), "CTC_TOKEN_URL");
    told(
        "`CTC_LOGIN` has another value",
        &[us, ("CTC_LOGIN", "x")],
        3,
    );
    told(
        "`CTC_SCOPE` without `CTC_LOGIN`",
        &[us, ("CTC_SCOPE", "x")],
        3,
    );
    told(
        "`CTC_TOKEN_URL` without `CTC_CLIENT_ID`",
        &[us, oauth, (url, "https://a.example/t")],
        3,
    );
    told(
        "`CTC_TOKEN_URL` is plain http",
        &[us, oauth, id, (url, "http://a.example/t")],
        3,
    );
}

fn building(report: &mut Report) {
    let us = || Client::builder().endpoint(Endpoint::us());
    let mut told = |what, builder: ClientBuilder| report.tell(what, &builder.build().unwrap_err());
    told("no endpoint", Client::builder());
    told("no application key", us());
    told("no credentials", us().app_key("k"));
    told("an empty password", us().app_key("k").credentials("u", ""));
    told(
        "a line break in the password",
        us().app_key("k").credentials("u", "s3cret!\n"),
    );
    told(
        "a line break in the application key",
        us().app_key("s3cret-key\n").credentials("u", "p"),
    );
    told(
        "a typographic quote in the application key",
        us().app_key("s3cret’").credentials("u", "p"),
    );
    let with = |change: fn(&mut Settings)| us().app_key("k").credentials("u", "p").settings(change);
    told(
        "a lease shorter than the login",
        with(|settings| settings.lease = Duration::from_secs(1)),
    );
    told(
        "no backoff",
        with(|settings| settings.fair_use.backoff = Duration::ZERO),
    );
    told(
        "a logout path that is not a path",
        with(|settings| settings.logout_path = "logout".to_owned()),
    );
    told(
        "a user agent together with your own HTTP client",
        us().user_agent("x").http_client(http_client()),
    );
    let other = us().app_key("k").credentials("u", "p").build().unwrap();
    told(
        "a session of your own, and credentials",
        Client::builder()
            .session(other.session().clone())
            .credentials("u", "p"),
    );
    told(
        "a token endpoint in the other region",
        us().login(Login::OAuth(OAuth::eu()))
            .app_key("k")
            .credentials("u", "p"),
    );
    report.tell("an empty application key", &AppKey::new("").unwrap_err());
    let oauth = |url, id: &str| OAuth::new(url, id).unwrap_err();
    let token_url = "https://a.example/t";
    report.tell("an empty client id", &oauth(token_url, ""));
    report.tell(
        "a token URL with a fragment",
        &oauth("https://a.example/t#s3cret", "c"),
    );
    let revokes = OAuth::us().revoke_on_logout_at("https://a.example/r");
    report.tell("a revocation URL on another origin", &revokes.unwrap_err());
}

fn refused(report: &mut Report) {
    for (what, status) in [
        (
            "the password is wrong (or anything else that the server rejects with 401)",
            401,
        ),
        (
            "the login is forbidden, for example because the account is locked",
            403,
        ),
        ("there is no login at this base URL", 404),
    ] {
        let server = Server::builder().refused_status(status).start().unwrap();
        let client = at(&server.url())
            .credentials(DEFAULT_USERNAME, "s3cret!s3cret!")
            .build()
            .unwrap();
        report.tell(what, &login(&client));
    }
}

/// Rejections of the OAuth login, by the codes of the token endpoint.
fn refused_oauth(report: &mut Report) {
    let policy = Fault::Respond {
        status: 400,
        headers: Vec::new(),
        body: r#"{"error":"invalid_grant","error_description":"denied by sign on policy."}"#.into(),
        act: false,
    };
    let error = Fault::oauth_error;
    for (what, fault) in [
        (
            "OAuth: the username and password are rejected",
            error(400, "invalid_grant"),
        ),
        ("OAuth: a policy asks for more than a password", policy),
        (
            "OAuth: the client id, grant or scope is rejected",
            error(401, "invalid_client"),
        ),
        ("OAuth: the token URL is wrong", Fault::status(404)),
        (
            "OAuth: the server is busy",
            error(400, "temporarily_unavailable"),
        ),
    ] {
        let server = Server::start().unwrap();
        server.inject(Rule::forever(Matcher::Token, fault));
        let oauth = OAuth::danger_plain_http(&server.token_url(), DEFAULT_CLIENT_ID);
        let client = builder(&server).login(Login::OAuth(oauth.unwrap()));
        report.tell(what, &login(&client.build().unwrap()));
    }
}

fn in_trouble(report: &mut Report) {
    for (what, fault) in [
        ("the server asks clients to wait", Fault::throttle(46)),
        ("the server is unavailable", Fault::status(503)),
        (
            "an HTML page instead of the login response",
            Fault::html_page(),
        ),
        (
            "the login is redirected",
            Fault::Redirect {
                status: 302,
                location: "https://a.example/".to_owned(),
            },
        ),
        ("the login hangs", Fault::Hang { act: false }),
        (
            "the login response is cut off",
            Fault::Cut {
                at: Point::BeforeResponse,
                act: false,
            },
        ),
    ] {
        let server = Server::start().unwrap();
        server.inject(Rule::forever(Matcher::Login, fault));
        report.tell(what, &login(&client(&server)));
    }
}

fn unreachable(report: &mut Report) {
    report.tell(
        "nothing listens at the endpoint",
        &login(&at(&nowhere()).build().unwrap()),
    );
    let server = Server::builder().tls(true).start().unwrap();
    report.tell(
        "the server's certificate is not trusted",
        &login(&at(&server.url()).build().unwrap()),
    );
    let server = Server::start().unwrap();
    let https = format!("https://localhost:{}", server.port());
    report.tell(
        "a server that expects plain http",
        &login(&at(&https).build().unwrap()),
    );
    // This program has TLS. The package `no-tls` tests the error in a program without it.
    report.tell("a program without TLS (only the cause)", &SendError::NoTls);
}

fn held_back(report: &mut Report) {
    let server = Server::start().unwrap();
    let one = |settings: &mut Settings| settings.fair_use.burst = NonZeroU32::MIN;
    let client = builder(&server).settings(one).build().unwrap();
    wait(client.login()).unwrap();
    client.session().close();
    client.session().reopen();
    report.tell("the login budget is spent", &login(&client));
    client.session().close();
    report.tell(
        "a call after logout",
        &wait(client.get(DEVICES).send()).unwrap_err(),
    );
    let client = builder(&server).store(Busy).build().unwrap();
    report.tell("another process holds the store lease", &login(&client));
    let limiter = LoginLimiter::new(1, 1);
    let limited = || builder(&server).login_limiter(&limiter).build().unwrap();
    wait(limited().login()).unwrap();
    report.tell("the login limiter has no turn in time", &login(&limited()));
}

fn paths(report: &mut Report) {
    let server = Server::start().unwrap();
    let client = client(&server);
    for (what, path) in [
        (
            "an absolute URL on another origin",
            "https://elsewhere.example/devices?vin=s3cret",
        ),
        ("a path without a slash", "connect/services/devices"),
        (
            "a path that is not a URI",
            "/connect/services/devices/my truck",
        ),
    ] {
        report.tell(what, &wait(client.get(path).send()).unwrap_err());
    }
    let error = wait(client.execute(native("https://elsewhere.example/?vin=s3cret"))).unwrap_err();
    report.tell("a native request to another origin", &error);
}

fn requests(report: &mut Report) {
    let server = Server::start().unwrap();
    let client = client(&server);
    let error = wait(client.get(DEVICES).header("x-note", "line\nend").send()).unwrap_err();
    report.tell("an invalid header value", &error);
    let mut many = HeaderMap::new();
    for number in 0..20_000 {
        let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
        many.append(name, http::HeaderValue::from_static("1"));
    }
    report.tell(
        "too many headers",
        &wait(client.get(DEVICES).headers(many).send()).unwrap_err(),
    );
    let error = wait(client.get(DEVICES).query(&"no pair").send()).unwrap_err();
    report.tell("a query that is not a list of pairs", &error);
}

fn no_response(report: &mut Report) {
    let server = Server::start().unwrap();
    let client = client(&server);
    wait(client.login()).unwrap();
    server.inject(Rule::once(Matcher::AnyCall, Fault::Hang { act: false }));
    let request = client
        .get(DEVICES)
        .query(&[("vin", "s3cret")])
        .timeout(Duration::from_millis(200));
    report.tell(
        "a call that hangs, with a timeout",
        &wait(request.send()).unwrap_err(),
    );
    server.inject(Rule::once(
        Matcher::AnyCall,
        Fault::Cut {
            at: Point::BeforeResponse,
            act: false,
        },
    ));
    let error = wait(client.post(DEVICES).body("{}").send()).unwrap_err();
    report.tell("a call whose response is cut off", &error);
    drop(server);
    report.tell(
        "nothing listens at the endpoint any more",
        &wait(client.get(DEVICES).send()).unwrap_err(),
    );
}

fn delivered(report: &mut Report) {
    let mut told = |what, response: &http::Extensions| {
        report.tell(
            what,
            response
                .get::<Unauthorized>()
                .unwrap_or_else(|| panic!("{what}: no reason")),
        );
    };
    let server = Server::start().unwrap();
    let client = client(&server);
    let response = wait(client.get(FORBIDDEN).send()).unwrap();
    told("a new token is rejected too", response.extensions());

    server.revoke_all();
    let request = with_stream(client.post("/connect/test/echo")).replay(Replay::Always);
    told(
        "the body is a stream",
        wait(request.send()).unwrap().extensions(),
    );
    wait(client.login()).unwrap();
    server.revoke_all();
    told(
        "a POST that may not be replayed",
        wait(client.post(DEVICES).send()).unwrap().extensions(),
    );

    let server = Server::start().unwrap();
    let one = |settings: &mut Settings| settings.fair_use.burst = NonZeroU32::MIN;
    let client = builder(&server)
        .settings(one)
        .store(MemoryStore::new())
        .build()
        .unwrap();
    wait(client.login()).unwrap();
    server.revoke_all();
    told(
        "the login budget is spent (the token is kept)",
        wait(client.get(DEVICES).send()).unwrap().extensions(),
    );
    for (what, why) in [
        ("already replayed", Unauthorized::AlreadyReplayed),
        ("logged out during the call", Unauthorized::Closed),
    ] {
        report.tell(what, &why);
    }
}

fn logouts(report: &mut Report) {
    let server = Server::start().unwrap();
    let client = client(&server);
    wait(client.login()).unwrap();
    server.inject(Rule::once(Matcher::Logout, Fault::status(404)));
    report.say(
        "the server has no logout at that path",
        &wait(client.logout()).to_string(),
    );
    client.session().reopen();
    wait(client.login()).unwrap();
    drop(server);
    report.say(
        "the server does not respond",
        &wait(client.logout()).to_string(),
    );
}
