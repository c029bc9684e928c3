//! The learning rate of each mini-batch.
//!
//! It depends on the hyper-parameters, the number of the mini-batch and what the epochs before it have reached, all of which a
//! checkpoint has: an interrupted training goes on with the same rates.

use millrace_onnx::schedule::{Observed, Plateau, Rates, Schedule};
use millrace_wire::event::Epoch;
use millrace_wire::training::Hyperparameters;
use millrace_wire::tuning;

/// Learning rates of a training.
pub struct Rate {
    rates: Rates,
    plateau: Option<Plateau>,
    observed: Observed,
}

impl Rate {
    /// With so many mini-batches an epoch, after the epochs that are done.
    pub fn new(hyperparameters: &Hyperparameters, batches: u64, history: &[Epoch]) -> Self {
        let tuning = &hyperparameters.tuning;
        let warm_up = u64::from(tuning.warm_up);
        let all = batches * u64::from(hyperparameters.epochs);
        let schedule = match tuning.schedule {
            tuning::Schedule::Constant => Schedule::Constant,
            tuning::Schedule::Step { epochs, factor } => Schedule::Step {
                every: (batches * u64::from(epochs)).max(1),
                factor: factor.into(),
            },
            tuning::Schedule::Exponential { epochs, factor } => Schedule::Exponential {
                every: (batches * u64::from(epochs)).max(1),
                factor: factor.into(),
            },
            tuning::Schedule::Cosine { least } => Schedule::Cosine {
                steps: all.saturating_sub(warm_up).max(1),
                least: least.into(),
            },
        };
        let mut rate = Self {
            rates: Rates {
                rate: hyperparameters.learning_rate.into(),
                warm_up,
                schedule,
            },
            plateau: tuning.plateau.map(|plateau| Plateau {
                factor: plateau.factor.into(),
                patience: plateau.patience,
                least_change: plateau.min_change.into(),
                least: plateau.least.into(),
            }),
            observed: Observed::default(),
        };
        for epoch in history {
            rate.observe(epoch);
        }
        rate
    }

    /// Takes note of what an epoch has reached: the loss of the validation part, where there is one.
    pub fn observe(&mut self, epoch: &Epoch) {
        let metrics = &epoch.metrics;
        let loss = metrics.get("validation_loss").or(metrics.get("loss"));
        if let Some((plateau, loss)) = self.plateau.zip(loss) {
            self.observed = plateau.observe(self.observed, *loss);
        }
    }

    /// The rate of a mini-batch, from 1.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the step graph takes float32"
    )]
    pub fn at(&self, batch: u64) -> f32 {
        let factor = self
            .plateau
            .map_or(1.0, |plateau| plateau.factor(self.observed));
        (self.rates.at(batch) * factor) as f32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;

    use super::*;
    use crate::testing::spec;

    fn epoch(number: u32, validation: f64) -> Epoch {
        Epoch {
            epoch: number,
            epochs: 10,
            step: 0,
            records_per_second: 1.0,
            metrics: BTreeMap::from([
                ("loss".to_owned(), 0.0),
                ("validation_loss".to_owned(), validation),
            ]),
        }
    }

    fn rate(tuning: tuning::Tuning, history: &[Epoch]) -> Rate {
        let mut hyperparameters = spec(Uuid::nil()).hyperparameters;
        hyperparameters.epochs = 10;
        hyperparameters.learning_rate = 0.5;
        hyperparameters.tuning = tuning;
        Rate::new(&hyperparameters, 4, history)
    }

    fn assert_rates(rate: &Rate, expected: &[(u64, f32)]) {
        for &(batch, expected) in expected {
            let found = rate.at(batch);
            assert!((found - expected).abs() < 1e-6, "{batch}: {found}");
        }
    }

    #[test]
    fn schedules_count_in_epochs() {
        let step = tuning::Tuning {
            schedule: tuning::Schedule::Step {
                epochs: 2,
                factor: 0.5,
            },
            ..tuning::Tuning::default()
        };
        assert_rates(
            &rate(step, &[]),
            &[(1, 0.5), (8, 0.5), (9, 0.25), (17, 0.125)],
        );
        let cosine = tuning::Tuning {
            schedule: tuning::Schedule::Cosine { least: 0.0 },
            warm_up: 4,
            ..tuning::Tuning::default()
        };
        assert_rates(
            &rate(cosine, &[]),
            &[(1, 0.125), (4, 0.5), (5, 0.5), (23, 0.25), (41, 0.0)],
        );
        assert_rates(
            &rate(tuning::Tuning::default(), &[]),
            &[(1, 0.5), (40, 0.5)],
        );
    }

    /// A training that goes on from a checkpoint has the history, and with it the rates.
    #[test]
    fn a_plateau_is_found_in_the_history() {
        let plateau = || tuning::Tuning {
            plateau: Some(tuning::Plateau {
                factor: 0.5,
                patience: 2,
                min_change: 0.0,
                least: 0.0,
            }),
            ..tuning::Tuning::default()
        };
        let history = [epoch(1, 1.0), epoch(2, 2.0), epoch(3, 1.5), epoch(4, 0.9)];
        let mut whole = rate(plateau(), &[]);
        let mut found = Vec::new();
        for epoch in &history {
            whole.observe(epoch);
            found.push(whole.at(1));
        }
        assert_eq!(found, [0.5, 0.5, 0.25, 0.25]);
        assert_eq!(
            rate(plateau(), &history).at(1).to_bits(),
            0.25_f32.to_bits()
        );
    }
}
