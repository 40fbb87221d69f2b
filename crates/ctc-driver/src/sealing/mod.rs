//! Tokens sealed under a key that only the right password yields, and refusals that only it can
//! recognise: what a record of format 2 holds of them.
//!
//! Everything here is pure but [`SealKey::derive`], which waits for its turn, and [`random`].
//! Nothing in it prints.
//!
//! | what | how |
//! | --- | --- |
//! | `pre` | HMAC under the application key, of origin, username and password |
//! | `root` | Argon2id of `pre` and the record's salt, or HMAC under a store's own secret |
//! | seal key, refusal key, mark | HMAC under `root` |
//! | a token | XChaCha20-Poly1305, bound to its place, its writer's mark, number and times |
//! | a refusal | HMAC under the refusal key, of its place, status, reason and number, cut to 16
//! bytes |

mod gate;
mod key;
mod random;
mod record;
mod refusal;
mod token;

#[cfg(test)]
mod tests;

pub(crate) use self::gate::Gate;
#[cfg(test)]
pub(crate) use self::key::NO_MEMORY_FOR;
pub(crate) use self::key::{Salt, SealKey};
pub(crate) use self::random::{NoRandom, random};
pub(crate) use self::record::{Keys, open, seal};
