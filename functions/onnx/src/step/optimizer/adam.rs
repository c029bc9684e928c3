//! Adam, Algorithm 1 of Kingma and Ba 2015 ("Adam: A Method for Stochastic Optimization"), and `AdamW`, Algorithm 2 of
//! Loshchilov and Hutter 2019 ("Decoupled Weight Decay Regularization"), which is Adam with the weight decay of the options:
//!
//! m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², p ← p − lr · m̂ / (√v̂ + ε), with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ).
//!
//! The corrections are scalars and are taken out of the tensors: with c = √(1 − β₂ᵗ) the step is
//! lr · c / (1 − β₁ᵗ) · m / (√v + ε c), which is the same number. They are computed in float64, since 1 − β₂ᵗ cancels most
//! of its digits in the first steps.

use super::{Rule, emit_running_mean, emit_scaled};
use crate::ElementType;
use crate::emitter::Emitter;
use crate::fast;
use crate::proto::AttributeProto;
use crate::step::names::LEARNING_RATE;
use crate::step::update::Update;

/// The running mean of gradients, m.
pub(super) const MEAN: &str = "m";
/// The running mean of their squares, v.
pub(super) const SQUARE: &str = "v";

/// Keeps both means.
pub(super) struct Adam {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    /// The tensor with the number of the update, for the fast lowering.
    number: String,
    /// The corrected rate and ε, once they are emitted.
    rate: String,
    floor: String,
    /// For the fast lowering, of all parameters: λ, the tensors that are taken, and those that are made.
    decays: Vec<f64>,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Adam {
    pub(super) fn new(beta1: f64, beta2: f64, epsilon: f64) -> Self {
        Self {
            beta1,
            beta2,
            epsilon,
            number: String::new(),
            rate: String::new(),
            floor: String::new(),
            decays: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// Notes what the one operator for all parameters takes and makes.
    fn note(&mut self, update: &Update<'_>) {
        let (mean, square) = (update.slot(MEAN), update.slot(SQUARE));
        self.decays.push(update.decay);
        let outputs = [update.parameter, &mean, &square].map(|tensor| update.next(tensor));
        self.outputs.extend(outputs);
        let [parameter, gradient] = [update.parameter, update.gradient].map(str::to_owned);
        self.inputs.extend([parameter, gradient, mean, square]);
    }
}

impl Rule for Adam {
    fn begin(&mut self, emitter: &mut Emitter, number: &str) {
        if emitter.is_fast() {
            number.clone_into(&mut self.number);
            return;
        }
        let step = cast(emitter, number, ElementType::Float64);
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

    fn update(&mut self, emitter: &mut Emitter, update: &Update<'_>) {
        if emitter.is_fast() {
            return self.note(update);
        }
        let squared = emitter.node("Mul", &[update.gradient, update.gradient]);
        let mean = emit_running_mean(emitter, update, MEAN, update.gradient, self.beta1);
        let square = emit_running_mean(emitter, update, SQUARE, &squared, self.beta2);
        let scaled = emitter.node("Mul", &[&mean, &self.rate]);
        let change = emit_scaled(emitter, &scaled, &square, &self.floor);
        update.subtract(emitter, &change);
    }

    fn end(&self, emitter: &mut Emitter) {
        if self.inputs.is_empty() {
            return;
        }
        let constants = [self.beta1, self.beta2, self.epsilon].into_iter();
        let constants: Vec<f64> = constants.chain(self.decays.iter().copied()).collect();
        let constants = emitter.doubles(&constants);
        let shared = [LEARNING_RATE, &self.number, &constants].into_iter();
        let inputs: Vec<&str> = shared
            .chain(self.inputs.iter().map(String::as_str))
            .collect();
        emitter.fast_named(&self.outputs, fast::ADAM, &inputs, Vec::new());
    }
}

/// 1 − βᵗ in float64
fn correction(emitter: &mut Emitter, beta: f64, step: &str) -> String {
    let beta = emitter.float(beta, ElementType::Float64);
    let one = emitter.float(1.0, ElementType::Float64);
    let power = emitter.node("Pow", &[&beta, step]);
    emitter.node("Sub", &[&one, &power])
}

fn cast(emitter: &mut Emitter, tensor: &str, element: ElementType) -> String {
    let to = vec![AttributeProto::from_int("to", i64::from(element.code()))];
    emitter.node_with("Cast", &[tensor], to)
}
