//! The driver of a process, of either kind.

use std::panic::resume_unwind;
use std::sync::Arc;

use ctc_driver::{AsyncDriver, CallError, CallOptions, Denied, Driver, SharedSession};
use http::{Request, Response};

use crate::blocking::Blocking;
use crate::net::SimTransport;
use crate::runtime::Thrown;
use crate::secrets;
use crate::turns::{OnThread, Turn};
use crate::watch::Guarantee;
use crate::wire::SimError;
use crate::world::World;

pub(crate) type ServerResponse = Result<Response<()>, CallError<SimError>>;

#[derive(Clone, Debug)]
pub(crate) enum SimDriver {
    Async(AsyncDriver<SimTransport>),
    Blocking(BlockingDriver),
}

/// The blocking driver, and the turns of the one thread that uses it at a time.
#[derive(Clone)]
pub(crate) struct BlockingDriver {
    pub(crate) driver: Driver<Blocking<SimTransport>>,
    pub(crate) turn: Arc<Turn>,
    pub(crate) world: Arc<World>,
    pub(crate) process: usize,
}

impl std::fmt::Debug for BlockingDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.driver.fmt(f)
    }
}

impl SimDriver {
    pub(crate) fn session(&self) -> &SharedSession {
        match self {
            Self::Async(driver) => driver.session(),
            Self::Blocking(blocking) => blocking.driver.session(),
        }
    }

    /// `None` if user code panicked in it.
    pub(crate) async fn execute(
        &self,
        request: Request<Vec<u8>>,
        options: &CallOptions,
    ) -> Option<ServerResponse> {
        match self {
            Self::Async(driver) => Some(driver.execute(request, options).await),
            Self::Blocking(blocking) => {
                let options = options.clone();
                let execute = move |driver: &Driver<_>| driver.execute(request, &options);
                blocking.run(execute).await
            }
        }
    }

    /// As [`execute`](Self::execute).
    pub(crate) async fn renew(&self, options: &CallOptions) -> Option<Result<(), Denied>> {
        match self {
            Self::Async(driver) => Some(driver.renew(options).await),
            Self::Blocking(blocking) => {
                let options = options.clone();
                blocking.run(move |driver| driver.renew(&options)).await
            }
        }
    }
}

impl BlockingDriver {
    async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Driver<Blocking<SimTransport>>) -> R + Send + 'static,
    ) -> Option<R> {
        let driver = self.driver.clone();
        let work = move || {
            let result = work(&driver);
            (result, secrets::logged())
        };
        let result = OnThread::new(&self.turn, work).await;
        let mut state = self.world.state();
        state.own_login_ends(self.process);
        match result {
            Ok((result, leak)) => {
                if let Some(leak) = leak {
                    state.violated(Guarantee::Secrets, || format!("a log line shows {leak}"));
                }
                Some(result)
            }
            Err(panic) if panic.is::<Thrown>() => None,
            Err(panic) => {
                drop(state);
                resume_unwind(panic)
            }
        }
    }
}
