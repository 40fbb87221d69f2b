//! The manual of the core, as pages of documentation. There is no code in here.
//!
//! - [`driving_it_yourself`]: the loop, step by step, and what each response of the session asks of
//!   you.
//! - [`fair_use`]: the login governor, and all settings.
//! - [`oauth`]: the OAuth login: what the vendor documents of it, and what is our assumption.
//! - [`security`]: what is protected, against whom, and what is not.
//!
//! `ctc_driver::manual` goes on with transports, stores, errors, cookies and origins, several
//! accounts and observability; `ctc_testkit::manual` with testing; `ctc_reqwest::manual` with
//! migrating from code of your own.

#[doc = include_str!("manual/driving_it_yourself.md")]
pub mod driving_it_yourself {}

#[doc = include_str!("manual/fair_use.md")]
pub mod fair_use {}

#[doc = include_str!("manual/oauth.md")]
pub mod oauth {}

#[doc = include_str!("manual/security.md")]
pub mod security {}
