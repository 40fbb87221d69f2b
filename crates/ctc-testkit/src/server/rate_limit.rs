//! How many token requests a user may make.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use super::cookies;

/// How many token requests each user made within the last second.
#[derive(Debug, Default)]
pub(super) struct RateLimit {
    recent: HashMap<String, VecDeque<SystemTime>>,
}

/// Where a user stands after a request.
pub(super) struct Standing {
    pub(super) allowed: bool,
    pub(super) remaining: u32,
    /// When there is room again.
    pub(super) reset: SystemTime,
}

impl RateLimit {
    /// A request that is not allowed does not count.
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
