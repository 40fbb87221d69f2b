//! The place that the session lives in.

use std::path::PathBuf;
use std::sync::Arc;

use ctc_driver::{AsyncSessionStore, SessionStore};
use ctc_store_file::FileStore;
#[cfg(feature = "redis")]
use ctc_store_redis::RedisStore;

use crate::exit::Failure;

/// A store, as `--store` names it.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    File(FileStore),
    #[cfg(feature = "redis")]
    Redis(RedisStore),
}

impl Store {
    /// `file`, `file:FOLDER` or `redis://…`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if text == "file" {
            return Ok(Self::File(FileStore::default_location()));
        }
        if let Some(folder) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return Ok(Self::File(FileStore::at(PathBuf::from(folder))));
        }
        if text.starts_with("redis://") || text.starts_with("rediss://") {
            return redis(text);
        }
        Err(Failure::usage(
            "no such store: write file, file:FOLDER, redis://host[:port][/db] or rediss://…",
        ))
    }

    /// For blocking callers.
    pub(crate) fn blocking(&self) -> Arc<dyn SessionStore> {
        match self {
            Self::File(store) => Arc::new(store.clone()),
            #[cfg(feature = "redis")]
            Self::Redis(store) => Arc::new(store.clone()),
        }
    }

    /// For asynchronous callers.
    pub(crate) fn asynchronous(&self) -> Arc<dyn AsyncSessionStore> {
        match self {
            Self::File(store) => Arc::new(store.clone()),
            #[cfg(feature = "redis")]
            Self::Redis(store) => Arc::new(store.clone()),
        }
    }
}

#[cfg(feature = "redis")]
fn redis(url: &str) -> Result<Store, Failure> {
    use crate::exit::Exit;

    let store = RedisStore::open(url);
    store
        .map(Store::Redis)
        .map_err(|error| Failure::of(Exit::Usage, &error))
}

#[cfg(not(feature = "redis"))]
fn redis(_: &str) -> Result<Store, Failure> {
    Err(Failure::usage(
        "this program was built without Redis: build it with the feature redis",
    ))
}

/// Whether a URL holds a password, which must not stand on a command line.
pub(crate) fn holds_password(text: &str) -> bool {
    let authority = text.split_once("://").map(|(_, rest)| rest);
    let authority = authority.and_then(|rest| rest.split('/').next());
    let user = authority.and_then(|authority| authority.rsplit_once('@'));
    user.is_some_and(|(user, _)| user.contains(':'))
}
