//! When a call is repeated: after a 429, or after a 5xx if sending it twice is safe. No I/O: both
//! clients share it.

use std::time::{Duration, SystemTime};

use http::header::{DATE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, Method, Response, StatusCode};
use httpdate::parse_http_date;

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
    let pause = retry_after(response.headers()).unwrap_or(PAUSE * 2_u32.pow(times));
    (is_busy && times <= MOST_PAUSES && pause <= LONGEST_PAUSE).then_some(pause)
}

/// Reads `Retry-After`: seconds, or a time by the server's clock, which `Date` shows.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = text(DATE).and_then(|date| parse_http_date(date).ok());
    let until = parse_http_date(asked).ok()?;
    let wait = until.duration_since(date.unwrap_or_else(SystemTime::now));
    Some(wait.unwrap_or_default())
}
