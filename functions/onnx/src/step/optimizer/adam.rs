//! Adam, Algorithm 1 of Kingma and Ba 2015 ("Adam: A Method for Stochastic Optimization"):
//!
//! m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², p ← p − lr · m̂ / (√v̂ + ε), with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ).
//!
//! The corrections are scalars and are taken out of the tensors: with c = √(1 − β₂ᵗ) the step is
//! lr · c / (1 − β₁ᵗ) · m / (√v + ε c), which is the same number. They are computed in float64, since 1 − β₂ᵗ cancels most
//! of its digits in the first steps.

use super::{Rule, float};
use crate::ElementType;
use crate::emitter::Emitter;
use crate::fast;
use crate::proto::AttributeProto;
use crate::step::names::{LEARNING_RATE, STEP, slot, updated};

/// The running mean of gradients, m.
pub(super) const MEAN: &str = "m";
/// The running mean of their squares, v.
pub(super) const SQUARE: &str = "v";

/// Keeps both means.
pub(super) struct Adam {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    /// The corrected rate and ε, once they are emitted.
    rate: String,
    floor: String,
}

impl Adam {
    pub(super) fn new(beta1: f64, beta2: f64, epsilon: f64) -> Self {
        Self {
            beta1,
            beta2,
            epsilon,
            rate: String::new(),
            floor: String::new(),
        }
    }
}

impl Rule for Adam {
    fn begin(&mut self, emitter: &mut Emitter) {
        if emitter.is_fast() {
            return;
        }
        emitter.enter("update".to_owned());
        let step = cast(emitter, STEP, ElementType::Float64);
        let lr = cast(emitter, LEARNING_RATE, ElementType::Float64);
        let mean_correction = correction(emitter, self.beta1, &step);
        let square_correction = correction(emitter, self.beta2, &step);
        let root = emitter.node("Sqrt", &[&square_correction]);
        let raised = emitter.node("Mul", &[&lr, &root]);
        let rate = emitter.node("Div", &[&raised, &mean_correction]);
        let epsilon = emitter.float(self.epsilon, ElementType::Float64);
        let floor = emitter.node("Mul", &[&root, &epsilon]);
        self.rate = cast(emitter, &rate, ElementType::Float32);
        self.floor = cast(emitter, &floor, ElementType::Float32);
    }

    fn update(&self, emitter: &mut Emitter, parameter: &str, gradient: &str) {
        let (mean, square) = (slot(parameter, MEAN), slot(parameter, SQUARE));
        if emitter.is_fast() {
            let constants = emitter.doubles(&[self.beta1, self.beta2, self.epsilon, 0.0]);
            let inputs = [
                parameter,
                gradient,
                &mean,
                &square,
                LEARNING_RATE,
                STEP,
                &constants,
            ];
            let outputs = [parameter, &mean, &square].map(updated);
            let outputs = outputs.each_ref().map(String::as_str);
            return emitter.fast_named(&outputs, fast::ADAM, &inputs, Vec::new());
        }
        let squared = emitter.node("Mul", &[gradient, gradient]);
        emit_mean(emitter, &mean, gradient, self.beta1);
        emit_mean(emitter, &square, &squared, self.beta2);
        let root = emitter.node("Sqrt", &[&updated(&square)]);
        let divisor = emitter.node("Add", &[&root, &self.floor]);
        let scaled = emitter.node("Mul", &[&updated(&mean), &self.rate]);
        let change = emitter.node("Div", &[&scaled, &divisor]);
        emitter.named(&updated(parameter), "Sub", &[parameter, &change]);
    }
}

/// 1 − βᵗ in float64
fn correction(emitter: &mut Emitter, beta: f64, step: &str) -> String {
    let beta = emitter.float(beta, ElementType::Float64);
    let one = emitter.float(1.0, ElementType::Float64);
    let power = emitter.node("Pow", &[&beta, step]);
    emitter.node("Sub", &[&one, &power])
}

/// a ← β a + (1 − β) x, under the slot's next name
fn emit_mean(emitter: &mut Emitter, slot: &str, value: &str, beta: f64) {
    let keep = float(emitter, beta);
    let take = float(emitter, 1.0 - beta);
    let kept = emitter.node("Mul", &[slot, &keep]);
    let taken = emitter.node("Mul", &[value, &take]);
    emitter.named(&updated(slot), "Add", &[&kept, &taken]);
}

fn cast(emitter: &mut Emitter, tensor: &str, element: ElementType) -> String {
    let to = vec![AttributeProto::from_int("to", i64::from(element.code()))];
    emitter.node_with("Cast", &[tensor], to)
}
