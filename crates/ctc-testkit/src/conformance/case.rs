//! One case of the suite: a name, and what it does on a [`Stage`].

use std::fmt;

use super::{failure::Checked, stage::Stage};

/// One case of the suite.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Case {
    /// Its name: a sentence, and the name of its test.
    pub name: &'static str,
    /// The numbers of the failure cases that it covers, like `T37`; empty for a mere rule of the
    /// port.
    pub covers: &'static str,
    pub(super) run: fn(&Stage<'_>) -> Checked,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Case({} {})", self.name, self.covers)
    }
}
