//! The programs of a world: each process's session, its clients and its callers.

use std::sync::Arc;

use ctc_core::{AppKey, Credentials, Endpoint, Session};
use ctc_driver::{AsyncDriver, AsyncSessionStore, Driver, SessionStore, SharedSession};

use crate::blocking::Blocking;
use crate::callers::Caller;
use crate::driver::{BlockingDriver, SimDriver};
use crate::kinds::Source;
use crate::net::SimTransport;
use crate::observer::{observer, rule};
use crate::plan::CallPlan;
use crate::process_clock::ProcessClock;
use crate::run::Runner;
use crate::runtime::SimRuntime;
use crate::server::{APP_KEY, USERS};
use crate::source::{SimSource, Threaded};
use crate::store::SimStore;
use crate::task::{Does, Task};
use crate::turns::Turn;
use crate::wire::ORIGIN;

impl Runner {
    pub(crate) fn start(&self, process: usize) -> Option<SharedSession> {
        let mut settings = self.plan.settings.clone();
        let clock = {
            let state = self.world.state();
            let of_process = state.processes.get(process)?;
            settings.seed = self.seed ^ (of_process.life << 8) ^ process as u64;
            Arc::clone(&of_process.clock)
        };
        settings.login_rule = Some(rule(&self.world));
        let endpoint = Endpoint::new(ORIGIN).ok()?;
        let key = AppKey::new(APP_KEY).ok()?;
        let plan = &self.plan.processes[process];
        settings.login = plan.kind.login(&self.plan.terms)?;
        settings.early_renewal = self.plan.terms.early;
        let session = if plan.source.is_some() {
            Session::without_credentials(endpoint, key, settings).ok()?
        } else {
            let credentials = Credentials::new(USERS[0], plan.password).ok()?;
            Session::new(endpoint, key, credentials, settings).ok()?
        };
        let world = Arc::clone(&self.world);
        let clock = ProcessClock {
            clock,
            world,
            process,
        };
        let session = SharedSession::with_clock(session, clock);
        session.set_observer(observer(&self.world, process));
        let world = Arc::clone(&self.world);
        let source = SimSource { world, process };
        match plan.source {
            // `driver` sets the source of a blocking driver, which shares the turns of its caller.
            Source::None | Source::Blocking => {}
            Source::Async => session.set_async_credentials_source(source),
            Source::Threaded => session.set_async_credentials_source(Threaded(source)),
        }
        Some(session)
    }

    /// Returns a new client of a process's session.
    pub(crate) fn driver(&self, process: usize) -> SimDriver {
        let session = self.sessions[process].clone();
        let plan = &self.plan.processes[process];
        let world = || Arc::clone(&self.world);
        let store = plan.store.map(|shelf| SimStore {
            world: world(),
            process,
            shelf,
        });
        let transport = SimTransport {
            world: world(),
            process,
            session: session.clone(),
        };
        if plan.source.is_blocking() {
            let turn = Arc::new(Turn::default());
            let source = SimSource {
                world: world(),
                process,
            };
            session.set_credentials_source(Blocking::new(source, &turn));
            let store =
                store.map(|store| Arc::new(Blocking::new(store, &turn)) as Arc<dyn SessionStore>);
            let transport = Blocking::new(transport, &turn);
            return SimDriver::Blocking(BlockingDriver {
                driver: Driver::new(session, transport, store),
                turn,
                world: world(),
                process,
            });
        }
        let runtime = SimRuntime {
            world: world(),
            process,
        };
        let store = store.map(|store| Arc::new(store) as Arc<dyn AsyncSessionStore>);
        SimDriver::Async(AsyncDriver::new(session, transport, runtime, store))
    }

    /// Starts a process's callers, each with at most `calls` calls.
    pub(crate) fn spawn_callers(
        &mut self,
        process: usize,
        calls: usize,
        on: impl Fn(usize) -> bool,
    ) {
        let plan = &self.plan.processes[process];
        let runtimes = plan.runtimes;
        for (number, mut plans) in plan.callers.clone().into_iter().enumerate() {
            let runtime = number % runtimes;
            let stopped = self.world.state().processes[process].runtimes[runtime].stopped;
            if on(runtime) && !stopped {
                plans.truncate(calls);
                self.spawn_caller(process, runtime, plans, false);
            }
        }
    }

    pub(crate) fn spawn_caller(
        &mut self,
        process: usize,
        runtime: usize,
        calls: Vec<CallPlan>,
        healed: bool,
    ) {
        let Some(driver) = self.drivers[process].clone() else {
            return;
        };
        let caller = Caller {
            world: Arc::clone(&self.world),
            driver,
            process,
            runtime,
            healed,
        };
        let work = Box::pin(caller.make(calls));
        self.tasks
            .spawn(Task::new(process, runtime, Does::Call, work));
    }
}
