//! Arithmetic: `Add`, `Sub`, `Mul`, `Div` with broadcasting, `Neg`, `Abs`, `Reciprocal`.
//!
//! In the formulas Σ is the sum over the dimensions along which an input was broadcast.

use super::Family;
use super::binary::Binary;
use super::unary::{Signed, Unary};

pub(super) const OPERATORS: Family = &[
    ("Abs", &ABS),
    ("Add", &ADD),
    ("Div", &DIV),
    ("Mul", &MUL),
    ("Neg", &NEG),
    ("Reciprocal", &RECIPROCAL),
    ("Sub", &SUB),
];

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

/// y = −x; ∂L/∂x = −∂L/∂y.
static NEG: Signed = Signed {
    floats: |x| -x,
    integers: i64::wrapping_neg,
    gradient: |backward, gradient| backward.node("Neg", &[gradient]),
};

/// y = |x|; ∂L/∂x = ∂L/∂y · sign x, which is 0 at 0.
static ABS: Signed = Signed {
    floats: f64::abs,
    integers: i64::wrapping_abs,
    gradient: |backward, gradient| {
        let sign = backward.node("Sign", &[backward.input(0)]);
        backward.node("Mul", &[gradient, &sign])
    },
};

/// y = 1 / x; ∂L/∂x = −∂L/∂y · y².
static RECIPROCAL: Unary = Unary {
    function: f64::recip,
    gradient: |backward, gradient| {
        let square = backward.node("Mul", &[backward.output(), backward.output()]);
        let product = backward.node("Mul", &[gradient, &square]);
        backward.node("Neg", &[&product])
    },
};
