//! When a call is repeated: after a 429, or after a 5xx if sending it twice is safe. No I/O: both
//! clients share it.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Method, Response, StatusCode};

const MOST_PAUSES: u32 = 3;
/// The first wait, which doubles each time.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Returns how long to wait before repeating a call that was made `times` times; `None` if it is
/// not repeated.
pub(super) fn pause<B>(method: &Method, times: u32, response: &Response<B>) -> Option<Duration> {
    let status = response.status();
    let is_busy = status == StatusCode::TOO_MANY_REQUESTS
        || method.is_idempotent() && status.is_server_error();
    let asked = response.headers().get(RETRY_AFTER);
    let asked = asked.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
    let pause = asked.map_or(PAUSE * 2_u32.pow(times), Duration::from_secs);
    (is_busy && times <= MOST_PAUSES && pause <= LONGEST_PAUSE).then_some(pause)
}
