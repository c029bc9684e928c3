//! A bounded training: everything that a function needs to know to run it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::function::Connection;
use crate::record::{Label, RecordFormat};
use crate::registry::Version;
use crate::segment::Manifest;
use crate::tuning::Tuning;

/// One bounded training: a version × a segment × hyper-parameters → a new version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingSpec {
    /// The training.
    pub id: Uuid,
    /// The project's name.
    pub project: String,
    /// The model's name.
    pub model: String,
    /// The version to start from.
    pub version: Version,
    /// The cluster that holds the segment.
    pub connection: Connection,
    /// The records.
    pub segment: Manifest,
    /// How they are encoded.
    pub format: RecordFormat,
    /// Where their labels stand.
    pub label: Label,
    /// How to train.
    pub hyperparameters: Hyperparameters,
    /// Seed of the shuffling of each epoch.
    pub seed: u64,
    /// Where records go that cannot be used, on the segment's cluster.
    pub dead_letter_topic: String,
}

/// How to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hyperparameters {
    /// Passes over the training part, at least 1.
    pub epochs: u32,
    /// Records an optimizer step, at least 1.
    pub batch_size: u32,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Its learning rate.
    pub learning_rate: f32,
    /// What is minimised.
    pub loss: Loss,
    /// The share of records that may be undecodable before the training fails, 0 to 1.
    pub max_bad_records: f64,
    /// What goes beyond loss and optimizer.
    #[serde(default)]
    pub tuning: Tuning,
    /// When to end before the last epoch; never where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
}

/// When a training ends before its last epoch, and what it keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// The metric of an epoch that is looked at, such as `validation_loss`.
    pub monitor: String,
    /// After so many epochs without a better value the training ends, at least 1.
    pub patience: u32,
    /// By how much a value has to be better than the best one to count, at least 0.
    pub min_change: f64,
    /// Whether the result is the best epoch's; else it is the last one's.
    pub restore_best: bool,
}

impl EarlyStopping {
    /// Whether smaller values of the metric are better: losses and errors are.
    #[must_use]
    pub fn is_lower_better(&self) -> bool {
        // The name of a prediction may follow, where there are several.
        let metric = self.monitor.split('.').next().unwrap_or_default();
        ["loss", "mae", "rmse"]
            .iter()
            .any(|name| metric.ends_with(name))
    }
}

/// An optimizer with its constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd,
    /// Gradient descent with (heavy-ball) momentum.
    Momentum {
        /// Decay of the velocity.
        momentum: f32,
    },
    /// The same, with the gradient taken one step of the velocity ahead.
    Nesterov {
        /// Decay of the velocity.
        momentum: f32,
    },
    /// Adam (Kingma and Ba, 2015).
    Adam {
        /// Decay of the first moment.
        beta1: f32,
        /// Decay of the second moment.
        beta2: f32,
        /// Added to the denominator.
        epsilon: f32,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019), 0.01 where none is given.
    AdamW {
        /// Decay of the first moment.
        beta1: f32,
        /// Decay of the second moment.
        beta2: f32,
        /// Added to the denominator.
        epsilon: f32,
    },
    /// `RMSprop` (Tieleman and Hinton, 2012).
    RmsProp {
        /// Decay of the mean of squares.
        decay: f32,
        /// Added to the denominator.
        epsilon: f32,
    },
    /// Adagrad (Duchi, Hazan and Singer, 2011).
    Adagrad {
        /// Added to the denominator.
        epsilon: f32,
    },
    /// Lion (Chen et al., 2023).
    Lion {
        /// The share of the mean in what is followed.
        beta1: f32,
        /// Decay of the mean.
        beta2: f32,
    },
}

impl Optimizer {
    /// Whether its constants are within their ranges: decays at least 0 and less than 1, ε positive.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let (decays, epsilon) = match *self {
            Self::Sgd => (vec![], 1.0),
            Self::Momentum { momentum } | Self::Nesterov { momentum } => (vec![momentum], 1.0),
            Self::Adam {
                beta1,
                beta2,
                epsilon,
            }
            | Self::AdamW {
                beta1,
                beta2,
                epsilon,
            } => (vec![beta1, beta2], epsilon),
            Self::RmsProp { decay, epsilon } => (vec![decay], epsilon),
            Self::Adagrad { epsilon } => (vec![], epsilon),
            Self::Lion { beta1, beta2 } => (vec![beta1, beta2], 1.0),
        };
        let decays_hold = decays.iter().all(|decay| (0.0..1.0).contains(decay));
        decays_hold && epsilon >= f32::MIN_POSITIVE && epsilon.is_finite()
    }
}

/// A loss function, the mean over a mini-batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Loss {
    /// Softmax cross-entropy; labels are class indices, or the probability of each class.
    CrossEntropy,
    /// Sigmoid cross-entropy of every element of the output; labels are 0, 1 or between.
    BinaryCrossEntropy,
    /// Mean squared error over all elements of the output.
    MeanSquaredError,
    /// Mean absolute error over all elements of the output.
    MeanAbsoluteError,
    /// The loss of Huber (1964), the mean over all elements of the output.
    Huber,
}
