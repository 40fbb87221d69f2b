//! The canaries: every secret of a world contains one, and all output is searched for them.

use std::cell::RefCell;
use std::fmt::{Debug, Write};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const CANARY: &str = "CANARY";

/// Returns the first secret in a text.
pub(crate) fn find(text: &str) -> Option<String> {
    let at = text.find(CANARY)?;
    Some(text[at..].chars().take(24).collect())
}

/// Searches an error and all its sources, as `Display` and as `Debug`.
pub(crate) fn find_in_error(error: &dyn std::error::Error) -> Option<String> {
    let mut text = format!("{error:?} {error}");
    let mut next = error.source();
    while let Some(source) = next {
        let _ = write!(text, " {source:?} {source}");
        next = source.source();
    }
    find(&text)
}

thread_local! {
    static LOGGED: RefCell<(String, Option<String>)> =
        const { RefCell::new((String::new(), None)) };
}

/// Returns the first secret that was logged on this thread since the last call.
pub(crate) fn logged() -> Option<String> {
    LOGGED.with_borrow_mut(|(_, found)| found.take())
}

/// Formats every event of the driver at every level, and searches the text.
pub(crate) struct Searching;

impl Subscriber for Searching {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        LOGGED.with_borrow_mut(|(text, found)| {
            text.clear();
            event.record(&mut Text(text));
            if found.is_none() {
                *found = find(text);
            }
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}
