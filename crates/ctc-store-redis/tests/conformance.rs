//! The Redis store passes the suite that every store must pass.

use ctc_store_redis::RedisStore;
use ctc_testkit::RedisServer;
use ctc_testkit::store_conformance::{check, check_async};

#[test]
fn blocking() {
    let Some(redis) = RedisServer::for_test("conformance of the Redis store") else {
        return;
    };
    check(|| RedisStore::open(&redis.url()).unwrap()).unwrap();
}

#[test]
fn asynchronous() {
    let Some(redis) = RedisServer::for_test("conformance of the Redis store") else {
        return;
    };
    check_async(|| RedisStore::open(&redis.url()).unwrap()).unwrap();
}
