//! Activation functions with another slope below a threshold: `LeakyRelu`, `PRelu`, `Elu`, `Selu`, `Celu`, `ThresholdedRelu`.

use super::binary::Binary;
use super::unary::Parametric;
use super::{Backward, Family};

pub(super) const OPERATORS: Family = &[
    ("Celu", &CELU),
    ("Elu", &ELU),
    ("LeakyRelu", &LEAKY_RELU),
    ("PRelu", &PRELU),
    ("Selu", &SELU),
    ("ThresholdedRelu", &THRESHOLDED_RELU),
];

/// y = x where x ≥ 0, else αx; ∂L/∂x = ∂L/∂y or α · ∂L/∂y.
static LEAKY_RELU: Parametric<1> = Parametric {
    attributes: [("alpha", 0.01)],
    function: |x, [alpha]| if x < 0.0 { alpha * x } else { x },
    gradient: |backward, gradient, [alpha]| {
        let alpha = backward.float(alpha);
        let below = backward.node("Mul", &[gradient, &alpha]);
        where_negative(backward, &below, gradient)
    },
};

/// y = x where x ≥ 0, else s · x; ∂L/∂x = ∂L/∂y or s · ∂L/∂y; ∂L/∂s = Σ ∂L/∂y · x where x < 0, summed over the dimensions
/// along which s was broadcast.
static PRELU: Binary = Binary {
    floats: |x, slope| if x < 0.0 { slope * x } else { x },
    integers: |x, slope| {
        if x < 0 { x.checked_mul(slope) } else { Some(x) }
    },
    gradients: [
        |backward, gradient| {
            let below = backward.node("Mul", &[gradient, backward.input(1)]);
            where_negative(backward, &below, gradient)
        },
        |backward, gradient| {
            let zero = backward.float(0.0);
            let below = backward.node("Mul", &[gradient, backward.input(0)]);
            where_negative(backward, &below, &zero)
        },
    ],
};

/// y = x where x ≥ 0, else α (eˣ − 1); ∂L/∂x = ∂L/∂y or ∂L/∂y · (y + α).
static ELU: Parametric<1> = Parametric {
    attributes: [("alpha", 1.0)],
    function: |x, [alpha]| if x < 0.0 { alpha * x.exp_m1() } else { x },
    gradient: |backward, gradient, [alpha]| {
        let alpha = backward.float(alpha);
        let slope = backward.node("Add", &[backward.output(), &alpha]);
        let below = backward.node("Mul", &[gradient, &slope]);
        where_negative(backward, &below, gradient)
    },
};

/// y = γx where x ≥ 0, else γα (eˣ − 1); ∂L/∂x = γ · ∂L/∂y or ∂L/∂y · (y + γα).
static SELU: Parametric<2> = Parametric {
    attributes: [("alpha", 1.673_263_2), ("gamma", 1.050_701)],
    function: |x, [alpha, gamma]| gamma * if x < 0.0 { alpha * x.exp_m1() } else { x },
    gradient: |backward, gradient, [alpha, gamma]| {
        let (low, gamma) = (backward.float(gamma * alpha), backward.float(gamma));
        let slope = backward.node("Add", &[backward.output(), &low]);
        let slope = where_negative(backward, &slope, &gamma);
        backward.node("Mul", &[gradient, &slope])
    },
};

/// y = x where x ≥ 0, else α (exp(x / α) − 1); ∂L/∂x = ∂L/∂y or ∂L/∂y · (y / α + 1).
static CELU: Parametric<1> = Parametric {
    attributes: [("alpha", 1.0)],
    function: |x, [alpha]| {
        if x < 0.0 {
            alpha * (x / alpha).exp_m1()
        } else {
            x
        }
    },
    gradient: |backward, gradient, [alpha]| {
        let (one, alpha) = (backward.float(1.0), backward.float(alpha));
        let ratio = backward.node("Div", &[backward.output(), &alpha]);
        let slope = backward.node("Add", &[&ratio, &one]);
        let below = backward.node("Mul", &[gradient, &slope]);
        where_negative(backward, &below, gradient)
    },
};

/// y = x where x > α, else 0; ∂L/∂x = ∂L/∂y or 0.
static THRESHOLDED_RELU: Parametric<1> = Parametric {
    attributes: [("alpha", 1.0)],
    function: |x, [alpha]| if x > alpha { x } else { 0.0 },
    gradient: |backward, gradient, [alpha]| {
        let (zero, alpha) = (backward.float(0.0), backward.float(alpha));
        let is_on = backward.node("Greater", &[backward.input(0), &alpha]);
        backward.node("Where", &[&is_on, gradient, &zero])
    },
};

/// One tensor where the input is negative, another where it is not.
fn where_negative(backward: &mut Backward<'_>, below: &str, above: &str) -> String {
    let zero = backward.float(0.0);
    let is_below = backward.node("Less", &[backward.input(0), &zero]);
    backward.node("Where", &[&is_below, below, above])
}
