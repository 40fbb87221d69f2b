//! What comes late, by another connection, after a lease was given back.

use std::time::Duration;

use ctc_driver::ctc_core::RecordKey;
use ctc_testkit::RedisServer;

use super::{Claim, scripts};
use crate::RedisStore;

const TTL: Duration = Duration::from_secs(30);

/// A repeated command may reach Redis after the release that its sender made by another connection.
#[test]
fn nothing_that_comes_late_revives_a_lease_that_was_given_back() {
    let Some(redis) = RedisServer::for_test("commands that come late") else { return };
    let settings = RedisStore::open(&redis.url()).unwrap().settings;
    let key = RecordKey { origin: "https://connect.example".to_owned(), account: "00".to_owned() };
    let (mut link, mut first) = (settings.link(), Claim::new(&settings, &key));
    first.take(&mut link, &settings, TTL).unwrap().unwrap();
    let _: u64 = link.send("", &first.call_as_owner(scripts::RELEASE)).unwrap();

    let beat: u8 = link.send("", &first.call_as_owner(scripts::BEAT)).unwrap();
    let saved: u8 =
        link.send("", first.call_as_owner(scripts::SAVE).arg("{}").arg(60_000).arg(60_000)).unwrap();
    let taken = first.take(&mut link, &settings, TTL).unwrap();
    assert_eq!((beat, saved, taken), (0, 0, Err(0)));

    let mut second = Claim::new(&settings, &key);
    assert_eq!(second.take(&mut link, &settings, TTL).unwrap(), Ok(()), "nobody holds it");
    assert_eq!(second.fence, 2);
}
