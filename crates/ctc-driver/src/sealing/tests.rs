//! Known answers, and what must not open.

use ctc_core::__sealing::{Refusal, SealSeed, SealedToken, TokenFacts};
use ctc_core::RecordKey;

use super::key::{NoMemory, Salt, SealKey};
use super::random::random;
use super::refusal::{MOST_REFUSALS, put_refusal};
use super::token::{OVERHEAD, put_token};
use crate::StoreSecret;

const APP_KEY: &[u8] = b"app-key-123";
const ORIGIN: &str = "https://connect.calamp.com";
const PASSWORD: &str = "s3cret! päss";
const FACTS: TokenFacts = TokenFacts {
    generation: 7,
    obtained_at: Some(1_700_000_000_000),
    expires_at: None,
};
const TOKEN: &[u8] = b"QUFBQQ==";

fn counted<const N: usize>(from: u8) -> [u8; N] {
    std::array::from_fn(|n| from + u8::try_from(n).unwrap())
}

fn place() -> RecordKey {
    RecordKey {
        origin: ORIGIN.into(),
        account: "0123456789abcdef0123456789abcdef".into(),
    }
}

fn seed(password: &str) -> SealSeed {
    SealSeed::new(APP_KEY, ORIGIN, "ada@example.com", password)
}

/// By the quick way: the slow one differs in `root` alone.
fn key(password: &str) -> SealKey {
    quick(&seed(password), counted(0), 9)
}

fn quick(seed: &SealSeed, salt: Salt, secret: u8) -> SealKey {
    SealKey::derive(seed, salt, Some(&StoreSecret::new([secret; 32]))).unwrap()
}

fn sealed(key: &SealKey, number: u64) -> SealedToken {
    let facts = TokenFacts {
        generation: number,
        ..FACTS
    };
    key.seal(&place(), facts, random().unwrap(), TOKEN).unwrap()
}

fn refusal(status: u16, generation: u64) -> Refusal {
    Refusal {
        status,
        reason: 0,
        generation,
        tag: [0; 16],
    }
}

