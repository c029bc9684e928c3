//! Broadcasting: how tensors of different shapes are combined element by element.
//!
//! Shapes are aligned at their last dimensions; a dimension of size 1 is stretched.

use super::{Call, Site};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::tensor::{indices, strides};
use crate::{ElementType, Tensor};

/// The shape that two shapes are broadcast to.
pub(super) fn shape(left: &[usize], right: &[usize]) -> Result<Vec<usize>, String> {
    let rank = left.len().max(right.len());
    (0..rank)
        .map(
            |axis| match (aligned(left, rank, axis), aligned(right, rank, axis)) {
                (left, right) if left == right => Ok(left),
                (1, size) | (size, 1) => Ok(size),
                _ => Err(format!(
                    "shapes {left:?} and {right:?} cannot be broadcast together"
                )),
            },
        )
        .collect()
}

fn aligned(dims: &[usize], rank: usize, axis: usize) -> usize {
    (axis + dims.len())
        .checked_sub(rank)
        .map_or(1, |own| dims[own])
}

/// Where each element of the broadcast tensor stands in the original, row by row.
pub(super) fn positions(dims: &[usize], wide: &[usize]) -> Vec<usize> {
    let strides = strides(dims);
    let leading = wide.len() - dims.len();
    indices(wide)
        .map(|index| {
            index[leading..]
                .iter()
                .zip(dims)
                .zip(&strides)
                .map(|((&at, &size), &stride)| if size == 1 { 0 } else { at * stride })
                .sum()
        })
        .collect()
}

/// A tensor stretched to a wider shape.
pub(super) fn stretch(tensor: &Tensor, wide: &[usize]) -> Tensor {
    let values = tensor
        .values()
        .pick(positions(tensor.dims(), wide).into_iter());
    Tensor::new(wide.to_vec(), values)
}

/// The shape that two partly known shapes are broadcast to.
pub(super) fn extents(left: &[Extent], right: &[Extent], unknowns: &mut Unknowns) -> Vec<Extent> {
    let rank = left.len().max(right.len());
    let aligned = |shape: &[Extent], axis: usize| {
        let own = (axis + shape.len()).checked_sub(rank);
        own.map_or(Extent::fixed(1), |own| shape[own].clone())
    };
    (0..rank)
        .map(|axis| (aligned(left, axis), aligned(right, axis)))
        .map(|(left, right)| {
            let decides = |extent: &Extent| extent.as_fixed().is_some_and(|size| size != 1);
            if left == right || right.is_one() || decides(&left) {
                left
            } else if left.is_one() || decides(&right) {
                right
            } else {
                unknowns.next()
            }
        })
        .collect()
}

/// Tensors stretched to their common shape.
pub(super) fn all(tensors: &[&Tensor]) -> Result<(Vec<usize>, Vec<Tensor>), String> {
    let mut wide = Vec::new();
    for tensor in tensors {
        wide = shape(&wide, tensor.dims())?;
    }
    let stretched = tensors.iter().map(|tensor| stretch(tensor, &wide));
    let stretched = stretched.collect();
    Ok((wide, stretched))
}

/// The common shape of the first inputs, as many as there are names.
pub(super) fn common_shape(
    site: &Site<'_>,
    count: usize,
    unknowns: &mut Unknowns,
) -> Option<Vec<Extent>> {
    let mut common = Vec::new();
    for input in 0..count {
        common = extents(&common, site.shape(input)?, unknowns);
    }
    Some(common)
}

/// The first two inputs of a call, stretched to their common shape.
pub(super) fn pair(call: &Call<'_>) -> Result<(Vec<usize>, Tensor, Tensor), String> {
    let (left, right) = (call.tensor(0)?, call.tensor(1)?);
    let wide = shape(left.dims(), right.dims())?;
    Ok((wide.clone(), stretch(left, &wide), stretch(right, &wide)))
}

/// The fact on an output of the common shape of the first two inputs.
pub(super) fn fact(site: &Site<'_>, element: Option<ElementType>, unknowns: &mut Unknowns) -> Fact {
    Fact::new(element, common_shape(site, 2, unknowns))
}
