//! Trigonometric and hyperbolic functions and their inverses: `Sin`, `Cos`, `Tan`, `Asin`, `Acos`, `Atan`, `Sinh`, `Cosh`,
//! `Asinh`, `Acosh`, `Atanh`.

use super::unary::Unary;
use super::{Backward, Family};

pub(super) const OPERATORS: Family = &[
    ("Acos", &ACOS),
    ("Acosh", &ACOSH),
    ("Asin", &ASIN),
    ("Asinh", &ASINH),
    ("Atan", &ATAN),
    ("Atanh", &ATANH),
    ("Cos", &COS),
    ("Cosh", &COSH),
    ("Sin", &SIN),
    ("Sinh", &SINH),
    ("Tan", &TAN),
];

/// Emits `gradient` times what another operator gives of x.
fn times(backward: &mut Backward<'_>, gradient: &str, operator: &str) -> String {
    let slope = backward.node(operator, &[backward.input(0)]);
    backward.node("Mul", &[gradient, &slope])
}

/// Emits x², or y².
fn square(backward: &mut Backward<'_>, tensor: &str) -> String {
    backward.node("Mul", &[tensor, tensor])
}

/// Emits `gradient` / √(a − b) by the operator that makes the difference, or the sum.
fn over_root(
    backward: &mut Backward<'_>,
    gradient: &str,
    operator: &str,
    terms: [&str; 2],
) -> String {
    let inside = backward.node(operator, &terms);
    let root = backward.node("Sqrt", &[&inside]);
    backward.node("Div", &[gradient, &root])
}

/// y = sin x; ∂L/∂x = ∂L/∂y · cos x.
static SIN: Unary = Unary {
    function: f64::sin,
    gradient: |backward, gradient| times(backward, gradient, "Cos"),
};

/// y = cos x; ∂L/∂x = −∂L/∂y · sin x.
static COS: Unary = Unary {
    function: f64::cos,
    gradient: |backward, gradient| {
        let product = times(backward, gradient, "Sin");
        backward.node("Neg", &[&product])
    },
};

/// y = tan x; ∂L/∂x = ∂L/∂y · (1 + y²).
static TAN: Unary = Unary {
    function: f64::tan,
    gradient: |backward, gradient| {
        let one = backward.float(1.0);
        let square = square(backward, backward.output());
        let slope = backward.node("Add", &[&one, &square]);
        backward.node("Mul", &[gradient, &slope])
    },
};

/// y = arcsin x; ∂L/∂x = ∂L/∂y / √(1 − x²).
static ASIN: Unary = Unary {
    function: f64::asin,
    gradient: |backward, gradient| {
        let one = backward.float(1.0);
        let square = square(backward, backward.input(0));
        over_root(backward, gradient, "Sub", [&one, &square])
    },
};

/// y = arccos x; ∂L/∂x = −∂L/∂y / √(1 − x²).
static ACOS: Unary = Unary {
    function: f64::acos,
    gradient: |backward, gradient| {
        let found = (ASIN.gradient)(backward, gradient);
        backward.node("Neg", &[&found])
    },
};

/// y = arctan x; ∂L/∂x = ∂L/∂y / (1 + x²).
static ATAN: Unary = Unary {
    function: f64::atan,
    gradient: |backward, gradient| {
        let one = backward.float(1.0);
        let square = square(backward, backward.input(0));
        let divisor = backward.node("Add", &[&one, &square]);
        backward.node("Div", &[gradient, &divisor])
    },
};

/// y = sinh x; ∂L/∂x = ∂L/∂y · cosh x.
static SINH: Unary = Unary {
    function: f64::sinh,
    gradient: |backward, gradient| times(backward, gradient, "Cosh"),
};

/// y = cosh x; ∂L/∂x = ∂L/∂y · sinh x.
static COSH: Unary = Unary {
    function: f64::cosh,
    gradient: |backward, gradient| times(backward, gradient, "Sinh"),
};

/// y = arsinh x; ∂L/∂x = ∂L/∂y / √(x² + 1).
static ASINH: Unary = Unary {
    function: f64::asinh,
    gradient: |backward, gradient| {
        let one = backward.float(1.0);
        let square = square(backward, backward.input(0));
        over_root(backward, gradient, "Add", [&square, &one])
    },
};

/// y = arcosh x; ∂L/∂x = ∂L/∂y / √(x² − 1).
static ACOSH: Unary = Unary {
    function: f64::acosh,
    gradient: |backward, gradient| {
        let one = backward.float(1.0);
        let square = square(backward, backward.input(0));
        over_root(backward, gradient, "Sub", [&square, &one])
    },
};

/// y = artanh x; ∂L/∂x = ∂L/∂y / (1 − x²).
static ATANH: Unary = Unary {
    function: f64::atanh,
    gradient: |backward, gradient| {
        let one = backward.float(1.0);
        let square = square(backward, backward.input(0));
        let divisor = backward.node("Sub", &[&one, &square]);
        backward.node("Div", &[gradient, &divisor])
    },
};
