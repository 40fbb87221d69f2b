//! A client under test without its types, so that cases are ordinary code that is compiled once.
//!
//! Cases are written once, without `async`: they start a call and wait for it. Async stacks run it
//! as a task, blocking stacks on a thread.

use std::{
    error::Error,
    fmt,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::Duration,
};

use ctc_driver::{
    CallError, CallOptions, Denied, LoginRequest, LoginResponse, LogoutOutcome, SharedSession,
    TransportError,
    ctc_core::{SendFailure, StampError, Unauthorized},
};
use futures_util::future::AbortHandle;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{
    capability::Capability,
    failure::{Checked, fail},
    stack::{BoxError, Certificate, Payload},
};

/// How long a case waits for anything, so that a hang is a failure and the suite always ends.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// A stack without its types.
pub(super) trait AnyStack: Send + Sync {
    fn is_async(&self) -> bool;
    fn claims(&self, capability: Capability) -> bool;
    /// Sends a login through a new transport, without a session.
    fn send_login(&self, login: LoginRequest) -> Pending<Result<LoginResponse, String>>;
    /// Creates a client over a new transport; `None` if the stack cannot trust a certificate.
    fn connect(
        &self,
        session: SharedSession,
        certificate: Option<Certificate<'_>>,
    ) -> Option<Box<dyn Client>>;
}

/// A driver over the stack under test.
pub(super) trait Client: Send + Sync {
    /// Starts a call; `None` if the stack cannot make such a request.
    fn start(&self, call: Call) -> Option<Pending<Result<Head, CallFailed>>>;
    fn login(&self) -> Pending<Result<(), Denied>>;
    fn logout(&self) -> Pending<LogoutOutcome>;
    /// Returns the driver's `Debug` text.
    fn debug(&self) -> String;
}

/// A call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    pub(super) options: CallOptions,
}

impl Call {
    pub(super) fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            options: CallOptions::default(),
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        self
    }

    pub(super) fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.payload = Payload::Bytes(bytes.into());
        self
    }

    pub(super) fn stream(mut self, pieces: &[&[u8]]) -> Self {
        self.payload = Payload::Stream(pieces.iter().map(|piece| piece.to_vec()).collect());
        self
    }

    pub(super) fn replayed(mut self, replay: ctc_driver::Replay) -> Self {
        self.options.replay = replay;
        self
    }
}

/// A response whose body was not read yet.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) why: Option<Unauthorized>,
    pub(super) body: Box<dyn Unread>,
}

/// A body that was not read yet. Dropping it drops the response.
pub(super) trait Unread: Send {
    fn read(self: Box<Self>) -> Pending<Result<Vec<u8>, BoxError>>;
}

/// A response with its body.
#[derive(Debug)]
pub(super) struct ServerResponse {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) why: Option<Unauthorized>,
    pub(super) body: Vec<u8>,
}

impl Head {
    #[track_caller]
    pub(super) fn read(self) -> Checked<ServerResponse> {
        match self.body.read().wait()? {
            Ok(body) => Ok(ServerResponse {
                status: self.status,
                headers: self.headers,
                why: self.why,
                body,
            }),
            Err(error) => fail(
                "the body of a response",
                "to be read".into(),
                error.to_string(),
            ),
        }
    }
}

impl ServerResponse {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A call that got no response.
#[derive(Debug)]
pub(super) struct CallFailed {
    pub(super) why: Why,
    /// `Display` and `Debug` of the error and of all its sources.
    pub(super) texts: String,
}

#[derive(Debug)]
pub(super) enum Why {
    Denied(Denied),
    Stamp(StampError),
    Transport(SendFailure),
    Unknown,
}

impl<E: TransportError> From<CallError<E>> for CallFailed {
    fn from(error: CallError<E>) -> Self {
        let texts = texts(&error);
        let why = match error {
            CallError::Denied(denied) => Why::Denied(denied),
            CallError::Stamp(error) => Why::Stamp(error),
            CallError::Transport(error) => Why::Transport(error.failure()),
            _ => Why::Unknown,
        };
        Self { why, texts }
    }
}

/// Returns `Display` and `Debug` of an error and of all its sources.
pub(super) fn texts(error: &dyn Error) -> String {
    let mut all = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        all.push_str(&format!("{error}\n{error:?}\n{error:#?}\n"));
        next = error.source();
    }
    all
}

/// Work that was started.
pub(super) struct Pending<T> {
    pub(super) result: Receiver<T>,
    pub(super) begun: Receiver<()>,
    pub(super) abort: Option<AbortHandle>,
}

impl<T> Pending<T> {
    /// Returns its result, or a failure if it does not end in time.
    #[track_caller]
    pub(super) fn wait(self) -> Checked<T> {
        match self.result.recv_timeout(LIMIT) {
            Ok(result) => Ok(result),
            Err(RecvTimeoutError::Timeout) => fail(
                "a request of the stack",
                format!("to end within {LIMIT:?}"),
                "it hangs".into(),
            ),
            Err(RecvTimeoutError::Disconnected) => fail(
                "a request of the stack",
                "to end".into(),
                "it panicked, or was dropped".into(),
            ),
        }
    }

    /// Waits until it is in progress: the task was polled once, or the thread was started.
    #[track_caller]
    pub(super) fn begun(&self) -> Checked {
        match self.begun.recv_timeout(LIMIT) {
            Ok(()) => Ok(()),
            Err(_) => fail(
                "a request of the stack",
                "to begin".into(),
                "the runtime did not run it".into(),
            ),
        }
    }

    /// Drops the future, if there is one.
    pub(super) fn cancel(self) {
        if let Some(abort) = &self.abort {
            abort.abort();
        }
        // Dropping the future drops the sender of the result.
        let _ = self.result.recv_timeout(LIMIT);
    }
}

/// Creates both ends of a [`Pending`].
pub(super) fn pending<T>(
    abort: Option<AbortHandle>,
) -> (Pending<T>, mpsc::Sender<T>, mpsc::Sender<()>) {
    let (told, result) = mpsc::channel();
    let (beginning, begun) = mpsc::channel();
    (
        Pending {
            result,
            begun,
            abort,
        },
        told,
        beginning,
    )
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}
