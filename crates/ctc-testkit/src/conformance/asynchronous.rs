//! An async stack as a [`Client`]: each request is a task.

use std::{future::Future, pin::pin, sync::Arc, task::Poll};

use ctc_driver::{
    AsyncDriver, AsyncTransport, CallOptions, Denied, Incoming, LoginRequest, LoginResponse,
    LogoutOutcome, Runtime, SharedSession,
};
use futures_util::future::{abortable, poll_fn};

use super::{
    capability::Capability,
    client::{AnyStack, Call, CallFailed, Client, Head, Pending, Unread, pending, texts},
    stack::{AsyncStack, BoxError, Certificate},
};

/// An async stack without its type.
pub(super) struct Asynchronous<S>(pub(super) Arc<S>);

struct Tasks<S: AsyncStack> {
    stack: Arc<S>,
    runtime: Arc<dyn Runtime>,
    driver: AsyncDriver<S::Transport>,
}

struct Body<S: AsyncStack> {
    stack: Arc<S>,
    runtime: Arc<dyn Runtime>,
    response: <S::Transport as AsyncTransport>::Response,
}

impl<S: AsyncStack> AnyStack for Asynchronous<S> {
    fn is_async(&self) -> bool {
        true
    }

    fn claims(&self, capability: Capability) -> bool {
        match capability {
            Capability::KeepsConnections => self.0.keeps_connections(),
            Capability::Streams => self.0.streams(),
            Capability::SendsInParallel => self.0.sends_in_parallel(),
            Capability::Cancels => true,
        }
    }

    fn send_login(&self, login: LoginRequest) -> Pending<Result<LoginResponse, String>> {
        let runtime: Arc<dyn Runtime> = Arc::from(self.0.runtime());
        let (stack, kept) = (Arc::clone(&self.0), Arc::clone(&runtime));
        start(&*runtime, async move {
            let sent = stack.transport().send_login(login).await;
            drop(kept);
            sent.map_err(|error| texts(&error))
        })
    }

    fn connect(
        &self,
        session: SharedSession,
        certificate: Option<Certificate<'_>>,
    ) -> Option<Box<dyn Client>> {
        let runtime: Arc<dyn Runtime> = Arc::from(self.0.runtime());
        let stack = Arc::clone(&self.0);
        let certificate = certificate.map(|its| (its.pem.to_owned(), its.der.to_owned()));
        // Create it on the runtime: some transports look for theirs when they are created.
        let made = start(&*runtime, async move {
            match &certificate {
                None => Some(stack.transport()),
                Some((pem, der)) => stack.transport_trusting(Certificate { pem, der }),
            }
        });
        let transport = made.wait().ok()??;
        let driver = AsyncDriver::new(session, transport, Arc::clone(&runtime), None);
        Some(Box::new(Tasks {
            stack: Arc::clone(&self.0),
            runtime,
            driver,
        }))
    }
}

impl<S: AsyncStack> Client for Tasks<S> {
    fn start(&self, call: Call) -> Option<Pending<Result<Head, CallFailed>>> {
        let Call {
            method,
            url,
            headers,
            payload,
            options,
        } = call;
        let request = self.stack.request(method, &url, headers, payload)?;
        let (driver, stack, runtime) = (
            self.driver.clone(),
            Arc::clone(&self.stack),
            Arc::clone(&self.runtime),
        );
        Some(start(&*self.runtime, async move {
            let mut response = driver
                .execute(request, &options)
                .await
                .map_err(CallFailed::from)?;
            Ok(Head {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                why: response.extensions_mut().get().cloned(),
                body: Box::new(Body {
                    stack,
                    runtime,
                    response,
                }),
            })
        }))
    }

    fn login(&self) -> Pending<Result<(), Denied>> {
        let driver = self.driver.clone();
        start(&*self.runtime, async move {
            driver.login(&CallOptions::default()).await
        })
    }

    fn logout(&self) -> Pending<LogoutOutcome> {
        let driver = self.driver.clone();
        start(&*self.runtime, async move { driver.logout().await })
    }

    fn debug(&self) -> String {
        format!("{:?} {:#?}", self.driver, self.driver)
    }
}

impl<S: AsyncStack> Unread for Body<S> {
    fn read(self: Box<Self>) -> Pending<Result<Vec<u8>, BoxError>> {
        let Self {
            stack,
            runtime,
            response,
        } = *self;
        start(&*runtime, async move { stack.read(response).await })
    }
}

/// Starts a task that reports when it was polled for the first time, and when it ends.
fn start<T: Send + 'static>(
    runtime: &dyn Runtime,
    work: impl Future<Output = T> + Send + 'static,
) -> Pending<T> {
    let (work, abort) = abortable(work);
    let (started, done, begun) = pending(Some(abort));
    runtime.spawn(Box::pin(async move {
        // Drop this before the channel that reports it.
        let _done = done.clone();
        let mut work = pin!(work);
        let mut begun = Some(begun);
        let result = poll_fn(|context| {
            let polled = work.as_mut().poll(context);
            if let Some(begun) = begun.take() {
                let _ = begun.send(());
            }
            match polled {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        if let Ok(result) = result {
            let _ = done.send(result);
        }
    }));
    started
}
