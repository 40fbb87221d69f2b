//! An asynchronous store, polled on plain threads, so that the same cases check both traits.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use ctc_driver::ctc_core::{RecordKey, SessionRecord};
use ctc_driver::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, SessionStore, StoreError, StoreLease,
    StoreSecret,
};

use super::stage::SLACK;

pub(super) struct OnThreads<S>(pub(super) S);

impl<S: AsyncSessionStore> SessionStore for OnThreads<S> {
    /// A store may leave the time limit of a wait to its caller, as the driver's stores do.
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        let limit = terms.wait.saturating_add(SLACK / 2);
        let lease = drive(self.0.lease(key, terms), limit).ok_or(StoreError::Busy)??;
        Ok(Box::new(Lease(lease)))
    }

    fn secret(&self) -> Option<StoreSecret> {
        self.0.secret()
    }
}

struct Lease(Box<dyn AsyncStoreLease>);

impl StoreLease for Lease {
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        drive(self.0.load(), Duration::MAX).ok_or(StoreError::LeaseLost)?
    }

    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        drive(self.0.save(record), Duration::MAX).ok_or(StoreError::LeaseLost)?
    }

    fn release(self: Box<Self>) -> Result<(), StoreError> {
        drive(self.0.release(), Duration::MAX).ok_or(StoreError::LeaseLost)?
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls a future to its end, or drops it once the limit has passed.
fn drive<R>(work: impl Future<Output = R>, limit: Duration) -> Option<R> {
    let began = Instant::now();
    let mut work = pin!(work);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(result);
        }
        let left = limit.saturating_sub(began.elapsed());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}
