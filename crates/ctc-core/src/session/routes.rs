//! Rejected routes: they rejected a new token too, so that no login helps.

use std::time::Duration;

use super::call::Route;
use crate::time::{Instant, later};

/// How many routes are remembered; the one that is forgotten soonest makes room.
const MOST: usize = 64;
/// The longest that a route is remembered before one more login is spent on it.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Default)]
pub(super) struct RejectedRoutes(Vec<Mark>);

#[derive(Debug)]
struct Mark {
    route: Route,
    until: Instant,
    span: Duration,
}

impl RejectedRoutes {
    /// Whether this route is known as rejected.
    pub(super) fn knows(&self, route: Route, now: Instant) -> bool {
        self.0
            .iter()
            .any(|mark| mark.route == route && mark.until > now)
    }

    /// The route rejected a new token. The time doubles each time that this happens again.
    pub(super) fn mark(&mut self, route: Route, first_span: Duration, now: Instant) {
        if let Some(mark) = self.0.iter_mut().find(|mark| mark.route == route) {
            if mark.until <= now {
                mark.span = mark.span.saturating_mul(2).min(LONGEST);
                mark.until = later(now, mark.span);
            }
            return;
        }
        if self.0.len() >= MOST {
            let soonest = self
                .0
                .iter()
                .enumerate()
                .min_by_key(|(_, mark)| mark.until)
                .map(|(index, _)| index);
            self.0.swap_remove(soonest.unwrap_or_default());
        }
        self.0.push(Mark {
            route,
            until: later(now, first_span),
            span: first_span,
        });
    }

    /// The route responded with another status than 401.
    pub(super) fn forget(&mut self, route: Route) {
        self.0.retain(|mark| mark.route != route);
    }

    /// Whether any route is known. One that is over stays in mind only for its span.
    pub(super) fn has_any(&self, now: Instant) -> bool {
        self.0.iter().any(|mark| mark.until > now)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn a_route_is_known_for_a_span_that_doubles_up_to_a_day() {
        let hours = |count: u64| Duration::from_secs(count * 3600);
        let (route, mut routes) = (Route::new(&Method::GET, "/a"), RejectedRoutes::default());
        #[expect(clippy::disallowed_methods, reason = "a moment to count from")]
        let mut marked = Instant::now();
        for span in [10, 20, 24, 24] {
            routes.mark(route, hours(10), marked);
            // It is known already.
            routes.mark(route, hours(10), marked + hours(1));
            assert!(
                routes.knows(route, marked + hours(span) - Duration::from_millis(1)),
                "{span}"
            );
            marked += hours(span);
            assert!(!routes.knows(route, marked), "{span}");
        }
    }
}
