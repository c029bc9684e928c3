//! `RMSprop` (Tieleman and Hinton 2012, "Neural Networks for Machine Learning", lecture 6.5):
//! s ← ρ s + (1 − ρ) g², p ← p − lr · g / (√s + ε).

use super::{Rule, emit_running_mean, emit_scaled, float};
use crate::emitter::Emitter;
use crate::step::update::Update;

/// The running mean of squared gradients, s.
pub(super) const SLOT: &str = "square";

/// Keeps the mean.
pub(super) struct RmsProp {
    pub(super) decay: f64,
    pub(super) epsilon: f64,
}

impl Rule for RmsProp {
    fn update(&mut self, emitter: &mut Emitter, update: &Update<'_>) {
        let squared = emitter.node("Mul", &[update.gradient, update.gradient]);
        let square = emit_running_mean(emitter, update, SLOT, &squared, self.decay);
        let epsilon = float(emitter, self.epsilon);
        let direction = emit_scaled(emitter, update.gradient, &square, &epsilon);
        update.descend(emitter, &direction);
    }
}
