//! What a caller does next, and how its failures are named.

use std::time::Duration;

use ctc_driver::Denied;
use ctc_driver::ctc_core::Denial;

use crate::rng::Rng;

/// One call, or what a caller does instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Get(&'static str),
    Post,
    /// Through a clone that is dropped afterwards.
    Clone,
    /// Through the `Caller` trait, with a whole body.
    Fetch,
    /// With `max_wait`, while no login may be made.
    Patient,
    /// With a timeout of the HTTP client.
    TimedOut(Duration),
    /// Dropped after this time; for threads, as `TimedOut`.
    Cancelled(Duration),
    /// With its task aborted; for threads, as `TimedOut`.
    Aborted,
    /// With the response dropped before its body is read.
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

/// Returns the kind of a denial.
pub(super) fn denied(denied: &Denied) -> &'static str {
    match denied.denial() {
        Denial::Rejected { .. } => "denied: rejected",
        Denial::BackingOff { .. } => "denied: cooling down",
        Denial::BudgetSpent { .. } => "denied: paced",
        Denial::Closed => "denied: closed",
        _ => "denied",
    }
}
