//! Leave for a request to go out, and what is held of it until its answer is there.

use ctc_core::{Call, Route, StampError};

use crate::options::CallOptions;
use crate::ports::{Kept, Outgoing};
use crate::shared::SharedSession;

/// What the driver holds of a request that is out.
pub(crate) enum Held<R: Outgoing> {
    /// All that it takes to send it once more.
    Request(R::Kept),
    /// Only its route: it is not sent twice.
    Route(Route),
}

impl<R: Outgoing> Held<R> {
    pub(crate) fn of(request: &R, options: &CallOptions) -> Self {
        let kept = if options.may_replay(request.method()) { request.keep() } else { None };
        kept.map_or_else(|| Self::Route(request.route()), Self::Request)
    }

    pub(crate) fn is_replayable(&self) -> bool {
        matches!(self, Self::Request(_))
    }

    pub(crate) fn route(&self) -> Route {
        match self {
            Self::Request(kept) => kept.route(),
            Self::Route(route) => *route,
        }
    }

    pub(crate) fn again(self) -> Option<R> {
        match self {
            Self::Request(kept) => Some(kept.again()),
            Self::Route(_) => None,
        }
    }
}

impl SharedSession {
    /// Makes a request ready to be sent, and says what is held of it meanwhile. `None` while there is no token:
    /// then it may go out, after an [`admit`](Self::admit).
    #[inline]
    pub(crate) fn leave<R: Outgoing>(
        &self,
        call: &mut Call,
        request: &mut R,
        options: &CallOptions,
    ) -> Result<Option<Held<R>>, StampError> {
        request.complete(self.bound_to());
        let held = Held::of(request, options);
        call.set_replayable(held.is_replayable());
        if self.try_stamp(call, request)? {
            self.counters().calls.count();
            return Ok(Some(held));
        }
        self.check_origin(request).map(|()| None)
    }
}
