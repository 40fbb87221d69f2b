//! A small SDK, as the author of a library over CTC would write it.
//!
//! It has typed devices, a device's AVL events page by page, and one write. It names no HTTP
//! client: its users bring one, as a [`Caller`](ctc_driver::Caller) (blocking) or an
//! [`AsyncCaller`](ctc_driver::AsyncCaller).
//!
//! | file | contents |
//! | --- | --- |
//! | `calls.rs` | each call, as a request and the reading of its response: no I/O |
//! | `retry.rs` | when a call is repeated: no I/O |
//! | `fleet.rs`, `blocking.rs` | the two thin clients over them |
//! | `model.rs`, `error.rs` | the types of responses and errors |
//!
//! The form of the responses is that of the server in `ctc-testkit`, which is in part invented:
//! read the vendor's reference before you write your own SDK.

pub mod blocking;
mod calls;
mod error;
mod fleet;
mod model;
mod retry;

pub use error::Error;
pub use fleet::Fleet;
pub use model::{AvlEvent, Device, DeviceId, Note, Position};
