//! One call's own memory, and what the session says of its response.

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
    /// Since it was last sent, this call waited for a login: its token is as fresh as can be.
    pub(super) saw_login: bool,
    pub(super) replayed: bool,
    /// Its 401 ended the token: if it goes through after the login, that login helped. A 401 for an
    /// older token proves nothing, for that one the login itself may have ended.
    pub(super) ended_token: bool,
    /// One replay went out with a token that another process had left in a store, and did not
    /// count.
    forgiven: bool,
}

impl Call {
    /// A new call. `replayable` says that its request can be produced again, and that sending it
    /// twice is allowed; without it a 401 is delivered and only the session is renewed.
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

    /// Notes whether its request can and may be sent a second time, for a driver that learns it
    /// when it sends.
    #[inline]
    pub const fn set_replayable(&mut self, replayable: bool) {
        self.replayable = replayable;
    }

    /// The generation of the token that this call was last sent with.
    pub const fn generation(&self) -> Option<Generation> {
        self.carried
    }

    /// Whether the call was sent again after a 401. Its response then says whether a login helped:
    /// [`observe`](crate::Session::observe) it, whatever it is.
    #[inline]
    pub const fn was_replayed(&self) -> bool {
        self.replayed
    }

    /// Notes that the call goes out with `generation`'s token. [`admit`](crate::Session::admit)
    /// does this; only a driver that keeps a published [`Pass`](crate::Pass) of its own needs
    /// to.
    #[inline]
    pub const fn carry(&mut self, generation: Generation) {
        self.carried = Some(generation);
    }

    /// Asks for a second sending, which is granted once; and once more when it went out with a
    /// token that was only `adopted`, which may have been over for long.
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
    /// Hand it to the caller.
    Deliver,
    /// It is a 401: hand it to the caller, and say why the session did not cure it.
    Unauthorized(Unauthorized),
    /// Throw it away, [`admit`](crate::Session::admit) the call again and send the request once
    /// more.
    Replay,
}

/// Why a 401 was delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unauthorized {
    /// A token just obtained was refused too, now or a short while ago: this account may not use
    /// this route.
    #[error(
        "a fresh token is refused here too, so no login helps: ask whether this account may use \
         this route"
    )]
    RouteRejected,
    /// As [`RouteRejected`](Self::RouteRejected), with the OAuth login, and the response has no
    /// `WWW-Authenticate` challenge for bearer tokens: the server may not have looked at the token.
    #[error(
        "a fresh token is refused here too, without a challenge for bearer tokens: ask whether \
         this account may use this route, and check how calls carry the token \
         (Settings::attachment)"
    )]
    NoChallenge,
    /// The token's scope is too small for this route (`insufficient_scope`), which no login
    /// changes.
    #[error(
        "the token's scope does not include this route, so no login helps: ask for a larger scope \
         (OAuth::scope), or whether this account may use this route"
    )]
    InsufficientScope,
    /// No login may go out now. The token is kept: other routes may still take it.
    #[error("the token is refused, and no new login may be made now: make the call again later")]
    #[non_exhaustive]
    NoLogin {
        /// Why.
        #[source]
        denial: Denial,
    },
    /// The request cannot or may not be sent twice. The session is renewed with the next call.
    #[error(
        "this request is not sent twice (a stream, or a method that is not idempotent): make the \
         call again"
    )]
    NotReplayable,
    /// This call was already sent a second time.
    #[error("the call was already sent a second time with a newer token: make the call again")]
    AlreadyReplayed,
    /// The session was closed while the call was under way.
    #[error(
        "the session was closed (logged out) while the call was under way: reopen it to make \
         further calls"
    )]
    Closed,
}

impl Unauthorized {
    /// No login may be made now, as `denial` says: for drivers, which learn it when they want to
    /// send a call a second time.
    pub fn no_login(denial: Denial) -> Self {
        match denial {
            Denial::Closed => Self::Closed,
            denial => Self::NoLogin { denial },
        }
    }
}

/// A route (method and path, without the query) as far as 401 answers are concerned. Only hashes
/// are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    exact: u64,
    family: u64,
}

impl Route {
    /// The route of a request.
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
