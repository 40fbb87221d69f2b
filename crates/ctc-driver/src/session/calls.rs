//! The path of a call through an open session: it takes the published pass and looks at the
//! response.

use std::sync::OnceLock;

use ctc_core::{Call, Generation, Pass, Route, Session, StampError, Unauthorized, Verdict};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};

use super::SharedSession;
use super::sharded::Sharded;
use super::sync::Ordering;
use crate::events::SessionEvent;
use crate::options::CallOptions;
use crate::ports::{Incoming, Outgoing, ReplayCopy, mark_cookies_sensitive, stamp};

/// The current pass, with a copy for each core: stamping clones its header values, and cores would
/// contend for their reference counts.
pub(super) struct Published {
    pass: Pass,
    /// Made when first used: a rotated token must not cost its caller a copy for every core.
    copies: Sharded<OnceLock<Pass>>,
}

impl Published {
    pub(super) fn new(pass: Pass) -> Self {
        Self {
            pass,
            copies: Sharded::new(OnceLock::new),
        }
    }

    pub(super) fn generation(&self) -> Generation {
        self.pass.generation()
    }

    #[inline]
    fn local(&self) -> &Pass {
        match self.copies.local().get() {
            Some(pass) => pass,
            None => self.copy(),
        }
    }

    #[cold]
    fn copy(&self) -> &Pass {
        self.copies.local().get_or_init(|| self.pass.deep_clone())
    }
}

/// What a response meant.
pub(crate) struct Observation {
    pub(crate) verdict: Verdict,
    /// The session has something to save, such as a new token from the response.
    pub(crate) unsaved: bool,
}

/// What the driver keeps of a request while it waits for the response.
pub(crate) enum SentRequest<R: Outgoing> {
    /// Enough to send it again.
    Replayable(R::ReplayCopy),
    /// The route of a request that is never sent again.
    Once(Route),
}

impl<R: Outgoing> SentRequest<R> {
    // Inlined, so that the copy is made in place: it is large, and a move is measurable.
    #[inline(always)]
    pub(crate) fn of(request: &R, options: &CallOptions) -> Self {
        if options.may_replay(request.method())
            && let Some(copy) = request.replay_copy()
        {
            return Self::Replayable(copy);
        }
        Self::Once(request.route())
    }

    fn route(&self) -> Route {
        match self {
            Self::Replayable(copy) => copy.route(),
            Self::Once(route) => *route,
        }
    }

    pub(crate) fn into_request(self) -> Option<R> {
        match self {
            Self::Replayable(copy) => Some(copy.into_request()),
            Self::Once(_) => None,
        }
    }
}

impl SharedSession {
    /// Makes a request ready to be sent. While there is no token it returns `false`: the request
    /// may go out after the call was admitted.
    #[inline]
    pub(crate) fn stamp_for_sending<R: Outgoing>(
        &self,
        call: &mut Call,
        request: &mut R,
        sent: &SentRequest<R>,
    ) -> Result<bool, StampError> {
        call.set_replayable(matches!(sent, SentRequest::Replayable(_)));
        if self.try_stamp(call, request)? {
            self.0.counters.calls.count();
            if call.was_replayed() {
                self.tell(SessionEvent::CallReplayed);
            }
            return Ok(true);
        }
        // A request that can never be stamped must not cost a login first.
        if self.0.endpoint.is_origin_of(request.target()) {
            return Ok(false);
        }
        Err(StampError::ForeignOrigin {
            endpoint: self.0.endpoint.origin().to_owned(),
        })
    }

    /// The path of a call while the session is open: stamps the request with the published pass,
    /// without a lock, a clock or an allocation.
    #[inline]
    pub(crate) fn try_stamp<R: Outgoing>(
        &self,
        call: &mut Call,
        request: &mut R,
    ) -> Result<bool, StampError> {
        let published = self.0.published.load();
        let Some(published) = &*published else {
            return Ok(false);
        };
        let pass = published.local();
        stamp(pass, request)?;
        call.carry(pass.generation());
        Ok(true)
    }

    /// Asks what the response to a call means, and marks its cookies as sensitive.
    #[inline]
    pub(crate) fn observe<R: Outgoing>(
        &self,
        call: &mut Call,
        sent: &SentRequest<R>,
        response: &mut impl Incoming,
    ) -> Observation {
        // A walk costs less than a look-up in a map of a few headers.
        let sets_cookies = response.headers().keys().any(|name| name == SET_COOKIE);
        let (status, headers) = (response.status(), response.headers());
        let verdict = self.judge(call, || sent.route(), status, headers, sets_cookies);
        if sets_cookies {
            mark_cookies_sensitive(response.headers_mut());
        }
        Observation {
            verdict,
            unsaved: self.0.store_view.has_unsaved(),
        }
    }

    /// Takes the lock only if the response can matter to the session.
    #[inline]
    pub(crate) fn judge(
        &self,
        call: &mut Call,
        route: impl FnOnce() -> Route,
        status: StatusCode,
        headers: &HeaderMap,
        sets_cookies: bool,
    ) -> Verdict {
        let may_matter = sets_cookies || status == StatusCode::UNAUTHORIZED;
        if call.was_replayed()
            || self.0.needs_every_response.load(Ordering::Acquire)
            || (may_matter && Session::affects_session(status, headers))
        {
            self.observe_locked(call, route(), status, headers)
        } else {
            Verdict::Deliver
        }
    }

    fn observe_locked(
        &self,
        call: &mut Call,
        route: Route,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Verdict {
        let (verdict, before, after) = self.with(|session, now| {
            let before = session.pass().map(Pass::generation);
            let verdict = session.observe(call, route, status, headers, now);
            (verdict, before, session.pass().map(Pass::generation))
        });
        match (before, after) {
            (_, Some(generation)) if after != before => {
                self.0.store_view.note_unsaved();
                self.tell(SessionEvent::TokenRotated { generation });
            }
            (Some(generation), None) => {
                let unchallenged = self.with(|session, _| session.lacks_challenge(headers));
                self.tell(SessionEvent::TokenInvalidated {
                    generation,
                    status,
                    unchallenged,
                });
            }
            _ => {}
        }
        if status == StatusCode::UNAUTHORIZED {
            self.0.counters.unauthorized.count();
        }
        verdict
    }

    /// Attaches the reason to a 401 that is about to be delivered.
    pub(crate) fn attach_reason(&self, response: &mut impl Incoming, why: Unauthorized) {
        self.tell(SessionEvent::UnauthorizedDelivered { why: &why });
        response.extensions_mut().insert(why);
    }
}
