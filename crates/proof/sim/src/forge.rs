//! An attacker who may write to a store and has no key to its records.

use ctc_core::SessionRecord;
use serde_json::Value;

use crate::world::State;

/// Returns the record as the attacker leaves it; `None` if that is not a valid record.
pub(crate) fn forge(
    state: &mut State,
    shelf: usize,
    record: Option<SessionRecord>,
) -> Option<SessionRecord> {
    let mut value = serde_json::to_value(record?).ok()?;
    let others = state.shelves[shelf].places.values();
    let mut others: Vec<_> = others
        .filter_map(|place| serde_json::to_value(place.record.as_ref()?).ok())
        .collect();
    // Sorted, so that the order is the same each time.
    others.sort_by_key(|other| other["account"].to_string());
    let tokens = value["tokens"].as_array().map_or(0, Vec::len);
    let (one, other) = (
        state.rng.index(tokens.max(1)),
        state.rng.index(tokens.max(1)),
    );
    match state.rng.below(6) {
        // A sealed token is bound to its number, its place and its password's mark.
        0 if tokens > 0 => value["tokens"][one]["generation"] = Value::from(1_000_000),
        1 if tokens > 0 => {
            let by = value["tokens"][other]["by"].clone();
            value["tokens"][one]["by"] = by;
        }
        2 if tokens > 0 => {
            let sealed = value["tokens"][other]["sealed"].clone();
            value["tokens"][one]["sealed"] = sealed;
        }
        3 if tokens > 0 => {
            let sealed = value["tokens"][one]["sealed"].as_str().unwrap_or_default();
            let swapped: String = sealed.chars().rev().collect();
            value["tokens"][one]["sealed"] = Value::from(swapped);
        }
        4 => value["salt"] = Value::from("00".repeat(16)),
        // Another account's record in place of this one.
        _ => {
            if let Some(mut other) = others.pop() {
                other["account"] = value["account"].clone();
                value = other;
            }
        }
    }
    serde_json::from_value(value).ok()
}
