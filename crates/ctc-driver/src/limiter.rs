//! A limit on the logins of many sessions together: how many at once, how many a minute.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ctc_core::Instant;
use event_listener::{Event, EventListener};

/// A limit on the logins of all sessions that share it, for programs with many accounts: a
/// server may throttle an address, whatever the accounts behind it. Cloning shares it.
///
/// Each session has a login budget of its own as well ([`FairUse`](ctc_core::FairUse)): a login
/// is sent when both allow it. A login that has to wait stands in line, first come, first served,
/// for [`login_timeout`](ctc_core::Settings::login_timeout) at most. Then its callers are denied
/// ([`LoginFailure::Limited`](ctc_core::LoginFailure::Limited)), with the time of its probable turn
/// as `retry_after`. A login that waits holds neither a lock nor a lease of the store. Adopting a
/// token from a store needs no turn, and neither does a logout.
///
/// ```
/// use ctc_driver::ctc_core::Endpoint;
/// use ctc_driver::{LoginLimiter, SessionConfig};
///
/// // At most 5 logins at once, and after the first 5 one every 2 seconds.
/// let limiter = LoginLimiter::new(5, 30);
/// for account in ["ada@example.com", "bob@example.com"] {
///     let session = SessionConfig::new()
///         .endpoint(Endpoint::us())
///         .app_key("my-key")
///         .credentials(account, "s3cret!s3cret!")
///         .login_limiter(&limiter)
///         .build()?;
/// }
/// assert_eq!((limiter.running(), limiter.waiting()), (0, 0));
/// # Ok::<(), ctc_driver::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct LoginLimiter(Arc<Mutex<Line<Arc<Event>>>>);

impl LoginLimiter {
    /// A limit of `at_once` logins at one time and `per_minute` logins a minute, each at least 1.
    ///
    /// After a time without logins, `at_once` of them may follow each other at once. So there are
    /// never more than `at_once + minutes * per_minute` in any span of time.
    pub fn new(at_once: u32, per_minute: u32) -> Self {
        Self(Arc::new(Mutex::new(Line::new(at_once, per_minute))))
    }

    /// Returns how many logins are being made.
    pub fn running(&self) -> usize {
        self.line().running
    }

    /// Returns how many logins wait for their turn.
    pub fn waiting(&self) -> usize {
        self.line().queue.len()
    }

    /// Joins the line at its end.
    pub(crate) fn join(&self) -> Place {
        let called = Arc::new(Event::new());
        let number = self.line().join(Arc::clone(&called));
        Place {
            limiter: self.clone(),
            number,
            called,
            state: Turn::Waiting,
        }
    }

    fn line(&self) -> MutexGuard<'_, Line<Arc<Event>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the first in line, whose turn may have come.
    fn call_first(&self) {
        let first = self.line().queue.front().map(|(_, called)| called.clone());
        // Wakers run code of others: not under the lock.
        if let Some(called) = first {
            called.notify(usize::MAX);
        }
    }
}

impl fmt::Debug for LoginLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line();
        f.debug_struct("LoginLimiter")
            .field("at_once", &line.at_once)
            .field("interval", &line.interval)
            .field("running", &line.running)
            .field("waiting", &line.queue.len())
            .finish()
    }
}

/// A login's place in line, and later its turn. Dropped, it is free for another login, and unless
/// the login was sent by then it costs nothing.
pub(crate) struct Place {
    limiter: LoginLimiter,
    number: u64,
    called: Arc<Event>,
    state: Turn,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Waiting,
    Taken,
    Spent,
}

impl Place {
    /// Takes the turn. If it has not come yet, returns after how long to ask again; sooner when it
    /// is [called](Self::called). `None` if others have to go first.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Option<Duration>> {
        if self.state == Turn::Waiting {
            self.limiter.line().take(self.number, now)?;
            self.state = Turn::Taken;
            self.limiter.call_first();
        }
        Ok(())
    }

    /// Listens for a sign that the turn may have come. Listen first, ask second.
    pub(crate) fn called(&self) -> EventListener {
        self.called.listen()
    }

    /// The login is sent: it counts from here on.
    pub(crate) fn spend(&mut self) {
        self.state = Turn::Spent;
    }

    /// Returns how many are ahead in line.
    pub(crate) fn ahead(&self) -> usize {
        self.limiter.line().ahead_of(self.number)
    }

    /// Returns after how long the turn should come.
    pub(crate) fn outlook(&self, now: Instant) -> Duration {
        self.limiter.line().outlook(self.number, now)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut line = self.limiter.line();
        match self.state {
            Turn::Waiting => line.leave(self.number),
            Turn::Taken => line.give_back(),
            Turn::Spent => line.done(),
        }
        drop(line);
        self.limiter.call_first();
    }
}

/// The rules, without a clock, a lock or a waiter: who may log in now, and when the others may. `W`
/// is how a waiter is called.
///
/// The rate is a leaky bucket kept as one span, as in the core's governor: each login adds an
/// `interval` of debt, time takes it away, and `at_once` intervals is as much as there may be.
struct Line<W> {
    at_once: usize,
    interval: Duration,
    running: usize,
    debt: Duration,
    as_of: Option<Instant>,
    /// By number, which grows.
    queue: VecDeque<(u64, W)>,
    next: u64,
}

impl<W> Line<W> {
    fn new(at_once: u32, per_minute: u32) -> Self {
        Self {
            at_once: usize::try_from(at_once.max(1)).unwrap_or(usize::MAX),
            interval: Duration::from_secs(60) / per_minute.max(1),
            running: 0,
            debt: Duration::ZERO,
            as_of: None,
            queue: VecDeque::new(),
            next: 0,
        }
    }

