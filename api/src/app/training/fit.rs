//! Whether what a training is asked to do fits the model: found before anything runs, by what is known of the model without
//! its weights.

use millrace_onnx::{
    ClassLabels, CrossEntropy, Dim, ElementType, Goal, Loss, Optimizer, StepOptions, Target,
    TensorInfo,
};
use millrace_wire::goal as wire;
use millrace_wire::metric::{Judged, of_epoch, suffix};
use millrace_wire::record::Label;
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

/// Checks that labels have as many numbers as the predictions want of them. Where the model does not say how many it predicts,
/// the training finds out.
///
/// # Errors
/// `INCOMPATIBLE`, saying what each prediction wants.
pub(super) fn check_label(targets: &[Target], goals: &[wire::Goal], label: &Label) -> Result<()> {
    let given = label.elements();
    let mut wanted = 0;
    let mut predictions = Vec::new();
    for (target, goal) in targets.iter().zip(goals) {
        let Some(numbers) = elements(&target.prediction) else {
            return Ok(());
        };
        let is_class = target.labels.element == ElementType::Int64 && !goal.soft_labels;
        // The only label may have a class one-hot; of several nobody could tell where one ends.
        let may_be_one_hot = is_class && targets.len() == 1;
        wanted += match is_class {
            true if may_be_one_hot && given > 1 => numbers,
            true => 1,
            false => numbers,
        };
        let says = match is_class {
            true if may_be_one_hot => format!("one class, or {numbers} numbers"),
            true => "one class".to_owned(),
            false => format!("{numbers} numbers"),
        };
        let prediction = &target.prediction;
        predictions.push(format!(
            "{prediction} as `{}`, for which a label has {says}",
            prediction.name
        ));
    }
    if wanted == given {
        return Ok(());
    }
    Err(Error::new(
        Code::Incompatible,
        format!(
            "the model predicts {}, and the datasource's labels have {given}",
            predictions.join(", and ")
        ),
    ))
}

/// How many numbers a prediction has for each record, where that is known.
fn elements(prediction: &TensorInfo) -> Option<usize> {
    let (_, row) = prediction.dims.as_ref()?.split_first()?;
    row.iter().try_fold(1, |product: usize, dim| match dim {
        Dim::Fixed(size) => product.checked_mul(usize::try_from(*size).ok()?),
        Dim::Symbolic(_) | Dim::Unknown => None,
    })
}

/// What the training function judges predictions as; unknown where the model does not say how many there are.
fn judged(target: &Target, goal: &wire::Goal) -> Option<Judged> {
    if target.answers.is_some() {
        return Some(Judged::Answers);
    }
    if target.labels.element != ElementType::Int64 && !goal.soft_labels {
        return Some(Judged::Numbers);
    }
    elements(&target.prediction).map(Judged::Classes)
}
