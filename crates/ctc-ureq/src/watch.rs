//! A connector that knows how far a request got, and that bounds the reading of what is discarded.
//!
//! ureq's errors alone do not tell whether a request was written: an I/O error can be a missing
//! route as well as a reset in mid-response. And once a request is out, its time limits cannot be
//! changed any more. Both are seen to here, per thread: ureq does all its work on the thread of
//! its caller.

use std::cell::Cell;
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

/// Watches one request of this thread's, as far as a [`WatchedConnector`] makes its connection.
#[must_use]
pub(crate) struct Watch {
    /// The body of a request may make a request of its own while it is read.
    outer: bool,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        Self {
            outer: WRITTEN.replace(false),
        }
    }

    /// Returns whether a byte of the request was written.
    pub(crate) fn end(self) -> bool {
        WRITTEN.replace(self.outer)
    }
}

/// Runs a login on the agent's own TLS setup, as far as a [`WatchedConnector`] makes its
/// connection.
pub(crate) fn as_login<R>(run: impl FnOnce() -> R) -> R {
    let outer = IS_LOGIN.replace(true);
    let response = run();
    IS_LOGIN.set(outer);
    response
}

/// Reads a response, as far as a [`WatchedConnector`] made its connection until `deadline` at most.
pub(crate) fn read_until<R>(deadline: Instant, read: impl FnOnce() -> R) -> R {
    struct Reset(Option<Instant>);
    impl Drop for Reset {
        fn drop(&mut self) {
            READ_UNTIL.set(self.0);
        }
    }
    let _reset = Reset(READ_UNTIL.replace(Some(deadline)));
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
