//! The blocking driver: one call, from stamp to response.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use ctc_core::{Admit, Call, Denial, Instant, Session, Unauthorized, Verdict, Wait};

use crate::error::{CallError, Denied, TimedOut};
use crate::login::io::{Blocking, Io, SendLogin};
use crate::login::leased_store::{save_due, save_pending};
use crate::login::{
    self, Attempt, END_TIMEOUT, LOGOUT_TIMEOUT, LogoutOutcome, Next, RemainingWait,
};
use crate::options::CallOptions;
use crate::ports::{BoxFuture, Outgoing, Runtime, SessionStore, Transport};
use crate::session::sync::Mutex;
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
        let in_use = Arc::new(());
        let io = Arc::new(Io {
            session,
            runtime: Arc::new(TimersOnly),
            store: store.map(|store| Arc::new(Blocking(store)) as _),
            in_use: Arc::downgrade(&in_use),
            not_run_until: Mutex::new(None),
            transport: Blocking(transport),
        });
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
                    Ok(false) => return Err(TimedOut::of(options, unauthorized.is_some()).into()),
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
            let observed = self.session().observe(&mut call, &sent, response);
            if observed.unsaved
                && let Some(save) = save_due(&*self.io)
            {
                block_on(save_pending(&*self.io, save));
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
            let next = login::next(session, &mut ask, &RemainingWait::new(Duration::ZERO));
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
        let mut remaining = RemainingWait::new(options.max_wait);
        let obtained = self.obtain(ask, &mut remaining, Deadline::NEVER);
        let io: &Io<dyn SendLogin> = &*self.io;
        block_on(io.running_logins_end(LoginEnd::Saved, END_TIMEOUT));
        obtained
            .map(drop)
            .map_err(|denial| self.session().denied(denial))
    }

    fn admit(
        &self,
        call: &mut Call,
        remaining: &mut RemainingWait,
        deadline: Deadline,
    ) -> Result<bool, Denial> {
        self.obtain(|session, now| session.admit(call, now), remaining, deadline)
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
        remaining: &mut RemainingWait,
        deadline: Deadline,
    ) -> Result<bool, Denial> {
        let session = self.session();
        while !deadline.is_over(|| session.now()) {
            match login::next(session, &mut ask, remaining)? {
                Next::Proceed => return Ok(true),
                Next::LogIn(attempt) => self.carry_out(attempt),
                Next::Wait(waiting) => {
                    let changed = session.wait(deadline.bound(waiting.wait));
                    remaining.spend(&waiting, changed.then(|| session.now()));
                }
            }
        }
        Ok(false)
    }
}

/// When a blocking call ends at the latest.
#[derive(Clone, Copy, Debug)]
struct Deadline(Option<Instant>);

impl Deadline {
    /// For what has no limit.
    const NEVER: Self = Self(None);

    fn of(options: &CallOptions, now: impl FnOnce() -> Instant) -> Self {
        // A time limit beyond what the clock can name is none.
        let end = options.timeout;
        Self(end.and_then(|timeout| now().checked_add(timeout)))
    }

    /// Returns how much time is left, if there is a limit.
    fn left(self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        self.0.map(|end| end.saturating_duration_since(now()))
    }

    fn is_over(self, now: impl FnOnce() -> Instant) -> bool {
        self.left(now).is_some_and(|left| left.is_zero())
    }

    /// Returns `wait`, which ends with this at the latest.
    fn bound(self, mut wait: Wait) -> Wait {
        if let Some(end) = self.0 {
            wait.deadline = wait.deadline.min(end);
        }
        wait
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
