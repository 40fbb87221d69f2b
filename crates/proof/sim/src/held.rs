//! The token that a session's calls are sent with.

use ctc_core::Call;
use ctc_driver::__adapter::by_hand;
use ctc_driver::SharedSession;
use http::Request;

use crate::kinds::Kind;
use crate::wire::{ORIGIN, read_token};

/// A published pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) generation: u64,
    pub(crate) token: String,
}

/// Returns the session's token. While it is due for early renewal it is not published, and calls
/// ask for it.
pub(crate) fn probe(session: &SharedSession, kind: Kind) -> Option<Held> {
    let hidden = || {
        let token = session.unprotected_token().filter(|_| kind.is_oauth())?;
        Some(Held {
            generation: token.generation().number(),
            token: token.expose().to_owned(),
        })
    };
    published(session, kind).or_else(hidden)
}

/// Returns the token that a call would be sent with now.
fn published(session: &SharedSession, kind: Kind) -> Option<Held> {
    let mut request = Request::new(());
    *request.uri_mut() = http::Uri::from_static(ORIGIN);
    let mut call = Call::new(false);
    let stamped = by_hand::try_stamp(session, &mut call, &mut request).is_ok_and(|stamped| stamped);
    let generation = call.generation()?.number();
    stamped.then(|| Held {
        generation,
        token: read_token(request.headers(), kind).unwrap_or_default(),
    })
}
