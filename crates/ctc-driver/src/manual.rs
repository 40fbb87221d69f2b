#![doc = include_str!("manual/contents.md")]
// The pages of crates that this one does not depend on: on docs.rs, and beside it in `cargo doc`.
#![cfg_attr(docsrs, doc = include_str!("manual/links_docs_rs.md"))]
#![cfg_attr(not(docsrs), doc = include_str!("manual/links_local.md"))]

#[doc = include_str!("manual/transports.md")]
///
/// ```text
#[doc = include_str!("manual/own_transport.rs")]
/// ```
#[doc = include_str!("manual/whole_bodies.md")]
pub mod transports {}

#[doc = include_str!("manual/libraries.md")]
pub mod libraries {}

#[doc = include_str!("manual/stores.md")]
pub mod stores {}

#[doc = include_str!("manual/errors.md")]
#[doc = include_str!("manual/error_texts.md")]
pub mod errors {}

#[doc = include_str!("manual/redirects_cookies_origins.md")]
pub mod redirects_cookies_origins {}

#[doc = include_str!("manual/rotating_a_password.md")]
pub mod rotating_a_password {}

#[doc = include_str!("manual/many_accounts.md")]
///
/// ```text
#[doc = include_str!("manual/many_accounts.rs")]
/// ```
#[doc = include_str!("manual/many_accounts_costs.md")]
pub mod many_accounts {}

#[doc = include_str!("manual/observability.md")]
pub mod observability {}

#[doc = include_str!("manual/glossary.md")]
pub mod glossary {}