fn opens(key: &SealKey, token: &SealedToken) -> bool {
    key.open(&place(), token)
        .is_some_and(|text| text.as_slice() == TOKEN)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Computed with Python's `hmac`, `argon2-cffi` (the reference C code) and `PyNaCl` (libsodium).
#[test]
fn known_answers() {
    let slow = [
        "45a5a6f44eff15ae136bad18f2b804db",
        "b1682a4212d02a828cbd249650e272296af0054428a32582",
        "2b47169bfba31a1268cbb4a7cbed746d",
    ];
    let quick = [
        "4fe5b39aeb6db8c76bdf6f0cddcdeaae",
        "4774b67f3f77717c9a93df355498c23d8b824227cc87b204",
        "e4928ac7ba737e577f78f6b8c22f815d",
    ];
    let derived: Result<_, NoMemory> = SealKey::derive(&seed(PASSWORD), counted(0), None);
    let keys = [derived.unwrap(), key(PASSWORD)];
    for (key, [by, sealed, tag]) in keys.iter().zip([slow, quick]) {
        let token = key.seal(&place(), FACTS, counted(100), TOKEN).unwrap();
        let refusal = key.refusal(&place(), refusal(401, 6));
        assert_eq!((hex(&key.by), hex(&token.by)), (by.into(), by.into()));
        assert_eq!(
            (hex(&token.sealed), hex(&refusal.tag)),
            (sealed.into(), tag.into())
        );
        assert!(opens(key, &token));
    }
    let reason = Refusal {
        reason: 3,
        ..refusal(401, 6)
    };
    let tag = key(PASSWORD).refusal(&place(), reason).tag;
    assert_eq!(hex(&tag), "dc86af8637669204bf08814e14fdff55");
}

#[test]
fn every_part_of_the_credentials_and_the_salt_makes_another_key() {
    let new = |app_key: &[u8], origin, username, password, salt| {
        let seed = SealSeed::new(app_key, origin, username, password);
        quick(&seed, salt, 9).by
    };
    let (other_salt, salt): (Salt, Salt) = (counted(1), counted(0));
    let marks = [
        new(b"key", "origin", "user", "password", salt),
        new(b"kez", "origin", "user", "password", salt),
        new(b"key", "origim", "user", "password", salt),
        new(b"key", "originu", "ser", "password", salt),
        new(b"key", "origin", "userp", "assword", salt),
        new(b"key", "origin", "user", "Password", salt),
        new(b"key", "origin", "user", "", salt),
        new(b"key", "origin", "user", "password", other_salt),
        quick(&seed("password"), salt, 8).by,
        quick(&seed("password"), salt, 9).by,
    ];
    for (n, mark) in marks.iter().enumerate() {
        assert!(!marks[..n].contains(mark), "{n}");
    }
}

#[test]
fn a_wrong_password_opens_nothing() {
    let (right, wrong) = (key(PASSWORD), key("s3cret! pass"));
    let token = sealed(&right, 7);
    assert!(wrong.open(&place(), &token).is_none());
    // A box under another's mark is not that one's.
    let planted = SealedToken {
        by: wrong.by,
        ..token.clone()
    };
    assert!(wrong.open(&place(), &planted).is_none());
    assert!(right.open(&place(), &planted).is_none());
    assert!(opens(&right, &token));
}

#[test]
fn a_token_opens_only_as_it_was_sealed() {
    let key = key(PASSWORD);
    let token = sealed(&key, 7);
    let changed = |change: fn(&mut SealedToken)| {
        let mut token = token.clone();
        change(&mut token);
        key.open(&place(), &token)
    };
    let spoilt = [
        changed(|token| token.facts.generation = 8),
        changed(|token| token.facts.obtained_at = Some(1_700_000_000_001)),
        changed(|token| token.facts.obtained_at = None),
        changed(|token| token.facts.expires_at = Some(0)),
        // The one time for the other.
        changed(|token| {
            let TokenFacts {
                obtained_at,
                expires_at,
                ..
            } = &mut token.facts;
            std::mem::swap(obtained_at, expires_at);
        }),
        changed(|token| token.nonce[23] ^= 1),
        changed(|token| token.sealed[0] ^= 1),
        changed(|token| token.sealed[TOKEN.len()] ^= 0x80),
        changed(|token| token.sealed.truncate(TOKEN.len() + OVERHEAD - 1)),
        changed(|token| token.sealed.truncate(3)),
        changed(|token| token.sealed.clear()),
        changed(|token| token.sealed.push(0)),
        key.open(
            &RecordKey {
                origin: "https://connect.calamp.con".into(),
                ..place()
            },
            &token,
        ),
        key.open(
            &RecordKey {
                account: "0123456789abcdef0123456789abcdee".into(),
                ..place()
            },
            &token,
        ),
        // The same text, parted elsewhere.
        key.open(
            &RecordKey {
                origin: format!("{ORIGIN}0"),
                account: "123456789abcdef0123456789abcdef".into(),
            },
            &token,
        ),
    ];
    for (n, outcome) in spoilt.iter().enumerate() {
        assert!(outcome.is_none(), "{n}");
    }
    assert!(changed(|token| token.by[0] ^= 1).is_none());
    assert!(opens(&key, &token));
}

#[test]
fn tokens_of_several_passwords_stay_side_by_side() {
    let keys: Vec<_> = (0..6).map(|n| key(&format!("password {n}"))).collect();
    let mut tokens = Vec::new();
    for (number, key) in (1..).zip(&keys[..3]) {
        put_token(&mut tokens, sealed(key, number));
    }
    let before = tokens.clone();
    put_token(&mut tokens, sealed(&keys[1], 4));
    assert_eq!(tokens[1..], [before[0].clone(), before[2].clone()]);
    assert!(
        tokens
            .iter()
            .all(|token| keys.iter().any(|key| opens(key, token)))
    );
    for key in &keys[3..] {
        put_token(&mut tokens, sealed(key, 5));
    }
    let writers: Vec<_> = tokens.iter().map(|token| token.by).collect();
    assert_eq!(
        writers,
        [5, 4, 3, 1].map(|n: usize| keys[n].by),
        "newest first"
    );
}

#[test]
fn refusals_are_bounded_and_none_is_forged_or_replayed() {
    let (key, other) = (key(PASSWORD), key("another"));
    let made = key.refusal(&place(), refusal(401, 6));
    let refused = |refusals: &[Refusal], own| key.refused(&place(), refusals, own);
    assert_eq!(
        refused(&[other.refusal(&place(), refusal(403, 9)), made], None),
        Some(made)
    );
    assert_eq!(other.refused(&place(), &[made], None), None);
    let elsewhere = &RecordKey {
        account: "0".into(),
        ..place()
    };
    let mut tag = made.tag;
    tag[15] ^= 1;
    for forged in [
        Refusal {
            generation: 7,
            ..made
        },
        Refusal {
            status: 403,
            ..made
        },
        Refusal { reason: 1, ..made },
        Refusal { tag, ..made },
        Refusal {
            tag: key.by,
            ..made
        },
        key.refusal(elsewhere, refusal(401, 6)),
    ] {
        assert_eq!(refused(&[forged], None), None, "{forged:?}");
    }
    // One that is older than the own token is put back by somebody, or has been overcome.
    assert_eq!(refused(&[made], Some(7)), None);
    assert_eq!(refused(&[made], Some(6)), Some(made));

    let mut refusals = Vec::new();
    put_refusal(&mut refusals, made);
    put_refusal(&mut refusals, other.refusal(&place(), refusal(401, 6)));
    put_refusal(&mut refusals, made);
    assert_eq!(refusals.len(), 2, "no twins");
    for number in 7..14 {
        put_refusal(&mut refusals, other.refusal(&place(), refusal(401, number)));
    }
    put_refusal(&mut refusals, made);
    assert_eq!(
        (refusals.len(), refusals[0]),
        (MOST_REFUSALS, made),
        "newest first"
    );
    other.clear_refusals(&place(), &mut refusals);
    assert_eq!(refusals, [made], "the others' stay");
    for number in 0..99 {
        put_refusal(&mut refusals, other.refusal(&place(), refusal(401, number)));
    }
    assert_eq!(refusals.len(), MOST_REFUSALS);
    // A record that somebody filled up costs no more than eight.
    let mut filled = vec![other.refusal(&place(), refusal(401, 1)); 1000];
    filled.push(made);
    assert_eq!(refused(&filled, None), None);
}

#[test]
fn nothing_secret_is_printed() {
    assert_eq!(format!("{:?}", key(PASSWORD)), "SealKey([redacted])");
}
