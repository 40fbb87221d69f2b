//! The manual's pages on testing. The modules contain no code.
//!
//! - [`testing`]: testing your code in Rust, with mocks, the server and a virtual clock.
//! - [`control`]: testing a client in any language with the program `ctc-server`.
//! - [`vectors`]: responses and what they mean to a session, as JSON.
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

#[doc = include_str!("manual/testing.md")]
// Without the feature these are not in the crate.
#[cfg_attr(
    not(feature = "conformance"),
    doc = "
[`VirtualClock`]: #time
[`conformance`]: ../../index.html#testing-your-own-transport
[`Transport`]: https://docs.rs/ctc-driver/latest/ctc_driver/trait.Transport.html
[`Clock`]: https://docs.rs/ctc-driver/latest/ctc_driver/trait.Clock.html"
)]
#[cfg_attr(
    feature = "conformance",
    doc = "
[`VirtualClock`]: crate::VirtualClock
[`conformance`]: crate::conformance
[`Transport`]: ctc_driver::Transport
[`Clock`]: ctc_driver::Clock"
)]
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
