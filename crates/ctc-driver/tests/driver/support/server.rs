//! A scripted CTC server in memory: tokens, refusals, gates. Both transports speak to it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use event_listener::{Event, Listener};
use http::{HeaderMap, Request, Response, StatusCode};

use super::clock::VirtualClock;
use super::lock;

/// How the server answers a login. Without a script: a fresh token.
#[derive(Clone, Debug)]
pub(crate) enum Login {
    Token(&'static str),
    Status(u16),
    RetryAfter(u16, &'static str),
    NotSent,
    MaybeSent,
    Panic,
    Hang,
}

/// How a route answers.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// 401 whatever the token.
    Forbidden,
    Status(u16),
    /// This status and `Set-Cookie`, whatever the token.
    Cookie(u16, &'static str),
    /// 200 with a fresh token in place of the one that was sent.
    Rotate,
    NoAnswer,
    Panic,
}

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Login {
        form: String,
    },
    Logout {
        token: String,
    },
    Call {
        path: String,
        token: String,
        body: Vec<u8>,
    },
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) seen: Vec<Seen>,
    pub(crate) valid: BTreeSet<String>,
    issued: u64,
    prefix: &'static str,
    pub(crate) logins_now: usize,
    pub(crate) logins_at_most: usize,
    pub(crate) calls_now: usize,
    script: VecDeque<Login>,
    always: Option<Login>,
    routes: HashMap<String, Route>,
    /// Logins with this in their form are refused.
    pub(crate) refuses: Option<&'static str>,
    hold_logins: bool,
    hold_calls: bool,
    /// 0: no response. 1: it hangs.
    pub(crate) logout_status: Option<u16>,
    /// The OAuth login: how many seconds a token lives, and by which clock.
    pub(crate) oauth: Option<(u64, VirtualClock)>,
    /// When the OAuth tokens end, by that clock.
    ends: HashMap<String, Duration>,
    /// Calls that got a 401.
    pub(crate) unauthorized: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Event,
}

/// What is to be done for one request once it is let through.
pub(crate) enum Reply {
    Answer(Response<String>),
    NotSent,
    MaybeSent,
    Panic,
    Hang,
}

impl Server {
    pub(crate) fn new() -> Self {
        let server = Self::default();
        server.set(|state| state.prefix = "token-");
        server
    }

    pub(crate) fn with_prefix(prefix: &'static str) -> Self {
        let server = Self::default();
        server.set(|state| state.prefix = prefix);
        server
    }

    pub(crate) fn set<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut lock(&self.0.state));
        self.0.changed.notify(usize::MAX);
        result
    }

    pub(crate) fn next_login(&self, response: Login) {
        self.set(|state| state.script.push_back(response));
    }

    pub(crate) fn every_login(&self, response: Login) {
        self.set(|state| state.always = Some(response));
    }

    pub(crate) fn logins_are_fine(&self) {
        self.set(|state| state.always = None);
    }

    pub(crate) fn route(&self, path: &str, response: Route) {
        self.set(|state| state.routes.insert(path.to_owned(), response));
    }

    /// Every token out there is over.
    pub(crate) fn revoke_all(&self) {
        self.set(|state| state.valid.clear());
    }

    pub(crate) fn hold_logins(&self, hold: bool) {
        self.set(|state| state.hold_logins = hold);
    }

    pub(crate) fn hold_calls(&self, hold: bool) {
        self.set(|state| state.hold_calls = hold);
    }

    pub(crate) fn logins(&self) -> usize {
        self.seen()
            .iter()
            .filter(|seen| matches!(seen, Seen::Login { .. }))
            .count()
    }

    pub(crate) fn calls(&self) -> usize {
        self.seen()
            .iter()
            .filter(|seen| matches!(seen, Seen::Call { .. }))
            .count()
    }

    pub(crate) fn logouts(&self) -> Vec<String> {
        let token = |seen| {
            if let Seen::Logout { token } = seen {
                Some(token)
            } else {
                None
            }
        };
        self.seen().into_iter().filter_map(token).collect()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.set(|state| state.seen.clone())
    }

    /// Waits, in a thread, until the server is in that state.
    pub(crate) fn wait_until(&self, ready: impl Fn(&State) -> bool) {
        loop {
            let listener = self.0.changed.listen();
            if ready(&lock(&self.0.state)) {
                return;
            }
            let change = listener.wait_timeout(Duration::from_secs(20));
            assert!(change.is_some(), "the server never got there");
        }
    }

    async fn reached(&self, ready: impl Fn(&State) -> bool) {
        loop {
            let listener = self.0.changed.listen();
            if ready(&lock(&self.0.state)) {
                return;
            }
            listener.await;
        }
    }

    /// One login, or the logout, while it is on the wire.
    pub(crate) fn arrive(&self, request: &Request<ctc_driver::ctc_core::FormBody>) -> OnTheWire {
        let form = String::from_utf8_lossy(request.body().as_ref()).into_owned();
        let logout = request.uri().path().ends_with("/logout");
        let refused = self.set(|state| {
            let refused = state.refuses.is_some_and(|part| form.contains(part));
            if logout {
                let token = token_of(request.headers());
                state.valid.remove(&token);
                state.seen.push(Seen::Logout { token });
            } else {
                state.seen.push(Seen::Login { form });
                state.logins_now += 1;
                state.logins_at_most = state.logins_at_most.max(state.logins_now);
            }
            refused
        });
        let kind = if logout {
            Kind::Logout
        } else {
            Kind::Login { refused }
        };
        OnTheWire {
            server: self.clone(),
            kind,
        }
    }

    pub(crate) fn arrive_call(&self, path: &str, headers: &HeaderMap, body: &[u8]) -> OnTheWire {
        let token = token_of(headers);
        let (path, body) = (path.to_owned(), body.to_vec());
        let seen = Seen::Call {
            path: path.clone(),
            token: token.clone(),
            body,
        };
        self.set(|state| {
            state.seen.push(seen);
            state.calls_now += 1;
        });
        OnTheWire {
            server: self.clone(),
            kind: Kind::Call { path, token },
        }
    }
}

