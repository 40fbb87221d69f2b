//! Futures that are dropped half way, at every point at which they can be, and stacks that panic.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use ctc_driver::__adapter::by_hand;
use ctc_driver::ctc_core::{Admit, Call, Denial, LoginFailure, Phase, Settings};
use ctc_driver::{CallOptions, LeaseTerms, Runtime, SessionEvent, SessionStore, SharedSession};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::support::run::{Tasks, poll_once, run, run_spawned, shut_down, until_stalled};
use crate::support::server::Login;
use crate::support::store::TestStore;
use crate::support::{Answer, World, denial, get, lock, seconds, status, with_both};

fn call(world: &World) -> BoxFuture<'static, Answer> {
    let driver = world.asynchronous();
    async move {
        driver
            .execute(get("/devices"), &CallOptions::default())
            .await
    }
    .boxed()
}

/// Polls up to `times`; whether it was still running then.
fn poll<T>(future: &mut BoxFuture<'static, T>, times: usize) -> bool {
    (0..times).all(|_| poll_once(Pin::new(&mut *future)).is_pending())
}

/// Runs `test` with a call polled 1, 2, 3 … times, until a call is done by then.
fn at_every_point(
    worlds: impl Fn() -> World,
    test: impl Fn(&World, BoxFuture<'static, Answer>, usize),
) {
    for times in 0.. {
        let world = worlds();
        let mut leader = call(&world);
        if !poll(&mut leader, times) {
            assert!(times > 6, "there are more points than that: {times}");
            return;
        }
        test(&world, leader, times);
        world.server.set(|state| {
            assert!(
                state.logins_at_most <= 1,
                "two at once, after {times} polls"
            );
        });
    }
}

fn cold() -> World {
    World::with_store(&TestStore::default())
}

fn dead_token() -> World {
    let world = cold();
    world.blocking().login(&CallOptions::default()).unwrap();
    world.server.revoke_all();
    world.advance(seconds(3600));
    world
}

/// Whether another process finds the session's token.
fn is_in_the_store(world: &World) -> bool {
    let store = world.store.as_ref().unwrap();
    store.has_token_of(&world.session)
}

#[test]
fn t54_a_cancelled_elected_caller_costs_waiting_callers_nothing() {
    for (worlds, logins) in [(cold as fn() -> World, 1), (dead_token, 2)] {
        at_every_point(worlds, |world, mut leader, times| {
            let mut others: Vec<_> = (0..5).map(|_| call(world)).collect();
            let on_its_way = poll(&mut leader, 1);
            others.iter_mut().for_each(|other| assert!(poll(other, 1)));
            drop(leader);
            let mut tasks = Tasks::new();
            others.into_iter().for_each(|other| tasks.spawn(other));
            assert!(
                tasks
                    .finish()
                    .into_iter()
                    .all(|response| status(response) == 200)
            );
            assert!(
                world.server.logins() <= logins,
                "after {times} polls ({on_its_way})"
            );
            assert!(is_in_the_store(world), "after {times} polls");
        });
    }
}

#[test]
fn t54_a_leader_cancelled_alone_costs_one_more_login_at_most() {
    for (worlds, logins) in [(cold as fn() -> World, 2), (dead_token, 3)] {
        at_every_point(worlds, |world, leader, times| {
            drop(leader);
            assert_eq!(status(run(&world.clock, call(world))), 200);
            assert!(world.server.logins() <= logins, "after {times} polls");
            assert!(is_in_the_store(world), "after {times} polls");
            world
                .server
                .set(|state| assert_eq!((state.logins_now, state.calls_now), (0, 0)));
        });
    }
}

/// Nobody makes a call afterwards, whose response would be another chance to save the token.
#[test]
fn t32_a_login_whose_leader_is_cancelled_anywhere_is_in_the_store() {
    for times in 0.. {
        let world = cold();
        let login = || {
            let driver = world.asynchronous();
            async move { driver.login(&CallOptions::default()).await }.boxed()
        };
        let (mut leader, mut other) = (login(), login());
        assert!(poll(&mut leader, 1) && poll(&mut other, 1));
        let on_its_way = poll(&mut leader, times);
        drop(leader);
        run(&world.clock, other).unwrap();
        assert!(is_in_the_store(&world), "after {times} polls");
        assert_eq!(world.server.logins(), 1, "after {times} polls");
        if !on_its_way {
            return;
        }
    }
}

#[test]
fn a_refusal_is_in_the_store_although_the_leader_was_cancelled() {
    let refusing = || {
        let world = cold();
        world.server.every_login(Login::Status(401));
        world
    };
    for waiters in [0, 5] {
        at_every_point(refusing, |world, mut leader, times| {
            let mut others: Vec<_> = (0..waiters).map(|_| call(world)).collect();
            poll(&mut leader, 1);
            others.retain_mut(|other| poll(other, 1));
            drop(leader);
            let mut tasks = Tasks::new();
            others.into_iter().for_each(|other| tasks.spawn(other));
            assert!(tasks.finish().iter().all(Result::is_err));
            denial(run(&world.clock, call(world)));
            let sent = world.server.logins();
            denial(run(&world.clock, call(&world.restarted())));
            assert_eq!(world.server.logins(), sent, "after {times} polls");
        });
    }
}

/// Its failure is not in the store yet, and another process found worse meanwhile: who saves it
/// learns that first.
#[test]
fn one_denial_for_all_although_the_leader_was_cancelled_and_the_store_knows_more() {
    let failing = || {
        let world = cold();
        world.server.every_login(Login::Status(503));
        world
    };
    at_every_point(failing, |world, leader, times| {
        drop(leader);
        world.server.every_login(Login::Status(401));
        denial(run(&world.clock, call(&world.restarted())));
        let told = denial(run(&world.clock, call(world)));
        assert_eq!(
            denial(run(&world.clock, call(world))),
            told,
            "after {times} polls"
        );
    });
}

#[test]
fn t54_a_thread_takes_over_from_a_cancelled_task() {
    at_every_point(cold, |world, leader, _| {
        drop(leader);
        shut_down();
        assert_eq!(
            status(
                world
                    .blocking()
                    .execute(get("/devices"), &CallOptions::default())
            ),
            200
        );
        assert!(world.server.logins() <= 2);
    });
}

#[test]
fn one_who_waits_can_go_at_any_point() {
    at_every_point(cold, |world, waiter, _| {
        let mut others = Tasks::new();
        (0..5).for_each(|_| others.spawn(call(world)));
        others.run_until_stalled();
        drop(waiter);
        assert!(
            others
                .finish()
                .into_iter()
                .all(|response| status(response) == 200)
        );
        assert_eq!(world.server.logins(), 1);
    });
}

#[test]
fn an_elected_caller_that_is_never_polled_again_blocks_no_others() {
    at_every_point(cold, |world, leader, _| {
        let mut others = Tasks::new();
        (0..5).for_each(|_| others.spawn(call(world)));
        assert!(
            others
                .finish()
                .into_iter()
                .all(|response| status(response) == 200)
        );
        assert_eq!(world.server.logins(), 1);
        drop(leader);
    });
}

/// Else the task would ask, find the login that is over, and ask again for as long as the present
/// one takes.
#[test]
fn a_task_sleeps_through_a_threads_login_although_somebody_holds_on_to_an_earlier_one() {
    let world = World::new();
    world.server.hold_logins(true);
    let (mut leader, mut never_polled_again) = (call(&world), call(&world));
    assert!(poll(&mut leader, 1) && poll(&mut never_polled_again, 1));
    world.server.hold_logins(false);
    assert_eq!(status(run(&world.clock, leader)), 200);
    world.session.close();
    world.session.reopen();
    // As a thread asks for leave. Its login is never made.
    let Admit::Login(order) = by_hand::admit(&world.session, &mut Call::new(true)) else {
        panic!("not elected")
    };
    let mut tasks = Tasks::new();
    tasks.spawn(call(&world));
    world.clock.is_read_at_most(10);
    tasks.run_until_stalled();
    assert_eq!(tasks.waiting(), 1);
    world.session.close();
    assert!(
        tasks
            .finish()
            .into_iter()
            .all(|response| denial(response) == Denial::Closed)
    );
    drop((order, never_polled_again));
}

#[test]
fn a_logout_cancelled_anywhere_has_closed_the_session() {
    for times in 1.. {
        let world = cold();
        let driver = world.asynchronous();
        run(&world.clock, driver.login(&CallOptions::default())).unwrap();
        let mut logout = async move { driver.logout().await }.boxed();
        let done = !poll(&mut logout, times);
        drop(logout);
        assert_eq!(world.session.phase(), Phase::Closed);
        world.session.reopen();
        assert_eq!(status(run(&world.clock, call(&world))), 200);
        if done {
            return;
        }
    }
}

/// Guarantee 12.
#[test]
fn guarantee_12_a_login_that_was_sent_ends_although_all_its_callers_have_gone() {
    let world = cold();
    world.server.hold_logins(true);
    let mut calls: Vec<_> = (0..5).map(|_| call(&world)).collect();
    calls.iter_mut().for_each(|call| assert!(poll(call, 8)));
    assert_eq!(world.server.logins(), 1);
    drop(calls);
    assert_eq!(world.session.phase(), Phase::LoggingIn);
    world.server.hold_logins(false);
    run_spawned();
    assert!(matches!(world.session.phase(), Phase::Open(_)));
    assert!(is_in_the_store(&world));
    assert_eq!(status(run(&world.clock, call(&world))), 200);
    assert_eq!(world.server.logins(), 1);
}

/// 30 calls of 100 ms, one after another, and a login that takes longer.
#[test]
fn callers_with_short_deadlines_share_one_login() {
    let world = cold();
    world.server.hold_logins(true);
    for _ in 0..30 {
        let mut call = call(&world);
        assert!(until_stalled(call.as_mut()).is_pending());
        world.advance(std::time::Duration::from_millis(100));
    }
    world.server.hold_logins(false);
    assert_eq!(status(run(&world.clock, call(&world))), 200);
    assert_eq!(world.server.logins(), 1);
    assert_eq!(world.session.counts().denied, 0);
}

#[test]
fn a_login_without_callers_is_not_sent() {
    let world = cold();
    let key = world.session.record_key();
    let store = world.store.clone().unwrap();
    let terms = LeaseTerms {
        wait: seconds(0),
        ttl: seconds(60),
    };
    let held = SessionStore::lease(&store, &key, terms).unwrap();
    let mut call = call(&world);
    assert!(until_stalled(call.as_mut()).is_pending());
    drop(call);
    held.release().unwrap();
    while world.session.phase() == Phase::LoggingIn {
        run_spawned();
        world.clock.advance_to_next_timer();
    }
    assert_eq!(world.session.phase(), Phase::Empty);
    assert_eq!(world.server.logins(), 0);
    // It was not charged: the whole budget is there.
    for _ in 0..3 {
        world.session.close();
        world.session.reopen();
        assert_eq!(
            world
                .blocking()
                .login(&CallOptions::default())
                .map_err(|_| ()),
            Ok(())
        );
    }
}

/// The elected caller's runtime shuts down in mid-login: the next caller is elected at once.
#[test]
fn a_login_whose_runtime_shuts_down_costs_one_more_at_most() {
    at_every_point(cold, |world, leader, times| {
        if times == 0 {
            return; // not elected yet
        }
        let mut other = call(world);
        assert!(until_waiting(&mut other));
        shut_down();
        drop(leader);
        assert_eq!(status(run(&world.clock, other)), 200, "after {times} polls");
        assert!(world.server.logins() <= 2, "after {times} polls");
        world.server.set(|state| state.logins_at_most = 0);
    });
}

/// Polls a call without running the runtime's tasks.
fn until_waiting(call: &mut BoxFuture<'static, Answer>) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    call.as_mut().poll(&mut context).is_pending()
}

/// What becomes of the tasks of a runtime that runs none.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Task {
    /// As one that is shut down does.
    Dropped,
    /// As by one that is shutting down.
    DroppedLater,
    /// As by `tokio::spawn` outside of a runtime.
    Panics,
    /// As by a runtime that nobody runs.
    Kept,
}

