//! The blocking driver: one call, from stamp to response.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use ctc_core::{Admit, Call, Denial, Instant, Session, Verdict};

use crate::error::{CallError, Denied, TimedOut};
use crate::login::io::{Io, SendLogin};
use crate::login::leased_store::{save_due, save_pending};
use crate::login::{self, Attempt, END_TIMEOUT, LOGOUT_TIMEOUT, LogoutOutcome, Next};
use crate::options::CallOptions;
use crate::ports::{Blocking, BoxFuture, Outgoing, Runtime, SessionStore, Transport};
use crate::session::{LoginEnd, SentRequest, SharedSession};
use crate::threads::block_on;

/// Drives a [`SharedSession`] over a blocking [`Transport`]. Cloning shares session, transport and
/// store.
///
/// The elected caller makes the login on its own thread, and other callers wait for it. If the
/// transport or the store panics there, that counts as a failed login, and the panic goes on in the
/// elected caller.
///
/// A token that is to be renewed ahead of its end
/// ([`early_renewal`](ctc_core::Settings::early_renewal)) is renewed by a call that comes then: see
/// [`Clock::wake_at`](crate::Clock::wake_at).
pub struct Driver<T> {
    io: Arc<Io<Blocking<T>>>,
    in_use: Arc<()>,
}

/// What a login needs of a runtime when it runs on its caller's own thread: timers.
struct TimersOnly;

impl Runtime for TimersOnly {
    fn spawn(&self, task: BoxFuture<()>) {
        drop(task);
    }
}

impl<T: Transport> Driver<T> {
    /// A driver of `session`, with a store if it is to outlive the process.
    pub fn new(session: SharedSession, transport: T, store: Option<Arc<dyn SessionStore>>) -> Self {
        let store = store.map(|store| Arc::new(Blocking(store)) as _);
        let (io, in_use) = Io::new(session, Blocking(transport), TimersOnly, store);
        Self { io, in_use }
    }

    /// Returns the session.
    pub fn session(&self) -> &SharedSession {
        &self.io.session
    }

    /// Returns the HTTP client.
    pub fn transport(&self) -> &T {
        &self.io.transport.0
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
        let session = self.session();
        request.complete(session.bound_to());
        let mut call = Call::new(false);
        let mut remaining = options.max_wait;
        // A time limit beyond what the clock can name is none.
        let deadline = options
            .timeout
            .and_then(|timeout| session.now().checked_add(timeout));
        // A 401 whose request is to be sent a second time.
        let mut unauthorized = None;
        loop {
            let sent = SentRequest::of(&request, options);
            if !session.stamp_for_sending(&mut call, &mut request, &sent)? {
                let ask = |session: &mut Session, now| session.admit(&mut call, now);
                match self.obtain(ask, &mut remaining, deadline) {
                    Ok(true) => continue,
                    Ok(false) => return Err(TimedOut::of(options, unauthorized.is_some()).into()),
                    Err(denial) => return session.deny(denial, unauthorized),
                }
            }
            if let Some(deadline) = deadline {
                let left = deadline.saturating_duration_since(session.now());
                if left.is_zero() {
                    return Err(TimedOut::of(options, unauthorized.is_some()).into());
                }
                request.set_timeout(left);
            }
            if let Some(response) = unauthorized.take() {
                self.transport().discard(response);
            }
            // Looked at where it is: a response that is taken out of its result is moved twice.
            let sending = self.transport().send(request);
            let mut result = sending.map_err(CallError::Transport);
            let Ok(response) = &mut result else {
                return result;
            };
            let observed = session.observe(&mut call, &sent, response);
            if observed.unsaved
                && let Some(save) = save_due(&*self.io)
            {
                block_on(save_pending(&*self.io, save));
            }
            match observed.verdict {
                Verdict::Deliver => return result,
                Verdict::Unauthorized(why) => {
                    session.attach_reason(response, why);
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
        self.log_in_by(
            |session, now| session.admit(&mut Call::new(false), now),
            options,
        )
    }

    /// Takes up the token that the store has for these credentials, and sends no login. Returns
    /// whether the session is open then. `false` means that a call would log in.
    ///
    /// # Errors
    /// Returns [`Denied`] if a login could not be made either: the session is closed, or the
    /// store's record has a pause, a rejection or a spent budget.
    pub fn adopt(&self) -> Result<bool, Denied> {
        let session = self.session();
        let mut ask = |session: &mut Session, now| session.admit(&mut Call::new(false), now);
        let mut has_asked = false;
        loop {
            let next = login::next(session, &mut ask, Duration::ZERO);
            match next.map_err(|denial| session.denied(denial))? {
                Next::Proceed => return Ok(true),
                Next::Wait(waiting) => {
                    session.wait(waiting.wait);
                }
                Next::LogIn(mut attempt) if has_asked => {
                    attempt.cancel();
                    return Ok(false);
                }
                Next::LogIn(mut attempt) => {
                    has_asked = true;
                    attempt.adopts_only = true;
                    self.carry_out(attempt);
                }
            }
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
        self.log_in_by(login::renewal(self.session()), options)
    }

    /// Closes the session at once, then tells the server and the store, within 5 s as far as the
    /// store keeps to it. See [`LogoutOutcome`].
    pub fn logout(&self) -> LogoutOutcome {
        self.logout_within(LOGOUT_TIMEOUT)
    }

    /// As [`logout`](Self::logout), within a limit of your own.
    pub fn logout_within(&self, limit: Duration) -> LogoutOutcome {
        block_on(login::log_out(&*self.io, limit))
    }

    fn log_in_by(
        &self,
        ask: impl FnMut(&mut Session, Instant) -> Admit,
        options: &CallOptions,
    ) -> Result<(), Denied> {
        let mut remaining = options.max_wait;
        let obtained = self.obtain(ask, &mut remaining, None);
        let io: &Io<dyn SendLogin> = &*self.io;
        block_on(io.running_logins_end(LoginEnd::Saved, END_TIMEOUT));
        obtained
            .map(drop)
            .map_err(|denial| self.session().denied(denial))
    }

    /// Makes a login on this thread, and goes on with its panic.
    fn carry_out(&self, attempt: Box<Attempt>) {
        if let Err(panic) = block_on(login::log_in(attempt, &*self.io)) {
            resume_unwind(panic);
        }
    }

    /// Returns true when the session has the token that `ask` is for, and false when the time is
    /// up.
    fn obtain(
        &self,
        mut ask: impl FnMut(&mut Session, Instant) -> Admit,
        remaining: &mut Duration,
        deadline: Option<Instant>,
    ) -> Result<bool, Denial> {
        let session = self.session();
        while deadline.is_none_or(|deadline| session.now() < deadline) {
            match login::next(session, &mut ask, *remaining)? {
                Next::Proceed => return Ok(true),
                Next::LogIn(attempt) => self.carry_out(attempt),
                Next::Wait(waiting) => {
                    let mut wait = waiting.wait;
                    wait.deadline = deadline.unwrap_or(wait.deadline).min(wait.deadline);
                    let changed = session.wait(wait);
                    waiting.charge(remaining, changed.then(|| session.now()));
                }
            }
        }
        Ok(false)
    }
}

impl<T> Clone for Driver<T> {
    fn clone(&self) -> Self {
        Self {
            io: Arc::clone(&self.io),
            in_use: Arc::clone(&self.in_use),
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
