//! Whether what a training is asked to do fits the model: found before anything runs, by what is known of the model without
//! its weights.

use millrace_onnx::{
    ClassLabels, CrossEntropy, Dim, ElementType, Goal, Loss, Optimizer, StepOptions, Target,
};
use millrace_wire::goal as wire;
use millrace_wire::metric::{Judged, of_epoch, suffix};
use millrace_wire::training::{self, Hyperparameters};

use crate::app::{Code, Error, Result};

/// The options of a step graph that have to fit the model. The others are numbers, which are checked by themselves.
pub(super) fn options(parameters: &Hyperparameters) -> StepOptions {
    let mut options = StepOptions::new(Loss::MeanSquaredError, Optimizer::Sgd);
    options.goals = parameters.goals().iter().map(goal).collect();
    options.frozen.clone_from(&parameters.tuning.frozen);
    options
}

fn goal(goal: &wire::Goal) -> Goal {
    let loss = match goal.loss {
        training::Loss::CrossEntropy => Loss::CrossEntropy(CrossEntropy {
            labels: if goal.soft_labels {
                ClassLabels::OneHot
            } else {
                ClassLabels::Numbers
            },
            label_smoothing: 0.0,
            class_weights: goal.class_weights.iter().copied().map(f64::from).collect(),
            axis: None,
        }),
        training::Loss::BinaryCrossEntropy => Loss::BinaryCrossEntropy {
            label_smoothing: 0.0,
        },
        training::Loss::MeanSquaredError => Loss::MeanSquaredError,
        training::Loss::MeanAbsoluteError => Loss::MeanAbsoluteError,
        training::Loss::Huber => Loss::Huber { delta: 1.0 },
    };
    Goal {
        loss,
        prediction: goal.prediction.clone(),
        weight: goal.weight.into(),
    }
}

/// Checks that the metric which early stopping looks at will be there.
///
/// # Errors
/// `INVALID_INPUT`, naming those that will.
pub(super) fn check_monitor(
    parameters: &Hyperparameters,
    targets: &[Target],
    validates: bool,
) -> Result<()> {
    let goals = parameters.goals();
    let predictions = targets.iter().zip(&goals).map(|(target, goal)| {
        let name = goal.prediction.as_deref().filter(|_| goals.len() > 1);
        let suffix = name.map(suffix).unwrap_or_default();
        Some((suffix, judged(target, goal)?))
    });
    let (Some(stopping), Some(predictions)) = (
        &parameters.early_stopping,
        predictions.collect::<Option<Vec<_>>>(),
    ) else {
        return Ok(());
    };
    let known = of_epoch(&predictions, validates);
    if known.contains(&stopping.monitor) {
        return Ok(());
    }
    let why = if validates {
        ""
    } else {
        " (the segment has no validation part)"
    };
    Err(Error::new(
        Code::InvalidInput,
        format!(
            "earlyStopping.monitor is {:?}, which this training will not report: it reports {}{why}",
            stopping.monitor,
            known.join(", ")
        ),
    ))
}

/// What the training function judges predictions as; unknown where the model does not say how many there are.
fn judged(target: &Target, goal: &wire::Goal) -> Option<Judged> {
    if target.answers.is_some() {
        return Some(Judged::Answers);
    }
    if target.labels.element != ElementType::Int64 && !goal.soft_labels {
        return Some(Judged::Numbers);
    }
    let (_, row) = target.prediction.dims.as_ref()?.split_first()?;
    let classes = row.iter().try_fold(1, |product: usize, dim| match dim {
        Dim::Fixed(size) => product.checked_mul(usize::try_from(*size).ok()?),
        Dim::Symbolic(_) | Dim::Unknown => None,
    })?;
    Some(Judged::Classes(classes))
}
