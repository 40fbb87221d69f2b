//! HTTP stacks without a network, to measure only the session layer.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use ctc_driver::__adapter::by_hand::try_stamp;
use ctc_driver::ctc_core::{
    AppKey, Call, Credentials, Endpoint, Login, OAuth, SendFailure, Session, Settings,
    TokenAttachment,
};
use ctc_driver::{
    AsyncTransport, CallOptions, Driver, LoginRequest, LoginResponse, SharedSession, Transport,
    TransportError,
};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Request, Response, StatusCode};

use crate::Failure;
use crate::scene::{KEY, request, token};

/// How often the task of a login is woken: connecting, TLS, sending, reading.
const LOGIN_STEPS: u32 = 5;

/// A stack that responds immediately to calls, and after a delay to logins. Clones share their
/// simulated server.
#[derive(Clone, Debug)]
pub struct Stub(Arc<State>);

#[derive(Debug)]
struct State {
    login: Duration,
    refuses: bool,
    /// The mark of the valid token.
    good: AtomicU64,
    logins: AtomicU64,
}

impl Stub {
    /// Creates a server whose logins take `login`, and are rejected if it `refuses`.
    pub fn new(login: Duration, refuses: bool) -> Self {
        Self(Arc::new(State {
            login,
            refuses,
            good: AtomicU64::new(0),
            logins: AtomicU64::new(0),
        }))
    }

    /// Returns how many logins it received.
    pub fn logins(&self) -> u64 {
        self.0.logins.load(SeqCst)
    }

    /// Invalidates the current token.
    pub fn kill_token(&self) {
        self.0.good.store(u64::MAX, SeqCst);
    }

    fn response(&self, request: &Request<()>) -> Response<()> {
        let mut response = Response::new(());
        if !self.accepts(request) {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
        }
        response
    }

    fn accepts(&self, request: &Request<()>) -> bool {
        let Some(cookie) = request.headers().get(COOKIE) else {
            return false;
        };
        let mark = cookie
            .as_bytes()
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit());
        let mark = mark
            .fold((0, 1), |(sum, unit), byte| {
                (sum + unit * u64::from(byte - b'0'), unit * 10)
            })
            .0;
        mark == self.0.good.load(SeqCst)
    }

    fn login(&self, login: &LoginRequest) -> LoginResponse {
        let mark = self.0.logins.fetch_add(1, SeqCst) + 1;
        let mut headers = HeaderMap::new();
        if self.0.refuses {
            return LoginResponse::new(StatusCode::UNAUTHORIZED, headers);
        }
        self.0.good.store(mark, SeqCst);
        if login.body_limit > 0 {
            let token = token(mark);
            let body =
                format!(r#"{{"token_type":"Bearer","expires_in":86400,"access_token":"{token}"}}"#);
            let mut response = LoginResponse::new(StatusCode::OK, headers);
            response.append_body(body.as_bytes(), login.body_limit);
            return response;
        }
        if let Ok(cookie) = format!("authToken={}; Path=/connect", token(mark)).try_into() {
            headers.insert(SET_COOKIE, cookie);
        }
        LoginResponse::new(StatusCode::OK, headers)
    }
}

/// It never fails.
#[derive(Debug)]
pub struct Never(Infallible);

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl std::error::Error for Never {}

impl TransportError for Never {
    fn failure(&self) -> SendFailure {
        match self.0 {}
    }
}

impl Transport for Stub {
    type Request = Request<()>;
    type Response = Response<()>;
    type Error = Never;

    fn send(&self, request: Request<()>) -> Result<Response<()>, Never> {
        Ok(self.response(&request))
    }

    fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, Never> {
        thread::sleep(self.0.login);
        Ok(self.login(&login))
    }
}

#[async_trait]
impl AsyncTransport for Stub {
    type Request = Request<()>;
    type Response = Response<()>;
    type Error = Never;

    async fn send(&self, request: Request<()>) -> Result<Response<()>, Never> {
        Ok(self.response(&request))
    }

    async fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, Never> {
        for _ in 0..LOGIN_STEPS {
            tokio::time::sleep(self.0.login / LOGIN_STEPS).await;
        }
        Ok(self.login(&login))
    }
}

/// Creates a session that has not logged in yet.
///
/// # Errors
/// Never fails: the values are fixed.
pub fn session() -> Result<SharedSession, Failure> {
    let credentials = Credentials::new("ada@example.com", "s3cret!")?;
    let session = Session::new(
        Endpoint::us(),
        AppKey::new(KEY)?,
        credentials,
        Settings::default(),
    )?;
    Ok(SharedSession::new(session))
}

/// Creates an open session with an alarm for its early renewal.
///
/// # Errors
/// Returns an error if the stub's login fails.
pub fn armed() -> Result<SharedSession, Failure> {
    let mut settings = Settings::default();
    settings.login = Login::OAuth(OAuth::us());
    // The same stamp as the other sessions have.
    settings.attachment = Some(TokenAttachment::Cookie);
    let credentials = Credentials::new("ada@example.com", "s3cret!")?;
    let session = Session::new(Endpoint::us(), AppKey::new(KEY)?, credentials, settings)?;
    let session = SharedSession::new(session);
    let driver = Driver::new(session.clone(), Stub::new(Duration::ZERO, false), None);
    driver.login(&CallOptions::default())?;
    if session.token_ends().is_none() {
        return Err("the end of the token is not known".into());
    }
    try_stamp(&session, &mut Call::new(true), &mut request()?)?;
    Ok(session)
}
