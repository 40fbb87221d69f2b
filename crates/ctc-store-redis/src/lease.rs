//! One lease on one record, kept alive by heartbeats.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ctc_driver::ctc_core::{RecordKey, SessionRecord};
use ctc_driver::{StoreError, StoreLease};
use redis::{Cmd, cmd};
use tracing::warn;
use zeroize::Zeroizing;

use crate::error::RedisFailure;
use crate::link::Link;
use crate::scripts;
use crate::settings::Settings;

/// How long a holder counts as alive after its last heartbeat: when it is killed, others wait this
/// long.
const SPAN: Duration = Duration::from_secs(6);

/// Beyond this, without an end: Redis rejects times that overflow.
const LONGEST_KEPT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Clocks that differ by less count as equal.
const CLOCKS_AGREE: Duration = Duration::from_secs(5);

/// Where a lease and a record are in Redis, and who holds the lease.
#[derive(Clone)]
pub(crate) struct Claim {
    lease: String,
    record: String,
    owner: String,
    fence: u64,
}

impl Claim {
    pub(crate) fn new(settings: &Settings, key: &RecordKey) -> Self {
        let [lease, record] = settings.keys(key);
        Self {
            lease,
            record,
            owner: format!("{:032x}", random()),
            fence: 0,
        }
    }

    /// Tries to take the lease for a span. `Err` says how long another still has it, in ms.
    pub(crate) fn take(
        &mut self,
        link: &mut Link,
        settings: &Settings,
        ttl: Duration,
    ) -> Result<Result<(), u64>, RedisFailure> {
        let mut command = self.call(scripts::TAKE);
        command
            .arg(&self.owner)
            .arg(millis(span(ttl)))
            .arg(lease_kept(settings, ttl));
        let (taken, number): (u8, u64) = link.send("take the lease in", &command)?;
        if taken == 0 {
            return Ok(Err(number));
        }
        self.fence = number;
        Ok(Ok(()))
    }

    fn call(&self, script: &str) -> Cmd {
        let mut command = cmd("EVAL");
        command
            .arg(script)
            .arg(2)
            .arg(&self.lease)
            .arg(&self.record);
        command
    }

    fn call_as_owner(&self, script: &str) -> Cmd {
        let mut command = self.call(script);
        command.arg(&self.owner).arg(self.fence);
        command
    }
}

pub(crate) struct RedisLease {
    link: Link,
    settings: Arc<Settings>,
    key: RecordKey,
    claim: Claim,
    ttl: Duration,
    deadline: Option<Instant>,
    heart: Heart,
}

impl RedisLease {
    pub(crate) fn new(
        link: Link,
        settings: Arc<Settings>,
        key: RecordKey,
        claim: Claim,
        (began, ttl): (Instant, Duration),
    ) -> Result<Self, RedisFailure> {
        let deadline = began.checked_add(ttl);
        let heart = Heart::start(settings.link(), claim.clone(), span(ttl), deadline)?;
        Ok(Self {
            link,
            settings,
            key,
            claim,
            ttl,
            deadline,
            heart,
        })
    }

    fn in_time(&self) -> Result<(), StoreError> {
        let over = self
            .deadline
            .is_some_and(|deadline| deadline <= Instant::now());
        if over {
            Err(StoreError::LeaseLost)
        } else {
            Ok(())
        }
    }

    fn read(&mut self) -> Result<Found, StoreError> {
        let load = self.claim.call(scripts::LOAD);
        Ok(match send_load(&mut self.link, &load)? {
            Found::Record(record) if record.key() != self.key => Found::Foreign,
            found => found,
        })
    }
}

/// Reads the record of this name, without a lease.
pub(crate) fn look(link: &mut Link, record: &str) -> Result<Option<SessionRecord>, RedisFailure> {
    // The script takes the lease's name first, and has no use for it.
    let mut load = cmd("EVAL");
    load.arg(scripts::LOAD).arg(2).arg(record).arg(record);
    Ok(match send_load(link, &load)? {
        Found::Record(record) => Some(*record),
        Found::Nothing | Found::Foreign => None,
    })
}

fn send_load(link: &mut Link, load: &Cmd) -> Result<Found, RedisFailure> {
    let found: Option<(Vec<u8>, u64)> = link.send("read from", load)?;
    let Some((text, age)) = found else {
        return Ok(Found::Nothing);
    };
    let text = Zeroizing::new(text);
    let Ok(record) = serde_json::from_slice::<SessionRecord>(&text) else {
        return Ok(Found::Foreign);
    };
    let (age, now) = (Duration::from_millis(age), SystemTime::now());
    let record = record.with_local_clock(age, now, CLOCKS_AGREE);
    Ok(Found::Record(Box::new(record)))
}

/// What is under the record's name.
enum Found {
    Nothing,
    Record(Box<SessionRecord>),
    /// Half a record, another program's value.
    Foreign,
}

