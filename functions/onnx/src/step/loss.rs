//! Losses: what they need of the model, their nodes, and the gradient with which differentiation begins.

mod binary_cross_entropy;
mod cross_entropy;
mod ending;
mod huber;
mod mean_absolute_error;
mod mean_squared_error;
mod residual;

use binary_cross_entropy::BinaryCrossEntropy;
use cross_entropy::CrossEntropy;
use huber::Huber;
use mean_absolute_error::MeanAbsoluteError;
use mean_squared_error::MeanSquaredError;
use residual::OfResiduals;

use super::{Answers, Loss};
use crate::emitter::Emitter;
use crate::forward::Forward;
use crate::proto::AttributeProto;
use crate::{ElementType, Error, TensorInfo};

/// The names of what belongs to one prediction.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) prediction: String,
    pub(super) labels: String,
    pub(super) loss: String,
}

/// A loss on a particular model.
pub(super) trait Objective {
    /// The tensor that the loss is computed from: the prediction, or what stands before an activation that is part of the
    /// loss.
    fn target(&self) -> &str;

    /// What the labels have to be.
    fn labels(&self) -> TensorInfo;

    /// What the prediction's numbers are, where each answers a question with yes or no.
    fn answers(&self) -> Option<Answers> {
        None
    }

    /// Whether they are logits of classes, or logarithms of their probabilities.
    fn are_class_logits(&self) -> bool {
        false
    }

    /// Emits the loss, a scalar, under the given name.
    fn emit_loss(&mut self, emitter: &mut Emitter, name: &str);

    /// Emits the gradient of the target, after the loss.
    fn emit_gradient(&mut self, emitter: &mut Emitter) -> String;
}

/// The loss on a model.
pub(super) fn objective(
    loss: &Loss,
    forward: &Forward,
    place: &Place,
) -> Result<Box<dyn Objective>, Error> {
    Ok(match loss {
        Loss::CrossEntropy(options) => Box::new(CrossEntropy::new(options, forward, place)?),
        Loss::BinaryCrossEntropy { label_smoothing } => {
            Box::new(BinaryCrossEntropy::new(*label_smoothing, forward, place)?)
        }
        Loss::MeanSquaredError => Box::new(OfResiduals::new(MeanSquaredError, forward, place)),
        Loss::MeanAbsoluteError => Box::new(OfResiduals::new(MeanAbsoluteError, forward, place)),
        Loss::Huber { delta } => Box::new(OfResiduals::new(Huber::new(*delta)?, forward, place)),
    })
}

/// A label smoothing in [0, 1).
fn checked_smoothing(value: f64) -> Result<f64, Error> {
    if (0.0..1.0).contains(&value) {
        return Ok(value);
    }
    Err(Error::request(format!(
        "the label smoothing is {value}, and must be at least 0 and less than 1"
    )))
}

/// Emits the sum of all elements, a scalar.
fn emit_sum(emitter: &mut Emitter, tensor: &str) -> String {
    let scalar = vec![AttributeProto::from_int("keepdims", 0)];
    emitter.node_with("ReduceSum", &[tensor], scalar)
}

/// Emits the number of elements as float32.
fn emit_count(emitter: &mut Emitter, tensor: &str) -> String {
    let elements = emitter.node("Size", &[tensor]);
    emit_as_float(emitter, &elements)
}

fn emit_as_float(emitter: &mut Emitter, tensor: &str) -> String {
    let float = i64::from(ElementType::Float32.code());
    let to = vec![AttributeProto::from_int("to", float)];
    emitter.node_with("Cast", &[tensor], to)
}
