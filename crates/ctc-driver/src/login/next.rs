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

    /// Charges a denied caller for this wait: all of it, or less if the session changed at
    /// `changed`.
    pub(crate) fn charge(&self, remaining: &mut Duration, changed: Option<Instant>) {
        if self.is_denied {
            let end = changed.map_or(self.wait.deadline, |at| at.min(self.wait.deadline));
            *remaining = remaining.saturating_sub(end.saturating_duration_since(self.began));
        }
    }
}

/// Asks once for a token, by [`Session::admit`] or [`renewal`], for a caller that may still wait
/// `remaining` in total while it is denied.
pub(crate) fn next(
    session: &SharedSession,
    ask: &mut impl FnMut(&mut Session, Instant) -> Admit,
    remaining: Duration,
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
            let pause = denial.retry_after(began).filter(|it| *it <= remaining);
            let deadline = began + pause.ok_or(denial)?;
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
