//! Exponentials, logarithms, roots and the error function: `Exp`, `Log`, `Sqrt`, `Erf`.

use std::f64::consts::FRAC_2_SQRT_PI;

use super::unary::Unary;
use super::{Family, error_function};

pub(super) const OPERATORS: Family =
    &[("Erf", &ERF), ("Exp", &EXP), ("Log", &LOG), ("Sqrt", &SQRT)];

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

/// y = erf x; ∂L/∂x = ∂L/∂y · 2/√π · exp(−x²).
static ERF: Unary = Unary {
    function: error_function::of,
    gradient: |backward, gradient| {
        let square = backward.node("Mul", &[backward.input(0), backward.input(0)]);
        let negative = backward.node("Neg", &[&square]);
        let bell = backward.node("Exp", &[&negative]);
        let height = backward.float(FRAC_2_SQRT_PI);
        let slope = backward.node("Mul", &[&bell, &height]);
        backward.node("Mul", &[gradient, &slope])
    },
};
