//! The clock type of this crate, used only as an argument.

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use std::time::Instant;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub use web_time::Instant;

use std::time::Duration;

/// `start + wait`, or the latest instant of the platform if the sum is out of range.
pub(crate) fn later(start: Instant, wait: Duration) -> Instant {
    const A_CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    start
        .checked_add(wait)
        .or_else(|| start.checked_add(A_CENTURY))
        .unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_that_cannot_be_named_is_a_century_away() {
        #[expect(clippy::disallowed_methods, reason = "a moment to count from")]
        let now = Instant::now();
        assert_eq!(
            later(now, Duration::from_secs(5)),
            now + Duration::from_secs(5)
        );
        let years = later(now, Duration::MAX).duration_since(now).as_secs() / (365 * 86_400);
        assert_eq!(years, 100);
    }
}
