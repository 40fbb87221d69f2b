//! The asynchronous driver: one call, from stamp to response, on any runtime.

use std::borrow::BorrowMut;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use ctc_core::{Admit, Call, Denial, Instant, Session, Verdict};
use futures_util::future::{Either, select};
use tracing::instrument::WithSubscriber;

use crate::error::{CallError, Denied, TimedOut};
use crate::login::io::{Io, SendLogin};
use crate::login::leased_store::{save_due, save_pending};
use crate::login::{
    self, END_TIMEOUT, Elected, LOGOUT_TIMEOUT, LogoutOutcome, Next, START_TIMEOUT, Unstarted,
    Waiting,
};
use crate::options::CallOptions;
use crate::ports::{AsyncSessionStore, AsyncTransport, DISCARD_TIMEOUT, Outgoing, Runtime, within};
use crate::session::store_view::SaveGuard;
use crate::session::sync::lock;
use crate::session::{LoginEnd, SentRequest, SharedSession};

/// Drives a [`SharedSession`] over an [`AsyncTransport`]. Cloning shares session, transport,
/// runtime and store.
///
/// A login runs as a task of the [`Runtime`], and callers wait for it. A call's future that is
/// dropped half way changes nothing: the login ends, and its token is saved, all the same. When the
/// last clone of the driver is dropped, a login that was not sent yet is not sent.
///
/// A token that is to be renewed ahead of its end
/// ([`early_renewal`](ctc_core::Settings::early_renewal)) is renewed by a call that comes then: see
/// [`Clock::wake_at`](crate::Clock::wake_at).
pub struct AsyncDriver<T> {
    io: Arc<Io<T>>,
    /// Held by drivers, not by their logins.
    in_use: Arc<()>,
}

type Sent<T> =
    Result<Option<<T as AsyncTransport>::Response>, CallError<<T as AsyncTransport>::Error>>;

/// One call, from its first stamp to the response that is delivered.
struct Calling<'a, T: AsyncTransport> {
    call: Call,
    remaining: Duration,
    place: &'a mut Option<T::Request>,
    options: &'a CallOptions,
    /// A 401 whose request is to be sent a second time. Boxed, so that callers that wait for their
    /// first token hold no room for it.
    unauthorized: Option<Box<T::Response>>,
    was_sent: bool,
}

impl<T: AsyncTransport> AsyncDriver<T> {
    /// A driver of `session`, with a store if it is to outlive the process.
    pub fn new(
        session: SharedSession,
        transport: T,
        runtime: impl Runtime,
        store: Option<Arc<dyn AsyncSessionStore>>,
    ) -> Self {
        let (io, in_use) = Io::new(session, transport, runtime, store);
        Self { io, in_use }
    }

    /// Returns the session.
    pub fn session(&self) -> &SharedSession {
        &self.io.session
    }

    /// Returns the HTTP client.
    pub fn transport(&self) -> &T {
        &self.io.transport
    }

    /// Returns the runtime.
    pub fn runtime(&self) -> &dyn Runtime {
        &*self.io.runtime
    }

