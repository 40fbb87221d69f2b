//! A record as text and as JSON. This needs no password, and shows no token.

use std::time::{Duration, SystemTime};

use ctc_driver::ctc_core::{FairUse, RecordOverview, TokenOverview};
use serde_json::{Map, Value, json};

use crate::exit::Exit;
use crate::when::{around_now, json_time, span};

/// The state of a session, as its record shows it now.
#[derive(Debug)]
pub(crate) struct State {
    overview: Option<RecordOverview>,
    now: SystemTime,
    /// How many logins may be made in a row, and when the next is allowed if that is none.
    logins_left: u32,
    burst: u32,
    next_login: Option<Duration>,
}

impl State {
    /// Reads the state at `now` from a record, or from its absence, under the default rules of fair
    /// use.
    pub(crate) fn new(overview: Option<RecordOverview>, now: SystemTime) -> Self {
        let FairUse { burst, refill, .. } = FairUse::default();
        let debt = overview.as_ref().map_or(Duration::ZERO, |overview| {
            let age = now.duration_since(overview.saved_at).unwrap_or_default();
            overview.login_debt.saturating_sub(age)
        });
        let room = refill.saturating_mul(burst.get() - 1);
        let (logins_left, next_login) = match room.checked_sub(debt) {
            Some(rest) => (1 + whole(rest, refill), None),
            None => (0, Some(debt.saturating_sub(room))),
        };
        Self {
            overview,
            now,
            logins_left,
            burst: burst.get(),
            next_login,
        }
    }

    fn token(&self) -> Option<&TokenOverview> {
        self.overview.as_ref()?.tokens.first()
    }

    /// Returns the current backoff: its end, its cause, and how long it lasts from now.
    fn backoff(&self) -> Option<(SystemTime, String, Duration)> {
        let (until, cause) = self.overview.as_ref()?.backoff.as_ref()?;
        let left = until.duration_since(self.now).ok()?;
        (!left.is_zero()).then(|| (*until, cause.to_string(), left))
    }

    fn rejections(&self) -> Vec<u16> {
        let rejections = self
            .overview
            .iter()
            .flat_map(|overview| &overview.rejections);
        rejections.map(http::StatusCode::as_u16).collect()
    }

    /// Returns the phase that a session would start in, and its exit code.
    pub(crate) fn phase(&self) -> (&'static str, Exit) {
        if self.token().is_some() {
            ("open", Exit::Done)
        } else if !self.rejections().is_empty() {
            ("rejected", Exit::Rejected)
        } else if self.backoff().is_some() {
            ("backing_off", Exit::TryLater)
        } else if self.logins_left == 0 {
            ("budget_spent", Exit::TryLater)
        } else {
            ("empty", Exit::LoggedOut)
        }
    }

    /// Returns how long to wait until a call can succeed; `None` if waiting does not help.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let (_, exit) = self.phase();
        let backoff = self.backoff().map(|(_, _, left)| left);
        backoff
            .max(self.next_login)
            .filter(|_| exit == Exit::TryLater)
    }

    /// Returns the lines of a table.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("session", self.session_in_words())];
        let Some(overview) = &self.overview else {
            return lines;
        };
        if overview.tokens.len() > 1 {
            let others = overview.tokens.len() - 1;
            lines.push(("", format!("and {others} more, each for another password")));
        }
        lines.push(("logins", self.budget_in_words()));
        if let Some((until, cause, _)) = self.backoff() {
            lines.push((
                "backoff",
                format!("until {}: {cause}", around_now(until, self.now)),
            ));
        }
        let rejections = self.rejections();
        if !rejections.is_empty() {
            let statuses: Vec<_> = rejections.iter().map(u16::to_string).collect();
            lines.push((
                "rejected",
                format!(
                    "with status {}: no login is made with that password until `ctc reset`",
                    statuses.join(", ")
                ),
            ));
        }
        lines.push(("written", around_now(overview.saved_at, self.now)));
        lines
    }

    fn session_in_words(&self) -> String {
        let Some(token) = self.token() else {
            let (phase, _) = self.phase();
            return match phase {
                "rejected" => "none; the server rejected the login".to_owned(),
                "backing_off" => "none; the last login failed".to_owned(),
                "budget_spent" => "none; the login budget is spent".to_owned(),
                _ => "none; the next call logs in".to_owned(),
            };
        };
        let since = token.obtained_at;
        let since = since.map_or("unknown".to_owned(), |time| around_now(time, self.now));
        let end = token.expires_at;
        let end = end.map_or("unknown".to_owned(), |time| around_now(time, self.now));
        format!(
            "open, token {}; since {since}; known end: {end}",
            token.generation
        )
    }

    fn budget_in_words(&self) -> String {
        match self.next_login {
            None => format!("{} of {} may be made now", self.logins_left, self.burst),
            Some(wait) => format!("budget spent; the next may be made in {}", span(wait)),
        }
    }

    /// Returns the members of a JSON object.
    pub(crate) fn json(&self) -> Map<String, Value> {
        let overview = self.overview.as_ref();
        let tokens = overview.into_iter().flat_map(|overview| &overview.tokens);
        let tokens: Vec<_> = tokens.map(token_json).collect();
        let time = |time: Option<SystemTime>| time.map(json_time);
        let backoff = self.backoff().map(|(until, cause, left)| {
            json!({ "until": json_time(until), "seconds": seconds(left), "cause": cause })
        });
        let object = json!({
            "phase": self.phase().0,
            "saved_at": time(overview.map(|overview| overview.saved_at)),
            "tokens": tokens,
            "login_budget": {
                "left": self.logins_left,
                "burst": self.burst,
                "next_in_seconds": self.next_login.map(seconds),
            },
            "backoff": backoff,
            "rejections": self.rejections(),
            "failures": overview.map_or(0, |overview| overview.failures),
            "retry_after_seconds": self.retry_after().map(seconds),
        });
        match object {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }
}

fn token_json(token: &TokenOverview) -> Value {
    json!({
        "generation": token.generation.number(),
        "obtained_at": token.obtained_at.map(json_time),
        "expires_at": token.expires_at.map(json_time),
    })
}

fn seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

/// Returns how often `part` fits into `whole`.
fn whole(whole: Duration, part: Duration) -> u32 {
    let times = whole.as_millis() / part.as_millis().max(1);
    u32::try_from(times).unwrap_or(u32::MAX)
}

/// Formats a table of two columns.
pub(crate) fn table(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let rows = lines
        .iter()
        .map(|(name, text)| format!("{name:width$}  {text}\n"));
    rows.collect()
}
