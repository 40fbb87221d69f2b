//! What a stack may be able to do or not.

/// What a stack may or may not be able to do. Its author states it; cases that need a capability
/// that the stack does not claim are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// A connection serves several calls: `keeps_connections` of the stack.
    KeepsConnections,
    /// A response is delivered before its body has arrived: `streams` of the stack.
    Streams,
    /// A call does not wait for another to end: `sends_in_parallel` of the stack.
    SendsInParallel,
    /// A call can be dropped midway: async stacks can, blocking ones cannot.
    Cancels,
}

impl Capability {
    /// Returns the method of a stack that claims it, if there is one.
    pub(super) fn method(self) -> Option<&'static str> {
        match self {
            Self::KeepsConnections => Some("keeps_connections"),
            Self::Streams => Some("streams"),
            Self::SendsInParallel => Some("sends_in_parallel"),
            Self::Cancels => None,
        }
    }

    /// Returns why a case is skipped.
    pub(super) fn missing(self) -> &'static str {
        match self {
            Self::KeepsConnections => "the stack does not claim `keeps_connections`",
            Self::Streams => "the stack does not claim `streams`",
            Self::SendsInParallel => "the stack does not claim `sends_in_parallel`",
            Self::Cancels => "threads cannot be cancelled",
        }
    }
}
