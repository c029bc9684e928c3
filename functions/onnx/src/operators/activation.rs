//! Activation functions: `Relu`, `Tanh`, `Sigmoid`.

use super::unary::Unary;
use super::{Backward, Family};

pub(super) const OPERATORS: Family = &[("Relu", &RELU), ("Sigmoid", &SIGMOID), ("Tanh", &TANH)];

/// y = max(x, 0); ∂L/∂x = ∂L/∂y where y > 0, else 0 (also at 0, as frameworks take it).
static RELU: Unary = Unary {
    function: |x| x.max(0.0),
    gradient: |backward: &mut Backward<'_>, gradient| {
        let zero = backward.float(0.0);
        let is_on = backward.node("Greater", &[backward.output(), &zero]);
        backward.node("Where", &[&is_on, gradient, &zero])
    },
};

/// y = tanh x; ∂L/∂x = ∂L/∂y · (1 − y²).
static TANH: Unary = Unary {
    function: f64::tanh,
    gradient: |backward, gradient| {
        let one = backward.float(1.0);
        let square = backward.node("Mul", &[backward.output(), backward.output()]);
        let slope = backward.node("Sub", &[&one, &square]);
        backward.node("Mul", &[gradient, &slope])
    },
};

/// y = 1 / (1 + exp(−x)); ∂L/∂x = ∂L/∂y · y · (1 − y).
static SIGMOID: Unary = Unary {
    function: |x| 1.0 / (1.0 + (-x).exp()),
    gradient: |backward, gradient| {
        let one = backward.float(1.0);
        let rest = backward.node("Sub", &[&one, backward.output()]);
        let slope = backward.node("Mul", &[backward.output(), &rest]);
        backward.node("Mul", &[gradient, &slope])
    },
};
