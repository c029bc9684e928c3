//! Gradient clipping, between the gradients and the optimizer.
//!
//! By global norm (Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks"): with the
//! norm n over all gradients together, g ← g · c / n where n > c. By value: g ← min(max(g, −c), c), element by element.

use std::collections::BTreeMap;

use super::Clipping;
use crate::emitter::Emitter;
use crate::proto::AttributeProto;
use crate::{ElementType, Error};

impl Clipping {
    pub(super) fn check(self) -> Result<(), Error> {
        let (Self::Norm(limit) | Self::Value(limit)) = self;
        if limit > 0.0 && limit.is_finite() {
            return Ok(());
        }
        Err(Error::request(format!(
            "gradients are clipped at {limit}, and it must be more than 0"
        )))
    }

    /// Emits the clipped gradients, which take the places of the others.
    pub(super) fn emit(self, emitter: &mut Emitter, gradients: &mut BTreeMap<String, String>) {
        emitter.enter("clipping".to_owned());
        match self {
            Self::Value(limit) => {
                let least = emitter.float(-limit, ElementType::Float32);
                let most = emitter.float(limit, ElementType::Float32);
                for gradient in gradients.values_mut() {
                    *gradient = emitter.node("Clip", &[gradient.as_str(), &least, &most]);
                }
            }
            Self::Norm(limit) => {
                let factor = emit_factor(emitter, gradients, limit);
                for gradient in gradients.values_mut() {
                    *gradient = emitter.node("Mul", &[gradient.as_str(), &factor]);
                }
            }
        }
    }
}

/// c / n where n > c, else 1. A norm that is not a number makes the gradients so, and the loss tells it.
fn emit_factor(emitter: &mut Emitter, gradients: &BTreeMap<String, String>, limit: f64) -> String {
    let mut sum = emitter.float(0.0, ElementType::Float32);
    for gradient in gradients.values() {
        let squared = emitter.node("Mul", &[gradient, gradient]);
        let scalar = vec![AttributeProto::from_int("keepdims", 0)];
        let own = emitter.node_with("ReduceSum", &[&squared], scalar);
        sum = emitter.node("Add", &[&sum, &own]);
    }
    let norm = emitter.node("Sqrt", &[&sum]);
    let limit = emitter.float(limit, ElementType::Float32);
    let one = emitter.float(1.0, ElementType::Float32);
    let ratio = emitter.node("Div", &[&limit, &norm]);
    let is_small = emitter.node("Greater", &[&limit, &norm]);
    emitter.node("Where", &[&is_small, &one, &ratio])
}
