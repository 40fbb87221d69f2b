//! Leave for a request to go out, and what is held of it until its response is there.

use ctc_core::{Call, Route, StampError};

use crate::options::CallOptions;
use crate::ports::{Outgoing, ReplayCopy};
use crate::shared::SharedSession;

/// What the driver holds of a request that is out.
pub(crate) struct SentRequest<R: Outgoing> {
    /// All that it takes to send it once more.
    kept: Option<R::ReplayCopy>,
    /// Of one that is not sent twice.
    route: Option<Route>,
}

impl<R: Outgoing> SentRequest<R> {
    /// Nothing moves what is held here: it is made where it stays.
    #[inline(always)]
    pub(crate) fn of(request: &R, options: &CallOptions) -> Self {
        let kept = if options.may_replay(request.method()) {
            request.replay_copy()
        } else {
            None
        };
        let route = if kept.is_none() {
            Some(request.route())
        } else {
            None
        };
        Self { kept, route }
    }

    pub(crate) fn route(&self) -> Route {
        let kept = self.kept.as_ref().map(ReplayCopy::route);
        kept.or(self.route).expect("one of them is there")
    }

    pub(crate) fn into_request(self) -> Option<R> {
        self.kept.map(ReplayCopy::into_request)
    }
}

impl SharedSession {
    /// Makes a request ready to be sent. Not while there is no token: then `false`, and it may go
    /// out after an [`admit`](Self::admit).
    #[inline]
    pub(crate) fn stamp_for_sending<R: Outgoing>(
        &self,
        call: &mut Call,
        request: &mut R,
        held: &SentRequest<R>,
    ) -> Result<bool, StampError> {
        call.set_replayable(held.kept.is_some());
        if self.try_stamp(call, request)? {
            self.counters().calls.count();
            return Ok(true);
        }
        self.check_origin(request).map(|()| false)
    }
}
