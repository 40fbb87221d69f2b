//! One session among many: its label, and the limiter that it shares with others.

use std::sync::Arc;

use super::SharedSession;
use crate::events::Who;
use crate::limiter::LoginLimiter;

impl SharedSession {
    /// Sets the label that this session's events, spans and metrics carry, such as the customer's
    /// number. It is visible in logs and metrics. Returns `false`, and changes nothing, if there
    /// is one already: with another one the session would appear as two.
    pub fn set_label(&self, label: impl Into<Arc<str>>) -> bool {
        self.0.counters.label.set(label.into()).is_ok()
    }

    /// Returns the label, if there is one.
    pub fn label(&self) -> Option<&str> {
        self.0.counters.label.get().map(|label| &**label)
    }

    /// Sets the limiter that this session's logins share with those of other sessions. Returns
    /// `false`, and changes nothing, if there is one already.
    pub fn set_login_limiter(&self, limiter: &LoginLimiter) -> bool {
        self.0.limiter.set(limiter.clone()).is_ok()
    }

    pub(crate) fn limiter(&self) -> Option<&LoginLimiter> {
        self.0.limiter.get()
    }

    pub(crate) fn who(&self) -> Who<'_> {
        Who {
            number: self.0.number,
            label: self.label(),
        }
    }
}
