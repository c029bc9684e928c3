//! Stochastic gradient descent: p ← p − lr · g.

use super::Rule;
use crate::emitter::Emitter;
use crate::fast;
use crate::step::names::{LEARNING_RATE, updated};

/// Keeps nothing.
pub(super) struct Sgd;

impl Rule for Sgd {
    fn begin(&mut self, _: &mut Emitter) {}

    fn update(&self, emitter: &mut Emitter, parameter: &str, gradient: &str) {
        if emitter.is_fast() {
            let inputs = [parameter, gradient, LEARNING_RATE];
            return emitter.fast_named(&[&updated(parameter)], fast::SGD, &inputs, Vec::new());
        }
        let change = emitter.node("Mul", &[gradient, LEARNING_RATE]);
        emitter.named(&updated(parameter), "Sub", &[parameter, &change]);
    }
}