/// A request between its coming in and its response; dropping it is the client hanging up.
pub(crate) struct OnTheWire {
    server: Server,
    kind: Kind,
}

enum Kind {
    Login { refused: bool },
    Logout,
    Call { path: String, token: String },
}

impl OnTheWire {
    pub(crate) fn pass_blocking(&self) {
        self.server.wait_until(|state| !self.is_held(state));
    }

    pub(crate) async fn pass(&self) {
        self.server.reached(|state| !self.is_held(state)).await;
    }

    /// Calls to `/free` pass every gate.
    fn is_held(&self, state: &State) -> bool {
        match &self.kind {
            Kind::Login { .. } => state.hold_logins,
            Kind::Logout => false,
            Kind::Call { path, .. } => state.hold_calls && path != "/free",
        }
    }

    pub(crate) fn reply(&self) -> Reply {
        self.server.set(|state| match &self.kind {
            Kind::Login { refused: true } => Reply::Answer(response(401, None)),
            Kind::Login { .. } => state.log_in(),
            Kind::Logout => match state.logout_status {
                Some(0) => Reply::MaybeSent,
                Some(1) => Reply::Hang,
                status => Reply::Answer(response(status.unwrap_or(204), None)),
            },
            Kind::Call { path, token } => state.call(path, token),
        })
    }
}

impl Drop for OnTheWire {
    fn drop(&mut self) {
        self.server.set(|state| match self.kind {
            Kind::Login { .. } => state.logins_now -= 1,
            Kind::Logout => {}
            Kind::Call { .. } => state.calls_now -= 1,
        });
    }
}

impl State {
    fn log_in(&mut self) -> Reply {
        match self.script.pop_front().or_else(|| self.always.clone()) {
            None if self.oauth.is_some() => {
                let token = self.issue();
                let (life, clock) = self.oauth.as_ref().expect("looked at");
                let ends = clock.elapsed() + Duration::from_secs(*life);
                let mut response = response(200, None);
                *response.body_mut() = format!(
                    r#"{{"token_type":"Bearer","expires_in":{life},"access_token":"{token}"}}"#
                );
                self.ends.insert(token, ends);
                Reply::Answer(response)
            }
            None => {
                let token = self.issue();
                Reply::Answer(response(
                    200,
                    Some(&format!("authToken={token}; Path=/connect; HttpOnly")),
                ))
            }
            Some(Login::Token(token)) => {
                self.valid.insert(token.to_owned());
                Reply::Answer(response(200, Some(&format!("authToken={token}"))))
            }
            Some(Login::Status(status)) => Reply::Answer(response(status, None)),
            Some(Login::RetryAfter(status, pause)) => {
                let mut response = response(status, None);
                response
                    .headers_mut()
                    .insert("retry-after", pause.parse().expect("a header"));
                Reply::Answer(response)
            }
            Some(Login::NotSent) => Reply::NotSent,
            Some(Login::MaybeSent) => Reply::MaybeSent,
            Some(Login::Panic) => Reply::Panic,
            Some(Login::Hang) => Reply::Hang,
        }
    }

    fn call(&mut self, path: &str, token: &str) -> Reply {
        let elapsed = self.oauth.as_ref().map(|(_, clock)| clock.elapsed());
        let ended = self
            .ends
            .get(token)
            .is_some_and(|ends| Some(*ends) <= elapsed);
        let good = self.valid.contains(token) && !ended;
        let (status, cookie) = match self.routes.get(path) {
            Some(Route::NoAnswer) => return Reply::MaybeSent,
            Some(Route::Panic) => return Reply::Panic,
            Some(Route::Forbidden) => (401, None),
            Some(Route::Cookie(status, cookie)) => (*status, Some((*cookie).to_owned())),
            _ if !good => (401, None),
            None => (200, None),
            Some(Route::Status(status)) => (*status, None),
            Some(Route::Rotate) => {
                self.valid.remove(token);
                (200, Some(format!("authToken={}", self.issue())))
            }
        };
        self.unauthorized += usize::from(status == 401);
        Reply::Answer(response(status, cookie.as_deref()))
    }

    fn issue(&mut self) -> String {
        self.issued += 1;
        let token = format!("{}{}", self.prefix, self.issued);
        self.valid.insert(token.clone());
        token
    }
}

fn response(status: u16, cookie: Option<&str>) -> Response<String> {
    let mut response = Response::new(status.to_string());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    if let Some(cookie) = cookie {
        response
            .headers_mut()
            .insert("set-cookie", cookie.parse().expect("a header"));
    }
    response
}

/// The one token of a request; exactly one `Cookie` header and one key is demanded of every
/// request.
fn token_of(headers: &HeaderMap) -> String {
    let cookies: Vec<_> = headers.get_all("cookie").iter().collect();
    assert_eq!(cookies.len(), 1, "a request without a token, or with two");
    assert_eq!(headers.get_all("calamp-services-app").iter().count(), 1);
    let cookies = cookies[0].to_str().expect("a text");
    let mut tokens = cookies
        .split("; ")
        .filter_map(|pair| pair.strip_prefix("authToken="));
    let token = tokens.next().expect("a token").to_owned();
    assert_eq!(tokens.next(), None, "two tokens");
    token
}
