//! What a session did so far, as numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use super::sharded::{Padded, Sharded};

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// What a session did so far: a snapshot.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counts {
            /// Requests handed to the HTTP client: replays included, logins and logouts not.
            pub calls: u64,
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        #[derive(Debug)]
        pub(crate) struct Counters {
            pub(crate) label: Label,
            pub(crate) calls: LaneCounter,
            $(pub(crate) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn new() -> Self {
                let label = Label::default();
                Self {
                    calls: LaneCounter::new("ctc_calls_total", &label),
                    $($name: Counter::new(concat!("ctc_", stringify!($name), "_total"), &label),)*
                    label,
                }
            }

            pub(crate) fn snapshot(&self) -> Counts {
                Counts { calls: self.calls.sum(), $($name: self.$name.count.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// 401 responses to calls.
    unauthorized,
    /// Second requests of a call, counted when they are sent.
    replays,
    /// Calls that were denied, of which nothing was sent; `login` and `renew` that were denied. A
    /// call that was sent and gets its 401 is not among them.
    denied,
    /// Logins handed to the HTTP client.
    logins,
    /// Logins that failed, sent or not.
    logins_failed,
    /// Logins that waited for their turn at a [`LoginLimiter`](crate::LoginLimiter).
    queued,
    /// Tokens adopted from a store in place of a login.
    adopted,
    /// Tokens that the server replaced on an ordinary response.
    rotations,
    /// Store operations that failed.
    store_failures,
    /// Orphans: tokens from logins whose session was meanwhile closed or given another user's
    /// credentials; each is logged out. One that came after its login's lease
    /// is neither counted nor logged out: by then it may be the very token of a later login.
    orphans,
}

/// The session's label, which is given once.
pub(crate) type Label = Arc<OnceLock<Arc<str>>>;

#[derive(Debug)]
pub(crate) struct Counter {
    count: AtomicU64,
    #[cfg(feature = "metrics")]
    name: &'static str,
    #[cfg(feature = "metrics")]
    label: Label,
}

impl Counter {
    #[cfg_attr(
        not(feature = "metrics"),
        expect(unused_variables, reason = "only the facade wants names")
    )]
    fn new(name: &'static str, label: &Label) -> Self {
        Self {
            count: AtomicU64::new(0),
            #[cfg(feature = "metrics")]
            name,
            #[cfg(feature = "metrics")]
            label: Arc::clone(label),
        }
    }

    /// Adds one; returns what it was before.
    pub(crate) fn count(&self) -> u64 {
        #[cfg(feature = "metrics")]
        match self.label.get() {
            None => metrics::counter!(self.name),
            Some(label) => metrics::counter!(self.name, "label" => Arc::clone(label)),
        }
        .increment(1);
        self.count.fetch_add(1, Relaxed)
    }
}

/// A counter for what every call does: each thread counts in its own lane.
#[derive(Debug)]
pub(crate) struct LaneCounter(Sharded<Padded<Counter>>);

impl LaneCounter {
    #[inline]
    pub(crate) fn count(&self) {
        self.0.local().0.count();
    }

    fn new(name: &'static str, label: &Label) -> Self {
        Self(Sharded::new(|| Padded(Counter::new(name, label))))
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|lane| lane.0.count.load(Relaxed)).sum()
    }
}
