//! The alarm: sees to it that calls ask for leave once the token is to be renewed ahead of its end.
//!
//! A call reads no clock. Something else waits for the moment and then has the session publish no
//! pass, which sends the next call to the session's lock: a task of the runtime for asynchronous
//! drivers, one thread of the process for blocking ones. Neither keeps a session alive, and without
//! them a token is renewed after a 401.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use ctc_core::Instant;
use futures_util::future::select;

use super::sync::{AtomicBool, EventListener, Ordering::SeqCst};
use super::{Inner, SharedSession};
use crate::ports::Runtime;

/// When to look at a session again.
enum Next {
    After(Duration),
    /// When it has changed.
    Changed,
    /// Not before another token is there.
    Never,
}

impl SharedSession {
    /// Publishes what is due, and says when to look again. If never, `flag` is lowered.
    fn look(&self, flag: &AtomicBool) -> Next {
        self.with(|session, now| match session.renewal_at(now) {
            Some(at) if at > now => Next::After(at.saturating_duration_since(now)),
            Some(_) => Next::Changed,
            None if session.known_end().is_some() => Next::Changed,
            None => {
                // Under the lock: whoever brings the next token finds the flag as it is then.
                flag.store(false, SeqCst);
                Next::Never
            }
        })
    }

    fn is_to_be_watched(&self) -> bool {
        self.with(|session, now| session.renewal_at(now).is_some())
    }

    /// Returns the task that watches this session, unless there is one or nothing to be renewed.
    pub(crate) fn alarm_task(
        &self,
        runtime: Arc<dyn Runtime>,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        if !self.is_to_be_watched() || self.0.alarm_task.swap(true, SeqCst) {
            return None;
        }
        let mut task = Task {
            session: Arc::downgrade(&self.0),
            is_over: false,
        };
        Some(async move {
            while let Some((changed, next)) = task.look() {
                match next {
                    Next::After(pause) => drop(select(changed, runtime.sleep(pause)).await),
                    Next::Changed => changed.await,
                    Next::Never => break,
                }
            }
        })
    }

    /// Has the alarm's thread watch this session, unless it does or there is nothing to be renewed.
    pub(crate) fn watch_on_thread(&self) {
        if self.is_to_be_watched() && !self.0.alarm_thread.swap(true, SeqCst) {
            let session = Arc::downgrade(&self.0);
            if !THREAD.watch(self.number(), session) {
                self.0.alarm_thread.store(false, SeqCst);
            }
        }
    }
}

impl Inner {
    /// Also when the session is dropped. A task hears it as all that wait do.
    pub(super) fn tell_alarm(&self) {
        if self.alarm_thread.load(SeqCst) {
            THREAD.look_again(self.number);
        }
    }
}

/// The alarm as a task. A runtime that drops it ends it, as the end of its session does.
struct Task {
    session: Weak<Inner>,
    is_over: bool,
}

impl Task {
    /// `None` when the session is gone.
    fn look(&mut self) -> Option<(EventListener, Next)> {
        let session = SharedSession(self.session.upgrade()?);
        // Listen first, look second: a change in between is then never missed.
        let changed = session.listen();
        let next = session.look(&session.0.alarm_task);
        self.is_over = matches!(next, Next::Never);
        Some((changed, next))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.is_over
            && let Some(session) = self.session.upgrade()
        {
            session.alarm_task.store(false, SeqCst);
        }
    }
}

/// The thread of this process that watches the sessions of blocking drivers. It runs while there is
/// one to be watched.
struct Thread {
    state: Mutex<State>,
    changed: Condvar,
}

static THREAD: Thread = Thread {
    state: Mutex::new(State {
        sessions: BTreeMap::new(),
        runs_in: None,
    }),
    changed: Condvar::new(),
};

struct State {
    /// By their numbers.
    sessions: BTreeMap<u64, Watched>,
    /// The process that it runs in: a fork has no other thread than the one that forked.
    runs_in: Option<u32>,
}

struct Watched {
    session: Weak<Inner>,
    look: When,
}

enum When {
    Now,
    At(Instant),
    /// It is being looked at, or when it has changed.
    Later,
}

impl Thread {
    /// Returns whether the session is watched: not if there can be no thread.
    fn watch(&'static self, number: u64, session: Weak<Inner>) -> bool {
        let mut state = self.state();
        let look = When::Now;
        state.sessions.insert(number, Watched { session, look });
        if state.runs_in != Some(process()) {
            let thread = thread::Builder::new().name("ctc-alarm".into());
            if thread.spawn(|| self.run()).is_err() {
                state.sessions.remove(&number);
                return false;
            }
            state.runs_in = Some(process());
        }
        self.changed.notify_one();
        true
    }

    fn look_again(&self, number: u64) {
        if let Some(watched) = self.state().sessions.get_mut(&number) {
            watched.look = When::Now;
            self.changed.notify_one();
        }
    }

    fn run(&self) {
        let mut state = self.state();
        while !state.sessions.is_empty() {
            let now = Instant::now();
            let (mut due, mut pause) = (None, None::<Duration>);
            for (number, watched) in &state.sessions {
                match watched.look {
                    When::At(at) if at > now => {
                        pause = Some(pause.map_or(at - now, |pause| pause.min(at - now)));
                    }
                    When::Now | When::At(_) => due = Some(*number),
                    When::Later => {}
                }
            }
            state = match (due, pause) {
                (Some(number), _) => self.look(state, number),
                (None, Some(pause)) => {
                    let waited = self.changed.wait_timeout(state, pause);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                (None, None) => {
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
        state.runs_in = None;
    }

    /// Looks at one session, without the thread's own lock.
    fn look<'a>(&'a self, mut state: MutexGuard<'a, State>, number: u64) -> MutexGuard<'a, State> {
        let Some(watched) = state.sessions.get_mut(&number) else {
            return state;
        };
        watched.look = When::Later;
        let session = watched.session.clone();
        drop(state);
        let next = session
            .upgrade()
            .map(SharedSession)
            .map_or(Next::Never, |session| {
                let next = session.look(&session.0.alarm_thread);
                // It may be the last handle, whose drop tells this thread.
                drop(session);
                next
            });
        let mut state = self.state();
        if let Some(watched) = state.sessions.get_mut(&number)
            && matches!(watched.look, When::Later)
        {
            match next {
                Next::After(pause) => {
                    let at = Instant::now().checked_add(pause);
                    watched.look = at.map_or(When::Later, When::At);
                }
                Next::Changed => {}
                Next::Never => drop(state.sessions.remove(&number)),
            }
        }
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn process() -> u32 {
    if cfg!(unix) { std::process::id() } else { 0 }
}
