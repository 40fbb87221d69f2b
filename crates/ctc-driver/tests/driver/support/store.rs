//! A store whose every operation can be made to fail, or to wait; underneath it is a `MemoryStore`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ctc_driver::__adapter::records;
use ctc_driver::ctc_core::{OpenRecord, RecordKey, SessionRecord};
use ctc_driver::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, MemoryStore, SessionStore, SharedSession,
    StoreError, StoreLease, StoreSecret,
};
use event_listener::Event;

use super::lock;
use super::run::give_way;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Busy,
    Lost,
    Unavailable,
}

impl Fault {
    fn error(self) -> StoreError {
        match self {
            Self::Busy => StoreError::Busy,
            Self::Lost => StoreError::LeaseLost,
            Self::Unavailable => StoreError::Unavailable("read-only disk".into()),
        }
    }
}

type Hook = Box<dyn FnMut(&str) + Send>;

#[derive(Clone, Default)]
pub(crate) struct TestStore(Arc<Inner>);

#[derive(Default)]
struct Inner {
    memory: MemoryStore,
    state: Mutex<State>,
    changed: Event,
}

#[derive(Default)]
struct State {
    faults: Vec<(&'static str, Fault)>,
    log: Vec<&'static str>,
    terms: Vec<LeaseTerms>,
    held: bool,
    has_no_secret: bool,
    /// Asynchronous saves that still go through.
    saves_left: Option<usize>,
    hook: Option<Hook>,
    planted: HashMap<RecordKey, SessionRecord>,
}

impl TestStore {
    pub(crate) fn failing(operation: &'static str, fault: Fault) -> Self {
        let store = Self::default();
        store.fail(operation, fault);
        store
    }

    pub(crate) fn fail(&self, operation: &'static str, fault: Fault) {
        lock(&self.0.state).faults.push((operation, fault));
    }

    pub(crate) fn work_again(&self) {
        lock(&self.0.state).faults.clear();
    }

    /// Keys are derived slowly, as for a store without a secret of its own.
    pub(crate) fn without_secret() -> Self {
        let store = Self::default();
        lock(&store.0.state).has_no_secret = true;
        store
    }

    fn own_secret(&self) -> Option<StoreSecret> {
        let has_none = lock(&self.0.state).has_no_secret;
        SessionStore::secret(&self.0.memory).filter(|_| !has_none)
    }

    /// Asynchronous leases are not granted while this holds.
    pub(crate) fn hold(&self, hold: bool) {
        lock(&self.0.state).held = hold;
        self.0.changed.notify(usize::MAX);
    }

    /// Asynchronous saves hang, but for the next few.
    pub(crate) fn hold_saves_after(&self, saves: usize) {
        lock(&self.0.state).saves_left = Some(saves);
    }

    pub(crate) fn let_saves_go(&self) {
        lock(&self.0.state).saves_left = None;
        self.0.changed.notify(usize::MAX);
    }

    /// Called before every operation.
    pub(crate) fn on_operation(&self, hook: impl FnMut(&str) + Send + 'static) {
        lock(&self.0.state).hook = Some(Box::new(hook));
    }

    /// Whether this was asked of it since the log was last taken.
    pub(crate) fn was_asked_to(&self, operation: &str) -> bool {
        lock(&self.0.state).log.contains(&operation)
    }

    /// What was asked of it since the last time.
    pub(crate) fn take_log(&self) -> Vec<&'static str> {
        std::mem::take(&mut lock(&self.0.state).log)
    }

    /// How each lease was asked for.
    pub(crate) fn terms(&self) -> Vec<LeaseTerms> {
        lock(&self.0.state).terms.clone()
    }

    pub(crate) fn peek(&self, key: &RecordKey) -> Option<SessionRecord> {
        self.0.memory.peek(key)
    }

    /// What the record says to this session's credentials.
    pub(crate) fn opened(&self, session: &SharedSession) -> Option<OpenRecord> {
        let record = self.peek(&session.record_key())?;
        let secret = SessionStore::secret(self);
        Some(records::open(&record, session.record().seed(), secret.as_ref()).expect("a key"))
    }

