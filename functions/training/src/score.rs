//! How good predictions are while the parameters still change: the mean loss of an epoch's steps,
//! and for classes the share that is right.

use std::collections::BTreeMap;

use millrace_engine::View;
use serde::{Deserialize, Serialize};

use crate::targets::likeliest;

/// Sums over the records seen so far.
///
/// They are written down as bits: a checkpoint must give back the very same sum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    records: u64,
    loss: Sum,
    /// By prediction.
    parts: Vec<Part>,
}

/// The sum of a loss over records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sum(u64);

/// What is known of one prediction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    loss: Sum,
    correct: Option<u64>,
}

impl Sum {
    fn add(&mut self, records: usize, loss: f32) {
        let sum = f64::from_bits(self.0) + f64::from(loss) * to_f64(records as u64);
        self.0 = sum.to_bits();
    }

    fn mean(self, records: u64) -> f64 {
        f64::from_bits(self.0) / to_f64(records)
    }
}

impl Score {
    /// Adds a batch of `records` records with a mean loss.
    pub fn add(&mut self, records: usize, loss: f32) {
        self.records += records as u64;
        self.loss.add(records, loss);
    }

    /// Adds what a batch says of one prediction: its mean loss, and how many are right where they have classes.
    pub fn add_part(&mut self, part: usize, records: usize, loss: f32, correct: Option<u64>) {
        if self.parts.len() <= part {
            self.parts.resize(part + 1, Part::default());
        }
        let part = &mut self.parts[part];
        part.loss.add(records, loss);
        part.correct = correct.map(|correct| part.correct.unwrap_or(0) + correct);
    }

    /// Writes `loss` and, for classes, `accuracy` into `metrics`; of several predictions each has its own, whose names end in
    /// what `suffixes` has for it. Nothing is written where no record was seen.
    pub fn write<'s>(
        &self,
        suffixes: impl Iterator<Item = &'s str>,
        metrics: &mut BTreeMap<String, f64>,
    ) {
        if self.records == 0 {
            return;
        }
        metrics.insert("loss".to_owned(), self.loss.mean(self.records));
        for (suffix, part) in suffixes.zip(&self.parts) {
            if !suffix.is_empty() {
                metrics.insert(format!("loss{suffix}"), part.loss.mean(self.records));
            }
            if let Some(correct) = part.correct {
                let accuracy = to_f64(correct) / to_f64(self.records);
                metrics.insert(format!("accuracy{suffix}"), accuracy);
            }
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
    let rows = numbers.chunks_exact(width.max(1)).zip(classes);
    let correct = rows.filter(|(row, class)| likeliest(row) == **class);
    Some(correct.count() as u64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use millrace_engine::Slice;

    use super::*;

    #[test]
    fn batches_weigh_as_many_records_as_they_have() {
        let mut score = Score::default();
        for (records, loss, correct) in [(3, 1.0, 3), (1, 5.0, 0)] {
            score.add(records, loss);
            score.add_part(0, records, loss / 2.0, Some(correct));
            score.add_part(1, records, 0.5, None);
        }
        let mut metrics = BTreeMap::new();
        score.write([".a", ".b"].into_iter(), &mut metrics);
        let expected = [
            ("accuracy.a", 0.75),
            ("loss", 2.0),
            ("loss.a", 1.0),
            ("loss.b", 0.5),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(metrics, BTreeMap::from(expected));

        let text = serde_json::to_string(&score).unwrap();
        assert_eq!(serde_json::from_str::<Score>(&text).unwrap(), score);
    }

    #[test]
    fn nothing_seen_is_nothing_said() {
        let mut metrics = BTreeMap::new();
        Score::default().write([""].into_iter(), &mut metrics);
        assert!(metrics.is_empty());
        let mut score = Score::default();
        score.add(1, 0.5);
        score.add_part(0, 1, 0.5, None);
        score.write([""].into_iter(), &mut metrics);
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