/// A runtime that runs no task.
#[derive(Clone)]
struct NoRuntime {
    clock: crate::support::clock::VirtualClock,
    task: Task,
    spawned: Arc<AtomicUsize>,
    kept: Arc<Mutex<Vec<ctc_driver::BoxFuture<()>>>>,
}

impl Runtime for NoRuntime {
    fn spawn(&self, task: ctc_driver::BoxFuture<()>) {
        self.spawned.fetch_add(1, Relaxed);
        match self.task {
            Task::Dropped => drop(task),
            Task::Panics => panic!("there is no runtime here"),
            Task::DroppedLater | Task::Kept => lock(&self.kept).push(task),
        }
    }

    fn sleep(&self, duration: std::time::Duration) -> ctc_driver::BoxFuture<()> {
        crate::support::run::Virtual(self.clock.clone()).sleep(duration)
    }
}

/// Its callers are denied, and nobody else: there is no backoff, and the budget is whole.
#[test]
fn a_runtime_that_runs_no_task_denies_its_own_callers_alone() {
    for task in [Task::Dropped, Task::DroppedLater, Task::Panics, Task::Kept] {
        let world = World::new();
        let runtime = NoRuntime {
            clock: world.clock.clone(),
            task,
            spawned: Arc::default(),
            kept: Arc::default(),
        };
        let transport = crate::support::transport::Async(world.server.clone());
        let driver =
            ctc_driver::AsyncDriver::new(world.session.clone(), transport, runtime.clone(), None);
        let callers = if task == Task::Dropped { 1000 } else { 5 };
        let mut tasks = Tasks::new();
        for _ in 0..callers {
            let driver = driver.clone();
            tasks.spawn(async move { driver.execute(get("/"), &CallOptions::default()).await });
        }
        loop {
            tasks.run_until_stalled();
            if task == Task::DroppedLater {
                drop(std::mem::take(&mut *lock(&runtime.kept)));
            } else if !world.clock.advance_to_next_timer() {
                break;
            }
            if tasks.waiting() == 0 {
                break;
            }
        }
        let waited = world.clock.elapsed();
        let limit = if task == Task::Kept { 10 } else { 0 };
        assert_eq!(waited, seconds(limit), "{task:?}");
        for response in tasks.finish() {
            assert_eq!(denial(response), Denial::NotRun, "{task:?}");
        }
        // One that is not run gets no more of them for a while.
        let spawned = if task == Task::Kept { 1 } else { callers };
        assert_eq!(runtime.spawned.load(Relaxed), spawned, "{task:?}");
        let (logins, phase) = (world.session.counts().logins, world.session.phase());
        assert_eq!((logins, phase), (0, Phase::Empty), "{task:?}");
        for _ in 0..3 {
            assert_eq!(status(run(&world.clock, call(&world))), 200, "{task:?}");
            world.session.close();
            world.session.reopen();
        }
    }
}

