//! A process with the blocking driver: its one caller makes calls and logins on a thread, over the
//! network and the store of the world.

use std::sync::Arc;
use std::task::Poll;

use ctc_core::{Credentials, RecordKey, SessionRecord};
use ctc_driver::{
    AsyncCredentialsSource, AsyncSessionStore, AsyncStoreLease, AsyncTransport, CredentialsError,
    CredentialsSource, LeaseTerms, LoginRequest, LoginResponse, SessionStore, StoreError,
    StoreLease, StoreSecret, Transport,
};
use http::{Request, Response};

use crate::count::Fault;
use crate::net::SimTransport;
use crate::plan::{ProcessPlan, ms};
use crate::source::SimSource;
use crate::store::SimStore;
use crate::task::OwnLogin;
use crate::turns::Turn;
use crate::wire::SimError;
use crate::world::{Sleep, State};

/// What is asynchronous in the world, for a thread that blocks.
pub(crate) struct Blocking<T> {
    inner: T,
    turn: Arc<Turn>,
}

impl<T> Blocking<T> {
    pub(crate) fn new(inner: T, turn: &Arc<Turn>) -> Self {
        let turn = Arc::clone(turn);
        Self { inner, turn }
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable(Box::new(SimError::Lost))
}

impl Transport for Blocking<SimTransport> {
    type Request = Request<Vec<u8>>;
    type Response = Response<()>;
    type Error = SimError;

    fn send(&self, request: Request<Vec<u8>>) -> Result<Response<()>, SimError> {
        let world = &self.inner.world;
        world.state().own_login_ends(self.inner.process);
        let sent = self.turn.wait(AsyncTransport::send(&self.inner, request));
        sent.unwrap_or(Err(SimError::Lost))
    }

    /// Nothing but the HTTP client limits it.
    fn send_login(&self, login: LoginRequest) -> Result<LoginResponse, SimError> {
        let SimTransport { world, process, .. } = &self.inner;
        let mut timeout = Box::pin(Sleep::new(world, *process, ms(login.timeout)));
        let mut sent = AsyncTransport::send_login(&self.inner, login);
        let sent = self.turn.wait(std::future::poll_fn(move |context| {
            if let Poll::Ready(sent) = sent.as_mut().poll(context) {
                return Poll::Ready(sent);
            }
            let timed_out = timeout.as_mut().poll(context);
            timed_out.map(|()| Err(SimError::Lost))
        }));
        sent.unwrap_or(Err(SimError::Lost))
    }
}

impl SessionStore for Blocking<SimStore> {
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        let lease = self.turn.wait(self.inner.lease(key, terms));
        let inner = lease.unwrap_or_else(|| Err(unavailable()))?;
        Ok(Box::new(Blocking::new(inner, &self.turn)))
    }

    fn secret(&self) -> Option<StoreSecret> {
        self.inner.secret()
    }
}

impl StoreLease for Blocking<Box<dyn AsyncStoreLease>> {
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        let loaded = self.turn.wait(self.inner.load());
        loaded.unwrap_or_else(|| Err(unavailable()))
    }

    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        let saved = self.turn.wait(self.inner.save(record));
        saved.unwrap_or_else(|| Err(unavailable()))
    }

    fn release(self: Box<Self>) -> Result<(), StoreError> {
        let released = self.turn.wait(self.inner.release());
        released.unwrap_or_else(|| Err(unavailable()))
    }
}

/// The driver asks it on a thread of its own, while the caller's thread waits: they take the same
/// turns. For a source that hangs the driver has a limit, but by the machine's clock.
impl CredentialsSource for Blocking<SimSource> {
    fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let SimSource { world, process, .. } = &self.inner;
        world.state().own_login_begins(*process);
        let asked = self.turn.wait(self.inner.credentials());
        asked.unwrap_or_else(|| Err(CredentialsError::unavailable(SimError::Lost)))
    }
}

impl State {
    /// The source is asked: by a new login, unless the one before goes on.
    fn own_login_begins(&mut self, process: usize) {
        let goes_on = |login: OwnLogin| !login.is_told;
        if self.processes[process].own_login.is_some_and(goes_on) {
            return;
        }
        self.own_login_ends(process);
        self.tally.count(Fault::OwnLogin);
        let now = self.processes[process].clock.true_ms();
        let election = self.watch.elected(process, now);
        self.note(|| format!("p{process}: its caller begins login {election}"));
        self.watch.sessions[process].login.tasks += 1;
        if let Some(call) = self.current.call {
            let call = &mut self.watch.calls[call];
            // It does not wait for a renewal, it makes it.
            (call.elected, call.elected_without_token) = (true, true);
        }
        self.processes[process].own_login = Some(OwnLogin {
            election,
            is_told: false,
        });
        self.current.login = Some(election);
    }

    /// The caller goes on with its call.
    pub(crate) fn own_login_ends(&mut self, process: usize) {
        if let Some(login) = self.processes[process].own_login.take() {
            self.current.login = None;
            self.login_task_over(process, login.election, true);
        }
    }
}

impl ProcessPlan {
    /// Makes the plan one for the blocking driver. It has one caller, because a thread waits in
    /// real time for another thread's login, and no call is cancelled, because threads are not.
    pub(crate) fn block(&mut self) {
        (self.runtimes, self.logins_on) = (1, None);
        self.callers.truncate(1);
        for call in self.callers.iter_mut().flatten() {
            (call.max_wait, call.cancel) = (0, None);
        }
    }
}
