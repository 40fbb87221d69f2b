//! What a caller does next, and how its failures are named.

use std::time::Duration;

use ctc_driver::Denied;
use ctc_driver::ctc_core::Denial;

use crate::rng::Rng;

/// One call, or what is done in place of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Get(&'static str),
    Post,
    /// Through a clone that is dropped afterwards.
    Clone,
    /// As a library calls, with the body in the response.
    Fetch,
    /// Waits a while where a login is held back.
    Patient,
    /// Given up after so long: by the timeout of the HTTP client.
    TimedOut(Duration),
    /// Dropped after so long; for threads, as `TimedOut`.
    Cancelled(Duration),
    /// Its task is aborted; for threads, as `TimedOut`.
    Aborted,
    /// The response is dropped with its body unread.
    Unread,
}

impl Deed {
    pub(super) fn next(rng: &mut Rng) -> Self {
        let short = Duration::from_micros(100 + rng.below(20_000));
        match rng.below(100) {
            0..40 => Self::Get(super::DEVICES),
            40..50 => Self::Get("/connect/services/devices/1001/avlevents?pgsize=20"),
            50..52 => Self::Get("/connect/test/bytes/20000"),
            52..54 => Self::Get("/connect/test/forbidden"),
            54 => Self::Get("/connect/test/status/401"),
            55..60 => Self::Post,
            60..70 => Self::Clone,
            70..75 => Self::Fetch,
            75..80 => Self::Patient,
            80..85 => Self::TimedOut(short),
            85..94 => Self::Cancelled(short),
            94..97 => Self::Aborted,
            _ => Self::Unread,
        }
    }
}

/// A denial's kind.
pub(super) fn denied(denied: &Denied) -> &'static str {
    match denied.denial() {
        Denial::Rejected { .. } => "denied: rejected",
        Denial::BackingOff { .. } => "denied: cooling down",
        Denial::BudgetSpent { .. } => "denied: paced",
        Denial::Closed => "denied: closed",
        _ => "denied",
    }
}
