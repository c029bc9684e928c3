//! Whether what a training is asked to do fits the model: found before anything runs, by what is known of the model without
//! its weights.

use millrace_onnx::{
    ClassLabels, CrossEntropy, Dim, ElementType, Loss, Optimizer, StepOptions, Target,
};
use millrace_wire::metric::{Judged, of_epoch};
use millrace_wire::training::{self, Hyperparameters};

use crate::app::{Code, Error, Result};

/// The options of a step graph that have to fit the model. The others are numbers, which are checked by themselves.
pub(super) fn options(parameters: &Hyperparameters) -> StepOptions {
    let tuning = &parameters.tuning;
    let loss = match parameters.loss {
        training::Loss::CrossEntropy => Loss::CrossEntropy(CrossEntropy {
            labels: ClassLabels::Numbers,
            label_smoothing: 0.0,
            class_weights: tuning
                .class_weights
                .iter()
                .copied()
                .map(f64::from)
                .collect(),
            axis: None,
        }),
        training::Loss::BinaryCrossEntropy => Loss::BinaryCrossEntropy {
            label_smoothing: 0.0,
        },
        training::Loss::MeanSquaredError => Loss::MeanSquaredError,
        training::Loss::MeanAbsoluteError => Loss::MeanAbsoluteError,
        training::Loss::Huber => Loss::Huber { delta: 1.0 },
    };
    let mut options = StepOptions::new(loss, Optimizer::Sgd);
    for goal in &mut options.goals {
        goal.prediction.clone_from(&tuning.prediction);
    }
    options.frozen.clone_from(&tuning.frozen);
    options
}

/// Checks that the metric which early stopping looks at will be there.
///
/// # Errors
/// `INVALID_INPUT`, naming those that will.
pub(super) fn check_monitor(
    parameters: &Hyperparameters,
    target: &Target,
    validates: bool,
) -> Result<()> {
    let (Some(stopping), Some(judged)) = (&parameters.early_stopping, judged(target)) else {
        return Ok(());
    };
    let known = of_epoch(judged, validates);
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
fn judged(target: &Target) -> Option<Judged> {
    if target.answers.is_some() {
        return Some(Judged::Answers);
    }
    if target.labels.element != ElementType::Int64 {
        return Some(Judged::Numbers);
    }
    let (_, row) = target.prediction.dims.as_ref()?.split_first()?;
    let classes = row.iter().try_fold(1, |product: usize, dim| match dim {
        Dim::Fixed(size) => product.checked_mul(usize::try_from(*size).ok()?),
        Dim::Symbolic(_) | Dim::Unknown => None,
    })?;
    Some(Judged::Classes(classes))
}
