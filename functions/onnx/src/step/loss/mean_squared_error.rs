//! The mean squared error.
//!
//! With predictions y and labels t of n elements in all (records times outputs): L = (1/n) Σ (y − t)², and
//! ∂L/∂y = (2/n) (y − t).

use super::Objective;
use crate::emitter::Emitter;
use crate::forward::Forward;
use crate::proto::AttributeProto;
use crate::step::names::{LABELS, LOSS};
use crate::{ElementType, TensorInfo};

/// The mean squared error on a model.
pub(super) struct MeanSquaredError {
    prediction: TensorInfo,
    /// The differences and their number, once they are emitted.
    differences: String,
    count: String,
}

impl MeanSquaredError {
    pub(super) fn new(forward: &Forward) -> Self {
        Self {
            prediction: forward.prediction_info(),
            differences: String::new(),
            count: String::new(),
        }
    }
}

impl Objective for MeanSquaredError {
    fn target(&self) -> &str {
        &self.prediction.name
    }

    fn labels(&self) -> TensorInfo {
        TensorInfo {
            name: LABELS.to_owned(),
            ..self.prediction.clone()
        }
    }

    fn emit_loss(&mut self, emitter: &mut Emitter) {
        emitter.enter("loss".to_owned());
        self.differences = emitter.node("Sub", &[&self.prediction.name, LABELS]);
        let elements = emitter.node("Size", &[&self.differences]);
        let float = vec![AttributeProto::from_int(
            "to",
            i64::from(ElementType::Float32.code()),
        )];
        self.count = emitter.node_with("Cast", &[&elements], float);
        let squares = emitter.node("Mul", &[&self.differences, &self.differences]);
        let scalar = vec![AttributeProto::from_int("keepdims", 0)];
        let sum = emitter.node_with("ReduceSum", &[&squares], scalar);
        emitter.named(LOSS, "Div", &[&sum, &self.count]);
    }

    fn emit_gradient(&mut self, emitter: &mut Emitter) -> String {
        emitter.enter("gradient/loss".to_owned());
        let two = emitter.float(2.0, ElementType::Float32);
        let factor = emitter.node("Div", &[&two, &self.count]);
        emitter.node("Mul", &[&self.differences, &factor])
    }
}
