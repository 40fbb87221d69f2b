//! A blocking HTTP stack on bare sockets. It is a correct transport, or has one chosen vice: with
//! it the suite itself is tested.

mod wire;

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use ctc_driver::{
    LoginRequest, LoginResponse, Outgoing, Transport, TransportError,
    ctc_core::{SendFailure, Target},
};
use ctc_testkit::conformance::{BlockingStack, BoxError, Certificate, Payload};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};

pub(crate) use wire::Body;
use wire::Pool;

/// A way to be a faulty transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vice {
    FollowsRedirects,
    KeepsCookies,
    /// Sends the first `Cookie` that it ever saw, so that a replay carries the old token.
    SticksToFirstCookie,
    LoginNeverTimesOut,
    /// The time limit applies to each read instead of to the whole login.
    TimesOutPerRead,
    StatusIsError,
    /// Not a vice: HTTP allows it.
    EmptyBodyHasLength,
    GetHasBody,
    SendsLostRequestsAgain,
    EveryErrorIsMaybeSent,
    EveryErrorIsNotSent,
    DecodesCookies,
    ErrorsShowUrl,
    ErrorsShowForm,
    OneCallAtATime,
    ClosesOnDiscard,
    SendsCookieTwice,
    TrustsAnyCertificate,
    ReplaysStreams,
    LosesResponseHeaders,
    LosesCookieLines,
    CallNeverTimesOut,
    BuffersBodies,
    DropsRequestBodyOnReplay,
}

pub(crate) struct PlainStack(pub(crate) Option<Vice>);

pub(crate) struct PlainTransport {
    vice: Option<Vice>,
    pool: Arc<Pool>,
    jar: Mutex<Option<HeaderValue>>,
    turn: Mutex<()>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PlainError {
    #[error("no connection was made")]
    Connect(#[source] io::Error),
    #[error("the connection broke off")]
    Broken(#[source] io::Error),
    #[error("status {0}")]
    Status(u16),
    #[error("{0}")]
    Chatty(String),
    #[error("{1}")]
    Misjudged(SendFailure, String),
}

impl TransportError for PlainError {
    fn failure(&self) -> SendFailure {
        match self {
            Self::Connect(_) => SendFailure::NotSent,
            Self::Misjudged(failure, _) => *failure,
            _ => SendFailure::MaybeSent,
        }
    }
}

#[derive(Clone)]
pub(crate) struct PlainRequest {
    head: Request<()>,
    payload: Payload,
    timeout: Option<Duration>,
    vice: Option<Vice>,
}

impl Outgoing for PlainRequest {
    type ReplayCopy = Self;

    fn method(&self) -> &Method {
        self.head.method()
    }

    fn target(&self) -> Target<'_> {
        Target::from(self.head.uri())
    }

    fn path(&self) -> &str {
        self.head.uri().path()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.head.headers_mut()
    }

    fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = (self.vice != Some(Vice::CallNeverTimesOut)).then_some(timeout);
    }

    fn replay_copy(&self) -> Option<Self> {
        match (&self.payload, self.vice) {
            (Payload::Stream(_), Some(Vice::ReplaysStreams)) => Some(self.clone()),
            (Payload::Stream(_), _) => None,
            (Payload::Bytes(_), Some(Vice::DropsRequestBodyOnReplay)) => Some(Self {
                payload: Payload::Empty,
                ..self.clone()
            }),
            _ => Some(self.clone()),
        }
    }
}

impl Transport for PlainTransport {
    type Request = PlainRequest;
    type Response = Response<Body>;
    type Error = PlainError;

    fn send(&self, request: PlainRequest) -> Result<Response<Body>, PlainError> {
        let turn = self
            .vice(Vice::OneCallAtATime)
            .then(|| self.turn.lock().unwrap());
        let until = request.timeout.map(|timeout| Instant::now() + timeout);
        let response = self.exchange(&self.pool, request, until);
        drop(turn);
        response
    }

    fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, PlainError> {
        let (head, form) = login.request.into_parts();
        let payload = Payload::Bytes(form.as_ref().to_vec());
        let request = PlainRequest {
            head: Request::from_parts(head, ()),
            payload,
            timeout: None,
            vice: self.vice,
        };
        let until = Instant::now() + login.timeout;
        let until = if self.vice(Vice::LoginNeverTimesOut) {
            None
        } else {
            Some(until)
        };
        // Each login has its own connection, in a pool that is dropped with it.
        let pool = Arc::new(self.pool.emptied());
        let (head, body) = self.exchange(&pool, request, until)?.into_parts();
        if self.vice(Vice::TimesOutPerRead) {
            body.read_patiently(login.timeout);
            return Ok(LoginResponse::new(head.status, head.headers));
        }
        let body = body.read(login.body_limit).map_err(PlainError::Broken)?;
        Ok(LoginResponse::new(head.status, head.headers).with_body(body))
    }

    fn discard(&self, response: Response<Body>) {
        if !self.vice(Vice::ClosesOnDiscard) {
            response.into_body().discard();
        }
    }
}

impl PlainTransport {
    fn new(vice: Option<Vice>, trusted: Option<Vec<u8>>) -> Self {
        let pool = Arc::new(Pool::new(trusted, vice == Some(Vice::TrustsAnyCertificate)));
        Self {
            vice,
            pool,
            jar: Mutex::default(),
            turn: Mutex::default(),
        }
    }

