//! A blocking stack as a [`Client`]: each request is a thread.

use std::{sync::Arc, thread};

use ctc_driver::{
    CallOptions, Denied, Driver, Incoming, LoginRequest, LoginResponse, LogoutOutcome,
    SharedSession, Transport,
};

use super::{
    capability::Capability,
    client::{AnyStack, Call, CallFailed, Client, Head, Pending, Unread, Why, pending, texts},
    stack::{BlockingStack, BoxError, Certificate},
};

/// A blocking stack without its type.
pub(super) struct Blocking<S>(pub(super) Arc<S>);

struct Threads<S: BlockingStack> {
    stack: Arc<S>,
    driver: Driver<S::Transport>,
}

struct Body<S: BlockingStack> {
    stack: Arc<S>,
    response: <S::Transport as Transport>::Response,
}

impl<S: BlockingStack> AnyStack for Blocking<S> {
    fn is_async(&self) -> bool {
        false
    }

    fn claims(&self, capability: Capability) -> bool {
        match capability {
            Capability::KeepsConnections => self.0.keeps_connections(),
            Capability::Streams => self.0.streams(),
            Capability::SendsInParallel => self.0.sends_in_parallel(),
            Capability::Cancels => false,
        }
    }

    fn send_login(&self, login: LoginRequest) -> Pending<Result<LoginResponse, String>> {
        let stack = Arc::clone(&self.0);
        start(move || {
            let sent = stack.transport().send_login(login);
            sent.map_err(|error| texts(&error))
        })
    }

    fn connect(
        &self,
        session: SharedSession,
        certificate: Option<Certificate<'_>>,
    ) -> Option<Box<dyn Client>> {
        let transport = match certificate {
            None => self.0.transport(),
            Some(certificate) => self.0.transport_trusting(certificate)?,
        };
        let driver = Driver::new(session, transport, None);
        Some(Box::new(Threads {
            stack: Arc::clone(&self.0),
            driver,
        }))
    }
}

impl<S: BlockingStack> Client for Threads<S> {
    fn start(&self, call: Call) -> Option<Pending<Result<Head, CallFailed>>> {
        let Call {
            method,
            url,
            headers,
            payload,
            options,
        } = call;
        // Only checks whether the request can be made: a request need not be `Send`, so the thread
        // makes its own.
        self.stack
            .request(method.clone(), &url, headers.clone(), payload.clone())?;
        let (driver, stack) = (self.driver.clone(), Arc::clone(&self.stack));
        Some(start(move || {
            let Some(request) = stack.request(method, &url, headers, payload) else {
                return Err(CallFailed {
                    why: Why::Unknown,
                    texts: "no request this time".into(),
                });
            };
            let mut response = driver
                .execute(request, &options)
                .map_err(CallFailed::from)?;
            Ok(Head {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                why: response.extensions_mut().get().cloned(),
                body: Box::new(Body { stack, response }),
            })
        }))
    }

    fn login(&self) -> Pending<Result<(), Denied>> {
        let driver = self.driver.clone();
        start(move || driver.login(&CallOptions::default()))
    }

    fn logout(&self) -> Pending<LogoutOutcome> {
        let driver = self.driver.clone();
        start(move || driver.logout())
    }

    fn debug(&self) -> String {
        format!("{:?} {:#?}", self.driver, self.driver)
    }
}

impl<S: BlockingStack> Unread for Body<S> {
    fn read(self: Box<Self>) -> Pending<Result<Vec<u8>, BoxError>> {
        let Self { stack, response } = *self;
        start(move || stack.read(response))
    }
}

fn start<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Pending<T> {
    let (started, done, begun) = pending(None);
    let thread = thread::Builder::new()
        .name("conformance".into())
        .spawn(move || {
            let _ = begun.send(());
            let _ = done.send(work());
        });
    // If no thread can be started, the channels close, and the case reports that.
    drop(thread);
    started
}
