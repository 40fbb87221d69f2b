//! Records are read for people without a lease.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use common::{lease, record};
use ctc_store_redis::{RedisStore, redis};
use ctc_testkit::RedisServer;

#[test]
fn records_are_read_and_listed_under_their_prefix_alone() {
    let Some(server) = RedisServer::for_test("reading records") else {
        return;
    };
    let store = RedisStore::open(&server.url()).unwrap();
    let record = record("T");
    assert_eq!(store.read(&record.key()).unwrap(), None);
    assert!(store.records().unwrap().is_empty());

    for prefix in ["ctc", "c*", "ctcx"] {
        let store = store.clone().prefix(prefix);
        let mut lease = lease(&store).unwrap();
        lease.save(&record).unwrap();
        assert_eq!(
            store.read(&record.key()).unwrap(),
            Some(record.clone()),
            "under its lease"
        );
        lease.release().unwrap();
    }
    // Another program's values, and more keys than are gone through at a time.
    let script = "for i = 1, 2500 do redis.call('SET', 'other:' .. i, 'x') end";
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    redis::cmd("EVAL")
        .arg(script)
        .arg(0)
        .exec(&mut connection)
        .unwrap();
    server.command("HSET ctc:{x|y}:record record {}").unwrap();
    server.command("SET ctc:{another|type}:record x").unwrap();
    let list = |prefix: &str| {
        let records = store.clone().prefix(prefix).records().unwrap();
        records
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    for prefix in ["ctc", "c*"] {
        let name = store.clone().prefix(prefix).record_name(&record.key());
        assert_eq!(list(prefix), [name]);
    }
    assert!(list("ct?").is_empty());
}
