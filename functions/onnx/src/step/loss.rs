//! Losses: what they need of the model, their nodes, and the gradient with which differentiation begins.

mod cross_entropy;
mod mean_squared_error;

use cross_entropy::CrossEntropy;
use mean_squared_error::MeanSquaredError;

use super::Loss;
use crate::emitter::Emitter;
use crate::forward::Forward;
use crate::{Error, TensorInfo};

/// A loss on a particular model.
pub(super) trait Objective {
    /// The tensor that the loss is computed from: the prediction, or what stands before an activation that is part of the
    /// loss.
    fn target(&self) -> &str;

    /// What the labels have to be.
    fn labels(&self) -> TensorInfo;

    /// Emits the loss under its name.
    fn emit_loss(&mut self, emitter: &mut Emitter);

    /// Emits the gradient of the target, after the loss.
    fn emit_gradient(&mut self, emitter: &mut Emitter) -> String;
}

/// The loss on a model.
pub(super) fn objective(loss: Loss, forward: &Forward) -> Result<Box<dyn Objective>, Error> {
    Ok(match loss {
        Loss::CrossEntropy => Box::new(CrossEntropy::new(forward)?),
        Loss::MeanSquaredError => Box::new(MeanSquaredError::new(forward)),
    })
}
