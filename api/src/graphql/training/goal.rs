//! One of several predictions that a training learns at once, as a part of its hyper-parameters.

use async_graphql::InputObject;
use millrace_wire::goal::Goal;

use super::input::{Loss, single};

/// A prediction with its loss.
#[derive(InputObject)]
pub struct GoalInput {
    /// The output or inner tensor of the model that is the prediction.
    prediction: String,
    /// What is minimised.
    #[graphql(default_with = "Loss::CrossEntropy")]
    loss: Loss,
    /// By what the loss is multiplied in the sum of several.
    #[graphql(default = 1.0)]
    weight: f64,
    /// The share of each label that is spread evenly over all classes, at least 0 and less than 1.
    #[graphql(default = 0.0)]
    label_smoothing: f64,
    /// How much each class counts in cross-entropy; all alike if left out.
    class_weights: Option<Vec<f64>>,
    /// Labels are the probability of each class, and not one class; for `CROSS_ENTROPY`.
    #[graphql(default = false)]
    soft_labels: bool,
    /// Where the Huber loss goes over from squares to absolute values.
    #[graphql(default = 1.0)]
    huber_delta: f64,
}

impl From<GoalInput> for Goal {
    fn from(input: GoalInput) -> Self {
        Self {
            prediction: Some(input.prediction),
            loss: input.loss.into(),
            weight: single(input.weight),
            label_smoothing: single(input.label_smoothing),
            class_weights: singles(input.class_weights),
            soft_labels: input.soft_labels,
            huber_delta: single(input.huber_delta),
        }
    }
}

/// Numbers in single precision; none where they are left out.
pub(super) fn singles(numbers: Option<Vec<f64>>) -> Vec<f32> {
    numbers
        .unwrap_or_default()
        .into_iter()
        .map(single)
        .collect()
}