    /// Whether a process with the credentials of this session would find its token.
    pub(crate) fn has_token_of(&self, session: &SharedSession) -> bool {
        let opened = self.opened(session);
        opened.is_some_and(|opened| opened.same_token(&session.record()))
    }

    /// Writes the record of a session past every lease, as a holder on another host would.
    pub(crate) fn plant(&self, session: &SharedSession) {
        let (key, ours) = (session.record_key(), session.record());
        let (kept, secret) = (self.peek(&key), SessionStore::secret(self));
        let record = records::seal(&ours, kept.as_ref(), [1; 16], secret.as_ref());
        self.plant_record(&key, &record.expect("a key"));
    }

    /// Writes a record past every lease.
    pub(crate) fn plant_record(&self, key: &RecordKey, record: &SessionRecord) {
        lock(&self.0.state)
            .planted
            .insert(key.clone(), record.clone());
    }

    fn planted(&self, key: &RecordKey) -> Option<SessionRecord> {
        lock(&self.0.state).planted.get(key).cloned()
    }

    fn begin(&self, operation: &'static str) -> Result<(), StoreError> {
        let hook = lock(&self.0.state).hook.take();
        if let Some(mut hook) = hook {
            hook(operation);
            lock(&self.0.state).hook.get_or_insert(hook);
        }
        let mut state = lock(&self.0.state);
        state.log.push(operation);
        match state.faults.iter().find(|fault| fault.0 == operation) {
            Some((_, fault)) => Err(fault.error()),
            None => Ok(()),
        }
    }

    async fn granted(&self) {
        self.until(|state| !state.held).await;
    }

    async fn may_save(&self) {
        self.until(|state| match &mut state.saves_left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        })
        .await;
    }

    async fn until(&self, condition: impl Fn(&mut State) -> bool) {
        loop {
            let listener = self.0.changed.listen();
            if condition(&mut lock(&self.0.state)) {
                return;
            }
            listener.await;
        }
    }
}

struct Lease<L> {
    store: TestStore,
    key: RecordKey,
    inner: L,
}

impl SessionStore for TestStore {
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        lock(&self.0.state).terms.push(terms);
        self.begin("lease")?;
        let inner = SessionStore::lease(&self.0.memory, key, terms)?;
        Ok(Box::new(Lease {
            store: self.clone(),
            key: key.clone(),
            inner,
        }))
    }

    fn secret(&self) -> Option<StoreSecret> {
        self.own_secret()
    }
}

impl StoreLease for Lease<Box<dyn StoreLease>> {
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        self.store.begin("load")?;
        self.store
            .planted(&self.key)
            .map_or_else(|| self.inner.load(), |record| Ok(Some(record)))
    }

    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        self.store.begin("save")?;
        self.inner.save(record)
    }

    fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.store.begin("release")?;
        self.inner.release()
    }
}

#[async_trait]
impl AsyncSessionStore for TestStore {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        give_way().await;
        lock(&self.0.state).terms.push(terms);
        self.begin("lease")?;
        self.granted().await;
        let inner = AsyncSessionStore::lease(&self.0.memory, key, terms).await?;
        Ok(Box::new(Lease {
            store: self.clone(),
            key: key.clone(),
            inner,
        }))
    }

    fn secret(&self) -> Option<StoreSecret> {
        self.own_secret()
    }
}

#[async_trait]
impl AsyncStoreLease for Lease<Box<dyn AsyncStoreLease>> {
    async fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        give_way().await;
        self.store.begin("load")?;
        match self.store.planted(&self.key) {
            Some(record) => Ok(Some(record)),
            None => self.inner.load().await,
        }
    }

    async fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        give_way().await;
        self.store.begin("save")?;
        self.store.may_save().await;
        self.inner.save(record).await
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        give_way().await;
        self.store.begin("release")?;
        self.inner.release().await
    }
}
