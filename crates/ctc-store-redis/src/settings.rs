//! Which Redis, and how it is used.

use std::sync::Arc;
use std::time::Duration;

use ctc_driver::ctc_core::RecordKey;

use crate::link::Link;

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) client: Arc<redis::Client>,
    pub(crate) prefix: String,
    pub(crate) record_ttl: Duration,
    pub(crate) timeout: Duration,
}

impl Settings {
    pub(crate) fn link(&self) -> Link {
        Link::new(&self.client, self.timeout)
    }

    /// Lease and record. The braces keep both on one node of a cluster.
    pub(crate) fn keys(&self, key: &RecordKey) -> [String; 2] {
        let RecordKey { origin, account } = key;
        ["lease", "record"].map(|what| format!("{}:{{{origin}|{account}}}:{what}", self.prefix))
    }
}
