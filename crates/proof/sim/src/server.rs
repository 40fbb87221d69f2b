//! The simulated server: accounts, tokens, and all its kinds of responses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use http::header::{DATE, LOCATION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::count::{Fault, Tally};
use crate::kinds::{Kind, Terms};
use crate::plan::{Faults, Ms, PASSWORD, ms};
use crate::rng::Rng;

pub(crate) const APP_KEY: &str = "CANARY-KEY";
pub(crate) const USERS: [&str; 2] = ["CANARY-USER-A", "CANARY-USER-B"];
/// Where a login is redirected to.
pub(crate) const ELSEWHERE: &str = "https://elsewhere.example/";
/// The route whose response is 401 whatever the token, if there is one.
pub(crate) const REFUSED_ROUTE: usize = 0;
/// The route that needs a larger scope than OAuth's tokens have, if there is one.
const SCOPED_ROUTE: usize = 3;

#[derive(Debug)]
pub(crate) struct Server {
    tokens: BTreeMap<String, Token>,
    pub(crate) password: &'static str,
    serial: u64,
    pub(crate) terms: Terms,
    pub(crate) logins: u64,
    pub(crate) locked_until: Ms,
    pub(crate) outage_until: Ms,
    pub(crate) throttled_until: Ms,
}

#[derive(Debug)]
struct Token {
    kind: Kind,
    user: String,
    /// The passwords that obtained it, or a token that it replaced by rotation.
    passwords: BTreeSet<String>,
    alive: bool,
    /// When it expires.
    ends: Ms,
}

impl Token {
    const fn serves(&self, now: Ms) -> bool {
        self.alive && now < self.ends
    }
}

/// A request as it arrives.
#[derive(Clone, Debug)]
pub(crate) enum Arrival {
    Login {
        user: String,
        password: String,
        kind: Kind,
    },
    Logout {
        token: String,
    },
    Call {
        token: String,
        route: usize,
        kind: Kind,
    },
}

impl Server {
    pub(crate) const fn new(terms: Terms) -> Self {
        Self {
            terms,
            tokens: BTreeMap::new(),
            password: PASSWORD,
            serial: 0,
            logins: 0,
            locked_until: 0,
            outage_until: 0,
            throttled_until: 0,
        }
    }

    pub(crate) fn response(&mut self, arrival: &Arrival, at: &mut Scene<'_>) -> Response<()> {
        match arrival {
            Arrival::Login {
                user,
                password,
                kind,
            } => {
                self.logins += 1;
                let outcome = self.log_in((user, password), *kind, at);
                match kind {
                    Kind::Cookie => at.cookie_login(outcome),
                    Kind::OAuth(_) => at.token_endpoint(outcome, self.terms.life),
                }
            }
            Arrival::Logout { token } => self.logout(token, at),
            Arrival::Call { token, route, kind } => self.call(token, *route, *kind, at),
        }
    }

    pub(crate) fn revoke_all(&mut self) {
        for token in self.tokens.values_mut() {
            token.alive = false;
        }
    }

    pub(crate) const fn change_password(&mut self, to: &'static str) {
        self.password = to;
    }

    pub(crate) fn heal(&mut self) {
        (self.locked_until, self.outage_until, self.throttled_until) = (0, 0, 0);
        self.password = PASSWORD;
    }

    /// Whether a login of this kind with these credentials obtained this token.
    pub(crate) fn has_issued(
        &self,
        token: &str,
        kind: Kind,
        (user, password): (&str, &str),
    ) -> bool {
        let token = self.tokens.get(token).filter(|token| token.kind == kind);
        token.is_some_and(|token| token.user == user && token.passwords.contains(password))
    }

    /// Whether a login of this kind obtained this token.
    pub(crate) fn knows(&self, token: &str, kind: Kind) -> bool {
        self.tokens
            .get(token)
            .is_some_and(|token| token.kind == kind)
    }

    pub(crate) fn accepts(&self, user: &str, password: &str) -> bool {
        password == self.password && USERS.contains(&user)
    }

    /// What comes of a login of either kind, in the order in which it is drawn.
    fn log_in(
        &mut self,
        (user, password): (&str, &str),
        kind: Kind,
        at: &mut Scene<'_>,
    ) -> LoginOutcome {
        let faults = at.faults;
        if at.now < self.outage_until
            || at.strikes(faults.login_unavailable, Fault::LoginUnavailable)
        {
            LoginOutcome::Unavailable
        } else if at.now < self.throttled_until
            || at.strikes(faults.login_throttled, Fault::LoginThrottled)
        {
            LoginOutcome::Throttled
        } else if at.strikes(faults.login_redirected, Fault::LoginRedirected) {
            LoginOutcome::Redirected
        } else if !self.accepts(user, password) {
            LoginOutcome::WrongCredentials
        } else if at.now < self.locked_until
            || at.strikes(faults.login_refused, Fault::LoginRefused)
        {
            LoginOutcome::Locked
        } else if at.strikes(faults.login_without_token, Fault::LoginWithoutToken) {
            LoginOutcome::NoToken
        } else {
            LoginOutcome::Token(self.issue((user, password), kind, at.now, faults))
        }
    }

