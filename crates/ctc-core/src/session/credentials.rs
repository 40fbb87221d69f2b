//! The credentials of a session: fixed, or asked for at each login.

use http::Request;

use super::Session;
use super::login::LoginTicket;
use super::open_record::Marks;
use crate::secret::{Credentials, FormBody};
use crate::time::{Instant, later};

impl Session {
    /// Sets new credentials. This lifts a rejection or backoff of this session (a backoff in a
    /// store's record still applies). A login in progress with the old ones counts only if it
    /// succeeds. The token stays unless the username changes; callers then wait for that login
    /// before the next is sent.
    ///
    /// Does nothing and returns `false` if the session has these credentials: to try the same
    /// again, call [`reset`](Self::reset). A session [without](Self::without_credentials)
    /// credentials keeps these from now on and no longer asks.
    pub fn set_credentials(&mut self, credentials: Credentials) -> bool {
        let marks = Marks::of(self.account(), &credentials);
        self.credentials = Some(credentials);
        self.take_marks(&marks)
    }

    /// Discards the password: each login from now on [asks](crate::Admit::NeedCredentials) for
    /// credentials. The token stays, and so does a rejection or backoff.
    pub fn forget_credentials(&mut self) {
        self.credentials = None;
    }

    /// Lifts a rejection or a backoff for the same credentials, for example after an account was
    /// unlocked. It overrides a store's record until the server has responded to a login. The login
    /// budget is unchanged.
    pub fn reset(&mut self) {
        self.governor.clear_stop();
        self.rejected_routes.clear();
        self.overrides_record = true;
        self.advance_epoch();
    }

    /// Provides the credentials for [`Admit::NeedCredentials`](crate::Admit::NeedCredentials).
    /// Returns the login to send, or `None` if it is no longer needed: then pass the ticket to
    /// [`cancel_unsent`](Self::cancel_unsent).
    ///
    /// The session does not keep the password. If they differ from those of the previous login,
    /// this has the effect of [setting](Self::set_credentials) them.
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

    /// Tries other credentials after the server rejected those of [`login_with`](Self::login_with)
    /// and before that is reported. Returns a second login, to be sent and reported instead of the
    /// first, or `None` if the credentials are the rejected ones, if the budget allows no second
    /// login, or if no login is needed: then report the first.
    ///
    /// In each case, the session has these credentials from now on.
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

    /// Changes to other credentials. `false` if the session has these.
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
