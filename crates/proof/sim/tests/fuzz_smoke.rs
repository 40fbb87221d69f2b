//! The fuzz targets of `crates/proof/fuzz` on a stable toolchain: their seeds, and mutations of
//! them by chance.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "../../fuzz/src/bodies.rs"]
mod bodies;

use std::path::Path;

const MUTATIONS: u64 = 3000;

/// `SplitMix64`: the same mutations each time.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap()
    }

    fn mutate(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut data = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len());
            match self.below(5) {
                0 if !data.is_empty() => data[at] = self.next() as u8,
                1 => data.insert(at, self.next() as u8),
                2 if !data.is_empty() => drop(data.remove(at)),
                3 => data.truncate(at),
                _ => {
                    let again = data[..at].to_vec();
                    data.extend(again);
                }
            }
            data.truncate(4096);
        }
        data
    }
}

fn smoke(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(target);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let seeds: Vec<_> = paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(!seeds.is_empty());
    let mut chance = Chance(1);
    for seed in &seeds {
        body(seed);
        for _ in 0..MUTATIONS / seeds.len() as u64 {
            body(&chance.mutate(seed));
        }
    }
}

#[test]
fn cookie() {
    smoke("cookie", bodies::cookie);
}

#[test]
fn retry_after() {
    smoke("retry_after", bodies::retry_after);
}

#[test]
fn token_response() {
    smoke("token_response", bodies::token_response);
}

#[test]
fn machine() {
    smoke("machine", bodies::machine);
}

#[test]
fn record() {
    smoke("record", bodies::record);
}
