//! The manual of testing. Nothing in here but pages.

#[cfg(feature = "conformance")]
#[doc = include_str!("manual/testing.md")]
pub mod testing {}

#[doc = include_str!("manual/control.md")]
///
/// # A client in Python
///
#[doc = concat!("```python\n", include_str!("../clients/client.py"), "```")]
///
/// # A client for Node
///
#[doc = concat!("```javascript\n", include_str!("../clients/client.mjs"), "```")]
///
/// # A client with curl
///
#[doc = concat!("```sh\n", include_str!("../clients/client.sh"), "```")]
pub mod control {}

#[doc = include_str!("../vectors/README.md")]
pub mod vectors {}
