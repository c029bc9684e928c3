//! Optimizers: how a parameter, its gradient and its state become the next parameter and state.

mod adagrad;
mod adam;
mod lion;
mod momentum;
mod nesterov;
mod rms_prop;
mod sgd;

use adagrad::Adagrad;
use adam::Adam;
use lion::Lion;
use momentum::Momentum;
use nesterov::Nesterov;
use rms_prop::RmsProp;
use sgd::Sgd;

use super::Optimizer;
use super::update::Update;
use crate::emitter::Emitter;
use crate::{ElementType, Error};

/// An optimizer in a graph.
pub(super) trait Rule {
    /// Emits what all parameters share, once. `number` is the tensor with the number of the update, an int64 from 1.
    fn begin(&mut self, emitter: &mut Emitter, number: &str) {
        let _ = (emitter, number);
    }

    /// Emits the next values of a parameter and of its slots, under the names that the update has for them.
    fn update(&mut self, emitter: &mut Emitter, update: &Update<'_>);

    /// Emits what is left, once every parameter was updated.
    fn end(&self, emitter: &mut Emitter) {
        let _ = emitter;
    }
}

/// The decay of [`Optimizer::AdamW`] where none is given: that of PyTorch.
const ADAM_W_DECAY: f64 = 0.01;

impl Optimizer {
    /// The slots that it keeps for each parameter.
    #[must_use]
    pub fn slots(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd => &[],
            Self::Momentum { .. } => &[momentum::SLOT],
            Self::Nesterov { .. } => &[nesterov::SLOT],
            Self::Adam { .. } | Self::AdamW { .. } => &[adam::MEAN, adam::SQUARE],
            Self::RmsProp { .. } => &[rms_prop::SLOT],
            Self::Adagrad { .. } => &[adagrad::SLOT],
            Self::Lion { .. } => &[lion::SLOT],
        }
    }

    /// The decoupled weight decay that is meant where none is given.
    #[must_use]
    pub fn default_weight_decay(&self) -> f64 {
        match self {
            Self::AdamW { .. } => ADAM_W_DECAY,
            _ => 0.0,
        }
    }

    pub(super) fn rule(&self) -> Box<dyn Rule> {
        match *self {
            Self::Sgd => Box::new(Sgd),
            Self::Momentum { momentum } => Box::new(Momentum { momentum }),
            Self::Nesterov { momentum } => Box::new(Nesterov { momentum }),
            Self::Adam {
                beta1,
                beta2,
                epsilon,
            }
            | Self::AdamW {
                beta1,
                beta2,
                epsilon,
            } => Box::new(Adam::new(beta1, beta2, epsilon)),
            Self::RmsProp { decay, epsilon } => Box::new(RmsProp { decay, epsilon }),
            Self::Adagrad { epsilon } => Box::new(Adagrad { epsilon }),
            Self::Lion { beta1, beta2 } => Box::new(Lion { beta1, beta2 }),
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let (decays, epsilon) = match *self {
            Self::Sgd => (Vec::new(), None),
            Self::Momentum { momentum } | Self::Nesterov { momentum } => {
                (vec![("momentum", momentum)], None)
            }
            Self::Adam {
                beta1,
                beta2,
                epsilon,
            }
            | Self::AdamW {
                beta1,
                beta2,
                epsilon,
            } => (vec![("beta1", beta1), ("beta2", beta2)], Some(epsilon)),
            Self::RmsProp { decay, epsilon } => (vec![("decay", decay)], Some(epsilon)),
            Self::Adagrad { epsilon } => (Vec::new(), Some(epsilon)),
            Self::Lion { beta1, beta2 } => (vec![("beta1", beta1), ("beta2", beta2)], None),
        };
        for (name, value) in decays {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::request(format!(
                    "{name} is {value}, and must be at least 0 and less than 1"
                )));
            }
        }
        match epsilon {
            // The constant in the graph is float32, and must not become 0 there.
            Some(epsilon) if !(epsilon >= f64::from(f32::MIN_POSITIVE) && epsilon.is_finite()) => {
                Err(Error::request(format!(
                    "epsilon is {epsilon}, and must be more than 0, at least {:e}",
                    f32::MIN_POSITIVE
                )))
            }
            _ => Ok(()),
        }
    }
}

/// A float32 constant.
fn float(emitter: &mut Emitter, value: f64) -> String {
    emitter.float(value, ElementType::Float32)
}

/// β a + (1 − β) x
fn emit_mean(emitter: &mut Emitter, mean: &str, value: &str, beta: f64) -> (String, String) {
    let keep = float(emitter, beta);
    let take = float(emitter, 1.0 - beta);
    let kept = emitter.node("Mul", &[mean, &keep]);
    let taken = emitter.node("Mul", &[value, &take]);
    (kept, taken)
}

/// a ← β a + (1 − β) x for a slot a; gives its next name.
fn emit_running_mean(
    emitter: &mut Emitter,
    update: &Update<'_>,
    slot: &str,
    value: &str,
    beta: f64,
) -> String {
    let slot = update.slot(slot);
    let (kept, taken) = emit_mean(emitter, &slot, value, beta);
    let next = update.next(&slot);
    emitter.named(&next, "Add", &[&kept, &taken]);
    next
}

/// x / (√square + ε)
fn emit_scaled(emitter: &mut Emitter, value: &str, square: &str, epsilon: &str) -> String {
    let root = emitter.node("Sqrt", &[square]);
    let divisor = emitter.node("Add", &[&root, epsilon]);
    emitter.node("Div", &[value, &divisor])
}
