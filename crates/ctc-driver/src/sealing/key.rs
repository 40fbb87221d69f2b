//! From credentials to the keys that seal their tokens.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use ctc_core::__sealing::SealSeed;
use hmac_sha256::HMAC;
use zeroize::Zeroizing;

use super::gate::Gate;
use crate::ports::StoreSecret;

/// Costs are a part of the record's format: no record can ask for less, or for 64 GiB.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The salt of a record. Its first writer makes it, all others keep it.
pub(crate) type Salt = [u8; 16];

/// The mark by which the entries of one password are found in a record.
pub(crate) type Mark = [u8; 16];

/// A secret key, wiped when it is dropped.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// The credentials of a test whose key cannot be had.
#[cfg(test)]
pub(crate) static NO_MEMORY_FOR: std::sync::Mutex<Option<SealSeed>> = std::sync::Mutex::new(None);

/// There is not enough memory to derive a key in. The session goes on without its store's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not enough memory to derive the key of a stored session: 19 MiB are needed")]
pub(crate) struct NoMemory;

/// The blocks that a derivation works in, wiped afterwards: parts of the key can be computed from
/// them.
fn memory(blocks: usize) -> Result<Zeroizing<Vec<Block>>, NoMemory> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(blocks).map_err(|_| NoMemory)?;
    memory.resize(blocks, Block::new());
    Ok(Zeroizing::new(memory))
}

/// The keys that the right password yields for one salt: enough to open, to seal and to check
/// rejections, but not to log in.
#[derive(Clone)]
pub(crate) struct SealKey {
    /// That it was derived with: a record with another needs another key.
    pub(crate) salt: Salt,
    /// The mark of its entries.
    pub(crate) by: Mark,
    pub(super) seal: Secret,
    pub(super) refusal: Secret,
}

impl SealKey {
    /// Derives the key of credentials for the salt of a record.
    ///
    /// The slow way takes 19 MiB and some 15 to 30 ms of a core, and waits while as many others as
    /// this process allows are at it. With a store's secret, which is not beside the records, it
    /// takes microseconds.
    ///
    /// # Errors
    /// Returns [`NoMemory`] if the memory is not to be had: never with a secret.
    pub(crate) fn derive(
        seed: &SealSeed,
        salt: Salt,
        secret: Option<&StoreSecret>,
    ) -> Result<Self, NoMemory> {
        if let Some(secret) = secret {
            let parts: [&[u8]; 3] = [b"ctc store secret 2", &salt, seed.as_bytes()];
            return Ok(Self::from_root(&mac(secret.as_bytes(), &parts), salt));
        }
        #[cfg(test)]
        if NO_MEMORY_FOR.lock().unwrap().as_ref() == Some(seed) {
            return Err(NoMemory);
        }
        Self::derive_through(Gate::of_this_process(), seed, salt)
    }

    fn derive_through(gate: &Gate, seed: &SealSeed, salt: Salt) -> Result<Self, NoMemory> {
        let _place = gate.enter();
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| NoMemory)?;
        let mut memory = memory(params.block_count())?;
        let mut root = Secret::default();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(seed.as_bytes(), &salt, &mut *root, &mut **memory)
            .map_err(|_| NoMemory)?;
        Ok(Self::from_root(&root, salt))
    }

    fn from_root(root: &[u8; 32], salt: Salt) -> Self {
        let derived = |purpose: &[u8]| mac(root, &[purpose]);
        Self {
            salt,
            by: first_16(&derived(b"ctc mark 2")),
            seal: derived(b"ctc seal key 2"),
            refusal: derived(b"ctc refusal key 2"),
        }
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey([redacted])")
    }
}

/// HMAC-SHA-256 over the parts, one after the other.
pub(super) fn mac(key: &[u8; 32], parts: &[&[u8]]) -> Secret {
    let mut mac = HMAC::new(key);
    parts.iter().for_each(|part| mac.update(part));
    Zeroizing::new(mac.finalize())
}

pub(super) fn first_16(mac: &Secret) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&mac[..16]);
    first
}

/// What stands before a text, so that two texts side by side cannot be taken for two others.
pub(super) fn length(text: &str) -> [u8; 8] {
    u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_derivation_waits_at_the_gate() {
        let (gate, (sender, derived)) = (Gate::new(1), mpsc::channel());
        let place = gate.enter();
        let seed = SealSeed::new(b"key", "origin", "user", "password");
        thread::scope(|scope| {
            scope.spawn(|| sender.send(SealKey::derive_through(&gate, &seed, [7; 16])));
            // Ten times as long as it takes.
            let early = derived.recv_timeout(Duration::from_millis(300));
            assert!(early.is_err(), "the only place is taken");
            drop(place);
            assert_eq!(derived.recv().unwrap().map(|key| key.salt), Ok([7; 16]));
        });
    }

    #[test]
    fn memory_that_is_not_to_be_had_is_an_error_and_no_abort() {
        assert_eq!(memory(usize::MAX).err(), Some(NoMemory));
        assert_eq!(memory(usize::MAX / 4096).err(), Some(NoMemory));
        assert_eq!(memory(8).map(|memory| memory.len()), Ok(8));
    }
}
