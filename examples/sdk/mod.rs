//! A small SDK, as the author of a library over CTC would write it.
//!
//! It has typed devices, a device's AVL events page by page, and one write. It knows no HTTP
//! client: whoever uses it brings one, as [`Caller`](ctc_driver::Caller) (blocking) or
//! [`AsyncCaller`](ctc_driver::AsyncCaller).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `calls.rs` | each call as a request, and how its response is read: no I/O, so only once |
//! | `retry.rs` | when a call is made again: no I/O either |
//! | `fleet.rs`, `blocking.rs` | the two thin clients over them |
//! | `model.rs`, `error.rs` | what comes back, and what goes wrong |
//!
//! The responses' shapes are those of the server in `ctc-testkit`, which are in part made up: read
//! the vendor's reference before you write your own.

pub mod blocking;
mod calls;
mod error;
mod fleet;
mod model;
mod retry;

pub use error::Error;
pub use fleet::Fleet;
pub use model::{AvlEvent, Device, DeviceId, Note, Position};
