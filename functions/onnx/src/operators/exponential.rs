//! Exponentials, logarithms and powers: `Exp`, `Log`, `Sqrt`, `Pow`.

use super::unary::Unary;
use super::{Call, Family, Operator, Site, broadcast};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::{Tensor, Values};

pub(super) const OPERATORS: Family =
    &[("Exp", &EXP), ("Log", &LOG), ("Pow", &Pow), ("Sqrt", &SQRT)];

/// y = exp x; ∂L/∂x = ∂L/∂y · y.
static EXP: Unary = Unary {
    function: f64::exp,
    gradient: |backward, gradient| backward.node("Mul", &[gradient, backward.output()]),
};

/// y = ln x; ∂L/∂x = ∂L/∂y / x.
static LOG: Unary = Unary {
    function: f64::ln,
    gradient: |backward, gradient| backward.node("Div", &[gradient, backward.input(0)]),
};

/// y = √x; ∂L/∂x = ∂L/∂y / (2 y).
static SQRT: Unary = Unary {
    function: f64::sqrt,
    gradient: |backward, gradient| {
        let double = backward.node("Add", &[backward.output(), backward.output()]);
        backward.node("Div", &[gradient, &double])
    },
};

/// y = xᵃ. It stands in optimizers; a gradient does not pass it.
struct Pow;

impl Operator for Pow {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        vec![broadcast::fact(site, site.element(), unknowns)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (dims, base, exponent) = broadcast::pair(call)?;
        match (base.values(), exponent.values()) {
            (Values::Float(base), Values::Float(exponent)) => {
                let values = base
                    .iter()
                    .zip(exponent)
                    .map(|(base, exponent)| base.powf(*exponent));
                Ok(vec![Tensor::floats(&dims, values.collect())])
            }
            _ => Err("only floating-point powers are evaluated".to_owned()),
        }
    }
}
