//! The blocking driver: one call, from leave to answer.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use ctc_core::{Admit, Call, FormBody, Instant, RecordKey, Session, SessionRecord, Verdict, Wait};
use futures_util::FutureExt;
use http::{Request, Response};

use crate::error::{CallError, Denied};
use crate::login::{self, Attempt, BoxedLease, LoginIo, SendError};
use crate::logout::{self, LogoutOutcome};
use crate::options::{CallOptions, RemainingWait};
use crate::ports::{Incoming, Outgoing, Transport, TransportError};
use crate::saving::{self, SaveGuard};
use crate::sent_request::SentRequest;
use crate::shared::SharedSession;
use crate::store::{AsyncStoreLease, LeaseTerms, SessionStore, StoreError, StoreLease};

/// Drives a [`SharedSession`] over a blocking [`Transport`]. Cloning shares session, transport and
/// store.
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

    /// The session.
    pub fn session(&self) -> &SharedSession {
        &self.io.session
    }

    /// The HTTP stack.
    pub fn transport(&self) -> &T {
        &self.io.transport
    }

    /// Makes one call: waits for a login if one is needed, stamps and sends the request, and sends
    /// it once more with a newer token after a 401, as far as `options` allow. An
    /// `http::Request` may have just a path as its URI: it goes to the session's endpoint.
    ///
    /// # Errors
    /// [`CallError`]. A status is never an error: every response is delivered.
    pub fn execute(
        &self,
        mut request: T::Request,
        options: &CallOptions,
    ) -> Result<T::Response, CallError<T::Error>> {
        request.complete(self.session().bound_to());
        let mut call = Call::new(false);
        let mut patience = RemainingWait::new(options.max_wait);
        loop {
            let held = SentRequest::of(&request, options);
            if !self
                .session()
                .stamp_for_sending(&mut call, &mut request, &held)?
            {
                self.admit(&mut call, &mut patience)?;
                continue;
            }
            // Looked at where it is: a response that is taken out of its result is moved twice.
            let mut sent = self
                .io
                .transport
                .send(request)
                .map_err(CallError::Transport);
            let Ok(response) = &mut sent else {
                return sent;
            };
            let (status, headers) = (response.status(), response.headers());
            let observed =
                self.session()
                    .observe_answer(&mut call, || held.route(), status, headers);
            if observed.sets_cookies {
                response.mark_cookies_sensitive();
            }
            if observed.unsaved {
                self.save_pending();
            }
            match observed.verdict {
                Verdict::Deliver => return sent,
                Verdict::Unauthorized(why) => {
                    response.attach_reason(why);
                    return sent;
                }
                Verdict::Replay => {
                    let Some(again) = held.into_request() else {
                        return sent;
                    };
                    self.io.transport.discard(sent?);
                    request = again;
                }
            }
        }
    }

    /// Logs in now, unless the session is open already.
    ///
    /// # Errors
    /// [`Denied`] when the login failed, or none may be made.
    pub fn login(&self, options: &CallOptions) -> Result<(), Denied> {
        self.admit(
            &mut Call::new(false),
            &mut RemainingWait::new(options.max_wait),
        )
    }

    /// Logs in although the token is still good, say ahead of a maintenance. The old one serves
    /// until the new one is there, and on after a failure. Joins a login that is under way, and
    /// takes a newer token out of the store if there is one.
    ///
    /// Fair use asks to keep a token until it is refused: this is for who knows better. It counts
    /// against the budget like any login.
    ///
    /// # Errors
    /// [`Denied`] when the login failed, or none may be made.
    pub fn renew(&self, options: &CallOptions) -> Result<(), Denied> {
        self.obtain(
            login::renewal(self.session()),
            &mut RemainingWait::new(options.max_wait),
        )
    }

    /// Closes the session at once, then tells the server and the store. See [`LogoutOutcome`].
    pub fn logout(&self) -> LogoutOutcome {
        finish(logout::log_out(self.session(), &*self.io))
    }

    /// Takes into the store what it does not have yet, if it is time to.
    fn save_pending(&self) {
        if self.io.store.is_some()
            && let Some(saving) = SaveGuard::when_due(self.session())
            && finish(saving::save_pending(self.session(), &*self.io))
        {
            saving.complete();
        }
    }

    fn admit(&self, call: &mut Call, patience: &mut RemainingWait) -> Result<(), Denied> {
        self.obtain(|session, now| session.admit(call, now), patience)
    }

    /// Returns when the session has the token that `ask` is for.
    fn obtain(
        &self,
        mut ask: impl FnMut(&mut Session, Instant) -> Admit,
        patience: &mut RemainingWait,
    ) -> Result<(), Denied> {
        loop {
            let (admit, epoch) = self
                .session()
                .with(|session, now| (ask(session, now), session.epoch()));
            match admit {
                Admit::Proceed(_) => return Ok(()),
                Admit::Login(order) => {
                    finish(login::log_in(
                        Attempt::new(self.session(), *order),
                        &*self.io,
                    ));
                }
                Admit::Wait(wait) => {
                    self.session().wait(wait);
                }
                Admit::Deny(denial) => {
                    let began = self.session().now();
                    let Some(pause) = patience.allows(&denial, began) else {
                        return Err(self.session().denied(denial));
                    };
                    let changed = self.session().wait(Wait {
                        epoch,
                        deadline: began + pause,
                    });
                    patience.spend(pause, changed.then(|| self.session().now() - began));
                }
            }
        }
    }
}

/// Runs the shared steps over blocking calls, each of which is done when it returns.
fn finish<R>(steps: impl Future<Output = R>) -> R {
    steps
        .now_or_never()
        .expect("blocking calls dressed as futures are never pending")
}

#[async_trait]
impl<T: Transport> LoginIo for Io<T> {
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

    async fn send(&self, request: Request<FormBody>) -> Result<Response<()>, SendError> {
        let timeout = self.session.settings().login_timeout;
        self.transport
            .send_login(request, timeout)
            .map_err(|error| SendError {
                failure: error.failure(),
                error: Arc::new(error),
            })
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
