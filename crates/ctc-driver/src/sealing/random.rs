//! Randomness for salts and nonces.

/// Unpredictable bytes, for a salt or a nonce.
///
/// # Errors
/// Returns [`NoRandom`] if the operating system has none to give.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

/// The operating system gave no random bytes: nothing can be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes to seal a stored session with")]
pub(crate) struct NoRandom;
