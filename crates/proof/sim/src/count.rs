//! What happened, as numbers.

macro_rules! faults {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// What can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault { $($name),* }

        /// Their names, in the order of a [`Tally`].
        const NAMES: &[&str] = &[$($text),*];
    };
}
faults!(
    NotSent = "request not sent",
    LostBefore = "request lost",
    LostAfter = "response lost",
    LoginRefused = "login rejected",
    LoginUnavailable = "login 5xx/408/425",
    LoginThrottled = "login 429",
    LoginWithoutToken = "login 200, no token",
    LoginRedirected = "login redirected",
    CallUnavailable = "call 503",
    CallForbidden = "call 403",
    Spurious401 = "401 for a valid token",
    RefusedRoute = "401 on a rejected route",
    Clearing = "clearing cookie",
    Rotation = "rotation",
    Cancelled = "call cancelled",
    Foreign = "call to another origin",
    StoreError = "store error",
    StoreSlow = "store slow",
    StoreForged = "record forged",
    ClockBack = "clock steps back",
    SlowScheduler = "time passes unscheduled",
    Lifecycle = "close/logout/reopen",
    Credentials = "credentials/reset",
    Frozen = "process frozen",
    Suspended = "process suspended",
    Killed = "process killed",
    Stopped = "runtime stopped",
    Idle = "runtime idle",
    Refused = "login task dropped",
    Left = "all callers and clients gone",
    Panicked = "panic in a login",
    LoginCut = "connection lost in a login",
    WallJump = "wall clock jumps",
    ServerState = "revoked/locked/outage",
    CredentialsRefused = "token endpoint: credentials",
    SetUpRefused = "token endpoint: set-up",
    RateLimitReset = "X-Rate-Limit-Reset",
    TokenOver = "OAuth token at its end",
    InsufficientScope = "insufficient_scope",
    RenewedEarly = "renewed ahead of the end",
    WaitedForRenewal = "renewal waited for",
    AlarmDropped = "alarm dropped",
    OtherLogin = "record of another login",
    SourceFailed = "source fails",
    SourceUnusable = "source unusable",
    SourceSlow = "source slow",
    SourceHung = "source hangs",
    SourcePanicked = "source panics",
    SourceAskedAgain = "source asked again",
    SourceHasOther = "  and has another password",
    SourceOnThread = "source asked on a thread",
    OwnLogin = "login on its caller's thread",
    NotRun = "login task not run in time",
);

/// Counts of one or many worlds.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Polls of a task and events of the world.
    pub events: u64,
    /// Calls that callers made.
    pub calls: u64,
    /// Calls that were cancelled, or lost with their process.
    pub unanswered: u64,
    /// Responses of 200 delivered.
    pub delivered: u64,
    /// Calls that were denied.
    pub denied: u64,
    /// Logins that reached the server.
    pub logins: u64,
    /// Tokens adopted from a store.
    pub adopted: u64,
    faults: [u64; NAMES.len()],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            events: 0,
            calls: 0,
            unanswered: 0,
            delivered: 0,
            denied: 0,
            logins: 0,
            adopted: 0,
            faults: [0; NAMES.len()],
        }
    }
}

impl Tally {
    pub(crate) const fn count(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    /// Adds another world's numbers.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.calls += other.calls;
        self.unanswered += other.unanswered;
        self.delivered += other.delivered;
        self.denied += other.denied;
        self.logins += other.logins;
        self.adopted += other.adopted;
        for (mine, theirs) in self.faults.iter_mut().zip(other.faults) {
            *mine += theirs;
        }
    }

    /// Returns the names of what was never reached.
    pub fn never(&self) -> Vec<&'static str> {
        let counted = NAMES.iter().copied().zip(self.faults);
        let never = counted.filter(|(_, count)| *count == 0);
        never.map(|(name, _)| name.trim()).collect()
    }

    /// Returns every number with its name.
    pub fn rows(&self) -> Vec<(&'static str, u64)> {
        let heads = [
            ("events", self.events),
            ("calls", self.calls),
            ("  delivered 200", self.delivered),
            ("  denied", self.denied),
            ("  cancelled or killed", self.unanswered),
            ("logins at the server", self.logins),
            ("sessions adopted", self.adopted),
        ];
        heads
            .into_iter()
            .chain(NAMES.iter().copied().zip(self.faults))
            .collect()
    }
}
