//! Trigonometric functions: `Sin`, `Cos`, `Atan`.

use super::Family;
use super::unary::Unary;

pub(super) const OPERATORS: Family = &[("Atan", &ATAN), ("Cos", &COS), ("Sin", &SIN)];

/// y = sin x; ∂L/∂x = ∂L/∂y · cos x.
static SIN: Unary = Unary {
    function: f64::sin,
    gradient: |backward, gradient| {
        let slope = backward.node("Cos", &[backward.input(0)]);
        backward.node("Mul", &[gradient, &slope])
    },
};

/// y = cos x; ∂L/∂x = −∂L/∂y · sin x.
static COS: Unary = Unary {
    function: f64::cos,
    gradient: |backward, gradient| {
        let slope = backward.node("Sin", &[backward.input(0)]);
        let product = backward.node("Mul", &[gradient, &slope]);
        backward.node("Neg", &[&product])
    },
};

/// y = arctan x; ∂L/∂x = ∂L/∂y / (1 + x²).
static ATAN: Unary = Unary {
    function: f64::atan,
    gradient: |backward, gradient| {
        let one = backward.float(1.0);
        let square = backward.node("Mul", &[backward.input(0), backward.input(0)]);
        let divisor = backward.node("Add", &[&one, &square]);
        backward.node("Div", &[gradient, &divisor])
    },
};
