//! The keys that a session opens and seals its store's records with.

use ctc_core::__sealing::SealSeed;

use super::sync::{Mutex, lock};
use crate::ports::StoreSecret;
use crate::sealing::{Salt, SealKey};

/// The current credentials and those that obtained the token, each for two stores.
const MOST_KEYS: usize = 4;

/// A session's keys, the newest first: enough to open and save without the password.
#[derive(Default)]
pub(crate) struct Keyring(Mutex<Vec<Entry>>);

struct Entry {
    seed: SealSeed,
    /// Of its store.
    secret: Option<StoreSecret>,
    key: SealKey,
}

impl Keyring {
    /// The key of these credentials, for this salt if one is given.
    pub(crate) fn find(
        &self,
        seed: &SealSeed,
        secret: Option<&StoreSecret>,
        salt: Option<Salt>,
    ) -> Option<SealKey> {
        let entries = lock(&self.0);
        let found = entries.iter().find(|entry| {
            entry.seed == *seed
                && entry.secret.as_ref() == secret
                && salt.is_none_or(|salt| entry.key.salt == salt)
        });
        found.map(|entry| entry.key.clone())
    }

    /// Keeps a key, in place of the one for another salt.
    pub(crate) fn put(&self, seed: SealSeed, secret: Option<StoreSecret>, key: SealKey) {
        let mut entries = lock(&self.0);
        entries.retain(|entry| entry.seed != seed || entry.secret != secret);
        entries.insert(0, Entry { seed, secret, key });
        entries.truncate(MOST_KEYS);
    }
}
