//! What a seed draws before its world begins: the calls, the faults and how often they occur.

use std::num::NonZeroU32;
use std::time::Duration;

use ctc_core::Settings;

use crate::kinds::{Kind, Logins, Source, SourceFaults, Terms};
use crate::rng::Rng;

pub(crate) const PASSWORD: &str = "CANARY-PASSWORD-1";
pub(crate) const NEW_PASSWORD: &str = "CANARY-PASSWORD-2";
pub(crate) const WRONG_PASSWORD: &str = "CANARY-PASSWORD-WRONG";
pub(crate) const PASSWORDS: [&str; 3] = [PASSWORD, NEW_PASSWORD, WRONG_PASSWORD];

/// Milliseconds of virtual time.
pub(crate) type Ms = u64;

/// Returns a span in milliseconds, rounded up.
pub(crate) fn ms(span: Duration) -> Ms {
    Ms::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(Ms::MAX)
}

const SECOND: Ms = 1000;
const MINUTE: Ms = 60 * SECOND;

/// Everything about a world that is fixed from the start.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) processes: Vec<ProcessPlan>,
    pub(crate) faults: Faults,
    pub(crate) settings: Settings,
    /// Of the OAuth logins.
    pub(crate) terms: Terms,
    pub(crate) actions: Vec<(Ms, Action)>,
    /// The only fault is that tokens become invalid: every call must succeed.
    pub(crate) clean: bool,
    /// The only fault is that the account may not use one kind of resource, which has many ids. No
    /// login helps against that.
    pub(crate) forbidden: bool,
    /// No wall clock is wrong or jumps.
    pub(crate) true_clocks: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ProcessPlan {
    /// Which login it makes.
    pub(crate) kind: Kind,
    /// Where its credentials come from.
    pub(crate) source: Source,
    /// The store that it uses.
    pub(crate) store: Option<usize>,
    pub(crate) callers: Vec<Vec<CallPlan>>,
    /// The password that it starts with, also after each kill.
    pub(crate) password: &'static str,
    /// How many runtimes its callers are spread over: 1 or 2.
    pub(crate) runtimes: usize,
    /// The runtime that runs the logins. `None`: that of the elected caller.
    pub(crate) logins_on: Option<usize>,
    /// How far its wall clock is ahead of the true time.
    pub(crate) wall_ahead: Ms,
}

#[derive(Clone, Debug)]
pub(crate) struct CallPlan {
    pub(crate) think: Ms,
    pub(crate) route: usize,
    pub(crate) post: bool,
    pub(crate) always_replay: bool,
    pub(crate) max_wait: Ms,
    pub(crate) foreign: bool,
    pub(crate) own_cookie: bool,
    /// Not a call but a renewal: a login although the token is valid.
    pub(crate) renew: bool,
    pub(crate) cancel: Option<Cancel>,
}

/// The call's future is dropped so long after its `polls`-th poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cancel {
    pub(crate) polls: u64,
    pub(crate) after: Ms,
}

/// Something that happens to a process or to the server at a given time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Close(usize),
    Logout(usize),
    Reopen(usize),
    /// A logout; a moment later the session is reopened, and a call is made at once.
    LogoutAndBack(usize, Ms),
    BackAgain(usize),
    Reset(usize),
    RightCredentials(usize),
    WrongCredentials(usize),
    OtherUser(usize),
    /// Not scheduled, while its monotonic clock goes on (`SIGSTOP`).
    Freeze(usize, Ms),
    /// Not scheduled, and its monotonic clock stops (a laptop's lid).
    Suspend(usize, Ms),
    Kill(usize),
    /// A runtime is shut down, which drops its tasks. After a while there is a new one.
    Stop(usize, usize, Ms),
    Restart(usize, usize),
    /// A runtime polls nothing for a while.
    Idle(usize, usize, Ms),
    /// A runtime drops each new task.
    Refuse(usize, usize, Ms),
    /// All callers and clients are dropped. After a while there are new ones.
    Leave(usize, Ms),
    Return(usize),
    WallJump(usize, i64),
    Revoke,
    ChangePassword,
    RestorePassword,
    /// A process's source has the server's password from now on.
    MendSource(usize),
    Lock(Ms),
    Outage(Ms),
    Throttle(Ms),
}

