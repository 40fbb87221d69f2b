//! A login whose key cannot be had (no memory, no thread), and one whose error looks back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::{Admit, Call, Endpoint, RecordKey, SendFailure};
use http::{HeaderMap, StatusCode};

use super::io::{Io, SendError, SendLogin};
use super::{Attempt, log_in};
use crate::ports::{
    AsyncSessionStore, AsyncStoreLease, BoxFuture, LeaseTerms, LoginRequest, LoginResponse,
    Runtime, StoreError,
};
use crate::sealing::NO_MEMORY_FOR;
use crate::threads::block_on;
use crate::{MemoryStore, SessionConfig, SessionEvent, SharedSession};

struct NoTasks;

impl Runtime for NoTasks {
    fn spawn(&self, _: BoxFuture<()>) {}
}

/// Gives a new token each time.
struct Tokens(Mutex<Vec<&'static str>>);

#[async_trait]
impl SendLogin for Tokens {
    async fn send_login(&self, _: LoginRequest) -> Result<LoginResponse, SendError> {
        let token = self.0.lock().unwrap().pop().unwrap();
        let cookie = format!("authToken={token}").parse().unwrap();
        let headers = HeaderMap::from_iter([(http::header::SET_COOKIE, cookie)]);
        Ok(LoginResponse::new(StatusCode::OK, headers))
    }
}

fn io<T>(
    session: &SharedSession,
    transport: T,
    store: Option<Arc<dyn AsyncSessionStore>>,
) -> Arc<Io<T>> {
    let (io, in_use) = Io::new(session.clone(), transport, NoTasks, store);
    std::mem::forget(in_use);
    io
}

fn order(session: &SharedSession) -> Box<Attempt> {
    match session.with(ctc_core::Session::renew) {
        Admit::Login(order) => Box::new(Attempt::new(session, order.ticket, Some(order.request))),
        other => panic!("{other:?}"),
    }
}

fn renews(io: &Io<dyn SendLogin>) {
    block_on(log_in(order(&io.session), io)).unwrap();
}

/// Without a secret of its own: the slow derivation is what its key takes.
#[derive(Clone, Default)]
struct Slow(MemoryStore);

#[async_trait]
impl AsyncSessionStore for Slow {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        AsyncSessionStore::lease(&self.0, key, terms).await
    }
}

fn session() -> SharedSession {
    let config = SessionConfig::new()
        .endpoint(Endpoint::us())
        .app_key("k")
        .credentials("u", "p");
    config.build().unwrap()
}

#[test]
fn without_its_key_a_session_warns_once_keeps_the_history_and_leaves_all_else() {
    let store = Slow::default();
    let key = session().record_key();
    let kept = || serde_json::to_value(store.0.peek(&key).unwrap()).unwrap();
    let of = |session: &SharedSession, tokens| {
        io(
            session,
            Tokens(Mutex::new(tokens)),
            Some(Arc::new(store.clone())),
        )
    };
    // Somebody with a key has saved a token.
    renews(&*of(&session(), vec!["T1"]));
    let before = kept();
    let (session, warnings) = (session(), std::sync::Arc::new(Mutex::new(vec![])));
    *NO_MEMORY_FOR.lock().unwrap() = Some(session.record().seed().clone());
    let told = std::sync::Arc::clone(&warnings);
    session.set_observer(move |_: &SharedSession, event: &SessionEvent<'_>| {
        if let SessionEvent::StoreFailed {
            operation, first, ..
        } = event
        {
            told.lock().unwrap().push((*operation, *first));
        }
    });
    let io = of(&session, vec!["T3", "T2"]);
    renews(&*io);
    renews(&*io);
    assert_eq!(session.counts().logins, 2);
    let admitted = session.with(|session, now| session.admit(&mut Call::new(true), now));
    assert!(matches!(admitted, Admit::Proceed(_)));
    assert_eq!(
        *warnings.lock().unwrap(),
        [("seal", true), ("seal", false)],
        "one warning, then at the level of details"
    );
    let after = kept();
    assert_eq!(after["tokens"], before["tokens"]);
    assert_eq!(after["salt"], before["salt"]);
    let debt = |record: &serde_json::Value| record["login_debt"].as_u64().unwrap();
    assert!(debt(&after) > debt(&before), "both logins are on record");
    assert!(!after.to_string().contains("T2"));
}

/// An error that asks its session something when it is dropped.
#[derive(Debug, thiserror::Error)]
#[error("no connection")]
struct Curious(SharedSession);

impl Drop for Curious {
    fn drop(&mut self) {
        self.0.phase();
    }
}

struct NoConnection(SharedSession);

#[async_trait]
impl SendLogin for NoConnection {
    async fn send_login(&self, _: LoginRequest) -> Result<LoginResponse, SendError> {
        Err(SendError {
            failure: SendFailure::NotSent,
            error: Arc::new(Curious(self.0.clone())),
        })
    }
}

/// The previous login's error, and that of a login that says nothing any more.
#[test]
fn an_error_is_dropped_outside_of_the_lock() {
    let (ended, ends) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let session = session();
        let io = io(&session, NoConnection(session.clone()), None);
        let io: &Io<dyn SendLogin> = &*io;
        for superseded in [false, false, true] {
            session.reset();
            let mut attempt = order(&session);
            if superseded {
                attempt.start(io).unwrap();
                session.close();
                let login = LoginRequest::new(http::Request::default(), Duration::from_secs(1));
                attempt.report(Err(block_on(io.send(login)).err().unwrap()));
            } else {
                block_on(log_in(attempt, io)).unwrap();
            }
        }
        ended.send(()).unwrap();
    });
    let waited = ends.recv_timeout(Duration::from_secs(8));
    assert_eq!(waited, Ok(()), "an error was dropped under the lock");
}
