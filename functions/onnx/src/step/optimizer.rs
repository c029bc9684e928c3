//! Optimizers: how a parameter, its gradient and its state become the next parameter and state.

mod adam;
mod momentum;
mod sgd;

use adam::Adam;
use momentum::Momentum;
use sgd::Sgd;

use super::Optimizer;
use crate::emitter::Emitter;
use crate::{ElementType, Error};

/// An optimizer in a graph.
pub(super) trait Rule {
    /// Emits what all parameters share, once.
    fn begin(&mut self, emitter: &mut Emitter);

    /// Emits the next values of a parameter and of its slots, under their names.
    fn update(&self, emitter: &mut Emitter, parameter: &str, gradient: &str);
}

impl Optimizer {
    /// The slots that it keeps for each parameter.
    #[must_use]
    pub fn slots(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd => &[],
            Self::Momentum { .. } => &[momentum::SLOT],
            Self::Adam { .. } => &[adam::MEAN, adam::SQUARE],
        }
    }

    pub(super) fn rule(&self) -> Box<dyn Rule> {
        match *self {
            Self::Sgd => Box::new(Sgd),
            Self::Momentum { momentum } => Box::new(Momentum { momentum }),
            Self::Adam {
                beta1,
                beta2,
                epsilon,
            } => Box::new(Adam::new(beta1, beta2, epsilon)),
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let decays = match *self {
            Self::Sgd => Vec::new(),
            Self::Momentum { momentum } => vec![("momentum", momentum)],
            Self::Adam { beta1, beta2, .. } => vec![("beta1", beta1), ("beta2", beta2)],
        };
        for (name, value) in decays {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::request(format!(
                    "{name} is {value}, and must be at least 0 and less than 1"
                )));
            }
        }
        match *self {
            Self::Adam { epsilon, .. } if !(epsilon > 0.0 && epsilon.is_finite()) => Err(
                Error::request(format!("epsilon is {epsilon}, and must be more than 0")),
            ),
            _ => Ok(()),
        }
    }
}

/// A float32 constant.
fn float(emitter: &mut Emitter, value: f64) -> String {
    emitter.float(value, ElementType::Float32)
}
