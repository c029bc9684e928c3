//! `Clip`.

use super::unary::same_as_input;
use super::{Backward, Call, Derivative, Family, Operator, Site};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::{Tensor, Values};

pub(super) const OPERATORS: Family = &[("Clip", &Clip)];

/// y = min(max(x, low), high), where either bound may be left out.
///
/// With G = ∂L/∂y: ∂L/∂x = G where low ≤ x ≤ high, else 0; ∂L/∂low is the sum of G where x < low, ∂L/∂high where x > high.
struct Clip;

impl Clip {
    /// Whether x is on the outer side of a bound.
    fn is_beyond(backward: &mut Backward<'_>, bound: usize) -> Option<String> {
        let name = backward.node.input.get(bound)?;
        let comparison = if bound == 1 { "Less" } else { "Greater" };
        (!name.is_empty()).then(|| backward.node(comparison, &[backward.input(0), name]))
    }
}

impl Operator for Clip {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    /// Where the bounds contradict each other, the upper one holds.
    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let has = |bound| call.optional(bound).is_some();
        let values = match tensor.values() {
            Values::Float(values) => {
                let low = has(1).then(|| call.floats(1)).transpose()?;
                let high = has(2).then(|| call.floats(2)).transpose()?;
                Values::Float(clipped(values, low, high)?)
            }
            Values::Integer(values) => {
                let low = has(1).then(|| call.integers(1)).transpose()?;
                let high = has(2).then(|| call.integers(2)).transpose()?;
                Values::Integer(clipped(values, low, high)?)
            }
            Values::Boolean(_) => return Err("truth values are not clipped".to_owned()),
        };
        Ok(vec![Tensor::new(tensor.dims().to_vec(), values)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let zero = backward.float(0.0);
        let beyond = [1, 2].map(|bound| (bound, Self::is_beyond(backward, bound)));
        let mut passed = gradient.clone();
        for (bound, is_beyond) in beyond {
            let Some(is_beyond) = is_beyond else {
                continue;
            };
            if backward.wants(bound) {
                let stopped = backward.node("Where", &[&is_beyond, &gradient, &zero]);
                let found = backward.unbroadcast(&stopped, bound);
                backward.give(bound, found);
            }
            if backward.wants(0) {
                passed = backward.node("Where", &[&is_beyond, &zero, &passed]);
            }
        }
        if backward.wants(0) {
            backward.give(0, passed);
        }
    }
}

fn clipped<T: Copy + PartialOrd>(
    values: &[T],
    low: Option<&[T]>,
    high: Option<&[T]>,
) -> Result<Vec<T>, String> {
    let single = |bound: &[T]| match bound {
        &[bound] => Ok(bound),
        _ => Err("a bound is not one number".to_owned()),
    };
    let (low, high) = (low.map(single).transpose()?, high.map(single).transpose()?);
    let clip = |&value: &T| {
        let raised = low.filter(|&low| value < low).unwrap_or(value);
        high.filter(|&high| raised > high).unwrap_or(raised)
    };
    Ok(values.iter().map(clip).collect())
}
