//! The short form of what `make fuzz` does: every seed, and some thousand records that are made of them, the same ones in every
//! run. What must hold of each stands in `fuzz/src`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
mod targets;

use self::targets::TARGETS;

/// Records made of the seeds of each target. (Images and schemas are slow without the compiler's optimisations.)
const MADE: usize = 20_000;
const MADE_OF_SLOW_ONES: usize = 3_000;
/// No longer than these.
const LONGEST: usize = 2_048;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(|entry| stem(entry.unwrap().path())).collect()
}

/// In the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder().join("seeds").join(target)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Numbers that look random (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    /// A seed with some changes, as a fuzzer makes them.
    fn made_of(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        // Lengths, ends and signs of all kinds.
        const SPECIAL: [&[u8]; 12] = [
            &[0],
            &[0xff],
            &[0x7f],
            &[0x80],
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0, 0, 0, 0x80],
            b"[",
            b"\"",
            b"-1e999",
            b"null",
        ];
        let mut made = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let place = self.below(made.len() + 1);
            let end = (place + 1 + self.below(8)).min(made.len());
            match self.below(7) {
                0 if place < made.len() => made[place] ^= 1 << self.below(8),
                1 if place < made.len() => made[place] = u8::try_from(self.below(256)).unwrap(),
                2 => drop(made.drain(place.min(end)..end)),
                3 => {
                    let part = made[place.min(end)..end].to_vec();
                    made.splice(place..place, part);
                }
                4 => {
                    let special = SPECIAL[self.below(SPECIAL.len())];
                    made.splice(place..place, special.iter().copied());
                }
                5 => {
                    let special = SPECIAL[self.below(SPECIAL.len())];
                    let end = (place + special.len()).min(made.len());
                    made.splice(place..end, special.iter().copied());
                }
                _ => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    made.splice(place.., other[from..].iter().copied());
                }
            }
        }
        made.truncate(LONGEST);
        made
    }
}

/// Runs a target over its seeds and what is made of them; some must be decoded, and some refused.
fn run(name: &str) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = found.unwrap();
    let call = |bytes: &[u8]| {
        let _told = Told(bytes);
        target(bytes)
    };
    let seeds = seeds(name);
    let decoded = seeds.iter().filter(|seed| call(seed)).count();
    assert!(decoded * 4 >= seeds.len(), "only {decoded} of the seeds");
    let is_slow = name == "image" || name.ends_with("schema");
    let count = if is_slow { MADE_OF_SLOW_ONES } else { MADE };
    let mut numbers = Numbers(1);
    let made = (0..count).filter(|_| call(&numbers.made_of(&seeds)));
    let decoded = made.count();
    assert!((1..count).contains(&decoded), "{decoded} of {count}");
}

/// Says which bytes these were where a panic goes by.
struct Told<'b>(&'b [u8]);

impl Drop for Told<'_> {
    #[allow(clippy::print_stderr, reason = "a test that fails says with what")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with the bytes {}", hex::encode(self.0));
        }
    }
}

macro_rules! tests {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name));
            }
        )*

        #[test]
        fn every_target_has_seeds_a_program_and_a_test() {
            let known: BTreeSet<String> =
                TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(BTreeSet::from([$(stringify!($name).to_owned()),*]), known);
            assert_eq!(names(&folder().join("seeds")), known);
            assert_eq!(names(&folder().join("fuzz_targets")), known);
            let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
            for name in known {
                let program = format!("path = \"fuzz_targets/{name}.rs\"");
                assert!(manifest.contains(&program), "{name}");
            }
        }
    };
}

tests!(
    avro,
    avro_schema,
    image,
    json,
    protobuf,
    protobuf_schema,
    raw,
    record,
    samples,
    structure
);
