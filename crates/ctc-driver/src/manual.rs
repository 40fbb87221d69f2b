//! The manual, as pages of documentation. There is no code in here.
//!
//! - [`transports`]: choosing an HTTP client, or bringing your own, and its runtime.
//! - [`stores`]: whether a session should outlive the process, and where to keep it.
//! - [`errors`]: every error, and what to do about it.
//! - [`redirects_cookies_origins`]: where key and token go, and where they never go.
//! - [`rotating_a_password`]: credentials that change while the program runs.
//! - [`many_accounts`]: a client for each, what they share, and a limit on their logins.
//! - [`observability`]: events, the observer, counters.
//!
//! `ctc_core::manual` has the loop, fair use with every setting, and the threat model;
//! `ctc_testkit::manual` has testing; `ctc_reqwest::manual` has migrating from code of your own.

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

#[doc = include_str!("manual/rotating_a_password.md")]
pub mod rotating_a_password {}

#[doc = include_str!("manual/many_accounts.md")]
///
/// ```ignore
#[doc = include_str!("manual/many_accounts.rs")]
/// ```
#[doc = include_str!("manual/many_accounts_costs.md")]
pub mod many_accounts {}

#[doc = include_str!("manual/observability.md")]
pub mod observability {}