/// How often things go wrong, in 1000.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) latency: Ms,
    pub(crate) not_sent: u64,
    pub(crate) lost_before: u64,
    pub(crate) lost_after: u64,
    pub(crate) login_refused: u64,
    pub(crate) login_unavailable: u64,
    pub(crate) login_throttled: u64,
    pub(crate) login_without_token: u64,
    pub(crate) login_redirected: u64,
    pub(crate) call_unavailable: u64,
    pub(crate) call_forbidden: u64,
    pub(crate) spurious_401: u64,
    pub(crate) clearing: u64,
    pub(crate) rotation: u64,
    pub(crate) rotation_kills: bool,
    /// The response of one route is 401, whatever the token.
    pub(crate) refused_route: bool,
    /// That route has an id in its path, and each call uses another one.
    pub(crate) many_ids: bool,
    pub(crate) one_token_an_account: bool,
    pub(crate) one_session_an_account: bool,
    pub(crate) store_error: u64,
    pub(crate) store_slow: u64,
    /// An attacker writes to a record without a key to it.
    pub(crate) store_forged: u64,
    pub(crate) clock_back: u64,
    pub(crate) slow_scheduler: u64,
    /// Panics of user code within a login: HTTP client, store, observer, rule, source.
    pub(crate) panics: u64,
    /// One route wants a larger scope than OAuth's tokens have.
    pub(crate) small_scope: bool,
    pub(crate) source: SourceFaults,
}

impl Plan {
    /// `logins` is a second source of chance, so that worlds without OAuth and sources stay the
    /// same when these are changed.
    pub(crate) fn draw(rng: &mut Rng, logins: &mut Rng) -> Self {
        let mut plan = Self::draw_with_cookies(rng);
        let (count, quiet) = (plan.processes.len(), plan.clean);
        let drawn = Logins::draw(logins, count, quiet, plan.forbidden);
        let each = drawn.kinds.into_iter().zip(drawn.sources);
        for (process, (kind, source)) in plan.processes.iter_mut().zip(each) {
            (process.kind, process.source) = (kind, source);
            if source.is_blocking() {
                process.block();
            }
        }
        plan.terms = drawn.terms;
        plan.faults.small_scope = drawn.small_scope;
        plan.faults.source = drawn.source_faults;
        if plan
            .processes
            .iter()
            .any(|process| process.source.is_some())
            && !quiet
        {
            plan.change_passwords(logins);
        }
        plan
    }

    /// Changes the server's password while sources have the old one, or the other way round.
    fn change_passwords(&mut self, rng: &mut Rng) {
        let last = self.actions.last().map_or(MINUTE, |(at, _)| *at);
        let mut at = rng.below(last);
        for change in [Action::ChangePassword, Action::RestorePassword] {
            self.actions
                .extend([(at, change), (at + rng.below(SECOND), Action::Revoke)]);
            at += rng.between(SECOND, last.max(2 * SECOND));
        }
        self.actions.sort_by_key(|(at, _)| *at);
    }

    fn draw_with_cookies(rng: &mut Rng) -> Self {
        if rng.chance(20) {
            return Self::draw_forbidden(rng);
        }
        let clean = rng.chance(100);
        let settings = settings(rng, clean);
        let faults = if clean {
            Faults {
                latency: rng.between(1, 2000),
                ..Faults::default()
            }
        } else {
            Faults::draw(rng)
        };
        let true_clocks = clean || !rng.chance(200);
        let stores = rng.index(3);
        let horizon = rng.pick(&[20 * SECOND, 5 * MINUTE, 20 * MINUTE]);
        let count = 1 + rng.index(4);
        let herd = rng.chance(50);
        let renewals = if clean { 0 } else { rng.pick(&[0, 0, 0, 200]) };
        let processes: Vec<_> = (0..count)
            .map(|_| ProcessPlan {
                kind: Kind::Cookie,
                source: Source::None,
                password: if clean || !rng.chance(150) {
                    PASSWORD
                } else {
                    rng.pick(&[NEW_PASSWORD, NEW_PASSWORD, WRONG_PASSWORD])
                },
                store: (stores > 0 && rng.chance(800)).then(|| rng.index(stores)),
                callers: (0..if herd { 40 } else { 1 + rng.index(6) })
                    .map(|_| calls(rng, horizon, clean, renewals))
                    .collect(),
                runtimes: 1 + rng.index(2),
                logins_on: rng.chance(300).then(|| rng.index(2)),
                wall_ahead: if true_clocks {
                    0
                } else {
                    rng.pick(&[0, 0, 7 * 60 * MINUTE])
                },
            })
            .collect();
        let mut actions = actions(rng, count, horizon, clean, true_clocks, settings.lease);
        for (who, process) in processes.iter().enumerate() {
            // A job that is started again and again with an old password.
            if process.password != PASSWORD && rng.chance(500) {
                let starts = (1..10).map(|start| (horizon / 10 * start, Action::Kill(who)));
                actions.extend(starts);
                actions.sort_by_key(|(at, _)| *at);
            }
        }
        Self {
            processes,
            faults,
            settings,
            terms: Terms::default(),
            actions,
            clean,
            forbidden: false,
            true_clocks,
        }
    }

