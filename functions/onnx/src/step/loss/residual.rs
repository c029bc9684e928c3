//! Losses that are a mean over the differences between predictions and labels.
//!
//! With predictions y and labels t of n elements in all (records times outputs) and d = y − t: L = (1/n) Σ f(d), and
//! ∂L/∂y = f′(d) / n.

use super::{Objective, Place, emit_count, emit_sum};
use crate::emitter::Emitter;
use crate::forward::Forward;
use crate::{ElementType, TensorInfo};

/// The function of a difference of which such a loss is the mean.
pub(super) trait Formula {
    /// Emits f(d).
    fn emit_value(&mut self, emitter: &mut Emitter, difference: &str) -> String;

    /// Emits a tensor and gives it with a number: f′(d) is their product.
    fn emit_slope(&mut self, emitter: &mut Emitter, difference: &str) -> (String, f64);
}

/// The mean of a formula on a model.
pub(super) struct OfResiduals<F> {
    formula: F,
    prediction: TensorInfo,
    labels: String,
    /// The differences and their number, once they are emitted.
    difference: String,
    count: String,
}

impl<F: Formula> OfResiduals<F> {
    pub(super) fn new(formula: F, forward: &Forward, place: &Place) -> Self {
        Self {
            formula,
            prediction: forward.prediction_info(&place.prediction),
            labels: place.labels.clone(),
            difference: String::new(),
            count: String::new(),
        }
    }
}

impl<F: Formula> Objective for OfResiduals<F> {
    fn target(&self) -> &str {
        &self.prediction.name
    }

    fn labels(&self) -> TensorInfo {
        TensorInfo {
            name: self.labels.clone(),
            ..self.prediction.clone()
        }
    }

    fn emit_loss(&mut self, emitter: &mut Emitter, name: &str) {
        self.difference = emitter.node("Sub", &[&self.prediction.name, &self.labels]);
        self.count = emit_count(emitter, &self.difference);
        let values = self.formula.emit_value(emitter, &self.difference);
        let sum = emit_sum(emitter, &values);
        emitter.named(name, "Div", &[&sum, &self.count]);
    }

    fn emit_gradient(&mut self, emitter: &mut Emitter) -> String {
        let (slope, factor) = self.formula.emit_slope(emitter, &self.difference);
        let factor = emitter.float(factor, ElementType::Float32);
        let factor = emitter.node("Div", &[&factor, &self.count]);
        emitter.node("Mul", &[&slope, &factor])
    }
}
