//! The manual of this crate. Nothing in here but a page; `ctc_driver::manual` has the rest.

#[doc = include_str!("manual/migrating.md")]
pub mod migrating {}
