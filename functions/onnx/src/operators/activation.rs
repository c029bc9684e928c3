//! Activation functions that are smooth or have fixed corners: `Relu`, `Sigmoid`, `Tanh`, `HardSigmoid`, `HardSwish`, `Mish`,
//! `Softplus`, `Softsign`, `Swish`.

use super::unary::{Parametric, Unary};
use super::{Backward, Family};
use crate::fast;
use crate::proto::AttributeProto;

pub(super) const OPERATORS: Family = &[
    ("HardSigmoid", &HARD_SIGMOID),
    ("HardSwish", &HARD_SWISH),
    ("Mish", &MISH),
    ("Relu", &RELU),
    ("Sigmoid", &SIGMOID),
    ("Softplus", &SOFTPLUS),
    ("Softsign", &SOFTSIGN),
    ("Swish", &SWISH),
    ("Tanh", &TANH),
];

/// y = max(x, 0); ∂L/∂x = ∂L/∂y where y > 0, else 0 (also at 0, as frameworks take it).
static RELU: Unary = Unary {
    function: |x| x.max(0.0),
    gradient: |backward: &mut Backward<'_>, gradient| {
        if backward.is_fast() {
            let inputs = [gradient, backward.output()];
            return backward.emit.fast(fast::RELU_GRADIENT, &inputs, Vec::new());
        }
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
    function: sigmoid,
    gradient: |backward, gradient| {
        let one = backward.float(1.0);
        let rest = backward.node("Sub", &[&one, backward.output()]);
        let slope = backward.node("Mul", &[backward.output(), &rest]);
        backward.node("Mul", &[gradient, &slope])
    },
};

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// ln(1 + eˣ), without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// y = ln(1 + eˣ); ∂L/∂x = ∂L/∂y · σ(x).
static SOFTPLUS: Unary = Unary {
    function: softplus,
    gradient: |backward, gradient| {
        let slope = backward.node("Sigmoid", &[backward.input(0)]);
        backward.node("Mul", &[gradient, &slope])
    },
};

/// y = x / (1 + |x|); ∂L/∂x = ∂L/∂y / (1 + |x|)².
static SOFTSIGN: Unary = Unary {
    function: |x| x / (1.0 + x.abs()),
    gradient: |backward, gradient| {
        let one = backward.float(1.0);
        let magnitude = backward.node("Abs", &[backward.input(0)]);
        let divisor = backward.node("Add", &[&one, &magnitude]);
        let square = backward.node("Mul", &[&divisor, &divisor]);
        backward.node("Div", &[gradient, &square])
    },
};

/// y = x · t with t = tanh(ln(1 + eˣ)); ∂L/∂x = ∂L/∂y · (t + x · (1 − t²) · σ(x)).
static MISH: Unary = Unary {
    function: |x| x * softplus(x).tanh(),
    gradient: |backward, gradient| {
        let one = backward.float(1.0);
        let softplus = backward.node("Softplus", &[backward.input(0)]);
        let tanh = backward.node("Tanh", &[&softplus]);
        let square = backward.node("Mul", &[&tanh, &tanh]);
        let rest = backward.node("Sub", &[&one, &square]);
        let sigmoid = backward.node("Sigmoid", &[backward.input(0)]);
        let inner = backward.node("Mul", &[&rest, &sigmoid]);
        let inner = backward.node("Mul", &[backward.input(0), &inner]);
        let slope = backward.node("Add", &[&tanh, &inner]);
        backward.node("Mul", &[gradient, &slope])
    },
};

/// y = x · s with s = σ(αx); ∂L/∂x = ∂L/∂y · (s + α · y · (1 − s)).
static SWISH: Parametric<1> = Parametric {
    attributes: [("alpha", 1.0)],
    function: |x, [alpha]| x * sigmoid(alpha * x),
    gradient: |backward, gradient, [alpha]| {
        let (one, alpha) = (backward.float(1.0), backward.float(alpha));
        let scaled = backward.node("Mul", &[&alpha, backward.input(0)]);
        let sigmoid = backward.node("Sigmoid", &[&scaled]);
        let rest = backward.node("Sub", &[&one, &sigmoid]);
        let inner = backward.node("Mul", &[backward.output(), &rest]);
        let inner = backward.node("Mul", &[&alpha, &inner]);
        let slope = backward.node("Add", &[&sigmoid, &inner]);
        backward.node("Mul", &[gradient, &slope])
    },
};

/// y = max(0, min(1, αx + β)); ∂L/∂x = α · ∂L/∂y where 0 < y < 1, else 0.
static HARD_SIGMOID: Parametric<2> = Parametric {
    attributes: [("alpha", 0.2), ("beta", 0.5)],
    function: |x, [alpha, beta]| (alpha * x + beta).clamp(0.0, 1.0),
    gradient: |backward, gradient, [alpha, _]| {
        let (zero, alpha) = (backward.float(0.0), backward.float(alpha));
        let is_sloped = between_zero_and_one(backward, backward.output());
        let found = backward.node("Mul", &[gradient, &alpha]);
        backward.node("Where", &[&is_sloped, &found, &zero])
    },
};

/// y = x · h with h = max(0, min(1, x / 6 + 1/2)); ∂L/∂x = ∂L/∂y · (h + x / 6 where 0 < h < 1).
static HARD_SWISH: Unary = Unary {
    function: |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
    gradient: |backward, gradient| {
        let (zero, sixth) = (backward.float(0.0), backward.float(1.0 / 6.0));
        let parameters = [("alpha", 1.0 / 6.0), ("beta", 0.5)]
            .map(|(name, value)| AttributeProto::from_float(name, value));
        let hard = backward.emit.node_with(
            "HardSigmoid",
            &[backward.node.input[0].as_str()],
            parameters.to_vec(),
        );
        let is_sloped = between_zero_and_one(backward, &hard);
        let inner = backward.node("Mul", &[backward.input(0), &sixth]);
        let inner = backward.node("Where", &[&is_sloped, &inner, &zero]);
        let slope = backward.node("Add", &[&hard, &inner]);
        backward.node("Mul", &[gradient, &slope])
    },
};

fn between_zero_and_one(backward: &mut Backward<'_>, tensor: &str) -> String {
    let (zero, one) = (backward.float(0.0), backward.float(1.0));
    let is_above = backward.node("Greater", &[tensor, &zero]);
    let is_below = backward.node("Less", &[tensor, &one]);
    backward.node("And", &[&is_above, &is_below])
}
