//! The token that a session's calls go out with.

use ctc_core::Call;
use ctc_driver::__adapter::by_hand;
use ctc_driver::SharedSession;
use http::Request;

use crate::wire::{ORIGIN, read_cookie};

/// A published pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) generation: u64,
    pub(crate) token: String,
}

/// What a call would go out with now.
pub(crate) fn probe(session: &SharedSession) -> Option<Held> {
    let mut request = Request::new(());
    *request.uri_mut() = http::Uri::from_static(ORIGIN);
    let mut call = Call::new(false);
    let stamped = by_hand::try_stamp(session, &mut call, &mut request).is_ok_and(|stamped| stamped);
    let generation = call.generation()?.number();
    stamped.then(|| Held {
        generation,
        token: read_cookie(request.headers()).unwrap_or_default(),
    })
}
