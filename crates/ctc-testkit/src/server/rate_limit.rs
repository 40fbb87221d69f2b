//! The limit on the token requests of a user.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use super::cookies;

/// The token requests that each user made within the last second.
#[derive(Debug, Default)]
pub(super) struct RateLimit {
    recent: HashMap<String, VecDeque<SystemTime>>,
}

/// The state of a user's limit after a request.
pub(super) struct Standing {
    pub(super) allowed: bool,
    pub(super) remaining: u32,
    /// When the next request is allowed.
    pub(super) reset: SystemTime,
}

impl RateLimit {
    /// Counts a request, unless it is over the limit.
    pub(super) fn ask(&mut self, user: &str, limit: u32, now: SystemTime) -> Standing {
        let window = Duration::from_secs(1);
        let recent = self.recent.entry(user.to_owned()).or_default();
        recent.retain(|at| cookies::later(*at, window) > now);
        let allowed = recent.len() < limit as usize;
        if allowed {
            recent.push_back(now);
        }
        Standing {
            allowed,
            remaining: limit.saturating_sub(recent.len() as u32),
            reset: cookies::later(recent.front().copied().unwrap_or(now), window),
        }
    }
}
