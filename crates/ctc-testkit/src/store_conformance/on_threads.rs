//! An asynchronous store, driven by plain threads: the same cases then serve both ports.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use ctc_driver::ctc_core::{RecordKey, SessionRecord};
use ctc_driver::{
    AsyncSessionStore, AsyncStoreLease, LeaseTerms, SessionStore, StoreError, StoreLease,
};

pub(super) struct OnThreads<S>(pub(super) S);

impl<S: AsyncSessionStore> SessionStore for OnThreads<S> {
    /// A store may leave the end of the wait to its caller, as the driver's own does.
    fn lease(&self, key: &RecordKey, terms: LeaseTerms) -> Result<Box<dyn StoreLease>, StoreError> {
        let give_up = Instant::now() + terms.wait + super::SLACK / 2;
        let lease = drive(self.0.lease(key, terms), Some(give_up)).ok_or(StoreError::Busy)??;
        Ok(Box::new(Lease(lease)))
    }
}

struct Lease(Box<dyn AsyncStoreLease>);

impl StoreLease for Lease {
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        drive(self.0.load(), None).ok_or(StoreError::LeaseLost)?
    }

    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        drive(self.0.save(record), None).ok_or(StoreError::LeaseLost)?
    }

    fn release(self: Box<Self>) -> Result<(), StoreError> {
        drive(self.0.release(), None).ok_or(StoreError::LeaseLost)?
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls to the end, or drops the future when the time is over.
fn drive<R>(work: impl Future<Output = R>, until: Option<Instant>) -> Option<R> {
    let mut work = pin!(work);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(result);
        }
        match until.map(|until| until.saturating_duration_since(Instant::now())) {
            Some(left) if left.is_zero() => return None,
            Some(left) => thread::park_timeout(left),
            None => thread::park(),
        }
    }
}
