//! The blocking driver: one call, from stamp to response.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::{
    Admit, Call, Credentials, Denial, FormBody, Instant, LoginTicket, RecordKey, Session,
    SessionRecord, Unauthorized, Verdict, Wait,
};
use futures_util::FutureExt;
use http::Request;

use crate::error::{CallError, Denied, TimedOut};
use crate::login::io::{BoxedLease, LoginIo, NoCredentialsYet, SendError, Work, ask, derive};
use crate::login::leased_store::save_pending;
use crate::login::{self, Attempt, END_TIMEOUT, LOGOUT_TIMEOUT, LogoutOutcome};
use crate::options::{CallOptions, Deadline, RemainingWait};
use crate::ports::credentials::Source;
use crate::ports::{
    AsyncStoreLease, CredentialsError, LeaseTerms, LoginRequest, LoginResponse, Outgoing,
    SessionStore, StoreError, StoreLease, StoreSecret, Transport, TransportError,
};
use crate::sealing::KeyWork;
use crate::session::store_view::SaveGuard;
use crate::session::{LoginEnd, SentRequest, SharedSession};
use crate::threads::wait_within;

/// Drives a [`SharedSession`] over a blocking [`Transport`]. Cloning shares session, transport and
/// store.
///
/// The elected caller makes the login on its own thread, and other callers wait for it. If the
/// transport or the store panics there, that counts as a failed login, and the panic goes on in the
/// elected caller.
///
/// While there are tokens to be renewed ahead of their ends
/// ([`early_renewal`](ctc_core::Settings::early_renewal)), one thread of the process, `ctc-alarm`,
/// waits for those moments, whatever the number of sessions. Where there can be no such thread, and
/// in a forked child, a token is renewed after a 401.
pub struct Driver<T> {
    io: Arc<Io<T>>,
}

struct Io<T> {
    session: SharedSession,
    transport: T,
    store: Option<Arc<dyn SessionStore>>,
}

impl<T: Transport> Driver<T> {
    /// A driver of `session`, with a store if it is to outlive the process.
    pub fn new(session: SharedSession, transport: T, store: Option<Arc<dyn SessionStore>>) -> Self {
        Self {
            io: Arc::new(Io {
                session,
                transport,
                store,
            }),
        }
    }

    /// Returns the session.
    pub fn session(&self) -> &SharedSession {
        &self.io.session
    }

    /// Returns the HTTP client.
    pub fn transport(&self) -> &T {
        &self.io.transport
    }

    /// Makes one call: waits for a login if one is needed, stamps and sends the request, and sends
    /// it a second time with a newer token after a 401, as far as `options` allow. An
    /// `http::Request` may have just a path as its URI: it goes to the session's endpoint.
    ///
    /// # Errors
    /// Returns [`CallError`] if there is no response. A status is never an error: every response is
    /// delivered.
    pub fn execute(
        &self,
        mut request: T::Request,
        options: &CallOptions,
    ) -> Result<T::Response, CallError<T::Error>> {
        request.complete(self.session().bound_to());
        let mut call = Call::new(false);
        let mut remaining = RemainingWait::new(options.max_wait);
        let deadline = Deadline::of(options, || self.session().now());
        // A 401 whose request is to be sent a second time.
        let mut unauthorized = None;
        loop {
            let sent = SentRequest::of(&request, options);
            if !self
                .session()
                .stamp_for_sending(&mut call, &mut request, &sent)?
            {
                let denial = match self.admit(&mut call, &mut remaining, deadline) {
                    Ok(true) => continue,
                    Ok(false) => return Err(timed_out(options, unauthorized.is_some()).into()),
                    Err(denial) => denial,
                };
                return match unauthorized {
                    // "Denied" says that nothing was sent. This call was: it gets its 401.
                    Some(mut response) => {
                        let why = Unauthorized::no_login(denial);
                        self.session().attach_reason(&mut response, why);
                        Ok(response)
                    }
                    None => Err(self.session().denied(denial).into()),
                };
            }
            if let Some(left) = deadline.left(|| self.session().now()) {
                if left.is_zero() {
                    return Err(timed_out(options, unauthorized.is_some()).into());
                }
                request.set_timeout(left);
            }
            if let Some(response) = unauthorized.take() {
                self.io.transport.discard(response);
            }
            // Looked at where it is: a response that is taken out of its result is moved twice.
            let mut result = self
                .io
                .transport
                .send(request)
                .map_err(CallError::Transport);
            let Ok(response) = &mut result else {
                return result;
            };
            let observed = self.session().observe(&mut call, &sent, response);
            if observed.unsaved {
                self.save_pending();
            }
            match observed.verdict {
                Verdict::Deliver => return result,
                Verdict::Unauthorized(why) => {
                    self.session().attach_reason(response, why);
                    return result;
                }
                Verdict::Replay => {
                    let Some(again) = sent.into_request() else {
                        return result;
                    };
                    request = again;
                    unauthorized = Some(result?);
                }
            }
        }
    }