/// A lease that ends before the runtime's 10 s does not elect the same caller again and again.
#[test]
fn a_caller_whose_login_is_not_run_is_denied_when_its_lease_ends() {
    let mut settings = Settings::default();
    (settings.login_timeout, settings.lease) = (seconds(1), seconds(2));
    let world = World::with_settings(settings);
    let runtime = NoRuntime {
        clock: world.clock.clone(),
        task: Task::Kept,
        spawned: Arc::default(),
        kept: Arc::default(),
    };
    let transport = crate::support::transport::Async(world.server.clone());
    let driver = ctc_driver::AsyncDriver::new(world.session.clone(), transport, runtime, None);
    let mut tasks = Tasks::new();
    tasks.spawn(async move { driver.execute(get("/"), &CallOptions::default()).await });
    tasks.run_until_stalled();
    while tasks.waiting() > 0 && world.clock.elapsed() < seconds(20) {
        assert!(world.clock.advance_to_next_timer());
        tasks.run_until_stalled();
    }
    assert_eq!(world.clock.elapsed(), seconds(2));
    assert_eq!(denial(tasks.finish().remove(0)), Denial::NotRun);
}

/// A caller whose runtime is gone is served by the login of one that has one.
#[test]
fn a_caller_without_a_runtime_leaves_the_login_to_one_that_has_one() {
    let world = World::new();
    let runtime = NoRuntime {
        clock: world.clock.clone(),
        task: Task::DroppedLater,
        spawned: Arc::default(),
        kept: Arc::default(),
    };
    let transport = crate::support::transport::Async(world.server.clone());
    let driver =
        ctc_driver::AsyncDriver::new(world.session.clone(), transport, runtime.clone(), None);
    let options = CallOptions::default();
    let mut first = Box::pin(driver.execute(get("/"), &options));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(first.as_mut().poll(&mut context).is_pending());
    let mut other = call(&world);
    assert!(until_waiting(&mut other));
    lock(&runtime.kept).clear();
    // Elected next.
    assert!(until_waiting(&mut other));
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert_eq!(status(run(&world.clock, other)), 200);
    assert_eq!(status(run(&world.clock, first)), 200);
    assert_eq!(world.server.logins(), 1);
}

