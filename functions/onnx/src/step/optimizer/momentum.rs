//! Gradient descent with momentum, after Polyak 1964 in the form of Sutskever et al. 2013 with the rate outside the sum, as
//! frameworks have it: b ← μ b + g, p ← p − lr · b.

use super::{Rule, float};
use crate::emitter::Emitter;
use crate::fast;
use crate::step::names::{LEARNING_RATE, slot, updated};

/// The running sum of gradients, b.
pub(super) const SLOT: &str = "momentum";

/// Keeps the sum.
pub(super) struct Momentum {
    pub(super) momentum: f64,
}

impl Rule for Momentum {
    fn begin(&mut self, _: &mut Emitter) {}

    fn update(&self, emitter: &mut Emitter, parameter: &str, gradient: &str) {
        let sum = slot(parameter, SLOT);
        if emitter.is_fast() {
            let constants = emitter.doubles(&[self.momentum]);
            let inputs = [parameter, gradient, &sum, LEARNING_RATE, &constants];
            let outputs = [&*updated(parameter), &updated(&sum)];
            return emitter.fast_named(&outputs, fast::MOMENTUM, &inputs, Vec::new());
        }
        let momentum = float(emitter, self.momentum);
        let kept = emitter.node("Mul", &[&sum, &momentum]);
        emitter.named(&updated(&sum), "Add", &[&kept, gradient]);
        let change = emitter.node("Mul", &[&updated(&sum), LEARNING_RATE]);
        emitter.named(&updated(parameter), "Sub", &[parameter, &change]);
    }
}
