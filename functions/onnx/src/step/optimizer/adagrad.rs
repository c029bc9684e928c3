//! Adagrad (Duchi, Hazan and Singer 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization"),
//! with the diagonal of the sum of outer products: s ← s + g², p ← p − lr · g / (√s + ε).

use super::{Rule, emit_scaled, float};
use crate::emitter::Emitter;
use crate::step::update::Update;

/// The sum of squared gradients, s.
pub(super) const SLOT: &str = "square";

/// Keeps the sum.
pub(super) struct Adagrad {
    pub(super) epsilon: f64,
}

impl Rule for Adagrad {
    fn update(&mut self, emitter: &mut Emitter, update: &Update<'_>) {
        let slot = update.slot(SLOT);
        let squared = emitter.node("Mul", &[update.gradient, update.gradient]);
        let square = update.next(&slot);
        emitter.named(&square, "Add", &[&slot, &squared]);
        let epsilon = float(emitter, self.epsilon);
        let direction = emit_scaled(emitter, update.gradient, &square, &epsilon);
        update.descend(emitter, &direction);
    }
}
