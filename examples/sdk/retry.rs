//! When a call is made again: after a 429, or a 5xx of a call that does no harm twice. No I/O: both
//! clients share it.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Request, Response, StatusCode};

const MOST_PAUSES: u32 = 3;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pauses of one call.
pub(super) struct Pauses {
    taken: u32,
    is_idempotent: bool,
}

impl Pauses {
    pub(super) fn of(request: &Request<Vec<u8>>) -> Self {
        let is_idempotent = request.method().is_idempotent();
        let taken = 0;
        Self {
            taken,
            is_idempotent,
        }
    }

    /// How long to wait before the call is made again; `None` if this response is the last word.
    pub(super) fn after(&mut self, response: &Response<Vec<u8>>) -> Option<Duration> {
        let status = response.status();
        let is_busy = status == StatusCode::TOO_MANY_REQUESTS
            || self.is_idempotent && status.is_server_error();
        if !is_busy || self.taken == MOST_PAUSES {
            return None;
        }
        self.taken += 1;
        let asked = response.headers().get(RETRY_AFTER);
        let asked = asked.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        let own = Duration::from_millis(100) * 2_u32.pow(self.taken);
        let pause = asked.map_or(own, Duration::from_secs);
        (pause <= LONGEST_PAUSE).then_some(pause)
    }
}
