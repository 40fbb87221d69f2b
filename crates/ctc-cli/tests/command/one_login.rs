//! A shell loop costs one login.

use std::thread;

use crate::support::{DEVICES, Machine};

/// How many gets in a row, and how many at once. `CTC_LOOP` and `CTC_HERD` set other numbers, such
/// as the 1,000 and 50 of the README.
fn sizes() -> (usize, usize) {
    let number = |name, usual| {
        let set = std::env::var(name).ok();
        set.map_or(usual, |set| set.parse().unwrap())
    };
    (number("CTC_LOOP", 24), number("CTC_HERD", 12))
}

fn herd(machine: &Machine, size: usize) {
    let one = || machine.run(&["get", DEVICES]).ends_with(0);
    thread::scope(|scope| {
        let all: Vec<_> = (0..size).map(|_| scope.spawn(one)).collect();
        for one in all {
            assert!(one.join().unwrap().out.contains("Truck 1"));
        }
    });
}

#[test]
fn a_loop_of_gets_and_then_many_at_once_cost_one_login() {
    let (in_a_row, at_once) = sizes();
    let machine = Machine::new();
    for _ in 0..in_a_row {
        machine.run(&["get", DEVICES]).ends_with(0);
    }
    herd(&machine, at_once);
    let counts = machine.server.counts();
    assert_eq!((counts.logins, counts.login_requests), (1, 1));
    assert_eq!(counts.calls, (in_a_row + at_once) as u64);
    assert_eq!((counts.unauthorized, counts.violations), (0, 0));
}

#[test]
fn many_gets_at_once_without_a_session_cost_one_login() {
    let machine = Machine::new();
    herd(&machine, sizes().1);
    let counts = machine.server.counts();
    assert_eq!(
        (counts.logins, counts.login_requests, counts.violations),
        (1, 1, 0)
    );
}

#[test]
fn a_token_revoked_midway_costs_one_more_login() {
    let (in_a_row, at_once) = sizes();
    let machine = Machine::new();
    for number in 0..in_a_row {
        if number == in_a_row / 2 {
            machine.server.revoke_all();
        }
        machine.run(&["get", DEVICES]).ends_with(0);
    }
    herd(&machine, at_once);
    let counts = machine.server.counts();
    assert_eq!((counts.logins, counts.unauthorized), (2, 1));
    assert_eq!((counts.needless_logins, counts.violations), (0, 0));
}