    /// Logs in now, unless the session is open already. Returns once the store has the token, or
    /// within a second of the login.
    ///
    /// # Errors
    /// Returns [`Denied`] if the login failed, or none may be made.
    pub fn login(&self, options: &CallOptions) -> Result<(), Denied> {
        let mut remaining = RemainingWait::new(options.max_wait);
        let admitted = self.admit(&mut Call::new(false), &mut remaining, Deadline::NEVER);
        finish(self.io.running_logins_end(LoginEnd::Saved, END_TIMEOUT));
        admitted
            .map(drop)
            .map_err(|denial| self.session().denied(denial))
    }

    /// Takes up the token that the store has for these credentials, and sends no login. Returns
    /// whether the session is open then. `false` means that a call would log in.
    ///
    /// # Errors
    /// Returns [`Denied`] if a login could not be made either: the session is closed, or the
    /// store's record has a pause, a rejection or a spent budget.
    pub fn adopt(&self) -> Result<bool, Denied> {
        let session = self.session();
        let mut has_asked = false;
        loop {
            let (ticket, request) =
                match session.with(|session, now| session.admit(&mut Call::new(false), now)) {
                    Admit::Proceed(_) => return Ok(true),
                    Admit::Login(order) => (order.ticket, Some(order.request)),
                    Admit::NeedCredentials(ticket) => (ticket, None),
                    Admit::Wait(_) if session.is_inside_login() => {
                        return Err(session.denied(Denial::InsideLogin));
                    }
                    Admit::Wait(wait) => {
                        session.wait(wait);
                        continue;
                    }
                    Admit::Deny(denial) => return Err(session.denied(denial)),
                };
            let mut attempt = Attempt::adopting(session, ticket, request);
            if has_asked {
                attempt.cancel();
                return Ok(false);
            }
            has_asked = true;
            self.carry_out(attempt);
        }
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
    pub fn renew(&self, options: &CallOptions) -> Result<(), Denied> {
        let mut remaining = RemainingWait::new(options.max_wait);
        let renewal = login::renewal(self.session());
        let renewed = self.obtain(renewal, &mut remaining, Deadline::NEVER);
        finish(self.io.running_logins_end(LoginEnd::Saved, END_TIMEOUT));
        renewed
            .map(drop)
            .map_err(|denial| self.session().denied(denial))
    }

    /// Closes the session at once, then tells the server and the store, within 5 s as far as the
    /// store keeps to it. See [`LogoutOutcome`].
    pub fn logout(&self) -> LogoutOutcome {
        self.logout_within(LOGOUT_TIMEOUT)
    }

    /// As [`logout`](Self::logout), within a limit of your own.
    pub fn logout_within(&self, limit: Duration) -> LogoutOutcome {
        finish(login::log_out(self.session(), &*self.io, limit))
    }

    /// Saves what the store does not have yet, if it is time to.
    fn save_pending(&self) {
        if self.io.store.is_some()
            && let Some(save) = SaveGuard::when_due(self.session())
            && finish(save_pending(self.session(), &*self.io))
        {
            save.complete();
        }
    }

    fn admit(
        &self,
        call: &mut Call,
        remaining: &mut RemainingWait,
        deadline: Deadline,
    ) -> Result<bool, Denial> {
        self.obtain(|session, now| session.admit(call, now), remaining, deadline)
    }

    fn log_in(&self, ticket: LoginTicket, request: Option<Request<FormBody>>) {
        self.carry_out(Attempt::new(self.session(), ticket, request));
    }

    /// Makes a login on this thread, and goes on with its panic.
    fn carry_out(&self, attempt: Attempt) {
        let ended = finish(login::log_in(attempt, &*self.io));
        self.session().watch_on_thread();
        if let Err(panic) = ended {
            resume_unwind(panic);
        }
    }

    /// Returns true when the session has the token that `ask` is for, and false when the time is
    /// up.
    fn obtain(
        &self,
        mut ask: impl FnMut(&mut Session, Instant) -> Admit,
        remaining: &mut RemainingWait,
        deadline: Deadline,
    ) -> Result<bool, Denial> {
        loop {
            if deadline.is_over(|| self.session().now()) {
                return Ok(false);
            }
            let (admit, epoch) = self
                .session()
                .with(|session, now| (ask(session, now), session.epoch()));
            match admit {
                Admit::Proceed(_) => return Ok(true),
                Admit::Login(order) => {
                    self.log_in(order.ticket, Some(order.request));
                }
                Admit::NeedCredentials(ticket) => self.log_in(ticket, None),
                Admit::Wait(_) if self.session().is_inside_login() => {
                    return Err(Denial::InsideLogin);
                }
                Admit::Wait(wait) => {
                    self.session().wait(deadline.bound(wait));
                }
                Admit::Deny(denial) => {
                    let began = self.session().now();
                    let Some(pause) = remaining.allows(&denial, began) else {
                        return Err(denial);
                    };
                    let wait = Wait {
                        epoch,
                        deadline: began + pause,
                    };
                    let changed = self.session().wait(deadline.bound(wait));
                    remaining.spend(pause, changed.then(|| self.session().now() - began));
                }
            }
        }
    }
}

fn timed_out(options: &CallOptions, was_sent: bool) -> TimedOut {
    let limit = options.timeout.unwrap_or_default();
    if was_sent {
        TimedOut::sent(limit)
    } else {
        TimedOut::not_sent(limit)
    }
}

/// Why an asynchronous source is of no use here.
#[derive(Debug, thiserror::Error)]
#[error(
    "the session has an asynchronous source of credentials, which a blocking client cannot ask: \
     give it a blocking one"
)]
struct AsyncSource;

