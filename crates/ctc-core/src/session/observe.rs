//! What a response to a call says about the session: the 401 table, rotation, clearing cookies.

use http::{HeaderMap, StatusCode};

use super::call::{Call, Route, Unauthorized, Verdict};
use super::record::TokenTimes;
use super::{Open, RejectedToken, Session};
use crate::time::{Instant, later};
use crate::wire::{TokenChange, mentions_token, read_token_change};

impl Session {
    /// Whether a response can say anything about a session: it is a 401, or sets or clears the
    /// token's cookie.
    #[inline]
    pub fn affects_session(status: StatusCode, headers: &HeaderMap) -> bool {
        status == StatusCode::UNAUTHORIZED || mentions_token(headers)
    }

    /// What does this response say about the session, and what is to become of it?
    ///
    /// Needed only when [`affects_session`](Self::affects_session) says so and while
    /// [`needs_every_response`](Self::needs_every_response): any other response is [`Verdict::Deliver`] and
    /// changes nothing.
    pub fn observe(
        &mut self,
        call: &mut Call,
        route: Route,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
    ) -> Verdict {
        let now = self.tick(now);
        if call.carried.is_none() {
            return Verdict::Deliver;
        }
        if status == StatusCode::UNAUTHORIZED {
            return self.unauthorized(call, route, headers, now);
        }
        self.rejected_routes.forget(route);
        // What is said to a call with an older token is about that token.
        if call.carried == Some(self.generation) && !self.closed {
            self.take_token_change(headers, now);
        }
        Verdict::Deliver
    }

    /// The 401 table. A new token that comes with a 401 is not taken up: the 401 says that a login
    /// is needed.
    fn unauthorized(
        &mut self,
        call: &mut Call,
        route: Route,
        headers: &HeaderMap,
        now: Instant,
    ) -> Verdict {
        if self.closed {
            return Verdict::Unauthorized(Unauthorized::Closed);
        }
        let current = self
            .open
            .as_ref()
            .filter(|open| call.carried == Some(open.pass.generation()));
        if let Some(open) = current {
            let about_the_route = self.is_about_the_route(call, route, open, now);
            // A clearing cookie is the server's word on the token, whatever the route.
            let held = Some(open.pass.token());
            let cleared = read_token_change(headers, held) == TokenChange::Cleared;
            if cleared {
                self.drop_token(now);
            }
            if about_the_route {
                let span = self.settings.fair_use.rejected_route_memory;
                self.rejected_routes.mark(route, span, now);
                return Verdict::Unauthorized(Unauthorized::RouteRejected);
            }
            // The 401 alone takes the token away only when another can be had for it.
            if !cleared
                && !self.has_pending_login(now)
                && let Err(denial) = self.governor.check(now)
            {
                return Verdict::Unauthorized(Unauthorized::NoLogin { denial });
            }
            self.drop_token(now);
        }
        // The token is gone, or there is a newer one already.
        call.replay()
    }

    /// Whether a 401 for the present token speaks of the route and not of the session: the token
    /// was obtained just now, for this very call, or this was so on this route a short while
    /// ago. A token that was only adopted from a store is no such proof by itself, but a second
    /// one refused here is.
    fn is_about_the_route(&self, call: &Call, route: Route, open: &Open, now: Instant) -> bool {
        let young = open.age(now) < self.settings.fair_use.short_token_lifetime;
        let obtained_for_this_call = call.saw_login && !open.adopted || call.replayed;
        young && obtained_for_this_call || self.rejected_routes.knows(route, now)
    }

    /// What a response other than 401 to a call with the newest token says about that token.
    fn take_token_change(&mut self, headers: &HeaderMap, now: Instant) {
        let held = self.open.as_ref().map(|open| open.pass.token());
        match read_token_change(headers, held) {
            TokenChange::Set { token, lifetime } => {
                let ends = lifetime.map(|lifetime| later(now, lifetime));
                if let Some(open) = self
                    .open
                    .as_mut()
                    .filter(|open| *open.pass.token() == token)
                {
                    open.ends = ends;
                } else if !self.has_rejected(&token) {
                    self.open_with(
                        TokenTimes {
                            token,
                            since: Some(now),
                            ends,
                        },
                        None,
                    );
                }
            }
            TokenChange::Cleared => self.drop_token(now),
            TokenChange::None | TokenChange::Unusable => {}
        }
    }

    fn drop_token(&mut self, now: Instant) {
        if let Some(open) = self.open.take() {
            self.governor.token_invalidated(open.age(now));
            let (token, generation) = (open.pass.token().clone(), open.pass.generation());
            self.rejected_token = Some(RejectedToken { token, generation });
            self.advance_epoch();
        }
    }
}
