//! Whose session it is: credentials that are given once, or asked for at each login.

use http::Request;

use super::Session;
use super::denial::LoginFailure;
use super::login::{LoginOutcome, LoginTicket};
use super::open_record::Marks;
use crate::secret::{Credentials, FormBody};
use crate::time::{Instant, later};

impl Session {
    /// Takes new credentials: a rejection or pause of this session is lifted (a pause in a store's
    /// record still holds), and a login under way with the old ones no longer decides anything
    /// but its own success. The token stays unless the user name is another; callers then wait
    /// for that login's end before the next is sent.
    ///
    /// Does nothing and returns `false` when they are the ones it has: to try the same again there
    /// is [`reset`](Self::reset). A session [without](Self::without_credentials) credentials has
    /// these from now on, and asks for none.
    pub fn set_credentials(&mut self, credentials: Credentials) -> bool {
        let marks = Marks::of(self.account(), &credentials);
        self.credentials = Some(credentials);
        self.take_marks(&marks)
    }

    /// Forgets the password: each login from now on [asks](crate::Admit::NeedCredentials) for
    /// credentials. The token stays, as does a rejection or pause.
    pub fn forget_credentials(&mut self) {
        self.credentials = None;
    }

    /// Lifts a rejection or a pause with the same credentials, say after an account was unlocked;
    /// what a store's record says of them is overridden until the server has answered a login. The
    /// login budget stays as it is.
    pub fn reset(&mut self) {
        self.governor.clear_stop();
        self.rejected_routes.clear();
        self.overrides_record = true;
        self.advance_epoch();
    }

    /// Gives the credentials of [`Admit::NeedCredentials`](crate::Admit::NeedCredentials). Returns
    /// the login to send, or `None` if it is no longer wanted: then hand the ticket to
    /// [`cancel_unsent`](Self::cancel_unsent).
    ///
    /// The session does not keep the password. If these are not the credentials of the login before
    /// this one, it is as if they had been [set](Self::set_credentials).
    pub fn login_with(
        &mut self,
        ticket: &LoginTicket,
        credentials: &Credentials,
        now: Instant,
    ) -> Option<Request<FormBody>> {
        let now = self.tick(now);
        if self.credentials.is_some() || !self.login_is_wanted(ticket, now) {
            return None;
        }
        let marks = Marks::of(self.account(), credentials);
        self.take_marks(&marks);
        // The source may have taken its time.
        let lease_until = later(now, self.settings.lease);
        let pending_login = self.pending_login.as_mut()?;
        (pending_login.marks, pending_login.lease_until) = (marks, lease_until);
        Some(self.requests.login(&self.key, credentials))
    }

    /// After the server rejected the credentials of [`login_with`](Self::login_with) and before
    /// that is reported: tries what the source says by now. Returns a second login, to be sent and
    /// reported in place of the first. `None` if the credentials are the rejected ones, if the
    /// budget allows no second login, or if none is wanted: then report the first.
    ///
    /// Either way, the session has these credentials from now on.
    pub fn login_again(
        &mut self,
        ticket: &LoginTicket,
        credentials: &Credentials,
        now: Instant,
    ) -> Option<Request<FormBody>> {
        let now = self.tick(now);
        if self.credentials.is_some() || !self.still_counts(ticket) {
            return None;
        }
        let marks = Marks::of(self.account(), credentials);
        if !self.take_marks(&marks) {
            return None;
        }
        self.governor.check(now).ok()?;
        self.governor.charge(now);
        let lease_until = later(now, self.settings.lease);
        let pending_login = self.pending_login.as_mut()?;
        (pending_login.marks, pending_login.lease_until) = (marks, lease_until);
        pending_login.sent = false;
        Some(self.requests.login(&self.key, credentials))
    }

    /// Reports a login that was not sent because there are no credentials to send: their source
    /// failed. After a failure that time may cure there is a backoff, as for a server that could
    /// not be reached; otherwise no login is made until [`reset`](Self::reset) or
    /// [`set_credentials`](Self::set_credentials).
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn credentials_failed(
        &mut self,
        ticket: LoginTicket,
        is_transient: bool,
        now: Instant,
    ) -> LoginOutcome {
        if is_transient {
            return self.fail(&ticket, LoginFailure::CredentialsUnavailable, false, now);
        }
        let now = self.tick(now);
        let counts = self.still_counts(&ticket);
        if self.take_pending(&ticket).is_some() {
            self.governor.refund(now);
        }
        if counts {
            LoginOutcome::Failed(self.governor.no_credentials())
        } else {
            LoginOutcome::Stale { orphan: None }
        }
    }

    /// Goes over to other credentials. `false` when they are the ones it has.
    fn take_marks(&mut self, marks: &Marks) -> bool {
        if *marks == self.marks {
            return false;
        }
        if marks.account != self.marks.account && self.marks != Marks::unknown() {
            self.open = None;
            self.forget_account();
            self.logged_out = None;
        }
        self.marks = marks.clone();
        (self.proven, self.refused_at, self.overcome) = (None, None, None);
        self.governor.clear_stop();
        self.advance_epoch();
        true
    }
}
