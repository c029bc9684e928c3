//! Gradient descent with momentum, after Polyak 1964 in the form of Sutskever et al. 2013 with the rate outside the sum, as
//! frameworks have it: b ← μ b + g, p ← p − lr · b.

use super::{Rule, float};
use crate::emitter::Emitter;
use crate::fast;
use crate::step::names::LEARNING_RATE;
use crate::step::update::Update;

/// The running sum of gradients, b.
pub(super) const SLOT: &str = "momentum";

/// Keeps the sum.
pub(super) struct Momentum {
    pub(super) momentum: f64,
}

impl Rule for Momentum {
    fn update(&mut self, emitter: &mut Emitter, update: &Update<'_>) {
        if emitter.is_fast() && update.decay == 0.0 {
            let sum = update.slot(SLOT);
            let constants = emitter.doubles(&[self.momentum]);
            let inputs = [
                update.parameter,
                update.gradient,
                &sum,
                LEARNING_RATE,
                &constants,
            ];
            let outputs = [&*update.next(update.parameter), &update.next(&sum)];
            return emitter.fast_named(&outputs, fast::MOMENTUM, &inputs, Vec::new());
        }
        let sum = emit_sum(emitter, update, self.momentum);
        update.descend(emitter, &sum);
    }
}

/// b ← μ b + g; gives b's next name.
pub(super) fn emit_sum(emitter: &mut Emitter, update: &Update<'_>, momentum: f64) -> String {
    let sum = update.slot(SLOT);
    let momentum = float(emitter, momentum);
    let kept = emitter.node("Mul", &[&sum, &momentum]);
    let next = update.next(&sum);
    emitter.named(&next, "Add", &[&kept, update.gradient]);
    next
}
