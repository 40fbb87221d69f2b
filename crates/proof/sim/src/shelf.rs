//! What a simulated store holds.

use std::collections::HashMap;

use ctc_core::{RecordKey, SessionRecord};

use crate::kinds::Kind;
use crate::plan::Ms;

/// One store's records.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) places: HashMap<RecordKey, Place>,
    /// Numbers the leases of all keys, so that no two are alike.
    pub(crate) fences: u64,
}

/// A token in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
    pub(crate) generation: u64,
    pub(crate) token: String,
}

/// One key's record, and its lease.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) record: Option<SessionRecord>,
    /// Its tokens, opened with every password of the world.
    pub(crate) entries: Vec<Entry>,
    pub(crate) fence: u64,
    pub(crate) held_until: Option<Ms>,
}