    fn join(&mut self, waiter: W) -> u64 {
        self.next += 1;
        self.queue.push_back((self.next, waiter));
        self.next
    }

    fn take(&mut self, number: u64, now: Instant) -> Result<(), Option<Duration>> {
        let is_first = self.queue.front().is_some_and(|first| first.0 == number);
        if !is_first || self.running >= self.at_once {
            return Err(None);
        }
        let pause = self.pause(now);
        if !pause.is_zero() {
            return Err(Some(pause));
        }
        self.queue.pop_front();
        self.running += 1;
        self.debt = self.debt_at(now).saturating_add(self.interval);
        // A clock that runs backwards takes nothing away twice.
        self.as_of = self.as_of.max(Some(now));
        Ok(())
    }

    fn leave(&mut self, number: u64) {
        if let Ok(index) = self.index(number) {
            self.queue.remove(index);
        }
    }

    /// Ends a turn whose login was not sent.
    fn give_back(&mut self) {
        self.debt = self.debt.saturating_sub(self.interval);
        self.done();
    }

    fn done(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    fn ahead_of(&self, number: u64) -> usize {
        self.index(number).unwrap_or_default()
    }

    fn outlook(&self, number: u64, now: Instant) -> Duration {
        let ahead = u32::try_from(self.ahead_of(number)).unwrap_or(u32::MAX);
        // Without one, another login has to end first, at a time that is unknown.
        let pause = Some(self.pause(now)).filter(|pause| !pause.is_zero());
        let own = pause.unwrap_or(self.interval);
        own.saturating_add(self.interval.saturating_mul(ahead))
    }

    /// How long the rate keeps the first in line waiting.
    fn pause(&self, now: Instant) -> Duration {
        let most = u32::try_from(self.at_once - 1).unwrap_or(u32::MAX);
        self.debt_at(now)
            .saturating_sub(self.interval.saturating_mul(most))
    }

    fn debt_at(&self, now: Instant) -> Duration {
        let elapsed = self
            .as_of
            .map_or(Duration::ZERO, |then| now.saturating_duration_since(then));
        self.debt.saturating_sub(elapsed)
    }

    fn index(&self, number: u64) -> Result<usize, usize> {
        self.queue.binary_search_by_key(&number, |place| place.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Lets as many of `waiting` log in as may, in their order; each login is done at once.
    fn logins(line: &mut Line<()>, waiting: &mut VecDeque<u64>, now: Instant) -> usize {
        let mut count = 0;
        while let Some(number) = waiting.front()
            && line.take(*number, now).is_ok()
        {
            waiting.pop_front();
            line.done();
            count += 1;
        }
        count
    }

    #[test]
    fn logins_stay_within_the_burst_and_the_rate_in_any_span() {
        let start = Instant::now();
        let mut line = Line::new(5, 30);
        let mut waiting: VecDeque<_> = (0..100).map(|_| line.join(())).collect();
        let mut made = Vec::new();
        for second in 0..300 {
            let count = logins(&mut line, &mut waiting, start + SECOND * second);
            made.extend(std::iter::repeat_n(second, count));
        }
        assert_eq!(made.len(), 100);
        assert_eq!(&made[..7], [0, 0, 0, 0, 0, 2, 4]);
        for (index, from) in made.iter().enumerate() {
            for (more, to) in made[index..].iter().enumerate() {
                assert!(more < 5 + usize::try_from(to - from).unwrap() / 2 + 1);
            }
        }
        // A minute without logins, and the burst is there again.
        waiting.extend((0..9).map(|_| line.join(())));
        assert_eq!(logins(&mut line, &mut waiting, start + SECOND * 400), 5);
    }

    #[test]
    fn only_so_many_run_at_once_and_the_first_in_line_is_next() {
        let now = Instant::now();
        let mut line = Line::new(2, 6000);
        let places: Vec<_> = (0..4).map(|_| line.join(())).collect();
        assert_eq!(line.take(places[1], now), Err(None));
        assert_eq!(line.take(places[0], now), Ok(()));
        assert_eq!(line.take(places[1], now), Ok(()));
        assert_eq!(line.take(places[2], now + SECOND), Err(None));
        line.leave(places[2]);
        line.done();
        assert_eq!(line.take(places[3], now + SECOND), Ok(()));
        assert_eq!((line.running, line.queue.len()), (2, 0));
    }

    #[test]
    fn a_turn_that_is_given_back_costs_nothing() {
        let now = Instant::now();
        let mut line = Line::new(1, 1);
        let (first, second) = (line.join(()), line.join(()));
        assert_eq!(line.take(first, now), Ok(()));
        line.give_back();
        assert_eq!(line.take(second, now), Ok(()));
        line.done();
        let third = line.join(());
        assert_eq!(line.take(third, now), Err(Some(SECOND * 60)));
        assert_eq!(line.take(third, now + SECOND * 59), Err(Some(SECOND)));
    }

    #[test]
    fn the_outlook_counts_those_ahead_and_a_backward_clock_gains_nothing() {
        let now = Instant::now();
        let mut line = Line::new(1, 60);
        let places: Vec<_> = (0..10).map(|_| line.join(())).collect();
        assert_eq!(line.take(places[0], now + SECOND), Ok(()));
        line.done();
        assert_eq!(line.take(places[1], now), Err(Some(SECOND)));
        assert_eq!(line.outlook(places[1], now + SECOND), SECOND);
        assert_eq!(line.outlook(places[9], now + SECOND), SECOND * 9);
    }
}
