//! Rejected routes: those that rejected a new token too, so that no login helps, and those that
//! wait for a login to show whether it helps.

use std::time::Duration;

use super::call::Route;
use crate::time::{Instant, later};

/// How many routes are remembered; the one that is forgotten soonest makes room.
const MOST: usize = 64;
/// The longest that a route is remembered before one more login is spent on it.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long a suspect is remembered. A route that is called less often costs few logins, whatever
/// its 401 is about.
const SUSPECT_FOR: Duration = Duration::from_secs(30 * 60);

#[derive(Debug, Default)]
pub(super) struct RejectedRoutes {
    marks: Vec<Mark>,
    suspects: Vec<Suspect>,
}

#[derive(Debug)]
struct Mark {
    route: Route,
    until: Instant,
    span: Duration,
}

/// A route whose 401 ended a token, to a call that was not sent again: nothing says yet whether the
/// next login helps.
#[derive(Debug)]
struct Suspect {
    route: Route,
    /// Since then the new token was good for one that is akin.
    accepts_others: bool,
    until: Instant,
}

impl Suspect {
    fn covers(&self, route: Route) -> bool {
        self.route == route || !self.accepts_others && self.route.is_akin(route)
    }
}

impl RejectedRoutes {
    /// Whether this route is known as rejected.
    pub(super) fn knows(&self, route: Route, now: Instant) -> bool {
        self.marks
            .iter()
            .any(|mark| mark.route == route && mark.until > now)
    }

    /// The route rejected a new token. The time doubles each time that this happens again.
    pub(super) fn mark(&mut self, route: Route, first_span: Duration, now: Instant) {
        if let Some(mark) = self.marks.iter_mut().find(|mark| mark.route == route) {
            if mark.until <= now {
                mark.span = mark.span.saturating_mul(2).min(LONGEST);
                mark.until = later(now, mark.span);
            }
            return;
        }
        if self.marks.len() >= MOST {
            let soonest = self
                .marks
                .iter()
                .enumerate()
                .min_by_key(|(_, mark)| mark.until)
                .map(|(index, _)| index);
            self.marks.swap_remove(soonest.unwrap_or_default());
        }
        self.marks.push(Mark {
            route,
            until: later(now, first_span),
            span: first_span,
        });
    }

    /// The route responded with another status than 401.
    pub(super) fn forget(&mut self, route: Route) {
        self.marks.retain(|mark| mark.route != route);
    }

    /// Whether any route is known. One that is over stays in mind only for its span.
    pub(super) fn has_any(&self, now: Instant) -> bool {
        self.marks.iter().any(|mark| mark.until > now)
            || self.suspects.iter().any(|suspect| suspect.until > now)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// This route's 401 ended a token, and the call is not sent again.
    pub(super) fn suspect(&mut self, route: Route, now: Instant) {
        self.suspects
            .retain(|suspect| suspect.until > now && suspect.route != route);
        if self.suspects.len() >= MOST {
            self.suspects.remove(0);
        }
        self.suspects.push(Suspect {
            route,
            accepts_others: false,
            until: later(now, SUSPECT_FOR),
        });
    }

    /// The route's first 401 for the token that was obtained since: whether it is a suspect, which
    /// it is no longer.
    pub(super) fn convict(&mut self, route: Route, now: Instant) -> bool {
        let mut found = false;
        self.suspects.retain(|suspect| {
            found |= suspect.covers(route) && suspect.until > now;
            !suspect.covers(route)
        });
        found
    }

    /// The route took the token that was obtained since.
    pub(super) fn acquit(&mut self, route: Route) {
        self.suspects.retain(|suspect| suspect.route != route);
        for suspect in &mut self.suspects {
            suspect.accepts_others |= suspect.route.is_akin(route);
        }
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
