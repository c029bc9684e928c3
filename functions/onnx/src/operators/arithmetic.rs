//! Arithmetic with broadcasting: `Add`, `Sub`, `Mul`, `Div`, `Neg`.
//!
//! In the formulas Σ is the sum over the dimensions along which an input was broadcast.

use super::unary::same_as_input;
use super::{Backward, Call, Derivative, Family, Operator, Site, broadcast};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::{Tensor, Values};

pub(super) const OPERATORS: Family = &[
    ("Add", &ADD),
    ("Div", &DIV),
    ("Mul", &MUL),
    ("Neg", &Neg),
    ("Sub", &SUB),
];

/// An operator of two tensors.
struct Binary {
    floats: fn(f64, f64) -> f64,
    integers: fn(i64, i64) -> Option<i64>,
    /// Emits the gradients of the inputs, before the sum over broadcast dimensions.
    gradients: [fn(&mut Backward<'_>, &str) -> String; 2],
}

/// y = a + b; ∂L/∂a = Σ ∂L/∂y, ∂L/∂b = Σ ∂L/∂y.
static ADD: Binary = Binary {
    floats: |a, b| a + b,
    integers: i64::checked_add,
    gradients: [
        |_, gradient| gradient.to_owned(),
        |_, gradient| gradient.to_owned(),
    ],
};

/// y = a − b; ∂L/∂a = Σ ∂L/∂y, ∂L/∂b = −Σ ∂L/∂y.
static SUB: Binary = Binary {
    floats: |a, b| a - b,
    integers: i64::checked_sub,
    gradients: [
        |_, gradient| gradient.to_owned(),
        |backward, gradient| backward.node("Neg", &[gradient]),
    ],
};

/// y = a · b; ∂L/∂a = Σ (∂L/∂y · b), ∂L/∂b = Σ (∂L/∂y · a).
static MUL: Binary = Binary {
    floats: |a, b| a * b,
    integers: i64::checked_mul,
    gradients: [
        |backward, gradient| backward.node("Mul", &[gradient, backward.input(1)]),
        |backward, gradient| backward.node("Mul", &[gradient, backward.input(0)]),
    ],
};

/// y = a / b; ∂L/∂a = Σ (∂L/∂y / b), ∂L/∂b = −Σ (∂L/∂y · y / b).
static DIV: Binary = Binary {
    floats: |a, b| a / b,
    integers: i64::checked_div,
    gradients: [
        |backward, gradient| backward.node("Div", &[gradient, backward.input(1)]),
        |backward, gradient| {
            let ratio = backward.node("Div", &[backward.output(), backward.input(1)]);
            let product = backward.node("Mul", &[gradient, &ratio]);
            backward.node("Neg", &[&product])
        },
    ],
};

impl Operator for Binary {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        vec![broadcast::fact(site, site.element(), unknowns)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (dims, left, right) = broadcast::pair(call)?;
        let values = match (left.values(), right.values()) {
            (Values::Float(left), Values::Float(right)) => {
                let pairs = left.iter().zip(right);
                Values::Float(pairs.map(|(a, b)| (self.floats)(*a, *b)).collect())
            }
            (Values::Integer(left), Values::Integer(right)) => {
                let pairs = left.iter().zip(right);
                let values = pairs
                    .map(|(a, b)| (self.integers)(*a, *b))
                    .collect::<Option<_>>();
                Values::Integer(values.ok_or("whole numbers overflow or are divided by zero")?)
            }
            _ => return Err("the inputs are of different kinds".to_owned()),
        };
        Ok(vec![Tensor::new(dims, values)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        for (input, gradient_of) in self.gradients.iter().enumerate() {
            if backward.wants(input) {
                let gradient = backward.gradient();
                let gradient = gradient_of(backward, &gradient);
                let gradient = backward.unbroadcast(&gradient, input);
                backward.give(input, gradient);
            }
        }
    }
}

/// y = −x; ∂L/∂x = −∂L/∂y.
struct Neg;

impl Operator for Neg {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let values = match tensor.values() {
            Values::Float(values) => Values::Float(values.iter().map(|value| -value).collect()),
            Values::Integer(values) => {
                Values::Integer(values.iter().map(|value| value.wrapping_neg()).collect())
            }
            Values::Boolean(_) => return Err("truth values have no sign".to_owned()),
        };
        Ok(vec![Tensor::new(tensor.dims().to_vec(), values)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let gradient = backward.node("Neg", &[&gradient]);
        backward.give(0, gradient);
    }
}
