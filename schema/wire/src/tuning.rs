//! What a training takes beyond its loss and optimizer. Where it is left out, all of it is as usual.

use serde::{Deserialize, Serialize};

use crate::goal::Goal;
use crate::preprocessing::Preprocessing;

/// The finer points of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tuning {
    /// The graph output or inner tensor that is the prediction; found where there is only one candidate.
    pub prediction: Option<String>,
    /// The share of each label that is spread evenly over all classes, at least 0 and less than 1.
    pub label_smoothing: f32,
    /// How much each class counts in cross-entropy; empty where all count alike.
    pub class_weights: Vec<f32>,
    /// In cross-entropy: labels are the probability of each class, and not the number of one.
    pub soft_labels: bool,
    /// Where the Huber loss goes over from squares to absolute values, more than 0.
    pub huber_delta: f32,
    /// What is minimised where several predictions are learned at once; empty for one, which the loss and the above
    /// describe.
    pub goals: Vec<Goal>,
    /// Decoupled weight decay, at least 0; the optimizer's own where it is left out.
    pub weight_decay: Option<f32>,
    /// What keeps gradients from growing without limit.
    pub clipping: Option<Clipping>,
    /// Mini-batches whose gradients are averaged for one update, at least 1.
    pub accumulation: u32,
    /// Patterns of the names of parameters that stay as they are: `*` stands for any characters, `?` for one.
    pub frozen: Vec<String>,
    /// Which statistics batch normalization uses while it trains.
    pub batch_normalization: BatchNormalization,
    /// Over so many mini-batches the learning rate grows to its full value.
    pub warm_up: u32,
    /// How the learning rate goes on from there.
    pub schedule: Schedule,
    /// When the learning rate is reduced for want of progress; never where it is left out.
    pub plateau: Option<Plateau>,
    /// What is done to records before the model sees them; nothing where it is empty.
    pub preprocessing: Vec<Preprocessing>,
    /// With so many records, and what it answers them, the new version is held to what it was when it was made.
    #[serde(skip_serializing_if = "is_none")]
    pub golden_samples: u32,
}

/// The most golden samples that a training takes of its records.
const MOST_GOLDEN_SAMPLES: u32 = 64;

// Functions from before there was the number know nothing of it.
#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
fn is_none(golden_samples: &u32) -> bool {
    *golden_samples == 0
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            prediction: None,
            label_smoothing: 0.0,
            class_weights: Vec::new(),
            soft_labels: false,
            huber_delta: 1.0,
            goals: Vec::new(),
            weight_decay: None,
            clipping: None,
            accumulation: 1,
            frozen: Vec::new(),
            batch_normalization: BatchNormalization::Train,
            warm_up: 0,
            schedule: Schedule::Constant,
            plateau: None,
            preprocessing: Vec::new(),
            golden_samples: 0,
        }
    }
}

/// What keeps gradients from growing without limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum Clipping {
    /// All gradients together are scaled down to this Euclidean norm.
    Norm(f32),
    /// Each element is limited to this in both directions.
    Value(f32),
}

/// Which statistics batch normalization uses while it trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BatchNormalization {
    /// Those of the mini-batch, which the running ones follow.
    Train,
    /// The running ones as they are.
    Freeze,
}

/// How the learning rate changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum Schedule {
    /// It does not.
    Constant,
    /// It is multiplied by a factor after every so many epochs.
    Step {
        /// The epochs, at least 1.
        epochs: u32,
        /// The factor, more than 0 and at most 1.
        factor: f32,
    },
    /// It falls evenly from mini-batch to mini-batch, by a factor over so many epochs.
    Exponential {
        /// The epochs, at least 1.
        epochs: u32,
        /// The factor, more than 0 and at most 1.
        factor: f32,
    },
    /// It follows half a period of a cosine to the end of the last epoch.
    Cosine {
        /// The share of the rate that is left then, 0 to 1.
        least: f32,
    },
}

/// Reduces the learning rate when an epoch's loss no longer falls: that of the validation part, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    /// What the rate is multiplied by, more than 0 and less than 1.
    pub factor: f32,
    /// After so many epochs without a smaller loss, at least 1.
    pub patience: u32,
    /// By how much a loss has to be smaller than the smallest one to count, at least 0.
    pub min_change: f32,
    /// The share of the rate below which it is not reduced, 0 to 1.
    pub least: f32,
}

