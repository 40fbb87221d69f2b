//! The observer of each session's events, which panics when the world draws that. It has the rules
//! of guarantee 12: a login that was sent ends and is reported.

use std::panic::resume_unwind;
use std::sync::Arc;

use ctc_core::{Denial, LoginRule};
use ctc_driver::{SessionEvent, SharedSession};

use crate::count::Fault;
use crate::plan::{Ms, ms};
use crate::runtime::Thrown;
use crate::secrets;
use crate::watch::{Guarantee, Watch};
use crate::world::{State, World};

/// Returns an observer of one process's session.
pub(crate) fn observer(
    world: &Arc<World>,
    process: usize,
) -> impl Fn(&SharedSession, &SessionEvent<'_>) + Send + Sync + use<> {
    let world = Arc::clone(world);
    move |_, event| {
        let mut state = world.state();
        state.heard(process, event);
        let panics = state.panics();
        drop(state);
        if panics {
            resume_unwind(Box::new(Thrown));
        }
    }
}

/// Returns a login rule that leaves every response to the core, or panics.
pub(crate) fn rule(world: &Arc<World>) -> LoginRule {
    let world = Arc::clone(world);
    LoginRule::new(move |_| {
        let panics = world.state().panics();
        if panics {
            resume_unwind(Box::new(Thrown));
        }
        None
    })
}

impl Watch {
    /// A caller of this process was elected. Returns the number of the election.
    pub(crate) fn elected(&mut self, process: usize, now: Ms) -> u64 {
        let login = &mut self.sessions[process].login;
        login.elections += 1;
        login.elected_at = now;
        // The last response was about another login.
        (login.refusal, login.asked) = (None, 0);
        login.not_sent = false;
        login.elections
    }
}

impl State {
    /// Draws whether user code panics now. It does so only within a login, where the driver handles
    /// panics.
    pub(crate) fn panics(&mut self) -> bool {
        let panics = self.faults.panics;
        self.current.login.is_some()
            && !std::thread::panicking()
            && self.strikes(panics, Fault::Panicked)
    }

    fn heard(&mut self, process: usize, event: &SessionEvent<'_>) {
        if let Some(leak) = secrets::find(&format!("{event:?}")) {
            self.violated(Guarantee::Secrets, || format!("an event shows {leak}"));
        }
        let Some(election) = self.current.login else {
            return;
        };
        self.note(|| format!("p{process}: login task {election} tells {event:?}"));
        if let Some(login) = &mut self.processes[process].own_login {
            login.is_told |= ends_login(event);
        }
        match event {
            SessionEvent::CredentialsReplaced => self.takes_offered(process),
            SessionEvent::LoginUnwanted => {
                let questions = &mut self.watch.sessions[process].questions;
                questions.entry(election).or_default().offered = None;
            }
            SessionEvent::LoginFailed {
                denial: Denial::Rejected { .. },
            } => self.check_rejected(process),
            _ => {}
        }
        let saves = self.watch.saves(process);
        let login = &mut self.watch.sessions[process].login;
        match event {
            SessionEvent::LoginSent => {
                login.unreported.push(election);
            }
            SessionEvent::StoredByOthers if login.loaded.is_some() => {
                self.violated(Guarantee::Coalesced, || {
                    format!("p{process} finds tokens of others only, and its password opens one")
                });
            }
            SessionEvent::LoginFailed {
                denial: Denial::Rejected { .. },
            } => {
                login.unreported.retain(|other| *other != election);
                login.to_record = Some(election);
                self.watch.sessions[process].overrides = false;
            }
            SessionEvent::LoggedIn { .. } => {
                login.unreported.retain(|other| *other != election);
                if saves {
                    login.unsaved.push(election);
                }
                self.watch.accepted(process);
            }
            SessionEvent::LoginFailed { .. }
            | SessionEvent::LoginLate
            | SessionEvent::Adopted { .. } => {
                login.unreported.retain(|other| *other != election);
            }
            _ => {}
        }
    }

