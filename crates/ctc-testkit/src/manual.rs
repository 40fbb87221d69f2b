//! The manual of testing. Nothing in here but a page.

#[doc = include_str!("manual/testing.md")]
pub mod testing {}
