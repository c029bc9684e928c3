//! The area under the ROC curve, from counts by score.
//!
//! It is the share of pairs of a positive and a negative record in which the positive one has the
//! higher score; a pair of equal scores counts half (Mann and Whitney, 1947). Scores that differ
//! by less than one part in 512 (of the score, or of its distance to 1) count as equal, so memory
//! is bounded: probabilities near 0 and near 1 are told apart equally well.

use std::collections::BTreeMap;

/// Bits of a score that do not count.
const COARSE: u32 = 14;

/// Counts of negative and positive records by score.
#[derive(Debug, Clone, Default)]
pub(super) struct Curve {
    counts: BTreeMap<i64, [u64; 2]>,
}

impl Curve {
    /// Adds a record.
    pub(super) fn add(&mut self, score: f32, is_positive: bool) {
        let counts = self.counts.entry(place(score)).or_default();
        counts[usize::from(is_positive)] += 1;
    }

    /// The area; nothing where there are no pairs.
    pub(super) fn area(&self) -> Option<f64> {
        let (mut negatives, mut positives, mut doubled) = (0_u128, 0_u128, 0_u128);
        for [negative, positive] in self.counts.values() {
            let (negative, positive) = (u128::from(*negative), u128::from(*positive));
            doubled += positive * (2 * negatives + negative);
            negatives += negative;
            positives += positive;
        }
        let pairs = negatives * positives;
        #[allow(
            clippy::cast_precision_loss,
            reason = "pairs of fewer than 2^32 records each"
        )]
        (pairs > 0).then(|| doubled as f64 / (2 * pairs) as f64)
    }
}

/// A place in the order of all scores.
fn place(score: f32) -> i64 {
    /// The bits of 0.5 and of 1.
    const HALF: i64 = 0x3f00_0000;
    const ONE: i64 = 0x3f80_0000;
    let bits = |number: f32| i64::from(number.to_bits());
    let fine = if score.is_sign_negative() {
        -bits(-score)
    } else if score <= 0.5 {
        bits(score)
    } else if score < 1.0 {
        2 * HALF - bits(1.0 - score)
    } else {
        2 * HALF + bits(score) - ONE
    };
    fine >> COARSE
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn places_keep_the_order_of_scores() {
        let scores = [
            f32::NEG_INFINITY,
            -1e30,
            -2.0,
            -1.0,
            -0.3,
            -1e-20,
            0.0,
            1e-20,
            0.1,
            0.5,
            0.51,
            0.75,
            0.999,
            0.999_99,
            1.0,
            1.1,
            40.0,
            f32::INFINITY,
        ];
        for pair in scores.windows(2) {
            assert!(place(pair[0]) < place(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn the_area_is_the_share_of_pairs_in_order() {
        let mut state = 1_u32;
        let records: Vec<(f32, bool)> = (0..600)
            .map(|index| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let is_positive = index % 3 == 0;
                #[allow(clippy::cast_precision_loss, reason = "16 bits fit")]
                let noise = (state >> 16) as f32 / 65_536.0;
                (if is_positive { noise.sqrt() } else { noise }, is_positive)
            })
            .collect();
        let mut curve = Curve::default();
        let (mut doubled, mut pairs) = (0_u32, 0_u32);
        for (score, is_positive) in &records {
            curve.add(*score, *is_positive);
            for (other, _) in records.iter().filter(|(_, other)| *is_positive && !other) {
                pairs += 1;
                doubled += u32::from(score > other) + u32::from(score >= other);
            }
        }
        let expected = f64::from(doubled) / f64::from(2 * pairs);
        assert!((curve.area().unwrap() - expected).abs() < 1e-4);
    }

    #[test]
    fn one_kind_alone_has_no_area() {
        let mut curve = Curve::default();
        assert_eq!(curve.area(), None);
        curve.add(0.5, true);
        assert_eq!(curve.area(), None);
        curve.add(0.5, false);
        assert_eq!(curve.area(), Some(0.5));
    }
}
