//! What a response to a call says about the session: the 401 table, rotation, clearing cookies.

use http::{HeaderMap, Method, StatusCode};

use super::call::{Call, Route, Unauthorized, Verdict};
use super::open_record::TokenTimes;
use super::{Open, RejectedToken, Session};
use crate::time::{Instant, later};
use crate::wire::{BearerChallenge, LOGIN_PATH, TokenChange, mentions_token, read_token_change};

/// Whether this status shows that the token was accepted, by the vendor's list. A 404 or 5xx may
/// come from a gateway, or from before the check of the token.
fn accepts_token(status: StatusCode) -> bool {
    let behind_the_check = [
        StatusCode::NOT_MODIFIED,
        StatusCode::BAD_REQUEST,
        StatusCode::FORBIDDEN,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::CONFLICT,
    ];
    status.is_success() || behind_the_check.contains(&status)
}

impl Session {
    /// Returns whether a response can affect a session: it is a 401, or sets or clears the token's
    /// cookie.
    #[inline]
    pub fn affects_session(status: StatusCode, headers: &HeaderMap) -> bool {
        status == StatusCode::UNAUTHORIZED || mentions_token(headers)
    }

    /// Updates the session from a response, and returns what to do with the response.
    ///
    /// Needed only if [`affects_session`](Self::affects_session) returns true, while
    /// [`needs_every_response`](Self::needs_every_response), and for a call that
    /// [`was_replayed`](Call::was_replayed): any other response is [`Verdict::Deliver`] and changes
    /// nothing. So is the response to a call that is the vendor's login itself, which may be
    /// another user's.
    pub fn observe(
        &mut self,
        call: &mut Call,
        route: Route,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
    ) -> Verdict {
        let now = self.tick(now);
        // A login that a caller makes itself may be another user's: neither its token nor its 401
        // is about this session.
        if call.carried.is_none() || route == Route::new(&Method::POST, LOGIN_PATH) {
            return Verdict::Deliver;
        }
        if status == StatusCode::UNAUTHORIZED {
            return self.unauthorized(call, route, headers, now);
        }
        if accepts_token(status) {
            self.rejected_routes.forget(route);
            if self.carries_current(call) {
                self.rejected_routes.acquit(route);
            }
            if call.replayed && call.ended_token {
                self.governor.login_helped();
            }
        }
        // The response to a call with an older token is about that token. If the token is not a
        // cookie, cookies say nothing about it.
        if call.carried == Some(self.generation) && !self.closed && !self.is_oauth() {
            self.take_token_change(headers, now);
        }
        Verdict::Deliver
    }

    /// The handling of a 401. A new token beside a 401 is not adopted: the 401 says that a login is
    /// needed.
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
        let challenge = self.is_oauth().then(|| BearerChallenge::read(headers));
        if challenge == Some(BearerChallenge::InsufficientScope) {
            // The next token would have the same scope.
            self.reject_route(route, now);
            return Verdict::Unauthorized(Unauthorized::InsufficientScope);
        }
        let about_current = self.carries_current(call);
        if let Some(open) = self.open.as_ref().filter(|_| about_current) {
            let about_the_route = self.is_about_the_route(call, route, open, now);
            let again = self.rejected_routes.convict(route, now) && self.adopted != call.carried;
            // With a clearing cookie the server ends the token, whatever the route.
            let held = Some(open.pass.token());
            let cleared =
                challenge.is_none() && read_token_change(headers, held) == TokenChange::Cleared;
            if again || about_the_route && !self.rejected_routes.knows(route, now) {
                self.count_futile_login();
            }
            if cleared {
                self.drop_token(now);
            }
            if about_the_route {
                self.reject_route(route, now);
                return Verdict::Unauthorized(match challenge {
                    Some(BearerChallenge::Missing) => Unauthorized::NoChallenge,
                    _ => Unauthorized::RouteRejected,
                });
            }
            // Without a clearing cookie, drop the token only if another can be obtained.
            if !cleared
                && !self.has_pending_login(now)
                && let Err(denial) = self.governor.check(now)
            {
                return Verdict::Unauthorized(Unauthorized::NoLogin { denial });
            }
            self.drop_token(now);
            call.ended_token = true;
        }
        // The token was dropped, or there is a newer one already.
        let adopted = self.adopted.is_some() && self.adopted == call.carried;
        let verdict = call.replay(adopted);
        if about_current && verdict != Verdict::Replay {
            self.rejected_routes.suspect(route, now);
        }
        verdict
    }

    /// Whether a 401 with these headers has no challenge for bearer tokens, although the session's
    /// token is one: the server may not have looked at it. Never with the cookie login.
    pub fn lacks_challenge(&self, headers: &HeaderMap) -> bool {
        self.is_oauth() && BearerChallenge::read(headers) == BearerChallenge::Missing
    }

    /// Whether the call went out with the token that the session has now.
    fn carries_current(&self, call: &Call) -> bool {
        let held = self.open.as_ref().map(|open| open.pass.generation());
        held.is_some() && held == call.carried
    }

    fn is_oauth(&self) -> bool {
        self.settings.login.oauth().is_some()
    }

    fn reject_route(&mut self, route: Route, now: Instant) {
        let span = self.settings.fair_use.rejected_route_memory;
        self.rejected_routes.mark(route, span, now);
    }

    /// Whether a 401 for the present token speaks of the route and not of the session: the token
    /// was obtained just now, for this very call, or this was so on this route a short while
    /// ago. A token that was only adopted from a store is no such proof.
    fn is_about_the_route(&self, call: &Call, route: Route, open: &Open, now: Instant) -> bool {
        let young = open.age(now) < self.settings.fair_use.short_token_lifetime;
        let adopted = self.adopted == Some(open.pass.generation());
        let obtained_for_this_call = !adopted && (call.saw_login || call.replayed);
        young && obtained_for_this_call || self.rejected_routes.knows(route, now)
    }

    /// A route rejected the current token although it was obtained for that call: once for each
    /// token, the governor hears that a login did not help.
    fn count_futile_login(&mut self) {
        if let Some(open) = self.open.as_mut().filter(|open| !open.futile) {
            open.futile = true;
            self.governor.login_was_futile();
        }
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
                    .filter(|open| open.pass.token().is_same(&token))
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
            if !open.futile {
                self.governor.token_invalidated(open.age(now));
            }
            let (token, generation) = (open.pass.token().clone(), open.recorded);
            self.rejected_token = Some(RejectedToken { token, generation });
            self.advance_epoch();
        }
    }
}