/// Runs the shared steps over blocking calls, each of which is done when it returns.
fn finish<R>(steps: impl Future<Output = R>) -> R {
    steps
        .now_or_never()
        .expect("blocking calls dressed as futures are never pending")
}

#[async_trait]
impl<T: Transport> LoginIo for Io<T> {
    async fn credentials(&self, source: Source) -> Result<Credentials, CredentialsError> {
        let Source::Blocking(source) = source else {
            return Err(CredentialsError::unusable(AsyncSource));
        };
        let limit = self.session.settings().login_timeout;
        match ask(&self.session, source)?.ended_within(limit) {
            Some(ended) => ended.unwrap_or_else(|panic| resume_unwind(panic)),
            None => Err(CredentialsError::unavailable(NoCredentialsYet(limit))),
        }
    }

    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Option<BoxedLease>, StoreError> {
        let Some(store) = &self.store else {
            return Ok(None);
        };
        let lease = store.lease(key, terms)?;
        Ok(Some(Box::new(Blocking(lease))))
    }

    fn store_secret(&self) -> Option<StoreSecret> {
        self.store.as_ref()?.secret()
    }

    async fn derive(&self, session: &SharedSession, work: KeyWork) -> Result<(), StoreError> {
        derive(session, work)
    }

    async fn send(&self, login: LoginRequest) -> Result<LoginResponse, SendError> {
        self.transport.send_login(login).map_err(|error| SendError {
            failure: error.failure(),
            error: Arc::new(error),
        })
    }

    fn is_in_use(&self) -> bool {
        true // by the caller whose thread this is
    }

    async fn within(&self, limit: Duration, work: Work<'_>) -> bool {
        wait_within(limit, work)
    }

    async fn running_logins_end(&self, until: LoginEnd, limit: Duration) {
        if !self.session.is_inside_login() {
            self.session.wait_for_running_logins(until, limit);
        }
    }
}

/// A blocking lease, dressed for the shared steps.
struct Blocking(Box<dyn StoreLease>);

#[async_trait]
impl AsyncStoreLease for Blocking {
    async fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        self.0.load()
    }

    async fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        self.0.save(record)
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.0.release()
    }
}

impl<T> Clone for Driver<T> {
    fn clone(&self) -> Self {
        Self {
            io: Arc::clone(&self.io),
        }
    }
}

impl<T> fmt::Debug for Driver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("session", &self.io.session)
            .finish_non_exhaustive()
    }
}
