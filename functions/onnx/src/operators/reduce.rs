//! `ReduceSum`.

use super::{Call, Family, Operator, Site, axis_of, resolve_axis};
use crate::Tensor;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::tensor::{indices, strides};

pub(super) const OPERATORS: Family = &[("ReduceSum", &ReduceSum)];

/// The sum over some axes: all where none are named, unless the node says that this means none.
struct ReduceSum;

impl Operator for ReduceSum {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![Fact::new(site.element(), reduced(site))]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (tensor, values) = (call.tensor(0)?, call.floats(0)?);
        let named = match call.optional(1) {
            Some(_) => call.integers(1)?,
            None => &[],
        };
        let is_noop = named.is_empty() && call.node.int("noop_with_empty_axes", 0) != 0;
        let axes = named
            .iter()
            .map(|&axis| axis_of(axis, tensor.rank()))
            .collect::<Result<Vec<_>, _>>()?;
        let is_summed = |axis: usize| !is_noop && (axes.is_empty() || axes.contains(&axis));

        let sizes = tensor.dims().iter().enumerate();
        let kept: Vec<usize> = sizes
            .map(|(axis, &size)| if is_summed(axis) { 1 } else { size })
            .collect();
        let strides = strides(&kept);
        let mut sums = vec![0.0; kept.iter().product()];
        for (index, value) in indices(tensor.dims()).zip(values) {
            let terms = index
                .iter()
                .enumerate()
                .filter(|(axis, _)| !is_summed(*axis));
            let position: usize = terms.map(|(axis, at)| at * strides[axis]).sum();
            sums[position] += value;
        }
        let dims = if call.node.int("keepdims", 1) == 0 {
            let left = kept
                .into_iter()
                .enumerate()
                .filter(|(axis, _)| !is_summed(*axis));
            left.map(|(_, size)| size).collect()
        } else {
            kept
        };
        Ok(vec![Tensor::floats(&dims, sums)])
    }
}

fn reduced(site: &Site<'_>) -> Option<Vec<Extent>> {
    let shape = site.shape(0)?;
    let axes: Vec<usize> = match site.input(1) {
        Some(axes) => {
            let axes = axes.constant.as_ref()?.as_integers()?.to_vec();
            axes.into_iter()
                .map(|axis| resolve_axis(axis, shape.len()))
                .collect::<Option<_>>()?
        }
        None => Vec::new(),
    };
    if axes.is_empty() && site.node.int("noop_with_empty_axes", 0) != 0 {
        return Some(shape.to_vec());
    }
    let keeps = site.node.int("keepdims", 1) != 0;
    let mut reduced = Vec::new();
    for (axis, extent) in shape.iter().enumerate() {
        if !axes.is_empty() && !axes.contains(&axis) {
            reduced.push(extent.clone());
        } else if keeps {
            reduced.push(Extent::fixed(1));
        }
    }
    Some(reduced)
}
