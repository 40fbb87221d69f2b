//! The alarm: makes calls ask the session again once the token is due for early renewal.
//!
//! A call reads no clock. The session's clock wakes the alarm in time, and then the session
//! publishes no pass, which sends the next call to the session's lock. The alarm does not keep its
//! session alive. If it is not woken, the token is renewed after a 401.

use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use ctc_core::Instant;

use super::{Inner, SharedSession};

struct Alarm {
    session: Weak<Inner>,
    time: Instant,
}

impl SharedSession {
    /// Makes the session publish again at `time`.
    pub(super) fn set_alarm(&self, time: Instant) {
        let session = Arc::downgrade(&self.0);
        let alarm = Waker::from(Arc::new(Alarm { session, time }));
        self.0.clock.wake_at(time, alarm);
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        if let Some(session) = self.session.upgrade().map(SharedSession) {
            session.lock().alarm.take_if(|time| *time == self.time);
            session.with(|_, _| ());
        }
    }
}
