//! The state of one call, and what the session decides about its response.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::Method;

use super::denial::Denial;
use super::pass::Generation;

/// One call, from its first [`admit`](crate::Session::admit) to the response that is delivered. A
/// replay is the same call.
#[derive(Debug)]
pub struct Call {
    /// Whether the request can and may be sent a second time.
    replayable: bool,
    pub(super) carried: Option<Generation>,
    /// Since it was last sent, this call waited for a login: its token is new.
    pub(super) saw_login: bool,
    pub(super) replayed: bool,
    /// Its 401 ended the token: if the call succeeds after the login, that login helped. A 401 for
    /// an older token proves nothing, because the login itself may have ended that token.
    pub(super) ended_token: bool,
    /// One replay was sent with a token adopted from a store, and did not count.
    forgiven: bool,
}

impl Call {
    /// Creates a call. `replayable` says that its request can be produced again and may be sent
    /// twice; without it, a 401 is delivered and only the session is renewed.
    pub const fn new(replayable: bool) -> Self {
        Self {
            replayable,
            carried: None,
            saw_login: false,
            replayed: false,
            ended_token: false,
            forgiven: false,
        }
    }

    /// Sets whether its request can and may be sent a second time, for a driver that learns this
    /// only when it sends.
    #[inline]
    pub const fn set_replayable(&mut self, replayable: bool) {
        self.replayable = replayable;
    }

    /// Returns the generation of the token that this call was last sent with.
    pub const fn generation(&self) -> Option<Generation> {
        self.carried
    }

    /// Returns whether the call was replayed after a 401. Its response then shows whether the login
    /// helped: pass it to [`observe`](crate::Session::observe), whatever its status.
    #[inline]
    pub const fn was_replayed(&self) -> bool {
        self.replayed
    }

    /// Records that the call is sent with `generation`'s token. [`admit`](crate::Session::admit)
    /// does this; only a driver that publishes a [`Pass`](crate::Pass) itself has to call it.
    #[inline]
    pub const fn carry(&mut self, generation: Generation) {
        self.carried = Some(generation);
    }

    /// Grants one replay, and a second one if the call was sent with a token that was only
    /// `adopted`, which may have been invalid for long.
    pub(super) fn replay(&mut self, adopted: bool) -> Verdict {
        if !self.replayable {
            return Verdict::Unauthorized(Unauthorized::NotReplayable);
        }
        if self.replayed {
            if !adopted || self.forgiven {
                return Verdict::Unauthorized(Unauthorized::AlreadyReplayed);
            }
            self.forgiven = true;
        }
        self.replayed = true;
        self.saw_login = false;
        Verdict::Replay
    }
}

/// What to do with a response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Deliver it to the caller.
    Deliver,
    /// It is a 401: deliver it to the caller, with the reason why the session could not recover.
    Unauthorized(Unauthorized),
    /// Discard it, [`admit`](crate::Session::admit) the call again and replay the request.
    Replay,
}

/// Why a 401 was delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unauthorized {
    /// A new token was rejected too, now or recently: this account may not use this route.
    #[error(
        "a new token was rejected here too, so logging in does not help: ask whether this account \
         may use this route"
    )]
    RouteRejected,
    /// As [`RouteRejected`](Self::RouteRejected), with the OAuth login, and the response has no
    /// `WWW-Authenticate` challenge for bearer tokens: the server may not have looked at the token.
    #[error(
        "a new token was rejected here too, without a challenge for bearer tokens: ask whether \
         this account may use this route, and check how calls carry the token \
         (Settings::attachment)"
    )]
    NoChallenge,
    /// The token's scope is too small for this route (`insufficient_scope`), which no login
    /// changes.
    #[error(
        "the token's scope does not include this route, so logging in does not help: request a \
         larger scope (OAuth::scope), or ask whether this account may use this route"
    )]
    InsufficientScope,
    /// No login may be made now. The token is kept: other routes may still accept it.
    #[error("the token was rejected, and no login may be made now: make the call again later")]
    #[non_exhaustive]
    NoLogin {
        /// Why.
        #[source]
        denial: Denial,
    },
    /// The request cannot or may not be sent twice. The session is renewed with the next call.
    #[error(
        "the request was not replayed (its body is a stream, or its method or options do not \
         allow it): make the call again"
    )]
    NotReplayable,
    /// This call was already replayed.
    #[error("the call was already replayed with a newer token: make the call again")]
    AlreadyReplayed,
    /// The session was closed during the call.
    #[error("the session was closed (logged out) during the call: reopen it to make further calls")]
    Closed,
}

impl Unauthorized {
    /// Returns the reason for a denied login. For drivers, which get the denial when they replay a
    /// call.
    pub fn no_login(denial: Denial) -> Self {
        match denial {
            Denial::Closed => Self::Closed,
            denial => Self::NoLogin { denial },
        }
    }
}

/// A route (method and path, without the query), for remembering its 401. Only hashes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    exact: u64,
    family: u64,
}

impl Route {
    /// Creates the route of a request.
    pub fn new(method: &Method, path: &str) -> Self {
        let hash = |write: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            method.hash(&mut hasher);
            write(&mut hasher);
            hasher.finish()
        };
        let is_id = |segment: &str| segment.bytes().any(|byte| byte.is_ascii_digit());
        Self {
            exact: hash(&|hasher| path.hash(hasher)),
            family: hash(&|hasher| {
                let segments = path.split('/');
                segments.for_each(|segment| match is_id(segment) {
                    true => "1".hash(hasher),
                    false => segment.hash(hasher),
                });
            }),
        }
    }

    /// Whether the two differ in nothing but ids: parts of the path with a digit in them.
    pub(super) const fn is_akin(self, other: Self) -> bool {
        self.family == other.family
    }
}
