//! One case of the suite: a name, its place on the ladder, and what it does on a [`Stage`].

use std::fmt;

use super::{advice, capability::Capability, failure::Checked, stage::Stage};

/// One case of the suite.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Case {
    /// Its name, which states what must hold and is the name of its test.
    pub name: &'static str,
    /// The numbers of the failure cases that it covers, such as `T37`; empty for a rule of the
    /// transport traits.
    pub covers: &'static str,
    /// Its rung. The rungs are in the order in which a new stack reaches them.
    pub rung: &'static str,
    /// Whether each stack must pass it.
    pub level: Level,
    /// What a stack must be able to do for this case.
    pub needs: &'static [Capability],
    pub(super) run: fn(&Stage<'_>) -> Checked,
}

/// Whether each stack must pass a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Without it, sessions are unsafe or do not work.
    Must,
    /// Without it, something is slower or coarser than it could be. A failure is reported, and
    /// fails the suite only if it is [`strict`](super::Suite::strict).
    Should,
}

impl Case {
    /// Returns what to do if it fails.
    pub fn advice(&self) -> String {
        let own = advice::of_case(self.name);
        let advice = own.unwrap_or_else(|| advice::of_rung(self.rung).1);
        let claims = self.needs.iter().filter_map(|need| {
            let method = need.method()?;
            Some(format!(
                "; or, if the stack cannot do that, let `{method}` of the stack be false, so that \
                 the case is skipped"
            ))
        });
        claims.fold(advice.to_owned(), |text, claim| text + &claim)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "must",
            Self::Should => "should",
        })
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Case({} {})", self.name, self.covers)
    }
}
