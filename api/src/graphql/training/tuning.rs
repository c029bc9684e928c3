//! The finer points of a training, as a part of its hyper-parameters.

use async_graphql::{Enum, InputObject, OneofObject};
use millrace_wire::preprocessing::Preprocessing;
use millrace_wire::tuning as wire;

use super::goal::{GoalInput, singles};
use super::input::{invalid, single};
use crate::app::Error;

/// What goes beyond loss and optimizer; as usual where it is left out.
#[derive(InputObject)]
pub struct TuningInput {
    /// The output or inner tensor of the model that is the prediction; found where there is only one candidate.
    prediction: Option<String>,
    /// The share of each label that is spread evenly over all classes, at least 0 and less than 1.
    #[graphql(default = 0.0)]
    label_smoothing: f64,
    /// How much each class counts in cross-entropy; all alike if left out.
    class_weights: Option<Vec<f64>>,
    /// Labels are the probability of each class, as many numbers as there are classes, and not one class; for `CROSS_ENTROPY`.
    #[graphql(default = false)]
    soft_labels: bool,
    /// Where the Huber loss goes over from squares to absolute values.
    #[graphql(default = 1.0)]
    huber_delta: f64,
    /// What is minimised where several predictions are learned at once: the weighted sum of their losses. `loss` does not count
    /// then, and what belongs to it stands in each goal. A label has the numbers of all goals, in their order; a class is one
    /// number. Metrics of a prediction end in its name: `validation_accuracy.species`.
    #[graphql(default)]
    goals: Vec<GoalInput>,
    /// Decoupled weight decay, which leaves biases and normalizations alone; 0.01 for `AdamW` if left out, else 0.
    weight_decay: Option<f64>,
    /// All gradients together are scaled down to this norm.
    clip_norm: Option<f64>,
    /// Each element of the gradients is limited to this in both directions.
    clip_value: Option<f64>,
    /// Mini-batches whose gradients are averaged for one update.
    #[graphql(default = 1)]
    accumulation: u32,
    /// Patterns of the names of parameters that stay as they are: `*` stands for any characters, `?` for one.
    #[graphql(default)]
    frozen: Vec<String>,
    /// Which statistics batch normalization uses while it trains.
    #[graphql(default_with = "BatchNormalization::Train")]
    batch_normalization: BatchNormalization,
    /// Over so many mini-batches the learning rate grows to its full value.
    #[graphql(default = 0)]
    warm_up: u32,
    /// How the learning rate goes on from there; it stays if left out.
    schedule: Option<ScheduleInput>,
    /// When the learning rate is reduced for want of progress; never if left out.
    reduce_on_plateau: Option<PlateauInput>,
    /// What is done to records before the model sees them. It is fitted on the training part and becomes the first nodes of the
    /// new version, which takes records as they are. A column is one number of a record, counted from 0 in C order.
    #[graphql(default)]
    preprocessing: Vec<PreprocessingInput>,
    /// So many records, at most 64, are kept with the new version, and what it answers them where it is made: every function
    /// checks on its own processor that it answers the same before it takes traffic. They are taken from the test part, else
    /// from the validation part, else from the training part, and are kept as long as the version.
    #[graphql(default = 0)]
    golden_samples: u32,
}

/// Which statistics batch normalization uses while it trains.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "wire::BatchNormalization")]
pub enum BatchNormalization {
    /// Those of the mini-batch, which the running ones follow.
    Train,
    /// The running ones as they are; for fine-tuning.
    Freeze,
}

/// How the learning rate changes: exactly one of these.
#[derive(OneofObject)]
pub enum ScheduleInput {
    /// It is multiplied by a factor after every so many epochs.
    Step(DropInput),
    /// It falls from mini-batch to mini-batch, by a factor over so many epochs.
    Exponential(DropInput),
    /// It follows half a period of a cosine to the end of the last epoch.
    Cosine(CosineInput),
}

/// By what the learning rate is multiplied, and how often.
#[derive(InputObject)]
pub struct DropInput {
    /// Epochs until it is multiplied once.
    #[graphql(default = 1)]
    epochs: u32,
    /// The factor, more than 0 and at most 1.
    factor: f64,
}

/// A cosine.
#[derive(InputObject)]
pub struct CosineInput {
    /// The share of the learning rate that is left at the end.
    #[graphql(default = 0.0)]
    least: f64,
}

