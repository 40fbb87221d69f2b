//! A connector that knows how far a request got, and that bounds the reading of what is discarded.
//!
//! ureq's errors alone do not tell whether a request was written: an I/O error can be a missing
//! route as well as a reset in mid-response. And once a request is out, its time limits cannot be
//! changed any more. Both are seen to here, per thread: ureq does all its work on the thread of
//! its caller.

use std::cell::Cell;
use std::thread::LocalKey;
use std::time::Instant;

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport, time,
};
use ureq::{Error, Timeout};

thread_local! {
    /// Whether a byte of this thread's request was handed to the system.
    static WRITTEN: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread's request is a login.
    static IS_LOGIN: Cell<bool> = const { Cell::new(false) };
    /// When this thread's reading ends at the latest.
    static READ_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Marks this thread for as long as this lives. Then the earlier mark is back, also after a panic:
/// the body of a request may make a request of its own while it is read.
struct Marked<T: Copy + 'static> {
    place: &'static LocalKey<Cell<T>>,
    earlier: T,
}

impl<T: Copy> Marked<T> {
    fn new(place: &'static LocalKey<Cell<T>>, mark: T) -> Self {
        let earlier = place.replace(mark);
        Self { place, earlier }
    }
}

impl<T: Copy> Drop for Marked<T> {
    fn drop(&mut self) {
        self.place.set(self.earlier);
    }
}

/// Watches one request of this thread's, as far as a [`WatchedConnector`] makes its connection.
#[must_use]
pub(crate) struct Watch(Marked<bool>);

impl Watch {
    pub(crate) fn begin() -> Self {
        Self(Marked::new(&WRITTEN, false))
    }

    /// Returns whether a byte of the request was written.
    pub(crate) fn end(self) -> bool {
        self.0.place.get()
    }
}

/// Runs a login on the agent's own TLS setup, as far as a [`WatchedConnector`] makes its
/// connection.
pub(crate) fn as_login<R>(run: impl FnOnce() -> R) -> R {
    let _marked = Marked::new(&IS_LOGIN, true);
    run()
}

/// Reads a response, as far as a [`WatchedConnector`] made its connection until `deadline` at most.
pub(crate) fn read_until<R>(deadline: Instant, read: impl FnOnce() -> R) -> R {
    let _marked = Marked::new(&READ_UNTIL, Some(deadline));
    read()
}

/// ureq's own chain of connectors, watched from the outside.
#[derive(Debug, Default)]
pub(crate) struct WatchedConnector(DefaultConnector);

impl Connector<()> for WatchedConnector {
    type Out = WatchedTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<WatchedTransport>, Error> {
        if details.needs_tls() {
            crate::tls::check(details.config)?;
        }
        let connected = if IS_LOGIN.get() {
            self.0.connect(&with_tls_of_agent(details), chained)
        } else {
            self.0.connect(details, chained)
        };
        // What was written so far was for a proxy, whose connection comes from here as well.
        WRITTEN.set(false);
        Ok(connected?.map(WatchedTransport))
    }
}

/// A login has its own timeout, but the agent's TLS: its setup also serves the calls that come
/// after it. ureq would set it up anew for each request with settings of its own.
fn with_tls_of_agent<'a>(details: &ConnectionDetails<'a>) -> ConnectionDetails<'a> {
    ConnectionDetails {
        uri: details.uri,
        addrs: details.addrs.clone(),
        config: details.config,
        request_level: false,
        resolver: details.resolver,
        now: details.now,
        timeout: details.timeout,
        current_time: details.current_time.clone(),
        run_connector: details.run_connector.clone(),
        register_shutdown: details.register_shutdown.clone(),
    }
}

#[derive(Debug)]
pub(crate) struct WatchedTransport(Box<dyn Transport>);

impl Transport for WatchedTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        WRITTEN.set(true);
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, Error> {
        if let Some(deadline) = READ_UNTIL.get() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Timeout(Timeout::RecvBody));
            }
            if left < *timeout.after {
                timeout.after = time::Duration::Exact(left);
                timeout.reason = Timeout::RecvBody;
            }
        }
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// A connector or a body of the program's own may panic.
    #[test]
    fn nothing_stays_marked_after_a_panic() {
        let panics = |run: &dyn Fn()| {
            let caught = catch_unwind(AssertUnwindSafe(run));
            assert!(caught.is_err());
        };
        panics(&|| as_login(|| panic!("in a login")));
        panics(&|| read_until(Instant::now(), || panic!("while reading")));
        let outer = Watch::begin();
        WRITTEN.set(true);
        panics(&|| {
            let _inner = Watch::begin();
            panic!("in a request that the body makes");
        });
        assert!(!IS_LOGIN.get());
        assert_eq!(READ_UNTIL.get(), None);
        assert!(outer.end());
    }
}
