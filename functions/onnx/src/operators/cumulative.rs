//! `CumSum`: running sums along an axis.

use std::ops::AddAssign;

use super::unary::same_as_input;
use super::{Backward, Call, Derivative, Family, Operator, Site, axis_of};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::proto::{AttributeProto, NodeProto};
use crate::tensor::lines;
use crate::{Tensor, Values};

pub(super) const OPERATORS: Family = &[("CumSum", &CumSum)];

/// yᵢ = Σ xⱼ over j ≤ i, with `exclusive` j < i, with `reverse` j ≥ i or j > i; ∂L/∂x is the same sum of ∂L/∂y in the other
/// direction.
struct CumSum;

impl CumSum {
    fn is_set(node: &NodeProto, option: &str) -> bool {
        node.int(option, 0) != 0
    }
}

impl Operator for CumSum {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let &[axis] = call.integers(1)? else {
            return Err("the axis is not one number".to_owned());
        };
        let axis = axis_of(axis, tensor.rank())?;
        let mut lines: Vec<Vec<usize>> = lines(tensor.dims(), axis).collect();
        if Self::is_set(call.node, "reverse") {
            for line in &mut lines {
                line.reverse();
            }
        }
        let is_exclusive = Self::is_set(call.node, "exclusive");
        let values = match tensor.values() {
            Values::Float(values) => Values::Float(running(values, &lines, is_exclusive)),
            Values::Integer(values) => Values::Integer(running(values, &lines, is_exclusive)),
            Values::Boolean(_) => return Err("truth values have no sum".to_owned()),
        };
        Ok(vec![Tensor::new(tensor.dims().to_vec(), values)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, _: &Site<'_>, input: usize) -> Derivative {
        if input == 0 {
            Derivative::Known
        } else {
            Derivative::Zero
        }
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let is_set = |option| i64::from(Self::is_set(backward.node, option));
        let options = vec![
            AttributeProto::from_int("exclusive", is_set("exclusive")),
            AttributeProto::from_int("reverse", 1 - is_set("reverse")),
        ];
        let gradient = backward.gradient();
        let inputs = [gradient.as_str(), backward.input(1)];
        let found = backward.emit.node_with("CumSum", &inputs, options);
        backward.give(0, found);
    }
}

fn running<T: AddAssign + Copy + Default>(
    values: &[T],
    lines: &[Vec<usize>],
    is_exclusive: bool,
) -> Vec<T> {
    let mut sums = vec![T::default(); values.len()];
    for line in lines {
        let mut sum = T::default();
        for &at in line {
            if is_exclusive {
                sums[at] = sum;
            }
            sum += values[at];
            if !is_exclusive {
                sums[at] = sum;
            }
        }
    }
    sums
}
