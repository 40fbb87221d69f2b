//! The driver's own stores.

mod memory;
#[cfg(feature = "unblock")]
mod unblock;

pub use memory::MemoryStore;
#[cfg(feature = "unblock")]
pub use unblock::Unblock;
