//! Nesterov's accelerated gradient, as Sutskever et al. 2013 ("On the importance of initialization and momentum in deep
//! learning") write it, v ← μ v − lr · ∇f(θ + μ v), θ ← θ + v, for the parameters p = θ + μ v at which the gradient is taken
//! (Bengio et al. 2012, "Advances in Optimizing Recurrent Networks"), and with the rate outside the sum, b = −v / lr, as
//! frameworks have it: b ← μ b + g, p ← p − lr · (g + μ b).

use super::momentum::emit_sum;
use super::{Rule, float};
use crate::emitter::Emitter;
use crate::step::update::Update;

pub(super) use super::momentum::SLOT;

/// Keeps the sum, and looks one step of it ahead.
pub(super) struct Nesterov {
    pub(super) momentum: f64,
}

impl Rule for Nesterov {
    fn update(&mut self, emitter: &mut Emitter, update: &Update<'_>) {
        let sum = emit_sum(emitter, update, self.momentum);
        let momentum = float(emitter, self.momentum);
        let ahead = emitter.node("Mul", &[&sum, &momentum]);
        let direction = emitter.node("Add", &[&ahead, update.gradient]);
        update.descend(emitter, &direction);
    }
}