    fn issue(
        &mut self,
        (user, password): (&str, &str),
        kind: Kind,
        now: Ms,
        faults: &Faults,
    ) -> String {
        let life = self.terms.life.filter(|_| kind.is_oauth());
        let ends = life.map_or(Ms::MAX, |life| now + ms(life));
        if faults.one_token_an_account
            && let Some((token, state)) = self
                .tokens
                .iter_mut()
                .rev()
                .find(|(_, token)| token.user == user && token.kind == kind)
        {
            // Such a server sometimes returns an invalid token, too.
            state.alive |= self.serial.is_multiple_of(2);
            state.passwords.insert(password.to_owned());
            state.ends = ends;
            self.serial += 1;
            return token.clone();
        }
        if faults.one_session_an_account {
            self.tokens
                .values_mut()
                .filter(|token| token.user == user)
                .for_each(|token| token.alive = false);
        }
        self.fresh(user, BTreeSet::from([password.to_owned()]), kind, ends)
    }

    fn fresh(&mut self, user: &str, passwords: BTreeSet<String>, kind: Kind, ends: Ms) -> String {
        self.serial += 1;
        let token = format!("CANARY-TOKEN-{:06}", self.serial);
        let in_quotes = kind == Kind::Cookie && self.serial.is_multiple_of(4);
        let token = if in_quotes {
            format!("\"{token}\"")
        } else {
            token
        };
        self.tokens.insert(
            token.clone(),
            Token {
                kind,
                user: user.to_owned(),
                passwords,
                alive: true,
                ends,
            },
        );
        token
    }

    fn logout(&mut self, token: &str, at: &mut Scene<'_>) -> Response<()> {
        match self.tokens.get_mut(token) {
            Some(token) if token.alive => {
                token.alive = at.rng.chance(200);
                at.plain(200)
            }
            _ => at.plain(401),
        }
    }

    fn call(&mut self, token: &str, route: usize, kind: Kind, at: &mut Scene<'_>) -> Response<()> {
        let faults = at.faults.clone();
        let (user, passwords) = match self.tokens.get(token) {
            Some(state) if state.serves(at.now) => (state.user.clone(), state.passwords.clone()),
            state => {
                if state.is_some_and(|state| state.alive) {
                    at.tally.count(Fault::TokenOver);
                }
                return at.refuses_token(kind);
            }
        };
        if at.now < self.outage_until || at.strikes(faults.call_unavailable, Fault::CallUnavailable)
        {
            return at.maybe_clearing(503);
        }
        if faults.refused_route && route == REFUSED_ROUTE {
            at.tally.count(Fault::RefusedRoute);
            return match kind {
                Kind::Cookie => at.plain(401),
                Kind::OAuth(_) => at.challenges(),
            };
        }
        if faults.small_scope && kind.is_oauth() && route == SCOPED_ROUTE {
            return at.wants_scope();
        }
        if at.strikes(faults.spurious_401, Fault::Spurious401) {
            return at.refuses_token(kind);
        }
        if at.strikes(faults.call_forbidden, Fault::CallForbidden) {
            return at.maybe_clearing(403);
        }
        if at.strikes(faults.clearing, Fault::Clearing) {
            if let Some(state) = self.tokens.get_mut(token) {
                state.alive = at.rng.chance(300);
            }
            return at.clearing(200);
        }
        if at.strikes(faults.rotation, Fault::Rotation) {
            // With OAuth it is the cookie of another session, which this session must ignore.
            if faults.rotation_kills
                && kind == Kind::Cookie
                && let Some(state) = self.tokens.get_mut(token)
            {
                state.alive = false;
            }
            let next = self.fresh(&user, passwords, Kind::Cookie, Ms::MAX);
            return at.with_token(200, &next);
        }
        at.plain(200)
    }
}

/// What comes of a login.
pub(crate) enum LoginOutcome {
    Unavailable,
    Throttled,
    Redirected,
    WrongCredentials,
    Locked,
    NoToken,
    Token(String),
}

/// What a response depends on beside the request: the time and chance.
pub(crate) struct Scene<'a> {
    pub(crate) now: Ms,
    pub(crate) rng: &'a mut Rng,
    pub(crate) faults: &'a Faults,
    pub(crate) tally: &'a mut Tally,
}

