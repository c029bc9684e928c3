//! `Transpose`.

use super::{Backward, Call, Derivative, Family, Operator, Site, resolve_axis};
use crate::Tensor;
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::proto::{AttributeProto, NodeProto};
use crate::tensor::{indices, strides};

pub(super) const OPERATORS: Family = &[("Transpose", &Transpose)];

/// Dimension i of y is dimension perm(i) of x; ∂L/∂x is ∂L/∂y under the inverse permutation.
struct Transpose;

impl Transpose {
    /// The permutation, which without the attribute reverses the dimensions.
    fn order(node: &NodeProto, rank: usize) -> Option<Vec<usize>> {
        let Some(order) = node.ints("perm") else {
            return Some((0..rank).rev().collect());
        };
        let order = order.iter().map(|&axis| resolve_axis(axis, rank));
        let order = order.collect::<Option<Vec<_>>>()?;
        let is_permutation = order.len() == rank && (0..rank).all(|axis| order.contains(&axis));
        is_permutation.then_some(order)
    }
}

impl Operator for Transpose {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let shape = site.shape(0).and_then(|shape| {
            let order = Self::order(site.node, shape.len())?;
            Some(order.into_iter().map(|axis| shape[axis].clone()).collect())
        });
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let order = Self::order(call.node, tensor.rank())
            .ok_or("perm is no permutation of the dimensions")?;
        let own = strides(tensor.dims());
        let dims: Vec<usize> = order.iter().map(|&axis| tensor.dims()[axis]).collect();
        let positions = indices(&dims).map(|index| {
            let steps = index.iter().zip(&order);
            steps.map(|(at, &axis)| at * own[axis]).sum()
        });
        let values = tensor.values().pick(positions);
        Ok(vec![Tensor::new(dims, values)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let inverse = backward.node.ints("perm").map(|order| {
            let mut inverse = vec![0; order.len()];
            for (place, &axis) in order.iter().enumerate() {
                if let Some(slot) =
                    resolve_axis(axis, order.len()).and_then(|axis| inverse.get_mut(axis))
                {
                    *slot = place as i64;
                }
            }
            AttributeProto::from_ints("perm", &inverse)
        });
        let found =
            backward
                .emit
                .node_with("Transpose", &[&gradient], inverse.into_iter().collect());
        backward.give(0, found);
    }
}