    fn draw_forbidden(rng: &mut Rng) -> Self {
        let settings = settings(rng, false);
        let refill = ms(settings.fair_use.refill);
        // Without a replay, no call shows whether a login helped.
        let once = rng.chance(500);
        let calls = |rng: &mut Rng| {
            let route = |rng: &mut Rng| if rng.chance(800) { 0 } else { 1 + rng.index(3) };
            let call = |rng: &mut Rng| CallPlan {
                post: once,
                always_replay: !once,
                ..CallPlan::plain(rng.below(refill), route(rng))
            };
            (0..150).map(|_| call(rng)).collect()
        };
        let process = ProcessPlan {
            kind: Kind::Cookie,
            source: Source::None,
            password: PASSWORD,
            store: None,
            callers: (0..1 + rng.index(3)).map(|_| calls(rng)).collect(),
            runtimes: 1,
            logins_on: None,
            wall_ahead: 0,
        };
        Self {
            processes: vec![process],
            faults: Faults {
                latency: 100,
                refused_route: true,
                many_ids: true,
                ..Faults::default()
            },
            settings,
            terms: Terms::default(),
            actions: Vec::new(),
            clean: true,
            forbidden: true,
            true_clocks: true,
        }
    }

    pub(crate) fn stalls(&self, process: usize) -> bool {
        self.actions.iter().any(|(_, action)| match action {
            Action::Freeze(who, _) | Action::Suspend(who, _) | Action::Idle(who, ..) => {
                *who == process
            }
            _ => false,
        })
    }

    pub(crate) fn longest_stall(&self) -> Ms {
        let spans = self.actions.iter().map(|(_, action)| match action {
            Action::Freeze(_, span) | Action::Idle(_, _, span) => *span,
            _ => 0,
        });
        spans.sum()
    }
}

impl CallPlan {
    /// An ordinary call.
    pub(crate) const fn plain(think: Ms, route: usize) -> Self {
        Self {
            think,
            route,
            post: false,
            always_replay: true,
            max_wait: 0,
            foreign: false,
            own_cookie: false,
            renew: false,
            cancel: None,
        }
    }
}

fn settings(rng: &mut Rng, clean: bool) -> Settings {
    let mut settings = Settings::default();
    let fair_use = &mut settings.fair_use;
    fair_use.burst =
        NonZeroU32::MIN.saturating_add(if clean { 9 } else { rng.pick(&[0, 1, 2, 2, 7]) });
    fair_use.refill = Duration::from_secs(rng.pick(&[60, 120, 120, 300]));
    fair_use.backoff = Duration::from_secs(rng.pick(&[1, 5, 30]));
    fair_use.backoff_cap = Duration::from_secs(rng.pick(&[60, 900]));
    fair_use.retry_after_cap = Duration::from_secs(rng.pick(&[60, 3600]));
    fair_use.short_token_lifetime = Duration::from_secs(rng.pick(&[1, 60]));
    if rng.chance(300) {
        (settings.lease, settings.login_timeout) =
            (Duration::from_secs(20), Duration::from_secs(8));
    }
    settings
}

fn calls(rng: &mut Rng, horizon: Ms, clean: bool, renewals: u64) -> Vec<CallPlan> {
    let count = 1 + rng.below(8);
    let herd = rng.chance(500);
    let cancels = if clean { 0 } else { rng.pick(&[0, 100, 400]) };
    (0..count)
        .map(|number| CallPlan {
            think: if number == 0 && herd {
                0
            } else {
                rng.below(1 + 2 * horizon / count)
            },
            route: rng.index(4),
            post: rng.chance(200),
            always_replay: clean || rng.chance(300),
            max_wait: if rng.chance(300) {
                rng.pick(&[10 * SECOND, 5 * MINUTE, 60 * MINUTE])
            } else {
                0
            },
            foreign: !clean && rng.chance(30),
            own_cookie: rng.chance(100),
            renew: rng.chance(renewals),
            cancel: rng.chance(cancels).then(|| Cancel {
                polls: rng.between(1, 6),
                after: rng.pick(&[0, 0, 1, 20, 500, 10 * SECOND]),
            }),
        })
        .collect()
}