impl Scene<'_> {
    fn cookie_login(&mut self, outcome: LoginOutcome) -> Response<()> {
        match outcome {
            LoginOutcome::Unavailable => {
                let status = self.rng.pick(&[500, 502, 503, 408, 425]);
                self.failed(status)
            }
            LoginOutcome::Throttled => self.throttled(),
            LoginOutcome::Redirected => {
                let mut response = self.failed(302);
                put(response.headers_mut(), LOCATION, ELSEWHERE);
                response
            }
            LoginOutcome::WrongCredentials | LoginOutcome::Locked => {
                let status = self.rng.pick(&[401, 401, 403, 400, 404]);
                self.failed(status)
            }
            LoginOutcome::NoToken => self.failed(200),
            LoginOutcome::Token(token) => self.with_token(200, &token),
        }
    }

    fn refuses_token(&mut self, kind: Kind) -> Response<()> {
        match kind {
            Kind::Cookie => self.maybe_clearing(401),
            Kind::OAuth(_) => self.challenges(),
        }
    }

    pub(crate) fn strikes(&mut self, per_mille: u64, fault: Fault) -> bool {
        let strikes = self.rng.chance(per_mille);
        if strikes {
            self.tally.count(fault);
        }
        strikes
    }

    pub(crate) fn plain(&self, status: u16) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        put(response.headers_mut(), DATE, &self.date(0));
        response
    }

    fn date(&self, ahead: Ms) -> String {
        httpdate::fmt_http_date(
            UNIX_EPOCH + Duration::from_millis(1_900_000_000_000 + self.now + ahead),
        )
    }

    fn with_token(&mut self, status: u16, token: &str) -> Response<()> {
        let expires = self.date(3_600_000);
        let cookie = match self.rng.below(4) {
            0 => format!("authToken={token}"),
            1 => format!("authToken={token}; Version=1; Max-Age=1209600; Path=/connect"),
            2 => format!("authToken={token}; Path=/connect; Secure; HttpOnly; Expires={expires}"),
            _ => format!("authToken={token}; Max-Age=60; Path=/connect; HttpOnly"),
        };
        let mut response = self.plain(status);
        put(
            response.headers_mut(),
            SET_COOKIE,
            "JSESSIONID=BBBB; Path=/connect; HttpOnly",
        );
        put(response.headers_mut(), SET_COOKIE, &cookie);
        response
    }

    fn clearing(&mut self, status: u16) -> Response<()> {
        let cookie = self.rng.pick(&[
            "authToken=; Max-Age=0; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/connect",
            "authToken=\"\"; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/connect",
            "authToken=deleted",
            "authToken=CANARY-OLD; Max-Age=0",
        ]);
        let mut response = self.plain(status);
        put(response.headers_mut(), SET_COOKIE, cookie);
        response
    }

    pub(crate) fn maybe_clearing(&mut self, status: u16) -> Response<()> {
        if self.strikes(self.faults.clearing, Fault::Clearing) {
            self.clearing(status)
        } else {
            self.plain(status)
        }
    }

    fn failed(&mut self, status: u16) -> Response<()> {
        self.maybe_clearing(status)
    }

    fn throttled(&mut self) -> Response<()> {
        let mut response = self.plain(429);
        let value = match self.rng.below(6) {
            0 => return response,
            1 => "46".to_owned(),
            2 => self.date(90_000),
            3 => "soon".to_owned(),
            4 => "99999999999999999999".to_owned(),
            _ => " 7 ".to_owned(),
        };
        put(response.headers_mut(), RETRY_AFTER, &value);
        response
    }
}

pub(crate) fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(name, value);
    }
}

/// How a session should read the response, without `ctc-core`'s own reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    None,
    Set(String),
    Cleared,
}

pub(crate) fn cookie_of(headers: &HeaderMap) -> Cookie {
    let mut found = Cookie::None;
    for line in headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
    {
        let Some(rest) = line.strip_prefix("authToken=") else {
            continue;
        };
        // Quotes are part of the token, which must be sent back unchanged.
        let value = rest.split(';').next().unwrap_or_default();
        found = if value.trim_start_matches('"').starts_with("CANARY-TOKEN") {
            Cookie::Set(value.to_owned())
        } else {
            Cookie::Cleared
        };
    }
    found
}

/// How long `Retry-After` asks to wait; 0 if it is absent or invalid.
pub(crate) fn pause_of(headers: &HeaderMap) -> Ms {
    match headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .map(str::trim)
    {
        Some("46") => 46_000,
        Some("7") => 7000,
        Some(digits) if digits.starts_with("999") => Ms::MAX,
        Some(date) if date.ends_with("GMT") => 90_000,
        _ => 0,
    }
}