/// Its task is never polled: other callers, and threads too, wait as long as a login may take and a
/// little longer, not for the whole lease.
#[test]
fn a_login_that_never_runs_is_replaced_in_bounded_time() {
    let world = World::new();
    let mut lost = call(&world);
    assert!(until_waiting(&mut lost));
    let began = world.session.phase();
    assert_eq!(began, Phase::LoggingIn);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut other = call(&world);
    let mut waited = std::time::Duration::ZERO;
    // Only callers are polled, not the runtime.
    let response = loop {
        if let std::task::Poll::Ready(response) = other.as_mut().poll(&mut context) {
            break Some(response);
        }
        if world.session.counts().logins > 0 || waited > seconds(120) {
            break None;
        }
        world.advance(seconds(1));
        waited += seconds(1);
        if waited > seconds(60) {
            break Some(run(&world.clock, other));
        }
    };
    assert_eq!(response.map(status), Some(200));
    assert!(waited <= seconds(61), "{waited:?}");
}

/// T58: the HTTP client's login goes through the client itself. It neither waits for itself nor
/// recurses.
#[test]
fn t58_a_call_from_within_the_login_is_denied_at_once() {
    with_both(World::new, |world, client| {
        let seen = Arc::new(Mutex::new(None));
        let (told, inner) = (Arc::clone(&seen), world.blocking());
        world
            .session
            .set_observer(move |_: &SharedSession, event: &SessionEvent<'_>| {
                if matches!(event, SessionEvent::LoginSent) {
                    *lock(&told) = Some(denial(inner.execute(get("/"), &CallOptions::default())));
                }
            });
        assert_eq!(status(client.call("/devices")), 200);
        assert_eq!(lock(&seen).take(), Some(Denial::InsideLogin));
        assert_eq!(world.server.logins(), 1);
    });
}

