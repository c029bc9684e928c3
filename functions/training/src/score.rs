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
    /// By prediction.
    parts: Vec<Part>,
}

/// What is known of one prediction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    loss: Mean,
    correct: Option<u64>,
}

/// The mean of a loss over batches, each of which counts by its mass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mean {
    sum: u64,
    mass: u64,
}

impl Mean {
    /// Adds a batch's mean.
    pub fn add(&mut self, mass: f64, loss: f32) {
        let sum = f64::from_bits(self.sum) + f64::from(loss) * mass;
        self.sum = sum.to_bits();
        self.mass = (f64::from_bits(self.mass) + mass).to_bits();
    }

    /// The mean of all; 0 where nothing counts.
    pub fn value(self) -> f64 {
        let mass = f64::from_bits(self.mass);
        if mass == 0.0 {
            return 0.0;
        }
        f64::from_bits(self.sum) / mass
    }
}

impl Score {
    /// Adds a batch of `records` records.
    pub fn add(&mut self, records: usize) {
        self.records += records as u64;
    }

    /// Adds what a batch says of one prediction: its mean loss, and how many are right where they have classes.
    pub fn add_part(&mut self, part: usize, mass: f64, loss: f32, correct: Option<u64>) {
        if self.parts.len() <= part {
            self.parts.resize(part + 1, Part::default());
        }
        let part = &mut self.parts[part];
        part.loss.add(mass, loss);
        part.correct = correct.map(|correct| part.correct.unwrap_or(0) + correct);
    }

    /// Writes `loss`, the weighted sum of those of all predictions, and for classes `accuracy` into `metrics`; of several
    /// predictions each has its own, whose names end in what `targets` say. Nothing is written where no record was seen.
    pub fn write<'t>(
        &self,
        targets: impl Iterator<Item = (&'t str, f32)>,
        metrics: &mut BTreeMap<String, f64>,
    ) {
        if self.records == 0 {
            return;
        }
        let mut loss = 0.0;
        for ((suffix, weight), part) in targets.zip(&self.parts) {
            loss += f64::from(weight) * part.loss.value();
            if !suffix.is_empty() {
                metrics.insert(format!("loss{suffix}"), part.loss.value());
            }
            if let Some(correct) = part.correct {
                let accuracy = to_f64(correct) / to_f64(self.records);
                metrics.insert(format!("accuracy{suffix}"), accuracy);
            }
        }
        metrics.insert("loss".to_owned(), loss);
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
    fn batches_weigh_as_much_as_they_have() {
        let mut score = Score::default();
        for (records, loss, correct) in [(3, 1.0, 3), (1, 5.0, 0)] {
            score.add(records);
            // The first one's records count half in the first prediction.
            let mass = to_f64(records as u64);
            score.add_part(
                0,
                if records == 3 { mass / 2.0 } else { mass },
                loss,
                Some(correct),
            );
            score.add_part(1, mass, 0.5, None);
        }
        let mut metrics = BTreeMap::new();
        score.write([(".a", 1.0), (".b", 0.5)].into_iter(), &mut metrics);
        let expected = [
            ("accuracy.a", 0.75),
            ("loss", 2.6 + 0.25),
            ("loss.a", 2.6),
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
        Score::default().write([("", 1.0)].into_iter(), &mut metrics);
        assert!(metrics.is_empty());
        let mut score = Score::default();
        score.add(1);
        // No label counts.
        score.add_part(0, 0.0, 0.0, None);
        score.write([("", 1.0)].into_iter(), &mut metrics);
        assert_eq!(metrics, BTreeMap::from([("loss".to_owned(), 0.0)]));
    }

    #[test]
    fn the_largest_number_is_the_prediction() {
        let numbers = [0.1, 0.7, 0.2, 0.4, 0.4, 0.2, 0.0, 0.0, 1.0];
        let view = View::new([3, 3], Slice::F32(&numbers));
        assert_eq!(correct(&view, &[1, 0, 2]), Some(3));
        assert_eq!(correct(&view, &[1, 1, 2]), Some(2));
    }
}
