//! The seeded split of a segment into training, validation and test parts.
//!
//! The permutation depends on the seed and the number of records alone, so every function that
//! reads the segment, today or after a crash, gets the same parts.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

/// How a segment is split. Shares are of the whole; what they leave is for training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Seed of the permutation.
    pub seed: u64,
    /// Share for validation, 0 ≤ share < 1.
    pub validation: f64,
    /// Share for the final test, 0 ≤ share < 1.
    pub test: f64,
}

/// Record indices (in (partition, offset) order) of each part, shuffled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// What the optimizer sees.
    pub train: Vec<u32>,
    /// What each epoch is judged by.
    pub validation: Vec<u32>,
    /// What the finished version is judged by.
    pub test: Vec<u32>,
}

/// A split that cannot be made.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum SplitError {
    /// Shares outside [0, 1) or nothing left for training.
    #[error(
        "the split's shares are invalid: validation {validation} and test {test} must each be at least 0 and together less than 1"
    )]
    Shares {
        /// The validation share.
        validation: f64,
        /// The test share.
        test: f64,
    },
    /// A part that was asked for would have no record.
    #[error(
        "the split leaves the {part} part of {records} records empty; choose other shares or a larger segment"
    )]
    EmptyPart {
        /// Which part.
        part: &'static str,
        /// How many records there are.
        records: u64,
    },
    /// More records than a split can index.
    #[error(
        "a segment can hold at most {} records to be split, this one has {records}",
        u32::MAX
    )]
    TooMany {
        /// How many records there are.
        records: u64,
    },
}

impl Split {
    /// The sizes (train, validation, test) for `records` records.
    ///
    /// # Errors
    /// [`SplitError`] where the shares are invalid or a part asked for would be empty.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "counts are below 2^32 and shares within [0, 1)"
    )]
    pub fn sizes(&self, records: u64) -> Result<(u64, u64, u64), SplitError> {
        let shares_valid =
            self.validation >= 0.0 && self.test >= 0.0 && self.validation + self.test < 1.0;
        if !shares_valid {
            return Err(SplitError::Shares {
                validation: self.validation,
                test: self.test,
            });
        }
        if records > u64::from(u32::MAX) {
            return Err(SplitError::TooMany { records });
        }
        let part = |share: f64| (share * records as f64).round() as u64;
        let (validation, test) = (part(self.validation), part(self.test));
        let train = records.saturating_sub(validation + test);
        let wanted = [
            ("training", train, true),
            ("validation", validation, self.validation > 0.0),
            ("test", test, self.test > 0.0),
        ];
        for (part, size, asked_for) in wanted {
            if asked_for && size == 0 {
                return Err(SplitError::EmptyPart { part, records });
            }
        }
        Ok((train, validation, test))
    }

    /// The indices of each part for `records` records.
    ///
    /// # Errors
    /// As [`Split::sizes`].
    #[allow(
        clippy::cast_possible_truncation,
        reason = "sizes() refuses more than u32::MAX records"
    )]
    pub fn parts(&self, records: u64) -> Result<Parts, SplitError> {
        let (train, validation, _) = self.sizes(records)?;
        let mut train_part = permutation(records as u32, self.seed);
        let mut validation_part = train_part.split_off(train as usize);
        let test_part = validation_part.split_off(validation as usize);
        Ok(Parts {
            train: train_part,
            validation: validation_part,
            test: test_part,
        })
    }
}

/// A uniformly random permutation of `0..count` by Fisher–Yates over `ChaCha8`.
#[must_use]
pub fn permutation(count: u32, seed: u64) -> Vec<u32> {
    let mut indices: Vec<u32> = (0..count).collect();
    shuffle(&mut indices, seed);
    indices
}

/// Shuffles in place by Fisher–Yates over `ChaCha8`. The generator and the mapping to a range are
/// spelled out here because those of the `rand` crate may change between its versions.
pub fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    for last in (1..items.len()).rev() {
        let other = below(&mut generator, last as u64 + 1);
        #[allow(clippy::cast_possible_truncation, reason = "other ≤ last, a usize")]
        items.swap(last, other as usize);
    }
}

/// A uniform integer below `bound`: the high word of a 64×64 bit product, rejecting the few
/// values that would favour some results (Lemire, "Fast Random Integer Generation in an
/// Interval", 2019).
fn below(generator: &mut ChaCha8Rng, bound: u64) -> u64 {
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let product = u128::from(generator.next_u64()) * u128::from(bound);
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the two halves of the product"
        )]
        let (high, low) = ((product >> 64) as u64, product as u64);
        if low >= threshold {
            return high;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_permutation_never_changes() {
        assert_eq!(permutation(10, 7), permutation(10, 7));
        assert_ne!(permutation(10, 7), permutation(10, 8));
        // A changed value here means that old segments would be split differently.
        assert_eq!(permutation(8, 42), FIXED);
    }

    const FIXED: [u32; 8] = [4, 7, 0, 1, 3, 2, 6, 5];

    #[test]
    fn empty_parts_are_refused() {
        let split = Split {
            seed: 1,
            validation: 0.1,
            test: 0.0,
        };
        assert_eq!(split.sizes(20).unwrap(), (18, 2, 0));
        assert_eq!(
            split.sizes(3).unwrap_err(),
            SplitError::EmptyPart {
                part: "validation",
                records: 3
            }
        );
        let parts = [
            (0.0, 0.1, "test", 3),
            (0.1, 0.1, "validation", 3),
            // Rounded, both halves are all that there is.
            (0.45, 0.5, "training", 1),
            (0.4, 0.5, "training", 2),
        ];
        for (validation, test, part, records) in parts {
            let split = Split {
                seed: 1,
                validation,
                test,
            };
            let expected = SplitError::EmptyPart { part, records };
            assert_eq!(split.sizes(records), Err(expected));
        }
        let greedy = Split {
            seed: 1,
            validation: 0.6,
            test: 0.4,
        };
        assert!(matches!(greedy.sizes(100), Err(SplitError::Shares { .. })));
        assert!(matches!(
            Split {
                seed: 1,
                validation: f64::NAN,
                test: 0.0
            }
            .sizes(9),
            Err(SplitError::Shares { .. })
        ));
    }

    proptest! {
        #[test]
        fn parts_hold_every_record_once(records in 20_u64..500, seed: u64) {
            let split = Split { seed, validation: 0.2, test: 0.1 };
            let parts = split.parts(records).unwrap();
            let mut all = [parts.train, parts.validation, parts.test].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..u32::try_from(records).unwrap()).collect::<Vec<_>>());
        }
    }
}