    /// Makes one call: waits for a login if one is needed, stamps and sends the request, and sends
    /// it a second time with a newer token after a 401, as far as `options` allow. An
    /// `http::Request` may have just a path as its URI: it goes to the session's endpoint.
    ///
    /// # Errors
    /// Returns [`CallError`] if there is no response. A status is never an error: every response is
    /// delivered.
    pub fn execute<'a>(
        &'a self,
        request: T::Request,
        options: &'a CallOptions,
    ) -> impl Future<Output = Result<T::Response, CallError<T::Error>>> + Send + use<'a, T> {
        let mut request = Some(request);
        async move { self.execute_from(&mut request, options).await }
    }

    /// As [`execute`](Self::execute), with a request that stays in its place until it is sent: for
    /// futures around this one, which would otherwise hold it a second time.
    pub(crate) fn execute_from<'a>(
        &'a self,
        place: &'a mut Option<T::Request>,
        options: &'a CallOptions,
    ) -> impl Future<Output = Result<T::Response, CallError<T::Error>>> + Send + use<'a, T> {
        // Made outside of the future, which would otherwise hold the references twice.
        let calling = Calling {
            call: Call::new(false),
            remaining: options.max_wait,
            place,
            options,
            unauthorized: None,
            was_sent: false,
        };
        match options.timeout {
            None => Either::Left(self.drive(calling)),
            // Boxed, so that calls without a limit are no larger.
            Some(limit) => Either::Right(Box::pin(self.drive_within(limit, calling))),
        }
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` keeps its arguments twice: memory of each waiter"
    )]
    fn drive<'a, C>(
        &'a self,
        mut calling: C,
    ) -> impl Future<Output = Result<T::Response, CallError<T::Error>>> + Send + use<'a, C, T>
    where
        C: BorrowMut<Calling<'a, T>> + Send,
    {
        async move {
            loop {
                // Two futures in turn, which share their room: a caller that waits holds nothing of
                // what one that sends does.
                if let Some(response) = self.send(calling.borrow_mut()).await? {
                    return Ok(response);
                }
                let Calling {
                    call, remaining, ..
                } = calling.borrow_mut();
                let ask = |session: &mut Session, now| session.admit(call, now);
                if let Err(denial) = self.obtain(ask, remaining).await {
                    let unauthorized = calling.borrow_mut().unauthorized.take();
                    return self.session().deny(denial, unauthorized.map(|it| *it));
                }
            }
        }
    }

    async fn drive_within<'a>(
        &'a self,
        limit: Duration,
        mut calling: Calling<'a, T>,
    ) -> Result<T::Response, CallError<T::Error>> {
        let driving = self.drive(&mut calling);
        match within(&*self.io.runtime, limit, Box::pin(driving)).await {
            Some(driven) => driven,
            None => Err(TimedOut::of(calling.options, calling.was_sent).into()),
        }
    }

    /// Sends the request with the present token. `None` if there is none, or if the request, which
    /// is back in its place then, is to be sent a second time.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` keeps its arguments twice: memory of each waiter"
    )]
    fn send<'a, 'c>(
        &'a self,
        calling: &'a mut Calling<'c, T>,
    ) -> impl Future<Output = Sent<T>> + Send + use<'a, 'c, T> {
        async move {
            let rest = {
                let request = calling.place.as_mut().expect("a request to send");
                request.complete(self.session().bound_to());
                let sent = SentRequest::of(request, calling.options);
                if !self
                    .session()
                    .stamp_for_sending(&mut calling.call, request, &sent)?
                {
                    return Ok(None);
                }
                if let Some(response) = calling.unauthorized.take() {
                    // What is not done in time costs a connection, and nothing else.
                    Box::pin(within(
                        &*self.io.runtime,
                        DISCARD_TIMEOUT,
                        self.io.transport.discard(*response),
                    ))
                    .await;
                }
                calling.was_sent = true;
                let sending = calling
                    .place
                    .take()
                    .map(|request| self.io.transport.send(request));
                let mut response = sending
                    .expect("a request to send")
                    .await
                    .map_err(CallError::Transport)?;
                let observed = self
                    .session()
                    .observe(&mut calling.call, &sent, &mut response);
                let save = if observed.unsaved {
                    save_due(&*self.io)
                } else {
                    None
                };
                if matches!(observed.verdict, Verdict::Deliver) && save.is_none() {
                    return Ok(Some(response));
                }
                // What few calls need is kept on the heap, so that all others are small.
                Box::pin(self.follow_up(observed.verdict, save, response, sent, calling))
            };
            Ok(rest.await)
        }
    }

    /// Does what a response that says something of the session asks for.
    async fn follow_up(
        &self,
        verdict: Verdict,
        save: Option<SaveGuard<'_>>,
        mut response: T::Response,
        sent: SentRequest<T::Request>,
        calling: &mut Calling<'_, T>,
    ) -> Option<T::Response> {
        if let Some(save) = save {
            save_pending(&*self.io, save).await;
        }
        match verdict {
            Verdict::Deliver => {}
            Verdict::Unauthorized(why) => self.session().attach_reason(&mut response, why),
            Verdict::Replay => {
                *calling.place = sent.into_request();
                if calling.place.is_some() {
                    calling.unauthorized = Some(Box::new(response));
                    return None;
                }
            }
        }
        Some(response)
    }

    /// Logs in now, unless the session is open already. Returns once the store has the token, or
    /// within a second of the login.
    ///
    /// # Errors
    /// Returns [`Denied`] if the login failed, or none may be made.
    pub async fn login(&self, options: &CallOptions) -> Result<(), Denied> {
        self.log_in_by(
            |session, now| session.admit(&mut Call::new(false), now),
            options,
        )
        .await
    }

    /// Logs in while the token is still valid, for example before maintenance. The old token stays
    /// in use until the new one is there, and if the login fails. Joins a login that is being made,
    /// and adopts a newer token from the store if there is one.
    ///
    /// Fair use asks you to keep a token until the server rejects it. A renewal is charged to the
    /// login budget like any login.
    ///
    /// # Errors
    /// Returns [`Denied`] if the login failed, or none may be made.
    pub async fn renew(&self, options: &CallOptions) -> Result<(), Denied> {
        let renewal = login::renewal(self.session());
        self.log_in_by(renewal, options).await
    }

    /// Closes the session at once, then tells the server and the store, within 5 s. See
    /// [`LogoutOutcome`].
    pub async fn logout(&self) -> LogoutOutcome {
        self.logout_within(LOGOUT_TIMEOUT).await
    }

    /// As [`logout`](Self::logout), within a limit of your own.
    pub async fn logout_within(&self, limit: Duration) -> LogoutOutcome {
        login::log_out(&*self.io, limit).await
    }

    async fn log_in_by(
        &self,
        ask: impl FnMut(&mut Session, Instant) -> Admit + Send,
        options: &CallOptions,
    ) -> Result<(), Denied> {
        let mut remaining = options.max_wait;
        let obtained = self.obtain(ask, &mut remaining).await;
        self.login_ends().await;
        obtained.map_err(|denial| self.session().denied(denial))
    }

    /// Waits until the store has what a login brought, for a second at most.
    async fn login_ends(&self) {
        let io: &Io<dyn SendLogin> = &*self.io;
        io.running_logins_end(LoginEnd::Saved, END_TIMEOUT).await;
    }

    /// Returns when the session has the token that `ask` is for.
    async fn obtain(
        &self,
        mut ask: impl FnMut(&mut Session, Instant) -> Admit + Send,
        remaining: &mut Duration,
    ) -> Result<(), Denial> {
        let mut elected = None;
        let obtained = loop {
            // Listen first, ask second: a change in between is then never missed.
            let changed = self.session().listen();
            let waiting = match self.ask(&mut ask, *remaining, &mut elected) {
                Ok(None) => break Ok(()),
                Ok(Some(waiting)) => waiting,
                Err(denial) => break Err(Box::new(denial)),
            };
            let sleep = self.io.runtime.sleep(waiting.pause());
            // Boxed, since few callers wait for a denial's end, and all hold room for this.
            let denied = waiting.is_denied.then(|| Box::new(waiting));
            let woken = select(changed, sleep).await;
            if let Some(waiting) = denied {
                let early = matches!(woken, Either::Left(_));
                waiting.charge(remaining, early.then(|| self.session().now()));
            }
        };
        let is_renewing = || self.session().with(|session, now| session.is_renewing(now));
        if elected.is_some() && !is_renewing() {
            // Boxed, since all hold room for it and the elected caller alone does this.
            Box::pin(self.login_ends()).await;
        }
        obtained.map_err(|denial| *denial)
    }

    /// Asks, and has the login made if this caller is elected: once only if its runtime drops the
    /// login or does not run it, for then others may have a runtime that does. Returns what to wait
    /// for before asking again; `None` if there is a token.
    fn ask(
        &self,
        ask: &mut impl FnMut(&mut Session, Instant) -> Admit,
        remaining: Duration,
        elected: &mut Option<Arc<Elected>>,
    ) -> Result<Option<Waiting>, Denial> {
        let (session, not_run_until) = (self.session(), &self.io.not_run_until);
        loop {
            if let Some(elected) = elected
                && elected
                    .starts_by()
                    .is_some_and(|time| time <= session.now())
            {
                *lock(not_run_until) = Some(session.now() + START_TIMEOUT);
                drop(elected.take_attempt());
            }
            match login::next(session, ask, remaining)? {
                Next::Proceed => return Ok(None),
                Next::Wait(mut waiting) => {
                    if let Some(time) = elected.as_ref().and_then(|it| it.starts_by()) {
                        waiting.wait.deadline = waiting.wait.deadline.min(time);
                    }
                    return Ok(Some(waiting));
                }
                Next::LogIn(attempt) => {
                    let now = session.now();
                    let login = Elected::new(attempt, now);
                    if elected.take().is_some_and(|earlier| !earlier.is_settled()) {
                        drop(login.take_attempt());
                        return Err(Denial::NotRun);
                    }
                    if lock(not_run_until).is_some_and(|until| now < until) {
                        drop(login.take_attempt());
                    } else {
                        self.spawn(&login);
                    }
                    *elected = Some(login);
                }
            }
        }
    }

    /// Makes a login in a task of its own. Even one that never runs gives its login back.
    fn spawn(&self, login: &Arc<Elected>) {
        let (io, login) = (Arc::clone(&self.io), Unstarted(Arc::clone(login)));
        let task = async move {
            *lock(&io.not_run_until) = None;
            if let Some(attempt) = login.0.take_attempt() {
                drop(login::log_in(attempt, &*io).await);
            }
        };
        let task = Box::pin(task.with_current_subscriber());
        // A runtime that panics has dropped the task, as one that is shutting down does.
        let _ = catch_unwind(AssertUnwindSafe(|| self.io.runtime.spawn(task)));
    }
}

impl<T> Clone for AsyncDriver<T> {
    fn clone(&self) -> Self {
        Self {
            io: Arc::clone(&self.io),
            in_use: Arc::clone(&self.in_use),
        }
    }
}

impl<T> fmt::Debug for AsyncDriver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncDriver")
            .field("session", &self.io.session)
            .finish_non_exhaustive()
    }
}
