//! The mean squared error: f(d) = d², f′(d) = 2 d.

use super::residual::Formula;
use crate::emitter::Emitter;

/// d²
pub(super) struct MeanSquaredError;

impl Formula for MeanSquaredError {
    fn emit_value(&mut self, emitter: &mut Emitter, difference: &str) -> String {
        emitter.node("Mul", &[difference, difference])
    }

    fn emit_slope(&mut self, _: &mut Emitter, difference: &str) -> (String, f64) {
        (difference.to_owned(), 2.0)
    }
}
