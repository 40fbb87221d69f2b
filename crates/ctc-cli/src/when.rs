//! Times in the command's output: seconds since 1970, and RFC 3339 in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use serde_json::{Value, json};

/// Formats a time for JSON: `{"epoch": 1795795200, "utc": "2026-11-27T16:00:00Z"}`.
pub(crate) fn json_time(time: SystemTime) -> Value {
    json!({ "epoch": epoch(time), "utc": utc(time) })
}

/// Returns whole seconds since 1970.
pub(crate) fn epoch(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs()
}

/// Formats a time as RFC 3339, in UTC, to the second.
pub(crate) fn utc(time: SystemTime) -> String {
    let seconds = epoch(time);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Converts a day, counted from 1970-01-01, to year, month and day. The calculation begins years in
/// March, so that the leap day is the last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// Formats a span in suitable units: `45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Formats a time as `2026-11-27T16:00:00Z (3 min ago)`, or with `(in 3 min)`.
pub(crate) fn around_now(time: SystemTime, now: SystemTime) -> String {
    match now.duration_since(time) {
        Ok(ago) => format!("{} ({} ago)", utc(time), span(ago)),
        Err(ahead) => format!("{} (in {})", utc(time), span(ahead.duration())),
    }
}

/// Returns the wait that a `Retry-After` header asks for. A date counts by the server's clock.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let now = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let then = httpdate::parse_http_date(text).ok()?;
    Some(
        then.duration_since(now.unwrap_or_else(SystemTime::now))
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_formatted_in_utc() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_795_797_296), "2026-11-27T16:34:56Z");
        assert_eq!(at(4_102_444_799), "2099-12-31T23:59:59Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    /// Compares with another implementation, on a day of every month of two centuries.
    #[test]
    fn dates_are_those_of_the_http_date_crate() {
        for month in 0..2400_u64 {
            let time = UNIX_EPOCH + Duration::from_secs(month * 2_629_746 + 11_111);
            let http = httpdate::fmt_http_date(time); // Fri, 27 Nov 2026 16:34:56 GMT
            let utc = utc(time);
            assert_eq!(http[5..7], utc[8..10], "{http} {utc}");
            assert_eq!(http[12..16], utc[..4], "{http} {utc}");
            assert_eq!(http[17..25], utc[11..19], "{http} {utc}");
        }
    }

    #[test]
    fn spans_are_formatted_in_at_most_two_units() {
        let told = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(told(119), "119 s");
        assert_eq!(told(120), "2 min");
        assert_eq!(told(11_100), "3 h 5 min");
        assert_eq!(told(187_200), "2 d 4 h");
    }
}
