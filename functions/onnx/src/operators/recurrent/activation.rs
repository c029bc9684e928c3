//! The activation functions of recurrent layers, with their slopes as functions of their values.

use crate::ElementType;
use crate::emitter::Emitter;
use crate::proto::{AttributeProto, NodeProto};

/// A function whose slope can be told from its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Activation {
    /// y = max(x, 0); y' is 1 where y > 0, else 0.
    Relu,
    /// y = 1 / (1 + exp(−x)); y' = y (1 − y).
    Sigmoid,
    /// y' = 1 − y².
    Tanh,
    /// y = max(0, min(1, α x + β)); y' is α where 0 < y < 1, else 0.
    HardSigmoid { alpha: f32, beta: f32 },
}

/// Reads the functions of a node, `defaults` where it names none. Each that has parameters takes the next ones of the lists.
pub(super) fn of(node: &NodeProto, defaults: &[&str]) -> Result<Vec<Activation>, String> {
    let named = match node.strings("activations") {
        Some(names) if !names.is_empty() => names,
        _ => defaults.to_vec(),
    };
    let mut alphas = node.floats("activation_alpha").unwrap_or_default().iter();
    let mut betas = node.floats("activation_beta").unwrap_or_default().iter();
    named
        .iter()
        .map(|name| match name.to_ascii_lowercase().as_str() {
            "relu" => Ok(Activation::Relu),
            "sigmoid" => Ok(Activation::Sigmoid),
            "tanh" => Ok(Activation::Tanh),
            "hardsigmoid" => Ok(Activation::HardSigmoid {
                alpha: alphas.next().copied().unwrap_or(0.2),
                beta: betas.next().copied().unwrap_or(0.5),
            }),
            _ => Err(format!(
                "has the activation {name}, where Sigmoid, Tanh, Relu and HardSigmoid have a derivative here"
            )),
        })
        .collect()
}

impl Activation {
    pub(super) fn value(self, x: f64) -> f64 {
        match self {
            Self::Relu => x.max(0.0),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Tanh => x.tanh(),
            Self::HardSigmoid { alpha, beta } => {
                (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
            }
        }
    }

    /// Emits the function.
    pub(super) fn emit(self, emit: &mut Emitter, x: &str) -> String {
        match self {
            Self::Relu => emit.node("Relu", &[x]),
            Self::Sigmoid => emit.node("Sigmoid", &[x]),
            Self::Tanh => emit.node("Tanh", &[x]),
            Self::HardSigmoid { alpha, beta } => {
                let parameters = vec![
                    AttributeProto::from_float("alpha", alpha),
                    AttributeProto::from_float("beta", beta),
                ];
                emit.node_with("HardSigmoid", &[x], parameters)
            }
        }
    }

    /// Emits the slope at the given values.
    pub(super) fn slope(self, emit: &mut Emitter, y: &str, element: ElementType) -> String {
        let to = || vec![AttributeProto::from_int("to", i64::from(element.code()))];
        let (zero, one) = (emit.float(0.0, element), emit.float(1.0, element));
        match self {
            Self::Relu => {
                let is_on = emit.node("Greater", &[y, &zero]);
                emit.node_with("Cast", &[&is_on], to())
            }
            Self::Sigmoid => {
                let rest = emit.node("Sub", &[&one, y]);
                emit.node("Mul", &[y, &rest])
            }
            Self::Tanh => {
                let square = emit.node("Mul", &[y, y]);
                emit.node("Sub", &[&one, &square])
            }
            Self::HardSigmoid { alpha, .. } => {
                let is_above = emit.node("Greater", &[y, &zero]);
                let is_below = emit.node("Greater", &[&one, y]);
                let is_above = emit.node_with("Cast", &[&is_above], to());
                let is_below = emit.node_with("Cast", &[&is_below], to());
                let is_between = emit.node("Mul", &[&is_above, &is_below]);
                let alpha = emit.float(f64::from(alpha), element);
                emit.node("Mul", &[&is_between, &alpha])
            }
        }
    }
}