    fn vice(&self, vice: Vice) -> bool {
        self.vice == Some(vice)
    }

    fn exchange(
        &self,
        pool: &Arc<Pool>,
        request: PlainRequest,
        until: Option<Instant>,
    ) -> Result<Response<Body>, PlainError> {
        let mut request = request;
        self.spoil(&mut request);
        let sent = pool.exchange(&request.head, &request.payload, until);
        let sent = match sent {
            Err(PlainError::Broken(_)) if self.vice(Vice::SendsLostRequestsAgain) => {
                pool.exchange(&request.head, &request.payload, until)
            }
            other => other,
        };
        let mut response = sent.map_err(|error| self.misreport(error, &request))?;
        self.spoil_answer(&mut response);
        if self.vice(Vice::BuffersBodies) {
            response.body_mut().buffer().map_err(PlainError::Broken)?;
        }
        if self.vice(Vice::StatusIsError) && response.status().as_u16() >= 400 {
            return Err(PlainError::Status(response.status().as_u16()));
        }
        let location = response
            .headers()
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok());
        match location.map(str::to_owned) {
            Some(location)
                if self.vice(Vice::FollowsRedirects) && response.status().is_redirection() =>
            {
                let base = request.head.uri();
                let absolute = match base.authority() {
                    Some(authority) if location.starts_with('/') => {
                        format!("http://{authority}{location}")
                    }
                    _ => location,
                };
                let Ok(uri) = absolute.parse() else {
                    return Ok(response);
                };
                *request.head.uri_mut() = uri;
                response.into_body().discard();
                pool.exchange(&request.head, &request.payload, until)
            }
            _ => Ok(response),
        }
    }

    fn spoil(&self, request: &mut PlainRequest) {
        if self.vice(Vice::EmptyBodyHasLength) && request.payload == Payload::Empty {
            request.payload = Payload::Bytes(Vec::new());
        }
        if self.vice(Vice::GetHasBody) && request.head.method() == Method::GET {
            request.payload = Payload::Bytes(b"{}".to_vec());
        }
        let headers = request.head.headers_mut();
        let cookie = headers.get(header::COOKIE).cloned();
        let mut jar = self.jar.lock().unwrap();
        match (self.vice, cookie) {
            (Some(Vice::KeepsCookies), _) => {
                if let Some(kept) = &*jar {
                    headers.append(header::COOKIE, kept.clone());
                }
            }
            (Some(Vice::SticksToFirstCookie), Some(cookie)) => {
                headers.insert(header::COOKIE, jar.get_or_insert(cookie).clone());
            }
            (Some(Vice::SendsCookieTwice), Some(cookie)) => {
                headers.append(header::COOKIE, cookie);
            }
            (Some(Vice::DecodesCookies), Some(cookie)) => {
                let decoded = cookie.to_str().unwrap_or_default().replace("%3D", "=");
                headers.insert(header::COOKIE, HeaderValue::from_str(&decoded).unwrap());
            }
            _ => {}
        }
    }

    fn spoil_answer(&self, response: &mut Response<Body>) {
        let set = response
            .headers()
            .get(header::SET_COOKIE)
            .and_then(|value| value.to_str().ok());
        if let (true, Some(line)) = (self.vice(Vice::KeepsCookies), set) {
            let pair = line.split(';').next().unwrap_or_default();
            *self.jar.lock().unwrap() = HeaderValue::from_str(pair).ok();
        }
        if self.vice(Vice::LosesCookieLines)
            && let Some(first) = response.headers().get(header::SET_COOKIE).cloned()
        {
            response.headers_mut().insert(header::SET_COOKIE, first);
        }
        if self.vice(Vice::LosesResponseHeaders)
            && !response.headers().contains_key(header::SET_COOKIE)
        {
            response.headers_mut().clear();
        }
    }

    fn misreport(&self, error: PlainError, request: &PlainRequest) -> PlainError {
        let text = error.to_string();
        match (self.vice, &request.payload) {
            (Some(Vice::EveryErrorIsMaybeSent), _) => {
                PlainError::Misjudged(SendFailure::MaybeSent, text)
            }
            (Some(Vice::EveryErrorIsNotSent), _) => {
                PlainError::Misjudged(SendFailure::NotSent, text)
            }
            (Some(Vice::ErrorsShowUrl), _) => {
                PlainError::Chatty(format!("{text}: {}", request.head.uri()))
            }
            (Some(Vice::ErrorsShowForm), Payload::Bytes(form)) => {
                PlainError::Chatty(format!("{text}: {}", String::from_utf8_lossy(form)))
            }
            _ => error,
        }
    }
}

impl BlockingStack for PlainStack {
    type Transport = PlainTransport;

    fn transport(&self) -> PlainTransport {
        PlainTransport::new(self.0, None)
    }

    fn transport_trusting(&self, certificate: Certificate<'_>) -> Option<PlainTransport> {
        Some(PlainTransport::new(self.0, Some(certificate.der.to_vec())))
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        payload: Payload,
    ) -> Option<PlainRequest> {
        let mut head = Request::builder().method(method).uri(url).body(()).ok()?;
        *head.headers_mut() = headers;
        Some(PlainRequest {
            head,
            payload,
            timeout: None,
            vice: self.0,
        })
    }

    fn read(&self, response: Response<Body>) -> Result<Vec<u8>, BoxError> {
        Ok(response.into_body().read(usize::MAX)?)
    }
}