#[test]
fn a_transport_that_panics_in_a_login_is_a_failed_login_for_all_tasks() {
    let world = World::new();
    world.server.next_login(Login::Panic);
    world.server.hold_logins(true);
    let mut tasks = Tasks::new();
    (0..20).for_each(|_| tasks.spawn(call(&world)));
    tasks.run_until_stalled();
    assert_eq!(world.server.logins(), 1);
    world.server.hold_logins(false);
    for response in tasks.finish() {
        let denial = denial(response);
        assert!(
            matches!(
                denial,
                Denial::BackingOff {
                    cause: LoginFailure::Panicked,
                    ..
                }
            ),
            "{denial:?}"
        );
    }
    assert_eq!(world.server.logins(), 1);
    world.advance(seconds(10));
    assert_eq!(status(run(&world.clock, call(&world))), 200);
}

#[test]
fn a_transport_that_always_panics_is_not_asked_for_ever() {
    let world = World::new();
    world.server.every_login(Login::Panic);
    for client in world.clients() {
        for _ in 0..10 {
            drop(std::panic::catch_unwind(AssertUnwindSafe(|| {
                client.call("/devices")
            })));
        }
        denial(client.call("/devices"));
    }
    assert_eq!(world.server.logins(), 1);
}

#[test]
fn an_observer_that_panics_at_each_event_has_no_effect() {
    with_both(cold, |world, client| {
        world
            .session
            .set_observer(|_: &SharedSession, event: &SessionEvent<'_>| panic!("{event:?}"));
        assert_eq!(status(client.call("/devices")), 200);
        world.server.revoke_all();
        world.advance(seconds(3600));
        assert_eq!(status(client.call("/devices")), 200);
        assert!(is_in_the_store(world));
        client.logout();
        assert_eq!(denial(client.call("/devices")), Denial::Closed);
        assert_eq!(world.server.logins(), 2);
    });
}
