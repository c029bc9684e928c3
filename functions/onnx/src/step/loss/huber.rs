//! The loss of Huber 1964 ("Robust Estimation of a Location Parameter").
//!
//! f(d) = d²/2 where |d| ≤ δ, else δ (|d| − δ/2). With c = d limited to [−δ, δ] both are one: f(d) = c (d − c/2), and
//! f′(d) = c.

use super::residual::Formula;
use crate::emitter::Emitter;
use crate::{ElementType, Error};

/// c (d − c/2)
pub(super) struct Huber {
    delta: f64,
    /// The limited differences, once they are emitted.
    limited: String,
}

impl Huber {
    pub(super) fn new(delta: f64) -> Result<Self, Error> {
        if !(delta > 0.0 && delta.is_finite()) {
            return Err(Error::request(format!(
                "delta of the Huber loss is {delta}, and must be more than 0"
            )));
        }
        Ok(Self {
            delta,
            limited: String::new(),
        })
    }
}

impl Formula for Huber {
    fn emit_value(&mut self, emitter: &mut Emitter, difference: &str) -> String {
        let least = emitter.float(-self.delta, ElementType::Float32);
        let most = emitter.float(self.delta, ElementType::Float32);
        let half = emitter.float(0.5, ElementType::Float32);
        self.limited = emitter.node("Clip", &[difference, &least, &most]);
        let half = emitter.node("Mul", &[&self.limited, &half]);
        let rest = emitter.node("Sub", &[difference, &half]);
        emitter.node("Mul", &[&self.limited, &rest])
    }

    fn emit_slope(&mut self, _: &mut Emitter, _: &str) -> (String, f64) {
        (self.limited.clone(), 1.0)
    }
}
