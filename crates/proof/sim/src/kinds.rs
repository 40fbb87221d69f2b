//! Which login the processes of a world make, on what terms, and where their credentials come from.

use std::time::Duration;

use ctc_core::{EarlyRenewal, Login, OAuth};

use crate::rng::Rng;

pub(crate) const TOKEN_URL: &str = "https://login.example/oauth2/v1/token";
pub(crate) const REVOKE_URL: &str = "https://login.example/oauth2/v1/revoke";
pub(crate) const CLIENTS: [&str; 2] = ["client-a", "client-b"];

/// A login; with OAuth, for one of the [`CLIENTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Cookie,
    OAuth(usize),
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Cookie, Kind::OAuth(0), Kind::OAuth(1)];

impl Kind {
    pub(crate) const fn is_oauth(self) -> bool {
        matches!(self, Self::OAuth(_))
    }

    pub(crate) fn login(self, terms: &Terms) -> Option<Login> {
        let Self::OAuth(client) = self else {
            return Some(Login::AuthToken);
        };
        let oauth = OAuth::new(TOKEN_URL, CLIENTS[client]).ok()?;
        let oauth = oauth.send_app_key(terms.sends_key);
        Some(Login::OAuth(if terms.revokes {
            oauth.revoke_on_logout()
        } else {
            oauth
        }))
    }
}

/// The OAuth logins of a world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// How long a token lives, as the server states it. `None`: until it is revoked, and the server
    /// states nothing.
    pub(crate) life: Option<Duration>,
    pub(crate) early: Option<EarlyRenewal>,
    pub(crate) sends_key: bool,
    pub(crate) revokes: bool,
}

impl Terms {
    /// Returns the rules of early renewal and the lifetime, if tokens are renewed early.
    pub(crate) fn renewal(&self) -> Option<(EarlyRenewal, Duration)> {
        let (early, life) = (self.early?, self.life?);
        (life >= early.shortest_life).then_some((early, life))
    }

    fn draw(rng: &mut Rng, long: bool) -> Self {
        let second = Duration::from_secs;
        let lives = [5, 40, 300, 300, 600, 3600, 86_400];
        let life = match (long, rng.index(lives.len() + 1)) {
            (true, _) => Some(second(rng.pick(&[600, 3600, 86_400]))),
            (false, at) => lives.get(at).copied().map(second),
        };
        let mut early = EarlyRenewal::default();
        if rng.chance(600) {
            let (advised, mandatory) = rng.pick(&[(50, 25), (50, 10), (30, 15), (100, 50)]);
            (early.advised_percent, early.mandatory_percent) = (advised, mandatory);
        }
        if rng.chance(300) {
            early.shortest_life = second(30);
        }
        Self {
            life,
            early: (long || rng.chance(900)).then_some(early),
            sends_key: rng.chance(800),
            revokes: rng.chance(300),
        }
    }
}

/// Where a process's credentials come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// They are fixed.
    None,
    /// A source that is asynchronous.
    Async,
    /// A blocking source, which the asynchronous driver asks on a thread.
    Threaded,
    /// A blocking source of the blocking driver.
    Blocking,
}

impl Source {
    pub(crate) fn is_some(self) -> bool {
        self != Self::None
    }

    /// Whether its process has the blocking driver.
    pub(crate) fn is_blocking(self) -> bool {
        self == Self::Blocking
    }
}

/// How often sources of credentials go wrong, in 1000.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SourceFaults {
    pub(crate) fails: u64,
    pub(crate) unusable: u64,
    pub(crate) slow: u64,
    pub(crate) hangs: u64,
}

/// What a world has beside cookie logins with fixed credentials, or instead of them.
pub(crate) struct Logins {
    /// Of each process.
    pub(crate) kinds: Vec<Kind>,
    /// Of each process.
    pub(crate) sources: Vec<Source>,
    pub(crate) terms: Terms,
    pub(crate) source_faults: SourceFaults,
    /// The tokens' scope is too small for one route.
    pub(crate) small_scope: bool,
}

impl Logins {
    /// Most worlds have neither. `quiet`: nothing may go wrong. `alike`: all processes make the
    /// same login, with tokens that outlive the world and fixed credentials.
    pub(crate) fn draw(rng: &mut Rng, processes: usize, quiet: bool, alike: bool) -> Self {
        let (oauth, cookie, source) = match rng.below(20) {
            0..=2 => (1000, 0, 0),
            3 | 4 => (1000, 400, 0),
            5 | 6 => (1000, 100, 700),
            7 => (0, 0, 800),
            _ => (0, 0, 0),
        };
        let client = rng.index(2);
        let other_clients = rng.pick(&[0, 0, 400]);
        let kind = |rng: &mut Rng| {
            if !rng.chance(oauth) || (!alike && rng.chance(cookie)) {
                Kind::Cookie
            } else if !alike && rng.chance(other_clients) {
                Kind::OAuth(1 - client)
            } else {
                Kind::OAuth(client)
            }
        };
        let kinds = (0..processes).map(|_| kind(rng)).collect();
        let has_source = |rng: &mut Rng| !alike && rng.chance(source);
        let sources: Vec<_> = (0..processes).map(|_| has_source(rng)).collect();
        let mut terms = Terms::draw(rng, quiet);
        if alike {
            terms.life = Some(Duration::from_secs(86_400));
            terms.early = Some(EarlyRenewal::default());
        }
        let mut often = |rates: &[u64]| {
            let strikes = !quiet && rng.chance(400);
            if strikes { rng.pick(rates) } else { 0 }
        };
        let source_faults = SourceFaults {
            fails: often(&[50, 300]),
            unusable: often(&[20, 100]),
            slow: often(&[100, 500]),
            hangs: often(&[20, 100]),
        };
        let small_scope = oauth > 0 && often(&[1]) > 0;
        let source = |has_source| match has_source {
            true => rng.pick(&[
                Source::Async,
                Source::Async,
                Source::Threaded,
                Source::Blocking,
            ]),
            false => Source::None,
        };
        Self {
            kinds,
            sources: sources.into_iter().map(source).collect(),
            terms,
            source_faults,
            small_scope,
        }
    }
}
