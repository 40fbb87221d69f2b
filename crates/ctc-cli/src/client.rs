//! The session of commands that make one call and end: over ureq, on one thread.

use std::sync::{Arc, Mutex, PoisonError};

use ctc_driver::ctc_core::Denial;
use ctc_driver::{CallError, CallOptions, Denied, Driver, SessionEvent, SharedSession};
use ctc_ureq::{Outbound, SendError, UreqTransport, http_client_builder, ureq};
use http::Response;

use crate::account::{Account, Parts};
use crate::exit::{Exit, Failure, chain};
use crate::output::{note, progress};
use crate::session::LoginPolicy;
use crate::via::USER_AGENT;

/// A session in a store, and the HTTP client for it.
pub(crate) struct Client {
    pub(crate) driver: Driver<UreqTransport>,
    trouble: Trouble,
    options: CallOptions,
    login: LoginPolicy,
}

/// The store's error, if it failed before a login was sent.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Option<String>>>);

impl Client {
    /// Creates the client of an account. Nothing is sent yet.
    ///
    /// # Errors
    /// Returns [`Failure`] if something is missing or invalid.
    pub(crate) fn new(account: &Account, login: LoginPolicy) -> Result<Self, Failure> {
        let Parts { session, store } = account.build()?;
        let mut http = http_client_builder().user_agent(USER_AGENT);
        // Plain http must not leave this machine, so ignore proxies of the environment.
        if session.is_plain_http() {
            http = http.proxy(None);
        }
        let transport = UreqTransport::from_config(http.build());
        let trouble = Trouble::default();
        watch(&session, trouble.clone(), account.user()?.to_owned());
        Ok(Self {
            driver: Driver::new(session, transport, Some(store.blocking())),
            trouble,
            options: account.options.clone(),
            login,
        })
    }

    pub(crate) fn session(&self) -> &SharedSession {
        self.driver.session()
    }

    /// Makes one call.
    ///
    /// # Errors
    /// Returns [`Failure`] if there is no response.
    pub(crate) fn execute(
        &self,
        request: Outbound,
        change: impl FnOnce(CallOptions) -> CallOptions,
    ) -> Result<Response<ureq::Body>, Failure> {
        let mut options = change(self.options.clone());
        if self.login == LoginPolicy::Never {
            self.require()?;
            // A replay logs in after a 401, which this command must not do.
            options = options.replay(ctc_driver::Replay::Never);
        }
        let result = self.driver.execute(request, &options);
        result.map_err(|error| self.call_failed(&error))
    }

    /// Logs in, unless the store has a session.
    ///
    /// # Errors
    /// Returns [`Failure`] if the login failed, or none may be made.
    pub(crate) fn open(&self) -> Result<(), Failure> {
        match self.login {
            LoginPolicy::Never => self.require(),
            LoginPolicy::IfNeeded => {
                let opened = self.driver.login(&self.options);
                opened.map_err(|denied| self.denied(&denied))
            }
        }
    }

    /// Logs in even if the store has a session.
    ///
    /// # Errors
    /// Returns [`Failure`] if the login failed, or none may be made.
    pub(crate) fn renew(&self) -> Result<(), Failure> {
        let renewed = self.driver.renew(&self.options);
        renewed.map_err(|denied| self.denied(&denied))
    }

    /// Adopts the session in the store. Returns whether it has one for this password.
    ///
    /// # Errors
    /// Returns [`Failure`] if the store cannot be used, or its record forbids logins now.
    pub(crate) fn adopt(&self) -> Result<bool, Failure> {
        let adopted = self.driver.adopt();
        let adopted = adopted.map_err(|denied| self.denied(&denied))?;
        self.trouble.take().map_or(Ok(adopted), Err)
    }

    fn require(&self) -> Result<(), Failure> {
        if self.adopt()? {
            return Ok(());
        }
        Err(Failure::new(
            Exit::LoggedOut,
            "the store has no session for this username and password, and --no-login forbids a \
             login: run `ctc login` first",
        ))
    }

    /// Returns whether this process sent a login.
    pub(crate) fn has_tried(&self) -> bool {
        self.session().counts().logins > 0
    }

    fn denied(&self, denied: &Denied) -> Failure {
        match (denied.denial(), self.trouble.take()) {
            (Denial::Closed, Some(trouble)) => trouble,
            _ => Failure::denied(denied, self.has_tried()),
        }
    }

    fn call_failed(&self, error: &CallError<SendError>) -> Failure {
        match error {
            CallError::Denied(denied) => self.denied(denied),
            CallError::Transport(_) => Failure::of(Exit::Unreachable, error),
            _ => Failure::of(Exit::Usage, error),
        }
    }
}

impl Trouble {
    fn take(&self) -> Option<Failure> {
        let mut trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = trouble.take()?;
        Some(Failure::error(format!(
            "the session store cannot be used, so nothing was sent: {text}"
        )))
    }
}

/// Prints what happens, and stops before a login that the store cannot record: the store has the
/// login budget, and a loop of commands without it would be a loop of logins.
fn watch(session: &SharedSession, trouble: Trouble, user: String) {
    session.set_observer(
        move |session: &SharedSession, event: &SessionEvent<'_>| match event {
            SessionEvent::LoginSent => {
                let origin = session.endpoint();
                progress(&format!("logging in to {} as {user} …", origin.origin()));
            }
            SessionEvent::StoredByOthers => {
                progress("the store has a session of this account, but not for this password");
            }
            SessionEvent::StoreFailed {
                operation, error, ..
            } => {
                let text = format!("{operation}: {}", chain(*error));
                if session.counts().logins > 0 {
                    note(&format!("ctc: warning: the session was not saved ({text})"));
                    return;
                }
                let mut first = trouble.0.lock().unwrap_or_else(PoisonError::into_inner);
                if first.is_none() {
                    *first = Some(text);
                    drop(first);
                    session.close();
                }
            }
            _ => {}
        },
    );
}
