//! A network that is away for a while: what it costs, and how soon the calls are back.

use std::time::Duration;

use ctc_driver::CallError;
use ctc_driver::ctc_core::{Denial, LoginFailure, Settings};

use crate::support::server::Login;
use crate::support::{World, denial, seconds, status, with_both};

/// One call a second for as long as nothing can be reached. Says how long after the network's
/// return the first good response came.
fn late_after(offline: Duration, seed: u64, phase: Duration) -> [Duration; 2] {
    let late = std::cell::RefCell::new(Vec::new());
    let mut settings = Settings::default();
    settings.seed = seed;
    let world = || World::with_settings(settings.clone());
    with_both(world, |world, client| {
        world.server.every_login(Login::NotSent);
        // The network goes away `phase` before the first call.
        let mut away_for = phase;
        while away_for < offline {
            assert!(matches!(
                denial(client.call("/devices")),
                Denial::BackingOff {
                    cause: LoginFailure::NotSent,
                    ..
                }
            ));
            world.advance(seconds(1));
            away_for += seconds(1);
        }
        world.server.logins_are_fine();
        loop {
            match client.call("/devices") {
                Ok(response) => break assert_eq!(response.status(), 200),
                Err(CallError::Denied(_)) => {}
                Err(error) => panic!("{error}"),
            }
            world.advance(seconds(1));
            away_for += seconds(1);
        }
        late.borrow_mut().push(away_for - offline);
        // No budget was spent: all three logins in a row are still there, one of them made by now.
        for _ in 0..2 {
            world.server.revoke_all();
            assert_eq!(status(client.call("/devices")), 200);
        }
        world.server.revoke_all();
        assert!(matches!(
            denial(client.call("/devices")),
            Denial::BudgetSpent { .. }
        ));
    });
    late.into_inner().try_into().expect("two drivers")
}

#[test]
fn after_a_time_offline_the_calls_are_back_within_15_seconds_and_no_login_was_charged() {
    let latest = [20, 60, 3600].map(|offline| {
        let phases = [1, 500, 999].map(Duration::from_millis);
        let runs = (0..16).flat_map(|seed| phases.map(|phase| (seed, phase)));
        runs.flat_map(|(seed, phase)| late_after(seconds(offline), seed, phase))
            .max()
            .unwrap()
    });
    let in_time = latest.iter().all(|&late| late <= seconds(15));
    assert!(in_time, "{latest:?}");
}
