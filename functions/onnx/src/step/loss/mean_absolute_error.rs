//! The mean absolute error: f(d) = |d|, f′(d) = sign d, which is 0 at 0.

use super::residual::Formula;
use crate::emitter::Emitter;

/// |d|
pub(super) struct MeanAbsoluteError;

impl Formula for MeanAbsoluteError {
    fn emit_value(&mut self, emitter: &mut Emitter, difference: &str) -> String {
        emitter.node("Abs", &[difference])
    }

    fn emit_slope(&mut self, emitter: &mut Emitter, difference: &str) -> (String, f64) {
        (emitter.node("Sign", &[difference]), 1.0)
    }
}
