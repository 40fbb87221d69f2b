//! What the shipped adapters and this project's own measurements share: not part of the stable API,
//! and exempt from semantic versioning.

use ctc_core::{Admit, Call, Route, StampError, Verdict, Wait};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};

pub use crate::caller::{fetch, prepare};
pub use crate::error::{no_response, no_session};
pub use crate::ports::{DISCARD_BYTES, DISCARD_TIMEOUT, Whole, within};
use crate::{AsyncDriver, AsyncTransport, CallError, CallOptions, Outgoing, SharedSession};

/// [`AsyncDriver::execute`] with a request that stays in its place until it is sent: for
/// futures around this one, which would otherwise hold it a second time.
pub fn execute_from<'a, T: AsyncTransport>(
    driver: &'a AsyncDriver<T>,
    place: &'a mut Option<T::Request>,
    options: &'a CallOptions,
) -> impl Future<Output = Result<T::Response, CallError<T::Error>>> + Send + use<'a, T> {
    driver.execute_from(place, options)
}

/// Records by hand: for tests of stores.
pub mod records {
    use ctc_core::__sealing::SealSeed;
    use ctc_core::{OpenRecord, SessionRecord};

    use crate::sealing::{Gate, Keys, SealKey, open as open_with, seal as seal_with};
    use crate::{SharedSession, StoreError, StoreSecret};

    /// What a record says to the credentials of `seed`.
    ///
    /// # Errors
    /// Returns [`StoreError`] if there is not enough memory to derive the key in.
    pub fn open(
        record: &SessionRecord,
        seed: &SealSeed,
        secret: Option<&StoreSecret>,
    ) -> Result<OpenRecord, StoreError> {
        let key = SealKey::derive(seed, record.salt(), secret);
        let key = key.map_err(StoreError::unavailable)?;
        Ok(open_with(record, seed.clone(), Some(&key)))
    }

    /// A session's record, sealed for the credentials that it is about, in place of `kept`.
    ///
    /// # Errors
    /// Returns [`StoreError`] if there is not enough memory to derive the key in, or no
    /// randomness.
    pub fn seal(
        ours: &OpenRecord,
        kept: Option<&SessionRecord>,
        salt: [u8; 16],
        secret: Option<&StoreSecret>,
    ) -> Result<SessionRecord, StoreError> {
        let salt = kept.map_or(salt, SessionRecord::salt);
        let key = |seed: &SealSeed| SealKey::derive(seed, salt, secret);
        let by = ours.token_to_seal().map(|(_, _, by)| key(by));
        let keys = Keys {
            salt,
            own: Some(key(ours.seed()).map_err(StoreError::unavailable)?),
            token: by.transpose().map_err(StoreError::unavailable)?,
        };
        seal_with(ours, kept, &keys).map_err(StoreError::unavailable)
    }

    /// Keeps every derivation of this process waiting until what it returns is dropped.
    pub fn hold_derivations() -> impl Sized {
        Gate::of_this_process().enter_alone()
    }

    /// Returns whether the session has its key for a store without a secret.
    pub fn has_key(session: &SharedSession) -> bool {
        let seed = session.record().seed().clone();
        session.keys().find(&seed, None, None).is_some()
    }

    /// Returns how many derivations ran at one time, at most.
    pub fn most_derivations() -> usize {
        Gate::of_this_process().most_inside()
    }
}

/// The steps of a call by hand: for measurements, and for tests of the locks.
pub mod by_hand {
    use super::*;

    /// Asks whether a call may go out. Drivers alone can make the login that this may hand out.
    pub fn admit(session: &SharedSession, call: &mut Call) -> Admit {
        session.with(|session, now| session.admit(call, now))
    }

    /// Stamps a request with the published pass. `false` if there is none.
    ///
    /// # Errors
    /// Returns [`StampError`] if the request goes to another origin.
    #[inline]
    pub fn try_stamp<R: Outgoing>(
        session: &SharedSession,
        call: &mut Call,
        request: &mut R,
    ) -> Result<bool, StampError> {
        session.try_stamp(call, request)
    }

    /// Asks what a response means.
    #[inline]
    pub fn observe(
        session: &SharedSession,
        call: &mut Call,
        route: impl FnOnce() -> Route,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Verdict {
        let sets_cookies = headers.keys().any(|name| name == SET_COOKIE);
        session.judge(call, route, status, headers, sets_cookies)
    }

    /// Waits for a login on this thread. Returns whether the session changed.
    pub fn wait(session: &SharedSession, wait: Wait) -> bool {
        session.wait(wait)
    }
}