impl Tuning {
    /// Says which number is outside its range; [those of goals](crate::training::Hyperparameters::check_goals) apart.
    ///
    /// # Errors
    /// The rule, in the words of the API.
    pub fn check(&self) -> Result<(), &'static str> {
        let share = |value: f32| (0.0..=1.0).contains(&value);
        let positive = |value: f32| value > 0.0 && value.is_finite();
        let clipping_holds = match self.clipping {
            None => true,
            Some(Clipping::Norm(limit) | Clipping::Value(limit)) => positive(limit),
        };
        let schedule_holds = match self.schedule {
            Schedule::Constant => true,
            Schedule::Step { epochs, factor } | Schedule::Exponential { epochs, factor } => {
                epochs >= 1 && factor > 0.0 && factor <= 1.0
            }
            Schedule::Cosine { least } => share(least),
        };
        let plateau_holds = self.plateau.is_none_or(|plateau| {
            plateau.factor > 0.0
                && plateau.factor < 1.0
                && plateau.patience >= 1
                && plateau.min_change >= 0.0
                && plateau.min_change.is_finite()
                && share(plateau.least)
        });
        let rules = [
            (
                self.golden_samples <= MOST_GOLDEN_SAMPLES,
                "goldenSamples is 0 to 64",
            ),
            (
                self.weight_decay
                    .is_none_or(|decay| decay >= 0.0 && decay.is_finite()),
                "weightDecay must be at least 0",
            ),
            (clipping_holds, "clipNorm and clipValue must be positive"),
            (self.accumulation >= 1, "accumulation must be at least 1"),
            (
                schedule_holds,
                "a schedule takes at least 1 epoch, a factor of more than 0 and at most 1, and a least share of 0 to 1",
            ),
            (
                plateau_holds,
                "reduceOnPlateau takes a factor between 0 and 1, a patience of at least 1, a minChange of at least 0 \
                 and a least share of 0 to 1",
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            None => Ok(()),
            Some((_, rule)) => Err(rule),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn what_is_left_out_is_as_usual() {
        assert_eq!(
            serde_json::from_str::<Tuning>("{}").unwrap(),
            Tuning::default()
        );
        let tuning = Tuning {
            clipping: Some(Clipping::Norm(1.5)),
            schedule: Schedule::Cosine { least: 0.25 },
            ..Tuning::default()
        };
        let text = serde_json::to_string(&tuning).unwrap();
        assert!(text.contains(r#""clipping":{"NORM":1.5}"#), "{text}");
        assert_eq!(serde_json::from_str::<Tuning>(&text).unwrap(), tuning);
        assert!(serde_json::from_str::<Tuning>(r#"{"weight_dcay":1}"#).is_err());
        assert!(!text.contains("golden"), "{text}");
        let too_many = Tuning {
            golden_samples: MOST_GOLDEN_SAMPLES + 1,
            ..Tuning::default()
        };
        assert_eq!(too_many.check(), Err("goldenSamples is 0 to 64"));
    }

    #[test]
    fn numbers_outside_their_range_are_named() {
        let usual = Tuning::default;
        assert_eq!(usual().check(), Ok(()));
        let plateau = Plateau {
            factor: 0.5,
            patience: 0,
            min_change: 0.0,
            least: 0.0,
        };
        let wrong = [
            (
                Tuning {
                    weight_decay: Some(f32::NAN),
                    ..usual()
                },
                "weightDecay",
            ),
            (
                Tuning {
                    clipping: Some(Clipping::Value(-1.0)),
                    ..usual()
                },
                "clipValue",
            ),
            (
                Tuning {
                    accumulation: 0,
                    ..usual()
                },
                "accumulation",
            ),
            (
                Tuning {
                    schedule: Schedule::Step {
                        epochs: 0,
                        factor: 0.5,
                    },
                    ..usual()
                },
                "schedule",
            ),
            (
                Tuning {
                    plateau: Some(plateau),
                    ..usual()
                },
                "reduceOnPlateau",
            ),
        ];
        for (tuning, field) in wrong {
            assert!(tuning.check().unwrap_err().contains(field), "{tuning:?}");
        }
    }
}
