//! `Softmax` and `LogSoftmax` along one axis.

use super::unary::same_as_input;
use super::{Backward, Call, Derivative, Family, Operator, Site, axis_of};
use crate::Tensor;
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::tensor::lines;

pub(super) const OPERATORS: Family = &[("LogSoftmax", &LogSoftmax), ("Softmax", &Softmax)];

/// y = exp x / Σ exp x; with G = ∂L/∂y: ∂L/∂x = y · (G − Σ G · y), sums along the axis.
struct Softmax;

impl Operator for Softmax {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let logarithms = log_softmax(call)?;
        let values = logarithms.as_floats().unwrap_or_default();
        let values = values.iter().map(|value| value.exp()).collect();
        Ok(vec![Tensor::floats(logarithms.dims(), values)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let product = backward.node("Mul", &[&gradient, backward.output()]);
        let sum = sum_along(backward, &product);
        let centred = backward.node("Sub", &[&gradient, &sum]);
        let found = backward.node("Mul", &[backward.output(), &centred]);
        backward.give(0, found);
    }
}

/// y = x − ln Σ exp x; with G = ∂L/∂y: ∂L/∂x = G − exp y · Σ G, the sum along the axis.
struct LogSoftmax;

impl Operator for LogSoftmax {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        Ok(vec![log_softmax(call)?])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let sum = sum_along(backward, &gradient);
        let softmax = backward.node("Exp", &[backward.output()]);
        let spread = backward.node("Mul", &[&softmax, &sum]);
        let found = backward.node("Sub", &[&gradient, &spread]);
        backward.give(0, found);
    }
}

fn sum_along(backward: &mut Backward<'_>, tensor: &str) -> String {
    let axis = backward.node.int("axis", -1);
    backward.emit.reduce("ReduceSum", tensor, &[axis], true)
}

/// The largest value is taken off first, so that no exponential overflows.
fn log_softmax(call: &Call<'_>) -> Result<Tensor, String> {
    let (tensor, values) = (call.tensor(0)?, call.floats(0)?);
    let axis = axis_of(call.node.int("axis", -1), tensor.rank())?;
    let mut found = values.to_vec();
    for line in lines(tensor.dims(), axis) {
        let largest = line
            .iter()
            .map(|&at| values[at])
            .fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = line.iter().map(|&at| (values[at] - largest).exp()).sum();
        for at in line {
            found[at] -= largest + sum.ln();
        }
    }
    Ok(Tensor::floats(tensor.dims(), found))
}
