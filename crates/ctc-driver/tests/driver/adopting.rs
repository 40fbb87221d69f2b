//! Taking up the session of a store without a login.

use ctc_driver::ctc_core::Denial;

use crate::support::server::Login;
use crate::support::store::TestStore;
use crate::support::{World, status};

fn stored() -> World {
    World::with_store(&TestStore::default())
}

#[test]
fn a_token_in_the_store_is_adopted_and_none_is_asked_for() {
    for store in [TestStore::default(), TestStore::without_secret()] {
        let world = World::with_store(&store);
        let driver = world.blocking();
        assert!(!driver.adopt().unwrap(), "the store has nothing yet");
        assert_eq!(
            (world.server.logins(), store.was_asked_to("save")),
            (0, false)
        );
        driver.login(&Default::default()).unwrap();

        let later = world.restarted();
        assert!(later.blocking().adopt().unwrap());
        let counts = later.session.counts();
        assert_eq!((counts.adopted, counts.logins), (1, 0));
        assert_eq!(status(later.clients()[0].call("/devices")), 200);
        assert_eq!(world.server.logins(), 1);
    }
}

/// What was not sent is not charged: the login that follows is the first of three.
#[test]
fn adopting_nothing_costs_nothing() {
    let world = stored();
    let driver = world.blocking();
    for _ in 0..10 {
        assert!(!driver.adopt().unwrap());
    }
    for _ in 0..3 {
        driver.renew(&Default::default()).unwrap();
    }
    assert_eq!(world.server.logins(), 3);
    assert!(driver.renew(&Default::default()).is_err());
}

#[test]
fn another_passwords_token_is_not_adopted() {
    let world = stored();
    world.blocking().login(&Default::default()).unwrap();
    let stranger = world.restarted_with("another!");
    assert!(!stranger.blocking().adopt().unwrap());
    assert!(world.restarted().blocking().adopt().unwrap());
    assert_eq!(world.server.logins(), 1);
}

#[test]
fn a_record_that_holds_logins_back_is_told_of() {
    let world = stored();
    world.server.next_login(Login::Status(401));
    world.blocking().login(&Default::default()).unwrap_err();
    let denied = world.restarted().blocking().adopt().unwrap_err();
    assert!(
        matches!(denied.denial(), Denial::Rejected { .. }),
        "{denied}"
    );
    assert_eq!(world.server.logins(), 1);
}

#[test]
fn without_a_store_and_after_a_logout_there_is_nothing_to_adopt() {
    let world = World::new();
    assert!(!world.blocking().adopt().unwrap());
    let world = stored();
    let driver = world.blocking();
    driver.login(&Default::default()).unwrap();
    assert!(driver.adopt().unwrap(), "it is open");
    driver.logout();
    let denied = driver.adopt().unwrap_err();
    assert_eq!(denied.denial(), &Denial::Closed);
    assert!(!world.restarted().blocking().adopt().unwrap());
}
