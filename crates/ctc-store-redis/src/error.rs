//! Errors of Redis, whose texts disclose nothing.

use ctc_driver::StoreError;
use redis::{ErrorKind, ServerErrorKind};

/// Why a [`RedisStore`](crate::RedisStore) was not made. The URL is not repeated: it may hold a
/// password.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL is not valid, or asks for TLS in a build without it.
    #[error(
        "the Redis URL is not valid: write redis://[user:password@]host[:port][/db], or \
         rediss://… for TLS, which needs one of this crate's tls-… features"
    )]
    Url,
}

ctc_driver::ctc_core::__readable_debug!(OpenError);

/// Why Redis could not be used. It comes as the source of [`StoreError::Unavailable`], and holds no
/// URL, host, password or value.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {step} Redis: {why}")]
pub struct RedisFailure {
    step: &'static str,
    why: String,
}

ctc_driver::ctc_core::__readable_debug!(RedisFailure);

impl RedisFailure {
    pub(crate) fn new(step: &'static str, why: impl Into<String>) -> Self {
        Self {
            step,
            why: why.into(),
        }
    }

    pub(crate) fn of(step: &'static str, error: &redis::RedisError) -> Self {
        let why = match error {
            _ if error.is_timeout() => "it did not respond in time",
            _ if error.is_connection_refusal() => "the connection was refused",
            _ if error.is_connection_dropped() => "the connection was lost",
            _ if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) => {
                "it is a read-only replica"
            }
            // The code is a word such as OOM or NOAUTH; what follows it may repeat what was sent.
            _ => return Self::new(step, error.code().unwrap_or_else(|| error.category())),
        };
        Self::new(step, why)
    }
}

impl From<RedisFailure> for StoreError {
    fn from(failure: RedisFailure) -> Self {
        Self::Unavailable(Box::new(failure))
    }
}
