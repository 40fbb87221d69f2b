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
pub struct LoginLimiter(Arc<Mutex<Line>>);

/// The rate is a leaky bucket kept as one span, as in the core's governor: each login adds an
/// `interval` of debt, time takes it away, and `at_once` intervals is as much as there may be.
struct Line {
    at_once: usize,
    interval: Duration,
    running: usize,
    debt: Duration,
    as_of: Option<Instant>,
    /// By number, which grows; with the event by which a login is called.
    queue: VecDeque<(u64, Arc<Event>)>,
    joined: u64,
}

impl LoginLimiter {
    /// A limit of `at_once` logins at one time and `per_minute` logins a minute, each at least 1.
    ///
    /// After a time without logins, `at_once` of them may follow each other at once. So there are
    /// never more than `at_once + minutes * per_minute` in any span of time.
    pub fn new(at_once: u32, per_minute: u32) -> Self {
        Self(Arc::new(Mutex::new(Line {
            at_once: usize::try_from(at_once.max(1)).unwrap_or(usize::MAX),
            interval: Duration::from_secs(60) / per_minute.max(1),
            running: 0,
            debt: Duration::ZERO,
            as_of: None,
            queue: VecDeque::new(),
            joined: 0,
        })))
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
        let mut line = self.line();
        line.joined += 1;
        let number = line.joined;
        line.queue.push_back((number, Arc::clone(&called)));
        Place {
            limiter: self.clone(),
            number,
            called,
            turn: Turn::Waiting,
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
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

impl Line {
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
    turn: Turn,
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
        if self.turn != Turn::Waiting {
            return Ok(());
        }
        let mut line = self.limiter.line();
        let is_first = line.queue.front().is_some_and(|it| it.0 == self.number);
        if !is_first || line.running >= line.at_once {
            return Err(None);
        }
        let pause = line.pause(now);
        if !pause.is_zero() {
            return Err(Some(pause));
        }
        line.queue.pop_front();
        line.running += 1;
        line.debt = line.debt_at(now).saturating_add(line.interval);
        // A clock that runs backwards takes nothing away twice.
        line.as_of = line.as_of.max(Some(now));
        drop(line);
        self.turn = Turn::Taken;
        self.limiter.call_first();
        Ok(())
    }

    /// Listens for a sign that the turn may have come. Listen first, ask second.
    pub(crate) fn called(&self) -> EventListener {
        self.called.listen()
    }

    /// The login is sent: it counts from here on.
    pub(crate) fn spend(&mut self) {
        self.turn = Turn::Spent;
    }

    /// Returns how many are ahead in line.
    pub(crate) fn ahead(&self) -> usize {
        let line = self.limiter.line();
        let found = line.queue.binary_search_by_key(&self.number, |it| it.0);
        found.unwrap_or_default()
    }

    /// Returns after how long the turn should come.
    pub(crate) fn outlook(&self, now: Instant) -> Duration {
        let ahead = u32::try_from(self.ahead()).unwrap_or(u32::MAX);
        let line = self.limiter.line();
        // Without one, another login has to end first, at a time that is unknown.
        let pause = Some(line.pause(now)).filter(|pause| !pause.is_zero());
        let own = pause.unwrap_or(line.interval);
        own.saturating_add(line.interval.saturating_mul(ahead))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut line = self.limiter.line();
        if self.turn == Turn::Waiting {
            line.queue.retain(|it| it.0 != self.number);
        } else {
            line.running -= 1;
        }
        if self.turn == Turn::Taken {
            line.debt = line.debt.saturating_sub(line.interval);
        }
        drop(line);
        self.limiter.call_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Lets as many of `waiting` log in as may, in their order; each login is done at once.
    fn logins(waiting: &mut VecDeque<Place>, now: Instant) -> usize {
        let mut count = 0;
        while let Some(place) = waiting.front_mut()
            && place.take(now).is_ok()
        {
            place.spend();
            waiting.pop_front();
            count += 1;
        }
        count
    }

    #[test]
    fn logins_stay_within_the_burst_and_the_rate_in_any_span() {
        let start = Instant::now();
        let limiter = LoginLimiter::new(5, 30);
        let mut waiting: VecDeque<_> = (0..100).map(|_| limiter.join()).collect();
        let mut made = Vec::new();
        for second in 0..300 {
            let count = logins(&mut waiting, start + SECOND * second);
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
        waiting.extend((0..9).map(|_| limiter.join()));
        assert_eq!(logins(&mut waiting, start + SECOND * 400), 5);
    }

    #[test]
    fn only_so_many_run_at_once_and_the_first_in_line_is_next() {
        let now = Instant::now();
        let limiter = LoginLimiter::new(2, 6000);
        let [mut first, mut second, mut third, mut fourth] = [(); 4].map(|()| limiter.join());
        assert_eq!(second.take(now), Err(None));
        assert_eq!(first.take(now), Ok(()));
        assert_eq!(second.take(now), Ok(()));
        assert_eq!(third.take(now + SECOND), Err(None));
        drop(third);
        first.spend();
        drop(first);
        assert_eq!(fourth.take(now + SECOND), Ok(()));
        assert_eq!((limiter.running(), limiter.waiting()), (2, 0));
    }

    #[test]
    fn a_turn_that_is_given_back_costs_nothing() {
        let now = Instant::now();
        let limiter = LoginLimiter::new(1, 1);
        let [mut first, mut second, mut third] = [(); 3].map(|()| limiter.join());
        assert_eq!(first.take(now), Ok(()));
        drop(first);
        assert_eq!(second.take(now), Ok(()));
        second.spend();
        drop(second);
        assert_eq!(third.take(now), Err(Some(SECOND * 60)));
        assert_eq!(third.take(now + SECOND * 59), Err(Some(SECOND)));
    }

    #[test]
    fn the_outlook_counts_those_ahead_and_a_backward_clock_gains_nothing() {
        let now = Instant::now();
        let limiter = LoginLimiter::new(1, 60);
        let mut places: VecDeque<_> = (0..10).map(|_| limiter.join()).collect();
        assert_eq!(logins(&mut places, now + SECOND), 1);
        assert_eq!(places[0].take(now), Err(Some(SECOND)));
        assert_eq!(places[0].outlook(now + SECOND), SECOND);
        assert_eq!(places[8].outlook(now + SECOND), SECOND * 9);
    }
}
