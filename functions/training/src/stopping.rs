//! When a training ends before its last epoch: once its monitored metric no longer gets better.

use millrace_wire::event::Epoch;
use millrace_wire::training::EarlyStopping;

use crate::failure::Failure;

/// What an epoch means for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// It is the best so far.
    pub is_best: bool,
    /// There were too many without a better one.
    pub is_enough: bool,
}

/// Judges the last epoch of `history`; `best` is the number of the best one before it.
///
/// # Errors
/// The epoch has no such metric.
pub fn judge(
    stopping: &EarlyStopping,
    history: &[Epoch],
    best: Option<u32>,
) -> Result<Verdict, Failure> {
    let value_of = |epoch: &Epoch| epoch.metrics.get(&stopping.monitor).copied();
    let Some(epoch) = history.last() else {
        return Ok(Verdict {
            is_best: false,
            is_enough: false,
        });
    };
    let value = value_of(epoch).ok_or_else(|| {
        let known: Vec<&str> = epoch.metrics.keys().map(String::as_str).collect();
        Failure::new(
            "monitor",
            format!(
                "early stopping monitors `{}`, which this training has not: it has {}",
                stopping.monitor,
                known.join(", ")
            ),
        )
    })?;
    let before = history
        .iter()
        .find(|epoch| Some(epoch.epoch) == best)
        .and_then(value_of);
    let is_best = match before {
        None => true,
        Some(before) if stopping.is_lower_better() => value < before - stopping.min_change,
        Some(before) => value > before + stopping.min_change,
    };
    let best = if is_best { Some(epoch.epoch) } else { best };
    let waited = epoch.epoch - best.unwrap_or(0);
    Ok(Verdict {
        is_best,
        is_enough: waited >= stopping.patience,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::collections::BTreeMap;

    use super::*;

    /// The best epoch, and the one at which the training ends.
    fn run(monitor: &str, min_change: f64, values: &[f64]) -> (Option<u32>, Option<u32>) {
        let stopping = EarlyStopping {
            monitor: monitor.to_owned(),
            patience: 2,
            min_change,
            restore_best: true,
        };
        let mut history = Vec::new();
        let mut best = None;
        for (number, value) in (1..).zip(values) {
            history.push(Epoch {
                epoch: number,
                epochs: 100,
                step: 0,
                records_per_second: 0.0,
                metrics: BTreeMap::from([
                    ("validation_loss".to_owned(), *value),
                    ("accuracy".to_owned(), *value),
                ]),
            });
            let verdict = judge(&stopping, &history, best).unwrap();
            if verdict.is_best {
                best = Some(number);
            }
            if verdict.is_enough {
                return (best, Some(number));
            }
        }
        (best, None)
    }

    #[test]
    fn a_training_ends_after_its_patience() {
        let losses = [5.0, 4.0, 4.5, 3.9, 3.9, 4.0, 1.0];
        assert_eq!(run("validation_loss", 0.0, &losses), (Some(4), Some(6)));
        assert_eq!(run("validation_loss", 0.5, &losses), (Some(2), Some(4)));
        assert_eq!(run("accuracy", 0.0, &losses), (Some(1), Some(3)));
        assert_eq!(run("accuracy", 0.0, &[1.0, 2.0, 3.0]), (Some(3), None));
    }

    #[test]
    fn a_metric_that_is_not_there_is_named() {
        let stopping = EarlyStopping {
            monitor: "validation_f1".to_owned(),
            patience: 1,
            min_change: 0.0,
            restore_best: false,
        };
        let epoch = Epoch {
            epoch: 1,
            epochs: 1,
            step: 1,
            records_per_second: 1.0,
            metrics: BTreeMap::from([("loss".to_owned(), 1.0)]),
        };
        let failure = judge(&stopping, &[epoch], None).unwrap_err();
        assert_eq!(failure.code, "monitor");
        assert!(failure.message.ends_with("it has loss"), "{failure}");
    }
}
