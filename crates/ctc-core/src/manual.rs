//! The manual's pages on the core. The modules contain no code.
//!
//! - [`fair_use`]: the login governor, and all settings.
//! - [`oauth`]: the OAuth login: what the vendor documents, and what we assume.
//! - [`security`]: what is protected, against whom, and what is not.
//! - [`driving_it_yourself`]: the loop, step by step, for programs without `ctc-driver`.
//!
//! The table of contents of the whole manual is [`ctc_driver::manual`].
//!
#![cfg_attr(
    docsrs,
    doc = "[`ctc_driver::manual`]: https://docs.rs/ctc-driver/latest/ctc_driver/manual/index.html"
)]
#![cfg_attr(
    not(docsrs),
    doc = "[`ctc_driver::manual`]: ../../ctc_driver/manual/index.html"
)]

#[doc = include_str!("manual/driving_it_yourself.md")]
pub mod driving_it_yourself {}

#[doc = include_str!("manual/fair_use.md")]
pub mod fair_use {}

#[doc = include_str!("manual/oauth.md")]
pub mod oauth {}

#[doc = include_str!("manual/security.md")]
pub mod security {}
