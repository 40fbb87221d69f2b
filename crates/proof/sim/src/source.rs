//! A process's source of credentials, which may return them, fail, be slow, hang or panic.
//! [`Threaded`] is a blocking source of the asynchronous driver, which asks it on a thread.

use std::panic::resume_unwind;
use std::sync::Arc;

use async_trait::async_trait;
use ctc_core::Credentials;
use ctc_driver::{AsyncCredentialsSource, CredentialsError, CredentialsSource};

use crate::count::Fault;
use crate::plan::Ms;
use crate::runtime::Thrown;
use crate::turns::{Asking, Turn};
use crate::wire::SimError;
use crate::world::{Sleep, World};

#[derive(Clone)]
pub(crate) struct SimSource {
    pub(crate) world: Arc<World>,
    pub(crate) process: usize,
}

/// The result of one question.
enum Says {
    Credentials(&'static str, &'static str),
    Unavailable,
    Unusable,
    Nothing,
    Panics,
}

#[async_trait]
impl AsyncCredentialsSource for SimSource {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let (pause, says) = self.draw();
        // If this is dropped meanwhile, the question took too long.
        let asked = Asked { source: self };
        if pause > 0 {
            Sleep::new(&self.world, self.process, pause).await;
        }
        let (user, password) = match says {
            Says::Nothing => return std::future::pending().await,
            Says::Panics => {
                std::mem::forget(asked);
                self.world.state().source_panics(self.process);
                resume_unwind(Box::new(Thrown));
            }
            Says::Unavailable => return Err(CredentialsError::unavailable(SimError::Lost)),
            Says::Unusable => {
                std::mem::forget(asked);
                self.world.state().source_fails(self.process, true);
                return Err(CredentialsError::unusable(SimError::Lost));
            }
            Says::Credentials(user, password) => (user, password),
        };
        let credentials = Credentials::new(user, password)?;
        std::mem::forget(asked);
        self.world
            .state()
            .source_answers(self.process, (user, password));
        Ok(credentials)
    }
}

impl SimSource {
    fn draw(&self) -> (Ms, Says) {
        let mut state = self.world.state();
        state.source_is_asked(self.process);
        let faults = state.faults.source;
        // The password was changed while a login with the old one was in progress.
        if state.asks_again(self.process) && state.rng.chance(300) {
            state.sources[self.process].1 = state.server.password;
        }
        let pause = if state.strikes(faults.slow, Fault::SourceSlow) {
            state.rng.between(100, 20_000)
        } else {
            0
        };
        let says = if state.panics() {
            state.tally.count(Fault::SourcePanicked);
            Says::Panics
        } else if state.strikes(faults.fails, Fault::SourceFailed) {
            Says::Unavailable
        } else if state.strikes(faults.unusable, Fault::SourceUnusable) {
            Says::Unusable
        } else if state.strikes(faults.hangs, Fault::SourceHung) {
            // The blocking driver limits a question by the machine's clock.
            if state.watch.plan.processes[self.process]
                .source
                .is_blocking()
            {
                Says::Unavailable
            } else {
                Says::Nothing
            }
        } else {
            let (user, password) = state.sources[self.process];
            Says::Credentials(user, password)
        };
        (pause, says)
    }
}

struct Asked<'a> {
    source: &'a SimSource,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut state = self.source.world.state();
        state.source_fails(self.source.process, false);
    }
}

/// A blocking source that the asynchronous driver asks on a thread.
pub(crate) struct Threaded(pub(crate) SimSource);

#[async_trait]
impl AsyncCredentialsSource for Threaded {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let turn = Arc::new(Turn::default());
        let source = InThread {
            source: self.0.clone(),
            turn: Arc::clone(&turn),
        };
        self.0.world.state().tally.count(Fault::SourceOnThread);
        let asked = async move { AsyncCredentialsSource::credentials(&source).await };
        Asking::new(asked, turn).await
    }
}

/// The driver makes an asynchronous source of it.
#[derive(Clone)]
struct InThread {
    source: SimSource,
    turn: Arc<Turn>,
}

impl CredentialsSource for InThread {
    fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let _end = self.turn.until_end();
        let asked = self.turn.wait(self.source.credentials());
        asked.unwrap_or_else(|| Err(CredentialsError::unavailable(SimError::Lost)))
    }
}
