//! A process's source of credentials, which may answer, fail, take its time, hang or panic.

use std::panic::resume_unwind;
use std::sync::Arc;

use async_trait::async_trait;
use ctc_core::Credentials;
use ctc_driver::{AsyncCredentialsSource, CredentialsError};

use crate::count::Fault;
use crate::plan::Ms;
use crate::runtime::Thrown;
use crate::wire::SimError;
use crate::world::{Sleep, World};

pub(crate) struct SimSource {
    pub(crate) world: Arc<World>,
    pub(crate) process: usize,
}

/// What comes of a question.
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
        // If it is dropped meanwhile, it took too long.
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
        // Rotated while a login with the old one was on its way.
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
            Says::Nothing
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
