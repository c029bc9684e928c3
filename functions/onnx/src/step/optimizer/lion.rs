//! Lion, Algorithm 2 of Chen et al. 2023 ("Symbolic Discovery of Optimization Algorithms"):
//! c = β₁ m + (1 − β₁) g, p ← p − lr · sign c, m ← β₂ m + (1 − β₂) g. Its λ is the weight decay of the options.

use super::{Rule, emit_mean, emit_running_mean};
use crate::emitter::Emitter;
use crate::step::update::Update;

/// The running mean of gradients, m.
pub(super) const SLOT: &str = "m";

/// Keeps the mean.
pub(super) struct Lion {
    pub(super) beta1: f64,
    pub(super) beta2: f64,
}

impl Rule for Lion {
    fn update(&mut self, emitter: &mut Emitter, update: &Update<'_>) {
        let (kept, taken) = emit_mean(emitter, &update.slot(SLOT), update.gradient, self.beta1);
        let interpolated = emitter.node("Add", &[&kept, &taken]);
        let direction = emitter.node("Sign", &[&interpolated]);
        emit_running_mean(emitter, update, SLOT, update.gradient, self.beta2);
        update.descend(emitter, &direction);
    }
}
