//! From credentials to the keys that seal their tokens.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use ctc_core::__sealing::SealSeed;
use ctc_core::RecordKey;
use hmac_sha256::HMAC;
use zeroize::{Zeroize, Zeroizing};

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

/// Where a record belongs: what is sealed for one place opens in no other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) origin: &'a str,
    pub(crate) account: &'a str,
}

impl<'a> Place<'a> {
    pub(crate) fn of(key: &'a RecordKey) -> Self {
        let RecordKey { origin, account } = key;
        Self { origin, account }
    }
}

/// Credentials made ready to be turned into a key, and the salt of the record that it is for.
#[derive(Clone)]
pub(crate) struct KeyWork {
    seed: SealSeed,
    salt: Salt,
}

impl KeyWork {
    pub(crate) fn new(seed: SealSeed, salt: Salt) -> Self {
        Self { seed, salt }
    }

    /// What the key will be derived from.
    pub(crate) fn seed(&self) -> &SealSeed {
        &self.seed
    }

    /// The slow way takes 19 MiB and some 15 to 30 ms of a core, and waits while as many others as
    /// this process allows are at it. With a store's secret, which is not beside the records, it
    /// takes microseconds.
    ///
    /// # Errors
    /// Returns [`NoMemory`] if the memory is not to be had: never with a secret.
    pub(crate) fn run(self, secret: Option<&StoreSecret>) -> Result<SealKey, NoMemory> {
        if let Some(secret) = secret {
            let parts: [&[u8]; 3] = [b"ctc store secret 2", &self.salt, self.seed.as_bytes()];
            return Ok(SealKey::from_root(
                &mac(secret.as_bytes(), &parts),
                self.salt,
            ));
        }
        #[cfg(test)]
        if NO_MEMORY_FOR.lock().unwrap().as_ref() == Some(&self.seed) {
            return Err(NoMemory);
        }
        self.run_through(Gate::of_this_process())
    }

    fn run_through(self, gate: &Gate) -> Result<SealKey, NoMemory> {
        let _place = gate.enter();
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| NoMemory)?;
        let mut memory = Memory::of(params.block_count())?;
        let mut root = Secret::default();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(
                self.seed.as_bytes(),
                &self.salt,
                &mut *root,
                &mut *memory.0,
            )
            .map_err(|_| NoMemory)?;
        Ok(SealKey::from_root(&root, self.salt))
    }
}

/// The credentials of a test whose key cannot be had.
#[cfg(test)]
pub(crate) static NO_MEMORY_FOR: std::sync::Mutex<Option<SealSeed>> = std::sync::Mutex::new(None);

/// There is not enough memory to derive a key in. The session goes on without its store's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not enough memory to derive the key of a stored session: 19 MiB are needed")]
pub(crate) struct NoMemory;

/// The blocks that a derivation works in, wiped afterwards: parts of the key can be computed from
/// them.
struct Memory(Vec<Block>);

impl Memory {
    fn of(blocks: usize) -> Result<Self, NoMemory> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(blocks).map_err(|_| NoMemory)?;
        memory.resize(blocks, Block::new());
        Ok(Self(memory))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(Zeroize::zeroize);
    }
}

/// What the right password yields for one salt: enough to open, to seal and to judge refusals, and
/// of no use to log in.
#[derive(Clone)]
pub(crate) struct SealKey {
    pub(super) salt: Salt,
    pub(super) by: Mark,
    pub(super) seal: Secret,
    pub(super) refusal: Secret,
}

impl SealKey {
    fn from_root(root: &[u8; 32], salt: Salt) -> Self {
        let derived = |purpose: &[u8]| mac(root, &[purpose]);
        Self {
            salt,
            by: first_16(&derived(b"ctc mark 2")),
            seal: derived(b"ctc seal key 2"),
            refusal: derived(b"ctc refusal key 2"),
        }
    }

    /// The salt that it was derived with: a record with another needs another key.
    pub(crate) fn salt(&self) -> Salt {
        self.salt
    }

    /// The mark of its entries.
    pub(crate) fn by(&self) -> Mark {
        self.by
    }
}

impl fmt::Debug for KeyWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyWork([redacted])")
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
        thread::scope(|scope| {
            let work = KeyWork::new(SealSeed::new(b"key", "origin", "user", "password"), [7; 16]);
            scope.spawn(|| sender.send(work.run_through(&gate)));
            // Ten times as long as it takes.
            let early = derived.recv_timeout(Duration::from_millis(300));
            assert!(early.is_err(), "the only place is taken");
            drop(place);
            assert_eq!(derived.recv().unwrap().map(|key| key.salt()), Ok([7; 16]));
        });
    }

    #[test]
    fn memory_that_is_not_to_be_had_is_an_error_and_no_abort() {
        assert_eq!(Memory::of(usize::MAX).err(), Some(NoMemory));
        assert_eq!(Memory::of(usize::MAX / 4096).err(), Some(NoMemory));
        assert_eq!(Memory::of(8).map(|memory| memory.0.len()), Ok(8));
    }
}
