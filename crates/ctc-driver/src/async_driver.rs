//! The asynchronous driver: one call, from leave to answer, on any runtime.

use std::fmt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::{
    Admit, Call, FormBody, Instant, LoginOrder, RecordKey, SendFailure, Session, SessionRecord,
    Verdict, Wait,
};
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use http::{Request, Response};

use crate::error::{CallError, Denied};
use crate::login::{self, BoxedLease, LoginIo, SendError};
use crate::logout::{self, LogoutOutcome};
use crate::options::{CallOptions, RemainingWait};
use crate::pending::{NotAdmitted, Panic, SharedLogin};
use crate::ports::{AsyncTransport, Incoming, Outgoing, TransportError};
use crate::saving::{self, SAVE_TIMEOUT, STORE_TIMEOUT, SaveGuard};
use crate::sent_request::SentRequest;
use crate::shared::SharedSession;
use crate::store::{AsyncSessionStore, AsyncStoreLease, LeaseTerms, StoreError};

/// How long a response that is not delivered may take to be read to its end.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Drives a [`SharedSession`] over an [`AsyncTransport`]. Cloning shares session, transport and
/// store.
///
/// A future that is dropped half way leaves nothing behind: a login belongs to the session and is
/// driven by every task that waits for it, so it ends unfinished only when all of them have gone.
pub struct AsyncDriver<T> {
    io: Arc<Io<T>>,
}

struct Io<T> {
    session: SharedSession,
    transport: Arc<T>,
    store: Option<Arc<dyn AsyncSessionStore>>,
}

