//! Stochastic gradient descent (Robbins and Monro 1951, "A Stochastic Approximation Method"): p ← p − lr · g.

use super::Rule;
use crate::emitter::Emitter;
use crate::fast;
use crate::step::names::LEARNING_RATE;
use crate::step::update::Update;

/// Keeps nothing.
pub(super) struct Sgd;

impl Rule for Sgd {
    fn update(&mut self, emitter: &mut Emitter, update: &Update<'_>) {
        if emitter.is_fast() && update.decay == 0.0 {
            let inputs = [update.parameter, update.gradient, LEARNING_RATE];
            let next = update.next(update.parameter);
            return emitter.fast_named(&[&next], fast::SGD, &inputs, Vec::new());
        }
        update.descend(emitter, update.gradient);
    }
}
