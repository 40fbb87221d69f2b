//! The manual. Nothing in here but pages.
//!
//! - [`transports`]: which HTTP stack, and how to bring your own.
//! - [`stores`]: whether a session should outlive the process, and where to keep it.
//! - [`errors`]: every error, and what to do about it.
//! - [`redirects_cookies_origins`]: what goes where, and what never does.
//! - [`several_accounts`]: one client each, and what they may share.
//! - [`observability`]: events, the observer, counters.
//!
//! `ctc_core::manual` has the loop, fair use with every setting, and the threat model;
//! `ctc_testkit::manual` has testing; `ctc_reqwest::manual` has moving over from code of one's own.

#[doc = include_str!("manual/transports.md")]
pub mod transports {}

#[doc = include_str!("manual/stores.md")]
pub mod stores {}

#[doc = include_str!("manual/errors.md")]
///
/// ```text
#[doc = include_str!("manual/errors.txt")]
/// ```
pub mod errors {}

#[doc = include_str!("manual/redirects_cookies_origins.md")]
pub mod redirects_cookies_origins {}

#[doc = include_str!("manual/several_accounts.md")]
pub mod several_accounts {}

#[doc = include_str!("manual/observability.md")]
pub mod observability {}
