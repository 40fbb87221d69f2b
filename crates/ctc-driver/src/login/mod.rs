//! What a login and a logout do, store included: the same steps for both drivers.

mod attempt;
mod elected;
pub(crate) mod io;
pub(crate) mod leased_store;
mod logout;
mod next;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use ctc_core::{FormBody, LoginReading, NoResponse, SendFailure, Session};
use futures_util::FutureExt;
use http::Request;
use tracing::Instrument;

pub(crate) use attempt::Attempt;
pub(crate) use elected::{Elected, START_TIMEOUT, Unstarted};
pub use logout::LogoutOutcome;
pub(crate) use logout::{LOGOUT_TIMEOUT, log_out};
pub(crate) use next::{Next, Waiting, next, renewal};

use crate::events::SessionEvent;
use crate::ports::LoginRequest;
use crate::session::store_view::SaveGuard;
use crate::threads::inside_login;
use attempt::Offered;
use io::{Io, SendLogin};
use leased_store::{LeasedStore, STORE_TIMEOUT, full_wait, lease};

#[cfg(test)]
mod tests;

/// How long the callers that wanted a login wait for its end once it is reported: a program that
/// ends after its first call would lose the token's save. The store may be slow.
pub(crate) const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Makes a login, or finds that another process made it already. Returns the panic of an HTTP
/// client or a store, which counts as a failed login.
pub(crate) async fn log_in(
    mut attempt: Box<Attempt>,
    io: &Io<dyn SendLogin>,
) -> Result<(), Box<dyn Any + Send>> {
    let span = attempt.span.clone();
    // Boxed: the thread that logs in for a herd may have a small stack.
    let steps = inside_login(io.session.number(), Box::pin(steps(&mut attempt, io)));
    let ended = AssertUnwindSafe(steps)
        .catch_unwind()
        .instrument(span)
        .await;
    if ended.is_err() {
        let failure = match attempt.is_sent {
            true => SendFailure::MaybeSent,
            false => SendFailure::NotSent,
        };
        attempt.report_failure(NoResponse::Panicked(failure), None);
    }
    ended
}

async fn steps(attempt: &mut Attempt, io: &Io<dyn SendLogin>) {
    let session = &io.session;
    let timeout = session.settings().login_timeout;
    if attempt.request.is_none() && !attempt.obtain_credentials(io).await {
        return;
    }
    let (mut store, response, succeeded) = loop {
        let Some((request, store)) = prepare(attempt, io).await else {
            return;
        };
        session.tell(SessionEvent::LoginSent);
        let reader = session.with(|session, _| session.login_reader());
        let login = LoginRequest::new(request, timeout).with_body_limit(reader.body_limit());
        // Outside of the lock: reading may run a rule of the user's own.
        let response = io.send(login).await.map(|response| {
            let (status, headers) = (response.status(), response.headers());
            let reader = reader.arrived_at(session.wall());
            reader.read(status, headers, response.body())
        });
        attempt.place = None;
        let succeeded = response.as_ref().is_ok_and(LoginReading::has_token);
        let is_rejected = response
            .as_ref()
            .is_ok_and(LoginReading::rejects_credentials);
        if !is_rejected || attempt.questions == 0 {
            break (store, response, succeeded);
        }
        // A source may take its time: never under the store's lease.
        store.release().await;
        if !attempt.ask_again(io).await {
            let store = lease(io, STORE_TIMEOUT).await;
            break (store.unwrap_or(LeasedStore::none(io)), response, false);
        }
    };
    if !succeeded {
        // Another process may have logged in, or begun a new record with a salt of its own.
        let (leased, kept) = store.load_with_key(STORE_TIMEOUT, false).await;
        store = leased.unwrap_or(LeasedStore::none(io));
        if attempt.offer(kept, Session::login_overtaken) == Offered::NotNeeded {
            return store.release().await;
        }
    }
    // If this task is dropped before the save, the next call saves what the login brought.
    let save = SaveGuard::of_login(session);
    let orphan = attempt.report(response);
    store.save().await;
    save.complete();
    store.release().await;
    attempt.unsaved = None;
    if let Some(logout) = orphan {
        let timeout = timeout.min(LOGOUT_TIMEOUT);
        drop(io.send(LoginRequest::new(*logout, timeout)).await);
    }
}

/// Takes the store's lease and asks its record. `None` if no login is to be sent.
async fn prepare<'a>(
    attempt: &mut Attempt,
    io: &'a Io<dyn SendLogin>,
) -> Option<(Request<FormBody>, LeasedStore<'a>)> {
    let session = &io.session;
    let wait = full_wait(session);
    let mut may_lose_the_lease = true;
    loop {
        let (store, kept) = match lease(io, wait).await {
            Some(store) => store.load_with_key(wait, !attempt.adopts_only).await,
            None => (None, None),
        };
        let Some(mut store) = store else {
            attempt.report_failure(NoResponse::StoreBusy, None);
            return None;
        };
        if kept.as_ref().is_some_and(|kept| !kept.has_token()) && store.has_tokens_of_others() {
            session.tell(SessionEvent::StoredByOthers);
        }
        let offered = attempt.offer(kept, Session::login_resumed);
        let proceeds = offered == Offered::Proceed && attempt.is_wanted(io);
        if proceeds && !attempt.has_turn() {
            // Other sessions are logging in: never wait for them under the lease.
            store.release().await;
            if attempt.wait_for_turn(io).await {
                continue;
            }
            return None;
        }
        // On record before it is sent: a process that dies in mid-login has spent this login all
        // the same. And a backoff or debt that another clock wrote counts by ours from here on, or
        // it might never end.
        let saves = proceeds || offered == Offered::Denied;
        let has_lost_the_lease = saves && !store.save().await;
        if has_lost_the_lease && proceeds && may_lose_the_lease {
            // This process slept past its lease: another may have logged in by now. Only once: a
            // store that loses every lease is a broken one.
            may_lose_the_lease = false;
            continue;
        }
        // The store may have been slow: the session may be closed by now, or its clients gone.
        if proceeds && let Some(request) = attempt.start(io) {
            return Some((request, store));
        }
        store.release().await;
        return None;
    }
}
