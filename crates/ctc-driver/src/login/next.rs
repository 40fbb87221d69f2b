//! What a caller that needs a token does next.

use std::time::Duration;

use ctc_core::{Admit, Denial, Instant, Pass, Session, Wait};

use super::attempt::Attempt;
use crate::session::SharedSession;

/// What a caller that needs a token does next.
pub(crate) enum Next {
    /// There is one.
    Proceed,
    /// Makes this login, or has it made, and asks again.
    LogIn(Box<Attempt>),
    /// Waits, and asks again.
    Wait(Waiting),
}

pub(crate) struct Waiting {
    pub(crate) began: Instant,
    pub(crate) wait: Wait,
    /// For a denial's end, not for a login.
    pub(crate) is_denied: bool,
}

impl Waiting {
    pub(crate) fn pause(&self) -> Duration {
        self.wait.deadline.saturating_duration_since(self.began)
    }
}

/// Asks once for a token, by [`Session::admit`] or [`renewal`].
pub(crate) fn next(
    session: &SharedSession,
    ask: &mut impl FnMut(&mut Session, Instant) -> Admit,
    remaining: &RemainingWait,
) -> Result<Next, Denial> {
    let (admit, epoch, began) =
        session.with(|session, now| (ask(session, now), session.epoch(), now));
    let (wait, is_denied) = match admit {
        Admit::Proceed(_) => return Ok(Next::Proceed),
        Admit::Login(order) => {
            let attempt = Attempt::new(session, order.ticket, Some(order.request));
            return Ok(Next::LogIn(Box::new(attempt)));
        }
        Admit::NeedCredentials(ticket) => {
            return Ok(Next::LogIn(Box::new(Attempt::new(session, ticket, None))));
        }
        Admit::Wait(_) if session.is_inside_login() => return Err(Denial::InsideLogin),
        Admit::Wait(wait) => (wait, false),
        Admit::Deny(denial) => {
            let deadline = began + remaining.allows(&denial, began).ok_or(denial)?;
            (Wait { epoch, deadline }, true)
        }
    };
    Ok(Next::Wait(Waiting {
        began,
        wait,
        is_denied,
    }))
}

/// Asks for a newer token than the present one, which stays in use meanwhile. A login that is being
/// made will do.
pub(crate) fn renewal(session: &SharedSession) -> impl Fn(&mut Session, Instant) -> Admit + use<> {
    let before = session.with(|session, _| session.pass().map(Pass::generation));
    move |session, now| match session.pass() {
        Some(pass) if Some(pass.generation()) > before => Admit::Proceed(pass.clone()),
        _ => session.renew(now),
    }
}

/// How long a denied caller may still wait in total.
#[derive(Debug)]
pub(crate) struct RemainingWait(Duration);

impl RemainingWait {
    pub(crate) fn new(max_wait: Duration) -> Self {
        Self(max_wait)
    }

    /// How long to wait before asking again, if the caller may wait so long.
    pub(crate) fn allows(&self, denial: &Denial, now: Instant) -> Option<Duration> {
        denial.retry_after(now).filter(|pause| *pause <= self.0)
    }

    /// Charges a wait: all of it, or less if the session changed at `changed`.
    pub(crate) fn spend(&mut self, waiting: &Waiting, changed: Option<Instant>) {
        if waiting.is_denied {
            let end = changed.map_or(waiting.wait.deadline, |at| at.min(waiting.wait.deadline));
            self.0 = self
                .0
                .saturating_sub(end.saturating_duration_since(waiting.began));
        }
    }
}
