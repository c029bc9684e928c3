//! The names of a step graph's inputs and outputs. Trained programs rely on them: they do not change.
//!
//! Where several predictions are trained at once, each has labels, a prediction and a loss of its own, whose names carry the
//! name of the model's tensor: `labels.<output>`, `prediction.<output>`, `loss.<output>`; `loss` is then the weighted sum.

/// The labels of the batch.
pub const LABELS: &str = "labels";
/// The learning rate, a float32 scalar.
pub const LEARNING_RATE: &str = "lr";
/// The number of the step, an int64 scalar that starts at 1.
pub const STEP: &str = "step";
/// What dropout masks are drawn from, together with the number of the step: an int64 scalar.
///
/// Every step graph has this input, also where nothing in it is random.
pub const SEED: &str = "seed";
/// The loss, a float32 scalar: the mean over the batch.
pub const LOSS: &str = "loss";
/// The model's prediction for the batch, from the parameters before the step.
pub const PREDICTION: &str = "prediction";

/// The name of the output with the value of `name` after the step.
#[must_use]
pub fn updated(name: &str) -> String {
    format!("{name}.new")
}

/// The name of a slot of an optimizer's state.
#[must_use]
pub fn slot(parameter: &str, slot: &str) -> String {
    format!("{parameter}.{slot}")
}

/// The name of what belongs to one of several predictions: `name` is [`LABELS`], [`LOSS`] or [`PREDICTION`], `output` the
/// tensor of the model that is the prediction.
#[must_use]
pub fn of_output(name: &str, output: &str) -> String {
    format!("{name}.{output}")
}
