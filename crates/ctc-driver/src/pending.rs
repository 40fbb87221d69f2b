//! What a caller hears from a session: what to wait for, and what a response meant.

use std::any::Any;
use std::sync::Arc;

use ctc_core::{Denial, Verdict, Wait};
use futures_util::future::{BoxFuture, Shared};

/// A login on its way in the asynchronous driver. Every task that waits for it drives it, so that
/// it does not depend on the task that began it.
pub(crate) type SharedLogin = Shared<BoxFuture<'static, Option<Panic>>>;

/// A panic of the HTTP stack or the store, for the first task that takes it: the others go on
/// without it.
pub(crate) type Panic = Arc<std::sync::Mutex<Option<Box<dyn Any + Send>>>>;

/// What a response meant.
pub(crate) struct Observation {
    pub(crate) verdict: Verdict,
    /// There is something that a store should know of, say a new token that the response brought.
    pub(crate) unsaved: bool,
    /// It sets cookies, of whatever name.
    pub(crate) sets_cookies: bool,
}

/// Why a task has no pass yet.
pub(crate) enum NotAdmitted {
    /// A login to drive. `wait` is `None` for the elected task, which drives it to its end.
    Attempt {
        flight: SharedLogin,
        wait: Option<Wait>,
    },
    Wait(Wait),
    Denied(Denial),
}
