//! Metrics of regression: mean absolute error, root of the mean squared error, R².
//!
//! Errors are over all numbers; R² is the average of the outputs' own (as scikit-learn's uniform
//! average), each 1 − Σ(y − ŷ)² / Σ(y − ȳ)². The sums around the mean are Welford's (1962), which
//! do not lose small differences of large numbers.

use super::to_f64;

/// Sums over the records seen.
#[derive(Debug)]
pub(super) struct Numbers {
    records: u64,
    outputs: Vec<Sums>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    absolute: f64,
    squared: f64,
    mean: f64,
    around_mean: f64,
}

impl Numbers {
    /// Of so many outputs.
    pub(super) fn new(outputs: usize) -> Self {
        Self {
            records: 0,
            outputs: vec![Sums::default(); outputs],
        }
    }

    /// Adds a record's predictions and labels.
    pub(super) fn add(&mut self, predictions: &[f32], labels: &[f32]) {
        self.records += 1;
        let pairs = predictions.iter().zip(labels);
        for (sums, (prediction, label)) in self.outputs.iter_mut().zip(pairs) {
            let label = f64::from(*label);
            let error = f64::from(*prediction) - label;
            sums.absolute += error.abs();
            sums.squared += error * error;
            let from_mean = label - sums.mean;
            sums.mean += from_mean / to_f64(self.records);
            sums.around_mean += from_mean * (label - sums.mean);
        }
    }

    pub(super) fn write(&self, write: &mut impl FnMut(&str, f64)) {
        let outputs = to_f64(self.outputs.len() as u64);
        let numbers = to_f64(self.records) * outputs;
        let sum = |of: fn(&Sums) -> f64| self.outputs.iter().map(of).sum::<f64>();
        write("mae", sum(|sums| sums.absolute) / numbers);
        write("rmse", (sum(|sums| sums.squared) / numbers).sqrt());
        // Labels that are all equal leave nothing to explain.
        if self.outputs.iter().all(|sums| sums.around_mean > 0.0) {
            write(
                "r2",
                sum(|sums| 1.0 - sums.squared / sums.around_mean) / outputs,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use millrace_wire::metric::{Judged, of_part};

    use super::*;

    fn metrics(records: &[([f32; 2], [f32; 2])]) -> BTreeMap<String, f64> {
        let mut numbers = Numbers::new(2);
        for (predictions, labels) in records {
            numbers.add(predictions, labels);
        }
        let mut found = BTreeMap::new();
        numbers.write(&mut |name, value| {
            found.insert(name.to_owned(), value);
        });
        found
    }

    #[test]
    fn metrics_worked_out_by_hand() {
        // The labels lie far from 0, where sums of squares alone would lose what is between them.
        let found = metrics(&[
            ([1e6, 1.0], [1e6 + 2.0, 1.0]),
            ([1e6 + 4.0, 5.0], [1e6 + 4.0, 3.0]),
            ([1e6 + 6.0, 5.0], [1e6 + 6.0, 5.0]),
        ]);
        let close = |name: &str, expected: f64| {
            assert!(
                (found[name] - expected).abs() < 1e-9,
                "{name}: {}",
                found[name]
            );
        };
        close("mae", 4.0 / 6.0);
        close("rmse", (8.0_f64 / 6.0).sqrt());
        // Σ(y − ȳ)² is 8 for both, Σ(y − ŷ)² is 4 for both.
        close("r2", 0.5);
        let mut promised = of_part(Judged::Numbers);
        promised.sort_unstable();
        assert_eq!(found.into_keys().collect::<Vec<_>>(), promised);
    }

    #[test]
    fn equal_labels_explain_nothing() {
        let found = metrics(&[([1.0, 2.0], [1.0, 3.0]), ([2.0, 2.0], [1.0, 4.0])]);
        assert!(!found.contains_key("r2"));
    }
}
