//! Where the session is saved.

use std::path::PathBuf;
use std::sync::Arc;

use ctc_driver::ctc_core::{RecordKey, SessionRecord};
use ctc_driver::{SessionStore, StoreError};
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
    /// Parses `file`, `file:FOLDER` or `redis://…`.
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

    /// Returns its kind, for JSON.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            #[cfg(feature = "redis")]
            Self::Redis(_) => "redis",
        }
    }

    /// Returns the path or the Redis key of this record, whether it exists or not.
    pub(crate) fn place(&self, key: &RecordKey) -> String {
        match self {
            Self::File(store) => store.record_path(key).map_or_else(
                || "no home directory".to_owned(),
                |path| path.display().to_string(),
            ),
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.record_name(key),
        }
    }

    /// Reads a record without taking its lease.
    pub(crate) fn read(&self, key: &RecordKey) -> Result<Option<SessionRecord>, StoreError> {
        match self {
            Self::File(store) => store.read(key),
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.read(key),
        }
    }

    /// Returns all records, each with its place.
    pub(crate) fn records(&self) -> Result<Vec<(String, SessionRecord)>, StoreError> {
        match self {
            Self::File(store) => {
                let records = store.records()?.into_iter();
                let shown = records.map(|(path, record)| (path.display().to_string(), record));
                Ok(shown.collect())
            }
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.records(),
        }
    }

    /// Removes a record. Returns `false` if there was none.
    pub(crate) fn forget(&self, key: &RecordKey) -> Result<bool, StoreError> {
        match self {
            Self::File(store) => store.forget(key),
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.forget(key),
        }
    }

    /// Returns the store for blocking callers.
    pub(crate) fn blocking(&self) -> Arc<dyn SessionStore> {
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

/// Returns whether a URL contains a password, which must not be on a command line.
pub(crate) fn holds_password(text: &str) -> bool {
    let authority = text.split_once("://").map(|(_, rest)| rest);
    let authority = authority.and_then(|rest| rest.split('/').next());
    let user = authority.and_then(|authority| authority.rsplit_once('@'));
    user.is_some_and(|(user, _)| user.contains(':'))
}
