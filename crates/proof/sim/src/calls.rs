//! What the observer knows of one call.

use crate::plan::Ms;

/// One call of one caller.
#[derive(Clone, Debug)]
pub(crate) struct CallState {
    pub(crate) process: usize,
    pub(crate) life: u64,
    pub(crate) began: Ms,
    pub(crate) sends: u32,
    /// The token that it went out with last.
    pub(crate) carried: String,
    pub(crate) on_the_wire: bool,
    /// As its task was polled last.
    pub(crate) was_on_the_wire: bool,
    pub(crate) done: bool,
    /// On which of its process's runtimes it runs.
    pub(crate) runtime: usize,
    pub(crate) max_wait: Ms,
    /// It asks for a login although the token serves.
    pub(crate) renews: bool,
    /// It was handed a login to make.
    pub(crate) elected: bool,
    /// As [`elected`](Self::elected), and not to renew a token.
    pub(crate) elected_without_token: bool,
    /// The scope of its token was too small, which no second sending mends.
    pub(crate) wants_scope: bool,
    /// A runtime dropped the task of that login.
    pub(crate) refused: bool,
    /// When its task ran last, on its process's monotonic clock.
    pub(crate) polled: Ms,
}
