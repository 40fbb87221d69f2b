//! A login whose key cannot be had (no memory, no thread), and one whose error looks back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ctc_core::{Admit, Call, Credentials, Endpoint, RecordKey, SendFailure};
use futures_util::FutureExt;
use http::{HeaderMap, StatusCode};

use super::io::{BoxedLease, LoginIo, SendError, Work};
use super::{Attempt, log_in};
use crate::ports::credentials::Source;
use crate::ports::{
    AsyncSessionStore, CredentialsError, LeaseTerms, LoginRequest, LoginResponse, StoreError,
    StoreSecret,
};
use crate::sealing::KeyWork;
use crate::session::LoginEnd;
use crate::{MemoryStore, SessionConfig, SessionEvent, SharedSession};

struct NoKeys {
    store: MemoryStore,
    secret: Option<StoreSecret>,
    tokens: Mutex<Vec<&'static str>>,
}

#[async_trait]
impl LoginIo for NoKeys {
    async fn credentials(&self, _: Source) -> Result<Credentials, CredentialsError> {
        unreachable!("the session has credentials")
    }

    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Option<BoxedLease>, StoreError> {
        AsyncSessionStore::lease(&self.store, key, terms)
            .await
            .map(Some)
    }

    fn store_secret(&self) -> Option<StoreSecret> {
        self.secret.clone()
    }

    async fn derive(&self, _: &SharedSession, _: KeyWork) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("no memory".into()))
    }

    async fn send(&self, _: LoginRequest) -> Result<LoginResponse, SendError> {
        let token = self.tokens.lock().unwrap().pop().unwrap();
        let cookie = format!("authToken={token}").parse().unwrap();
        let headers = HeaderMap::from_iter([(http::header::SET_COOKIE, cookie)]);
        Ok(LoginResponse::new(StatusCode::OK, headers))
    }

    fn is_in_use(&self) -> bool {
        true
    }

    async fn within(&self, _: Duration, work: Work<'_>) -> bool {
        work.await;
        true
    }

    async fn running_logins_end(&self, _: LoginEnd, _: Duration) {}
}

fn session() -> SharedSession {
    let config = SessionConfig::new()
        .endpoint(Endpoint::us())
        .app_key("k")
        .credentials("u", "p");
    config.build().unwrap()
}

fn renews(session: &SharedSession, io: &NoKeys) {
    let order = match session.with(ctc_core::Session::renew) {
        Admit::Login(order) => *order,
        other => panic!("{other:?}"),
    };
    let attempt = Attempt::new(session, order.ticket, Some(order.request));
    log_in(attempt, io).now_or_never().unwrap().unwrap();
}

#[test]
fn without_its_key_a_session_warns_once_keeps_the_history_and_leaves_all_else() {
    let mut io = NoKeys {
        store: MemoryStore::new(),
        secret: Some(StoreSecret::new([1; 32])),
        tokens: Mutex::new(vec!["T3", "T2", "T1"]),
    };
    let key = session().record_key();
    let kept = |io: &NoKeys| serde_json::to_value(io.store.peek(&key).unwrap()).unwrap();
    // Somebody with a key has saved a token.
    renews(&session(), &io);
    let before = kept(&io);
    io.secret = None;
    let (session, warnings) = (session(), std::sync::Arc::new(Mutex::new(vec![])));
    let told = std::sync::Arc::clone(&warnings);
    session.set_observer(move |_: &SharedSession, event: &SessionEvent<'_>| {
        if let SessionEvent::StoreFailed {
            operation, first, ..
        } = event
        {
            told.lock().unwrap().push((*operation, *first));
        }
    });
    renews(&session, &io);
    renews(&session, &io);
    assert_eq!(session.counts().logins, 2);
    let admitted = session.with(|session, now| session.admit(&mut Call::new(true), now));
    assert!(matches!(admitted, Admit::Proceed(_)));
    assert_eq!(
        *warnings.lock().unwrap(),
        [("seal", true), ("seal", false)],
        "one warning, then at the level of details"
    );
    let after = kept(&io);
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
impl LoginIo for NoConnection {
    async fn credentials(&self, _: Source) -> Result<Credentials, CredentialsError> {
        unreachable!("the session has credentials")
    }

    async fn lease(&self, _: &RecordKey, _: LeaseTerms) -> Result<Option<BoxedLease>, StoreError> {
        Ok(None)
    }

    fn store_secret(&self) -> Option<StoreSecret> {
        None
    }

    async fn derive(&self, _: &SharedSession, _: KeyWork) -> Result<(), StoreError> {
        Ok(())
    }

    async fn send(&self, _: LoginRequest) -> Result<LoginResponse, SendError> {
        Err(SendError {
            failure: SendFailure::NotSent,
            error: Arc::new(Curious(self.0.clone())),
        })
    }

    fn is_in_use(&self) -> bool {
        true
    }

    async fn within(&self, _: Duration, work: Work<'_>) -> bool {
        work.await;
        true
    }

    async fn running_logins_end(&self, _: LoginEnd, _: Duration) {}
}

/// The previous login's error, and that of a login that says nothing any more.
#[test]
fn an_error_is_dropped_outside_of_the_lock() {
    let (ended, ends) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let session = session();
        let io = NoConnection(session.clone());
        let order = |session: &SharedSession| match session.with(ctc_core::Session::renew) {
            Admit::Login(order) => Attempt::new(session, order.ticket, Some(order.request)),
            other => panic!("{other:?}"),
        };
        for superseded in [false, false, true] {
            session.reset();
            let attempt = order(&session);
            if superseded {
                let mut attempt = attempt;
                attempt.start().unwrap();
                session.close();
                let error = io.send(LoginRequest::new(http::Request::default(), Duration::ZERO));
                let error = error.now_or_never().unwrap().err().unwrap();
                attempt.report(Err(error));
            } else {
                log_in(attempt, &io).now_or_never().unwrap().unwrap();
            }
        }
        ended.send(()).unwrap();
    });
    let waited = ends.recv_timeout(Duration::from_secs(8));
    assert_eq!(waited, Ok(()), "an error was dropped under the lock");
}
