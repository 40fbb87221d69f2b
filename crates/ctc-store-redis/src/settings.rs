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
    /// The defaults.
    pub(crate) fn new(client: redis::Client) -> Self {
        Self {
            client: Arc::new(client),
            prefix: "ctc".to_owned(),
            record_ttl: Duration::from_secs(30 * 24 * 3600),
            timeout: Duration::from_secs(2),
        }
    }

    pub(crate) fn link(&self) -> Link {
        Link::new(&self.client, self.timeout)
    }

    /// The pattern of all records. The prefix is not one: its own signs are escaped.
    pub(crate) fn every_record(&self) -> String {
        let mut pattern = String::new();
        for sign in self.prefix.chars() {
            if "*?[]^\\".contains(sign) {
                pattern.push('\\');
            }
            pattern.push(sign);
        }
        pattern + ":{*}:record"
    }

    /// Lease and record. The braces keep both on one node of a cluster.
    pub(crate) fn keys(&self, key: &RecordKey) -> [String; 2] {
        let RecordKey { origin, account } = key;
        ["lease", "record"].map(|what| format!("{}:{{{origin}|{account}}}:{what}", self.prefix))
    }
}
