//! How good predictions are while the parameters still change: the mean loss of an epoch's steps,
//! and for classes the share that is right.

use std::collections::BTreeMap;

use millrace_engine::View;
use serde::{Deserialize, Serialize};

/// Sums over the records seen so far.
///
/// They are written down as bits: a checkpoint must give back the very same sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    loss: u64,
    records: u64,
    correct: Option<u64>,
}

impl Score {
    /// Adds a batch of `records` records with a mean loss; `correct` of them are
    /// right, where they have classes.
    pub fn add(&mut self, records: usize, loss: f32, correct: Option<u64>) {
        let sum = f64::from_bits(self.loss) + f64::from(loss) * to_f64(records as u64);
        self.loss = sum.to_bits();
        self.records += records as u64;
        self.correct = correct.map(|correct| self.correct.unwrap_or(0) + correct);
    }

    /// Writes `loss` and, for classes, `accuracy` into `metrics`, both with a
    /// prefix. Nothing is written where no record was seen.
    pub fn write(&self, prefix: &str, metrics: &mut BTreeMap<String, f64>) {
        if self.records == 0 {
            return;
        }
        let records = to_f64(self.records);
        let loss = f64::from_bits(self.loss) / records;
        metrics.insert(format!("{prefix}loss"), loss);
        if let Some(correct) = self.correct {
            metrics.insert(format!("{prefix}accuracy"), to_f64(correct) / records);
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of records are below 2^32"
)]
fn to_f64(count: u64) -> f64 {
    count as f64
}

/// How many rows of `prediction` have their largest number at the right class.
/// Of equal numbers the first counts.
pub fn correct(prediction: &View<'_>, classes: &[i64]) -> Option<u64> {
    let numbers = prediction.as_f32()?;
    let width = numbers.len().checked_div(classes.len())?;
    let mut correct = 0;
    for (row, class) in numbers.chunks_exact(width.max(1)).zip(classes) {
        let mut best = 0;
        for (index, number) in row.iter().enumerate() {
            if *number > row[best] {
                best = index;
            }
        }
        correct += u64::from(i64::try_from(best) == Ok(*class));
    }
    Some(correct)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use millrace_engine::Slice;

    use super::*;

    #[test]
    fn batches_weigh_as_many_records_as_they_have() {
        let mut score = Score::default();
        score.add(3, 1.0, Some(3));
        score.add(1, 5.0, Some(0));
        let mut metrics = BTreeMap::new();
        score.write("test_", &mut metrics);
        assert_eq!(metrics["test_loss"].to_bits(), 2.0_f64.to_bits());
        assert_eq!(metrics["test_accuracy"].to_bits(), 0.75_f64.to_bits());

        let text = serde_json::to_string(&score).unwrap();
        assert_eq!(serde_json::from_str::<Score>(&text).unwrap(), score);
    }

    #[test]
    fn nothing_seen_is_nothing_said() {
        let mut metrics = BTreeMap::new();
        Score::default().write("validation_", &mut metrics);
        assert!(metrics.is_empty());
        let mut score = Score::default();
        score.add(1, 0.5, None);
        score.write("", &mut metrics);
        assert_eq!(metrics.keys().collect::<Vec<_>>(), ["loss"]);
    }

    #[test]
    fn the_largest_number_is_the_prediction() {
        let numbers = [0.1, 0.7, 0.2, 0.4, 0.4, 0.2, 0.0, 0.0, 1.0];
        let view = View::new([3, 3], Slice::F32(&numbers));
        assert_eq!(correct(&view, &[1, 0, 2]), Some(3));
        assert_eq!(correct(&view, &[1, 1, 2]), Some(2));
    }
}