impl StoreLease for RedisLease {
    fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        match self.read()? {
            Found::Nothing => Ok(None),
            Found::Record(record) => Ok(Some(*record)),
            Found::Foreign => {
                warn!(target: "ctc", "a record in Redis could not be read, and is not used");
                Ok(None)
            }
        }
    }

    fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        self.in_time()?;
        // Nobody else can write between this and the save, which fails once the lease is lost.
        if matches!(self.read()?, Found::Record(kept) if kept.has_younger_token_than(record)) {
            return Ok(());
        }
        let unfit = |_| RedisFailure::new("write to", "the record has no JSON form");
        let text = Zeroizing::new(serde_json::to_string(record).map_err(unfit)?);
        let mut command = self.claim.call_as_owner(scripts::SAVE);
        command
            .arg(text.as_str())
            .arg(kept(self.settings.record_ttl))
            .arg(lease_kept(&self.settings, self.ttl));
        match self.link.send("write to", &command)? {
            0 => Err(StoreError::LeaseLost),
            _ => Ok(()),
        }
    }

    fn release(mut self: Box<Self>) -> Result<(), StoreError> {
        self.heart.stop();
        let _: u64 = self.link.send(
            "give the lease back to",
            &self.claim.call_as_owner(scripts::RELEASE),
        )?;
        Ok(())
    }
}

/// The thread that keeps the lease while its holder lives, and gives it back when the holder drops
/// it.
struct Heart(Option<Sender<()>>);

impl Heart {
    fn start(
        mut link: Link,
        claim: Claim,
        span: Duration,
        deadline: Option<Instant>,
    ) -> Result<Self, RedisFailure> {
        let (sender, stopped) = mpsc::channel();
        let beat = move || {
            loop {
                // No beat keeps the lease beyond its time. When the last one is made (a lease of
                // no time has none), the thread sleeps until the holder is done.
                let time_for =
                    |wait| deadline.is_none_or(|deadline| Instant::now() + wait + span < deadline);
                let pause = if time_for(span / 3) {
                    span / 3
                } else {
                    Duration::MAX
                };
                match stopped.recv_timeout(pause) {
                    Ok(()) => return,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => {
                        let command = claim.call_as_owner(scripts::RELEASE);
                        let _ = link.send::<u64>("give the lease back to", &command);
                        return;
                    }
                }
                // The thread may have been held up. A beat that fails (the lease is lost, Redis is
                // out of reach) is no news: the holder will find out by itself.
                if time_for(Duration::ZERO) {
                    let beat = claim.call_as_owner(scripts::BEAT);
                    let _ = link.send::<u8>("keep the lease in", &beat);
                }
            }
        };
        thread::Builder::new()
            .name("ctc-redis-heart".to_owned())
            .spawn(beat)
            .map_err(|_| RedisFailure::new("keep the lease in", "no thread can be made"))?;
        Ok(Self(Some(sender)))
    }

    /// Ends it, and leaves giving back to the caller.
    fn stop(&mut self) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(());
        }
    }
}

fn span(ttl: Duration) -> Duration {
    ttl.min(SPAN)
}

/// How long Redis keeps a record, or an unused lease, in ms.
fn kept(record_ttl: Duration) -> u64 {
    millis(record_ttl.min(LONGEST_KEPT))
}

/// However short records are kept, a lease does not go away under its holder, and its number with
/// it.
fn lease_kept(settings: &Settings, ttl: Duration) -> u64 {
    kept(settings.record_ttl.max(ttl.saturating_add(SPAN)))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// 128 bits that differ from those of any other lease: `std` keys its hashers at random.
fn random() -> u128 {
    use std::hash::{BuildHasher, Hasher, RandomState};

    let half = || u128::from(RandomState::new().build_hasher().finish());
    half() << 64 | half()
}

#[cfg(test)]
mod tests {
    use ctc_testkit::RedisServer;

    use super::*;

    const TTL: Duration = Duration::from_secs(30);
    fn key() -> RecordKey {
        RecordKey {
            origin: "https://connect.calamp.com".to_owned(),
            account: "0123abcd".to_owned(),
        }
    }

    /// A repeated command may reach Redis after the release that its sender made by another
    /// connection.
    #[test]
    fn nothing_that_comes_late_revives_a_lease_that_was_given_back() {
        let Some(redis) = RedisServer::for_test("commands that come late") else {
            return;
        };
        let settings = Settings::new(redis::Client::open(redis.url()).unwrap());
        let (mut link, mut first) = (settings.link(), Claim::new(&settings, &key()));
        first.take(&mut link, &settings, TTL).unwrap().unwrap();
        let _: u64 = link
            .send("", &first.call_as_owner(scripts::RELEASE))
            .unwrap();

        let beat: u8 = link.send("", &first.call_as_owner(scripts::BEAT)).unwrap();
        let saved: u8 = link
            .send(
                "",
                first
                    .call_as_owner(scripts::SAVE)
                    .arg("{}")
                    .arg(60_000)
                    .arg(60_000),
            )
            .unwrap();
        let taken = first.take(&mut link, &settings, TTL).unwrap();
        assert_eq!((beat, saved, taken), (0, 0, Err(0)));

        let mut second = Claim::new(&settings, &key());
        assert_eq!(
            second.take(&mut link, &settings, TTL).unwrap(),
            Ok(()),
            "nobody holds it"
        );
        assert_eq!(second.fence, 2);
    }
}