    /// A login task ended, or its runtime dropped it.
    pub(crate) fn login_task_over(&mut self, process: usize, election: u64, ended: bool) {
        let login = &mut self.watch.sessions[process].login;
        login.tasks -= 1;
        let unreported = login.unreported.contains(&election);
        let unsaved = login.unsaved.contains(&election);
        login.unreported.retain(|other| *other != election);
        login.unsaved.retain(|other| *other != election);
        if !ended {
            // While there is a valid token, the session counts that as a login that was not sent.
            self.watch.sessions[process].period += 1;
        }
        self.note(|| format!("p{process}: login task {election} is over, at its end: {ended}"));
        let wrong = match (ended, unreported, unsaved) {
            (true, true, _) => "a login was sent, and never reported",
            (true, _, true) => "a login was reported, and its token never saved",
            _ => return,
        };
        self.violated(Guarantee::LoginEnds, || {
            format!("p{process}: {wrong} (login task {election})")
        });
    }

    /// Checks why the future of a sent login is dropped before its response: only its timeout, a
    /// panic or the end of its runtime may do that.
    pub(crate) fn check_dropped_login(&mut self, process: usize, since: Ms) {
        let of_process = &self.processes[process];
        let ends = of_process.dying
            || of_process.runtimes.iter().any(|runtime| runtime.dying)
            || std::thread::panicking();
        let timeout = ms(self.watch.plan.settings.login_timeout);
        let took = of_process.clock.true_ms().saturating_sub(since);
        if !ends && took < timeout {
            self.violated(Guarantee::LoginEnds, || {
                format!("p{process}: a sent login is dropped after {took} ms")
            });
        }
    }

    /// A call's task is polled. Checks that it did not wait for longer than a login may take.
    pub(crate) fn call_is_polled(&mut self, number: usize) {
        self.current.call = Some(number);
        let settings = &self.watch.plan.settings;
        let longest = ms(settings.login_timeout) + REPORT_MARGIN;
        let call = &mut self.watch.calls[number];
        let now = self.processes[call.process].clock.true_ms();
        let ran_at = self.processes[call.process].ran_at[call.runtime];
        let since = call.polled.max(ran_at);
        call.polled = now;
        // The caller takes its login back in this poll.
        let starts_by = call.starts_by.take_if(|starts_by| *starts_by <= now);
        let (process, limit) = (call.process, longest + call.max_wait + POLL_SLACK);
        if !call.was_on_the_wire && now.saturating_sub(since) > limit {
            self.violated(Guarantee::NoWedge, || {
                format!("p{process}: call {number} slept for {} ms", now - since)
            });
        }
        if let Some(starts_by) = starts_by {
            self.tally.count(Fault::NotRun);
            let late = now - starts_by.max(ran_at);
            if late > POLL_SLACK {
                self.violated(Guarantee::NoWedge, || {
                    format!(
                        "p{process}: call {number} has a login that no runtime runs, {late} ms \
                             after its limit"
                    )
                });
            }
        }
    }

    /// The call's task was polled.
    pub(crate) fn call_was_polled(&mut self) {
        if let Some(call) = self.current.call {
            let call = &mut self.watch.calls[call];
            call.was_on_the_wire = call.on_the_wire;
        }
    }
}

/// Whether this event ends a login.
const fn ends_login(event: &SessionEvent<'_>) -> bool {
    matches!(
        event,
        SessionEvent::LoggedIn { .. }
            | SessionEvent::LoginFailed { .. }
            | SessionEvent::LoginUnwanted
            | SessionEvent::LoginAbandoned
            | SessionEvent::LoginLate
            | SessionEvent::Adopted { .. }
            | SessionEvent::DeniedByStore { .. }
    )
}

/// How much longer than its timeout a login's report may take, as in `ctc-core`.
pub(crate) const REPORT_MARGIN: Ms = 10_000;

/// How late a task may be polled on a busy machine.
pub(crate) const POLL_SLACK: Ms = 5000;
