//! `Gelu`, exact and approximate.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use super::unary::same_as_input;
use super::{Backward, Call, Derivative, Family, Operator, Site, error_function};
use crate::Tensor;
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::proto::NodeProto;

pub(super) const OPERATORS: Family = &[("Gelu", &Gelu)];

/// √(2/π), as 2/√π · 1/√2.
const ROOT: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
/// The factor of the cube in the approximation.
const CUBIC: f64 = 0.044_715;

/// y = x Φ(x) with Φ(x) = ½ (1 + erf(x / √2)); ∂L/∂x = ∂L/∂y · (Φ(x) + x · exp(−x²/2) / √(2π)).
///
/// With `approximate` `tanh`, y = ½ x (1 + t) with t = tanh u and u = √(2/π) (x + c x³), c = 0.044715;
/// ∂L/∂x = ∂L/∂y · (½ (1 + t) + ½ x (1 − t²) √(2/π) (1 + 3 c x²)).
struct Gelu;

impl Gelu {
    fn is_approximate(node: &NodeProto) -> bool {
        node.string("approximate") == Some("tanh")
    }

    fn slope(backward: &mut Backward<'_>) -> String {
        let x = backward.input(0);
        let (half, one) = (backward.float(0.5), backward.float(1.0));
        let scale = backward.float(FRAC_1_SQRT_2);
        let scaled = backward.node("Mul", &[x, &scale]);
        let erf = backward.node("Erf", &[&scaled]);
        let shifted = backward.node("Add", &[&erf, &one]);
        let share = backward.node("Mul", &[&shifted, &half]);
        let square = backward.node("Mul", &[&scaled, &scaled]);
        let negative = backward.node("Neg", &[&square]);
        let bell = backward.node("Exp", &[&negative]);
        let height = backward.float(ROOT / 2.0);
        let density = backward.node("Mul", &[&bell, &height]);
        let inner = backward.node("Mul", &[x, &density]);
        backward.node("Add", &[&share, &inner])
    }

    fn approximate_slope(backward: &mut Backward<'_>) -> String {
        let x = backward.input(0);
        let (half, one) = (backward.float(0.5), backward.float(1.0));
        let (root, cubic) = (backward.float(ROOT), backward.float(ROOT * CUBIC));
        let steep = backward.float(3.0 * ROOT * CUBIC);
        let square = backward.node("Mul", &[x, x]);
        let inner = backward.node("Mul", &[&square, &cubic]);
        let inner = backward.node("Add", &[&inner, &root]);
        let inner = backward.node("Mul", &[x, &inner]);
        let tanh = backward.node("Tanh", &[&inner]);
        let shifted = backward.node("Add", &[&tanh, &one]);
        let tanh_square = backward.node("Mul", &[&tanh, &tanh]);
        let rest = backward.node("Sub", &[&one, &tanh_square]);
        let inner_slope = backward.node("Mul", &[&square, &steep]);
        let inner_slope = backward.node("Add", &[&inner_slope, &root]);
        let bent = backward.node("Mul", &[&rest, &inner_slope]);
        let bent = backward.node("Mul", &[x, &bent]);
        let sum = backward.node("Add", &[&shifted, &bent]);
        backward.node("Mul", &[&sum, &half])
    }
}

impl Operator for Gelu {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let exact = |x: f64| x * 0.5 * (1.0 + error_function::of(x * FRAC_1_SQRT_2));
        let approximate = |x: f64| x * 0.5 * (1.0 + (ROOT * (x + CUBIC * x.powi(3))).tanh());
        let values = call.floats(0)?.iter().copied();
        let values = if Self::is_approximate(call.node) {
            values.map(approximate).collect()
        } else {
            values.map(exact).collect()
        };
        Ok(vec![Tensor::floats(call.tensor(0)?.dims(), values)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let slope = if Self::is_approximate(backward.node) {
            Self::approximate_slope(backward)
        } else {
            Self::slope(backward)
        };
        let gradient = backward.gradient();
        let found = backward.node("Mul", &[&gradient, &slope]);
        backward.give(0, found);
    }
}