impl<T: AsyncTransport + 'static> AsyncDriver<T> {
    /// A driver of `session`, with a store if it is to outlive the process.
    pub fn new(
        session: SharedSession,
        transport: T,
        store: Option<Arc<dyn AsyncSessionStore>>,
    ) -> Self {
        Self {
            io: Arc::new(Io {
                session,
                transport: Arc::new(transport),
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
    pub fn execute<'a>(
        &'a self,
        request: T::Request,
        options: &'a CallOptions,
    ) -> impl Future<Output = Result<T::Response, CallError<T::Error>>> + Send + use<'a, T> {
        let mut request = Some(request);
        async move { self.execute_from(&mut request, options).await }
    }

    /// As [`execute`](Self::execute), with a request that stays in its place until it is sent: for
    /// futures around this one, which else would keep it once more.
    ///
    /// # Panics
    /// When there is no request.
    #[doc(hidden)]
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` keeps its arguments twice: memory of each waiter"
    )]
    pub fn execute_from<'a>(
        &'a self,
        place: &'a mut Option<T::Request>,
        options: &'a CallOptions,
    ) -> impl Future<Output = Result<T::Response, CallError<T::Error>>> + Send + use<'a, T> {
        async move {
            let mut call = Call::new(false);
            let mut patience = RemainingWait::new(options.max_wait);
            loop {
                // Two futures in turn, which share their room: a caller that waits holds nothing of
                // what one that sends does.
                if let Some(response) = self.send(&mut call, place, options).await? {
                    return Ok(response);
                }
                self.admit(&mut call, &mut patience).await?;
            }
        }
    }

    /// Sends the request with the present token. `None` when there is none, or when the request,
    /// now back in its place, is to be sent once more.
    async fn send(
        &self,
        call: &mut Call,
        place: &mut Option<T::Request>,
        options: &CallOptions,
    ) -> Result<Option<T::Response>, CallError<T::Error>> {
        let rest = {
            let request = place.as_mut().expect("a request to send");
            request.complete(self.session().bound_to());
            let held = SentRequest::of(request, options);
            if !self.session().stamp_for_sending(call, request, &held)? {
                return Ok(None);
            }
            let sending = place.take().map(|request| self.io.transport.send(request));
            let mut response = sending
                .expect("a request to send")
                .await
                .map_err(CallError::Transport)?;
            let (status, headers) = (response.status(), response.headers());
            let observed = self
                .session()
                .observe_answer(call, || held.route(), status, headers);
            if observed.sets_cookies {
                response.mark_cookies_sensitive();
            }
            let saving = if observed.unsaved {
                self.saving()
            } else {
                None
            };
            if matches!(observed.verdict, Verdict::Deliver) && saving.is_none() {
                return Ok(Some(response));
            }
            // What few calls need is kept on the heap, so that all others are small.
            Box::pin(self.response(observed.verdict, saving, response, held, place))
        };
        Ok(rest.await)
    }

    /// Does what a response that says something of the session asks for.
    async fn response(
        &self,
        verdict: Verdict,
        saving: Option<SaveGuard<'_>>,
        mut response: T::Response,
        held: SentRequest<T::Request>,
        place: &mut Option<T::Request>,
    ) -> Option<T::Response> {
        if let Some(saving) = saving {
            self.save_pending(saving).await;
        }
        match verdict {
            Verdict::Deliver => Some(response),
            Verdict::Unauthorized(why) => {
                response.attach_reason(why);
                Some(response)
            }
            Verdict::Replay => {
                *place = held.into_request();
                if place.is_none() {
                    return Some(response);
                }
                // One that does not end in time costs a connection and nothing else.
                let transport = &*self.io.transport;
                within(transport, DISCARD_TIMEOUT, transport.discard(response)).await;
                None
            }
        }
    }

    /// Logs in now, unless the session is open already.
    ///
    /// # Errors
    /// [`Denied`] when the login failed, or none may be made.
    pub async fn login(&self, options: &CallOptions) -> Result<(), Denied> {
        let mut patience = RemainingWait::new(options.max_wait);
        self.admit(&mut Call::new(false), &mut patience).await
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
    pub async fn renew(&self, options: &CallOptions) -> Result<(), Denied> {
        let mut patience = RemainingWait::new(options.max_wait);
        self.obtain(login::renewal(self.session()), &mut patience)
            .await
    }

    /// Closes the session at once, then tells the server and the store. See [`LogoutOutcome`].
    pub async fn logout(&self) -> LogoutOutcome {
        logout::log_out(self.session(), &*self.io).await
    }

    /// When the store does not have everything yet: leave to save it, if it is time to.
    fn saving(&self) -> Option<SaveGuard<'_>> {
        self.io
            .store
            .as_ref()
            .and_then(|_| SaveGuard::when_due(self.session()))
    }

    /// Takes into the store what it does not have yet. No response is held back for longer than a
    /// second, whatever the store does.
    async fn save_pending(&self, saving: SaveGuard<'_>) {
        let work = saving::save_pending(self.session(), &*self.io);
        let done = within(&*self.io.transport, SAVE_TIMEOUT, work).await;
        if done.is_none() {
            let late = StoreError::Unavailable(Box::new(NoAnswer(SAVE_TIMEOUT)));
            self.session().store_failed("save", &late);
        }
        if done != Some(false) {
            saving.complete();
        }
    }

    fn admit<'a>(
        &'a self,
        call: &'a mut Call,
        patience: &'a mut RemainingWait,
    ) -> impl Future<Output = Result<(), Denied>> + Send + use<'a, T> {
        self.obtain(move |session, now| session.admit(call, now), patience)
    }

    /// Returns when the session has the token that `ask` is for.
    async fn obtain(
        &self,
        mut ask: impl FnMut(&mut Session, Instant) -> Admit + Send,
        patience: &mut RemainingWait,
    ) -> Result<(), Denied> {
        let mut listener = None;
        let mut driven = None;
        loop {
            let asked = self
                .session()
                .admit_with_flight(&mut ask, |order| self.begin(*order));
            drop(driven.take());
            // The login was driven to its report and no further, and this was the last task to let
            // go of it.
            if matches!(asked, Ok(()) | Err(NotAdmitted::Denied(_)))
                && self.session().store_view().has_unsaved()
                && let Some(saving) = self.saving()
            {
                Box::pin(self.save_pending(saving)).await;
                // The store may have told of a failure elsewhere. Nothing is due for a while, so
                // this is not for ever.
                continue;
            }
            match asked {
                Ok(()) => return Ok(()),
                Err(NotAdmitted::Attempt { flight, wait }) => {
                    self.drive(&flight, wait).await;
                    // Not let go of before the next answer: it may need this task still.
                    driven = Some(flight);
                }
                Err(NotAdmitted::Wait(wait)) => self.wait(wait).await,
                Err(NotAdmitted::Denied(denial)) => {
                    let began = self.session().now();
                    let Some(pause) = patience.allows(&denial, began) else {
                        return Err(self.session().denied(denial));
                    };
                    // Listen first, ask once more second: a change in between is then never missed.
                    let Some(changed) = listener.take() else {
                        listener = Some(self.session().listen_to_any_change());
                        continue;
                    };
                    let woken = select(changed, self.io.transport.sleep(pause)).await;
                    let early =
                        matches!(woken, Either::Left(_)).then(|| self.session().now() - began);
                    patience.spend(pause, early);
                }
            }
        }
    }

    /// The login as a future that many tasks can wait for. It is dropped, and its ticket given
    /// back, when the last of them goes.
    fn begin(&self, order: LoginOrder) -> SharedLogin {
        let io = Arc::clone(&self.io);
        // Made here and not inside: even a future that is never polled gives its login back.
        let flight = login::Attempt::new(self.session(), order);
        let login = async move { login::log_in(flight, &*io).await };
        // A panic would else go on in every task that waits. The session is sound: the ticket is
        // given back.
        let login = AssertUnwindSafe(login).catch_unwind();
        login
            .map(|end| end.err().map(|panic| Arc::new(Mutex::new(Some(panic)))))
            .boxed()
            .shared()
    }

    /// Drives a login to its end or, for one that was not elected, until the session has changed.
    async fn drive(&self, flight: &SharedLogin, wait: Option<Wait>) {
        let Some(wait) = wait else {
            return resume(flight.clone().await);
        };
        if let Some(changed) = self.session().listen(wait)
            && let Either::Left((panic, _)) = select(flight.clone(), changed).await
        {
            resume(panic);
        }
    }

    /// Waits for a login that a thread makes, in the blocking driver on the same session.
    async fn wait(&self, wait: Wait) {
        if let Some(changed) = self.session().listen(wait) {
            let lease = wait
                .deadline
                .saturating_duration_since(self.session().now());
            drop(select(changed, self.io.transport.sleep(lease)).await);
        }
    }
}

/// Lets a login's panic go on in this task, if no other has taken it.
fn resume(panic: Option<Panic>) {
    let payload =
        panic.and_then(|panic| panic.lock().unwrap_or_else(PoisonError::into_inner).take());
    if let Some(payload) = payload {
        resume_unwind(payload);
    }
}

#[async_trait]
impl<T: AsyncTransport + 'static> LoginIo for Io<T> {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Option<BoxedLease>, StoreError> {
        let Some(store) = &self.store else {
            return Ok(None);
        };
        // The store knows best when to stop waiting; this limit is for one that does not come back
        // at all.
        let limit = terms.wait + STORE_TIMEOUT;
        match within(&*self.transport, limit, store.lease(key, terms)).await {
            Some(lease) => Ok(Some(Box::new(Bounded {
                lease: lease?,
                transport: Arc::clone(&self.transport),
            }))),
            None => Err(StoreError::Busy),
        }
    }

    async fn send(&self, request: Request<FormBody>) -> Result<Response<()>, SendError> {
        let timeout = self.session.settings().login_timeout;
        match within(
            &*self.transport,
            timeout,
            self.transport.send_login(request),
        )
        .await
        {
            Some(response) => response.map_err(|error| SendError {
                failure: error.failure(),
                error: Arc::new(error),
            }),
            None => Err(SendError {
                failure: SendFailure::MaybeSent,
                error: Arc::new(NoAnswer(timeout)),
            }),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", .0.as_secs_f64())]
struct NoAnswer(Duration);

/// A store's lease, each operation bounded in time.
struct Bounded<T> {
    lease: Box<dyn AsyncStoreLease>,
    transport: Arc<T>,
}

#[async_trait]
impl<T: AsyncTransport + 'static> AsyncStoreLease for Bounded<T> {
    async fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        in_time(within(&*self.transport, STORE_TIMEOUT, self.lease.load()).await)
    }

    async fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        in_time(within(&*self.transport, STORE_TIMEOUT, self.lease.save(record)).await)
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        in_time(within(&*self.transport, STORE_TIMEOUT, self.lease.release()).await)
    }
}

fn in_time<R>(result: Option<Result<R, StoreError>>) -> Result<R, StoreError> {
    result.unwrap_or_else(|| Err(StoreError::Unavailable(Box::new(NoAnswer(STORE_TIMEOUT)))))
}

/// `work`, or `None` when it is not done after `limit`.
async fn within<T: AsyncTransport, R>(
    transport: &T,
    limit: Duration,
    work: impl Future<Output = R> + Send,
) -> Option<R> {
    match select(Box::pin(work), transport.sleep(limit)).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(((), _)) => None,
    }
}

impl<T> Clone for AsyncDriver<T> {
    fn clone(&self) -> Self {
        Self {
            io: Arc::clone(&self.io),
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
