//! What the observer knows of one call.

use crate::plan::Ms;

/// One call of one caller.
#[derive(Clone, Debug)]
pub(crate) struct CallState {
    pub(crate) process: usize,
    pub(crate) life: u64,
    pub(crate) began: Ms,
    pub(crate) sends: u32,
    /// The token that it was last sent with.
    pub(crate) carried: String,
    pub(crate) on_the_wire: bool,
    /// The same, when its task was last polled.
    pub(crate) was_on_the_wire: bool,
    pub(crate) done: bool,
    /// Which of its process's runtimes runs it.
    pub(crate) runtime: usize,
    pub(crate) max_wait: Ms,
    /// It renews: it asks for a login although the token is valid.
    pub(crate) renews: bool,
    /// It was elected.
    pub(crate) elected: bool,
    /// It was elected while there was no valid token.
    pub(crate) elected_without_token: bool,
    /// The scope of its token was too small. A replay does not change that.
    pub(crate) wants_scope: bool,
    /// When the task of its login must have started, on its process's monotonic clock. `None` if it
    /// has started or was taken back.
    pub(crate) starts_by: Option<Ms>,
    /// A runtime dropped the task of that login.
    pub(crate) refused: bool,
    /// When its task ran last, on its process's monotonic clock.
    pub(crate) polled: Ms,
}