fn actions(
    rng: &mut Rng,
    processes: usize,
    horizon: Ms,
    clean: bool,
    true_clocks: bool,
    lease: Duration,
) -> Vec<(Ms, Action)> {
    let lease = ms(lease);
    if clean {
        // Far enough apart that no call is affected by two of them.
        return (0..rng.below(3))
            .map(|number| (5 * MINUTE * (number + 1), Action::Revoke))
            .collect();
    }
    let count = rng.pick(&[0, 3, 8, 16]);
    let mut actions: Vec<_> = (0..count)
        .map(|_| {
            let who = rng.index(processes);
            // A stall that is longer than the lease finds the most faults.
            let stall = rng.pick(&[
                50,
                SECOND,
                lease / 2,
                lease + 5 * SECOND,
                3 * lease,
                10 * 60 * MINUTE,
            ]);
            let action = match rng.below(34) {
                0 => Action::Close(who),
                1 | 2 => Action::Logout(who),
                3..=5 => Action::Reopen(who),
                6 => Action::Reset(who),
                7 | 8 => Action::RightCredentials(who),
                9 => Action::WrongCredentials(who),
                10 => Action::OtherUser(who),
                11 | 12 => Action::Freeze(who, stall),
                13 => Action::Suspend(who, stall),
                14 => Action::Kill(who),
                15 if !true_clocks => {
                    Action::WallJump(who, rng.pick(&[-25_200_000, -5000, 5000, 25_200_000]))
                }
                16 => Action::ChangePassword,
                17 => Action::RestorePassword,
                18 => Action::Lock(rng.between(SECOND, 5 * MINUTE)),
                19 => Action::Outage(rng.between(SECOND, 5 * MINUTE)),
                20 => Action::Throttle(rng.between(SECOND, 5 * MINUTE)),
                21 | 22 => Action::Stop(who, rng.index(2), stall),
                23 | 24 => Action::Idle(who, rng.index(2), stall),
                25 | 26 => Action::Refuse(who, rng.index(2), stall),
                27 | 28 => Action::Leave(who, stall),
                29 | 30 => Action::LogoutAndBack(who, rng.pick(&[0, 10, SECOND, 5 * SECOND])),
                _ => Action::Revoke,
            };
            // The most faults are found if clients are dropped before their first login is sent,
            // and if runtimes drop the very first login task.
            let early = matches!(action, Action::Leave(..)) && rng.chance(500);
            let at = rng.below(if early { 10 } else { horizon });
            let at_once = matches!(action, Action::Refuse(..)) && at.is_multiple_of(2);
            (if at_once { 0 } else { at }, action)
        })
        .collect();
    actions.sort_by_key(|(at, _)| *at);
    actions
}

impl Faults {
    fn draw(rng: &mut Rng) -> Self {
        let mut often = |rates: &[u64]| if rng.chance(350) { rng.pick(rates) } else { 0 };
        Self {
            not_sent: often(&[20, 200]),
            lost_before: often(&[20, 200]),
            lost_after: often(&[20, 200]),
            login_refused: often(&[50, 300]),
            login_unavailable: often(&[100, 500]),
            login_throttled: often(&[100, 500]),
            login_without_token: often(&[50, 200]),
            login_redirected: often(&[50]),
            call_unavailable: often(&[50, 200]),
            call_forbidden: often(&[50]),
            spurious_401: often(&[20, 150]),
            clearing: often(&[20, 150]),
            rotation: often(&[50, 300, 800]),
            rotation_kills: often(&[1]) > 0,
            refused_route: often(&[1]) > 0,
            many_ids: often(&[1]) > 0,
            one_token_an_account: often(&[1]) > 0,
            one_session_an_account: often(&[1]) > 0,
            store_error: often(&[50, 300]),
            store_slow: often(&[50, 300]),
            store_forged: often(&[0, 0, 100]),
            clock_back: often(&[50]),
            slow_scheduler: often(&[100]),
            panics: often(&[20, 100]),
            small_scope: false,
            source: SourceFaults::default(),
            latency: rng.pick(&[5, 100, 3000, 15_000]),
        }
    }

    /// Whether stores work, without delays or forged records.
    pub(crate) const fn stores_work(&self) -> bool {
        self.store_error == 0 && self.store_slow == 0 && self.store_forged == 0
    }

    /// What is left once all faults have stopped.
    pub(crate) fn healed() -> Self {
        Self {
            latency: 5,
            ..Self::default()
        }
    }
}
