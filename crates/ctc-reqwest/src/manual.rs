//! The manual's page on this crate. The table of contents of the whole manual is
//! [`ctc_driver::manual`].

#[doc = include_str!("manual/migrating.md")]
pub mod migrating {}