/// Reduces the learning rate when the loss of the validation part (the training part where there is none) no longer falls.
#[derive(InputObject)]
pub struct PlateauInput {
    /// What the rate is multiplied by.
    #[graphql(default = 0.1)]
    factor: f64,
    /// After so many epochs without a smaller loss.
    #[graphql(default = 10)]
    patience: u32,
    /// By how much a loss has to be smaller than the smallest one to count.
    #[graphql(default = 0.0)]
    min_change: f64,
    /// The share of the learning rate below which it is not reduced.
    #[graphql(default = 0.0)]
    least: f64,
}

/// A step of preprocessing: exactly one of these. Missing values are filled first, whatever the order of the steps.
#[derive(OneofObject)]
pub enum PreprocessingInput {
    /// Puts a value in the place of those that are missing (NaN).
    FillMissing(FillMissingInput),
    /// Makes the mean 0 and the standard deviation 1.
    Standardize(ColumnsInput),
    /// Makes the least value 0 and the greatest 1.
    MinMax(ColumnsInput),
    /// Makes a column of each value that the training part has, 1 where it is the value and else 0.
    OneHot(OneHotInput),
}

/// What stands in for missing values.
#[derive(InputObject)]
pub struct FillMissingInput {
    /// The columns; all that no other `fillMissing` names if left out.
    columns: Option<Vec<u32>>,
    /// The value; the mean if left out.
    value: Option<f64>,
}

/// Which columns to scale.
#[derive(InputObject)]
pub struct ColumnsInput {
    /// The columns; all that no other step scales if left out.
    columns: Option<Vec<u32>>,
}

/// Which columns are categories.
#[derive(InputObject)]
pub struct OneHotInput {
    /// The columns.
    columns: Vec<u32>,
}

impl From<PreprocessingInput> for Preprocessing {
    fn from(input: PreprocessingInput) -> Self {
        match input {
            PreprocessingInput::FillMissing(FillMissingInput { columns, value }) => {
                Self::FillMissing {
                    columns,
                    value: value.map(single),
                }
            }
            PreprocessingInput::Standardize(ColumnsInput { columns }) => {
                Self::Standardize { columns }
            }
            PreprocessingInput::MinMax(ColumnsInput { columns }) => Self::MinMax { columns },
            PreprocessingInput::OneHot(OneHotInput { columns }) => Self::OneHot { columns },
        }
    }
}

impl TuningInput {
    pub(super) fn into_tuning(self) -> Result<wire::Tuning, Error> {
        let clipping = match (self.clip_norm, self.clip_value) {
            (None, None) => None,
            (Some(norm), None) => Some(wire::Clipping::Norm(single(norm))),
            (None, Some(value)) => Some(wire::Clipping::Value(single(value))),
            (Some(_), Some(_)) => return Err(invalid("give `clipNorm` or `clipValue`, not both")),
        };
        Ok(wire::Tuning {
            prediction: self.prediction,
            label_smoothing: single(self.label_smoothing),
            class_weights: singles(self.class_weights),
            soft_labels: self.soft_labels,
            huber_delta: single(self.huber_delta),
            goals: self.goals.into_iter().map(Into::into).collect(),
            weight_decay: self.weight_decay.map(single),
            clipping,
            accumulation: self.accumulation,
            frozen: self.frozen,
            batch_normalization: self.batch_normalization.into(),
            warm_up: self.warm_up,
            schedule: match self.schedule {
                None => wire::Schedule::Constant,
                Some(ScheduleInput::Step(drop)) => wire::Schedule::Step {
                    epochs: drop.epochs,
                    factor: single(drop.factor),
                },
                Some(ScheduleInput::Exponential(drop)) => wire::Schedule::Exponential {
                    epochs: drop.epochs,
                    factor: single(drop.factor),
                },
                Some(ScheduleInput::Cosine(cosine)) => wire::Schedule::Cosine {
                    least: single(cosine.least),
                },
            },
            plateau: self.reduce_on_plateau.map(|plateau| wire::Plateau {
                factor: single(plateau.factor),
                patience: plateau.patience,
                min_change: single(plateau.min_change),
                least: single(plateau.least),
            }),
            preprocessing: self.preprocessing.into_iter().map(Into::into).collect(),
            golden_samples: self.golden_samples,
        })
    }
}
