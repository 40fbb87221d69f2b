//! A login's turn, if its session shares a limiter with others.

use futures_util::future::select;

use super::attempt::Attempt;
use super::io::{Io, SendLogin};
use crate::events::SessionEvent;
use crate::limiter::Place;

impl Attempt {
    /// Returns whether the limiter lets this login be sent now. If not, the login is in line.
    pub(super) fn has_turn(&mut self) -> bool {
        let Some(limiter) = self.session.limiter() else {
            return true;
        };
        let now = self.session.now();
        let place = self.place.get_or_insert_with(|| limiter.join());
        place.take(now).is_ok()
    }

    /// Waits for the turn, for as long as one login may take. If it returns `false`, the login is
    /// not sent. The caller must hold neither lock nor lease meanwhile.
    pub(super) async fn wait_for_turn(&mut self, io: &Io<dyn SendLogin>) -> bool {
        let session = self.session.clone();
        let (began, limit) = (session.now(), session.settings().login_timeout);
        // Its runtime runs it, so its caller may be elected again.
        self.settle();
        session.counters().queued.count();
        let ahead = self.place.as_ref().map_or(0, Place::ahead);
        session.tell(SessionEvent::LoginQueued { ahead });
        loop {
            // Listen first, ask second: a change in between is then never missed.
            let changed = session.listen();
            if !io.is_in_use() {
                self.cancel();
            }
            if !self.is_wanted() {
                self.place = None;
                return false;
            }
            let Some(place) = &mut self.place else {
                return true;
            };
            let called = place.called();
            let now = session.now();
            let Err(pause) = place.take(now) else {
                return true;
            };
            let left = limit.saturating_sub(now.saturating_duration_since(began));
            if left.is_zero() {
                let pause = place.outlook(now);
                self.place = None;
                self.report_failure(None, |session, ticket, now| {
                    session.login_limited(ticket, pause, now)
                });
                return false;
            }
            let pause = pause.unwrap_or(left).min(left);
            io.within(pause, select(changed, called)).await;
        }
    }
}
