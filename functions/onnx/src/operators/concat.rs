//! Tensors joined and cut along an axis: `Concat`, `Split`.

use super::{Backward, Call, Derivative, Family, Operator, Site, axis_of, resolve_axis};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::{AttributeProto, NodeProto};
use crate::tensor::{indices, strides};
use crate::{Tensor, Values};

pub(super) const OPERATORS: Family = &[("Concat", &Concat), ("Split", &Split)];

/// Tensors one behind the other along an axis; ∂L/∂xᵢ is the part of ∂L/∂y that stands where xᵢ stands in y.
struct Concat;

impl Operator for Concat {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let count = site.node.input.len();
        let shape = (|| {
            let mut shape = site.shape(0)?.to_vec();
            let axis = resolve_axis(site.node.int("axis", 0), shape.len())?;
            for other in 1..count {
                // Sizes that one part does not tell, another may.
                for (extent, more) in shape.iter_mut().zip(site.shape(other).unwrap_or_default()) {
                    if extent.is_unknown() && !more.is_unknown() {
                        extent.clone_from(more);
                    }
                }
            }
            let parts = (0..count).map(|index| site.shape(index)?.get(axis)?.as_fixed());
            let total = parts.sum::<Option<i64>>();
            if count > 1 {
                shape[axis] = total.map_or_else(|| unknowns.next(), Extent::fixed);
            }
            Some(shape)
        })();
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let first = call.tensor(0)?;
        let axis = axis_of(call.node.int("axis", 0), first.rank())?;
        let mut dims = first.dims().to_vec();
        dims[axis] = 0;
        for index in 0..call.inputs.len() {
            let part = call.tensor(index)?.dims();
            let differs =
                |(at, (own, first)): (usize, (&usize, &usize))| at != axis && own != first;
            if part.len() != dims.len() || part.iter().zip(first.dims()).enumerate().any(differs) {
                return Err(format!("{part:?} does not continue {:?}", first.dims()));
            }
            dims[axis] += part[axis];
        }
        let mut joined = first.values().pick(std::iter::empty());
        for index in indices(&dims) {
            let (part, at) = Self::part_at(call, axis, &index)?;
            push(&mut joined, part.values(), at)?;
        }
        Ok(vec![Tensor::new(dims, joined)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let axis = backward.node.int("axis", 0);
        let count = backward.node.input.len();
        let lengths: Vec<Option<i64>> = (0..count)
            .map(|input| backward.input_fact(input).size_along(axis))
            .collect();
        let wanted: Vec<usize> = (0..count).filter(|&input| backward.wants(input)).collect();
        let offset = |input: usize| lengths[..input].iter().copied().sum::<Option<i64>>();
        if let [only] = wanted[..]
            && let Some((start, length)) = offset(only).zip(lengths[only])
        {
            let part = backward.slice(&gradient, axis, start, start + length);
            backward.give(only, part);
            return;
        }
        let lengths = match lengths.iter().copied().collect::<Option<Vec<_>>>() {
            Some(lengths) => backward.emit.integers(&lengths),
            None => Self::lengths_at_run_time(backward, axis, &lengths),
        };
        let along = vec![AttributeProto::from_int("axis", axis)];
        let parts = backward
            .emit
            .several("Split", &[&gradient, &lengths], along, count);
        for input in wanted {
            backward.give(input, parts[input].clone());
        }
    }
}

impl Concat {
    /// The part in which an element of the result stands, and its place there.
    fn part_at<'a>(
        call: &Call<'a>,
        axis: usize,
        index: &[usize],
    ) -> Result<(&'a Tensor, usize), String> {
        let mut index = index.to_vec();
        for input in 0..call.inputs.len() {
            let part = call.tensor(input)?;
            if index[axis] < part.dims()[axis] {
                let at = index
                    .iter()
                    .zip(strides(part.dims()))
                    .map(|(at, stride)| at * stride)
                    .sum();
                return Ok((part, at));
            }
            index[axis] -= part.dims()[axis];
        }
        Err("an element stands in no part".to_owned())
    }

    fn lengths_at_run_time(
        backward: &mut Backward<'_>,
        axis: i64,
        lengths: &[Option<i64>],
    ) -> String {
        let lengths: Vec<String> = lengths
            .iter()
            .enumerate()
            .map(|(input, length)| match length {
                Some(length) => backward.emit.integers(&[*length]),
                None => backward.size_at_run_time(backward.input(input), axis),
            })
            .collect();
        let lengths: Vec<&str> = lengths.iter().map(String::as_str).collect();
        let first = vec![AttributeProto::from_int("axis", 0)];
        backward.emit.node_with("Concat", &lengths, first)
    }
}

fn push(joined: &mut Values, values: &Values, at: usize) -> Result<(), String> {
    match (joined, values) {
        (Values::Float(joined), Values::Float(values)) => joined.push(values[at]),
        (Values::Integer(joined), Values::Integer(values)) => joined.push(values[at]),
        (Values::Boolean(joined), Values::Boolean(values)) => joined.push(values[at]),
        _ => return Err("the parts are of different kinds".to_owned()),
    }
    Ok(())
}

/// A tensor cut into parts along an axis, of given lengths or of equal ones (with `num_outputs` the last may be shorter);
/// ∂L/∂x is the gradients of the parts one behind the other, zeros where the loss does not depend on a part.
struct Split;

impl Split {
    /// The lengths where the node does not give them.
    fn equal_lengths(node: &NodeProto, size: i64) -> Vec<i64> {
        let count = node.output.len().max(1) as i64;
        let length = (size + count - 1) / count;
        (0..count)
            .map(|part| (size - part * length).clamp(0, length))
            .collect()
    }

    fn lengths(site: &Site<'_>, size: &Extent) -> Option<Vec<Extent>> {
        if let Some(lengths) = site.input(1) {
            return lengths.to_sizes();
        }
        if let Some(size) = size.as_fixed() {
            let lengths = Self::equal_lengths(site.node, size);
            return Some(lengths.into_iter().map(Extent::fixed).collect());
        }
        let count = site.node.output.len();
        let length = size.divided_by(&Extent::fixed(count as i64))?;
        Some(vec![length; count])
    }
}

impl Operator for Split {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let count = site.node.output.len();
        let shapes = (|| {
            let shape = site.shape(0)?;
            let axis = resolve_axis(site.node.int("axis", 0), shape.len())?;
            let lengths = Self::lengths(site, &shape[axis]);
            let part = |part: usize| {
                let mut shape = shape.to_vec();
                let length = lengths.as_ref().and_then(|lengths| lengths.get(part));
                shape[axis] = length.cloned().unwrap_or_else(|| unknowns.next());
                shape
            };
            Some((0..count).map(part).collect::<Vec<_>>())
        })();
        match shapes {
            Some(shapes) => shapes
                .into_iter()
                .map(|shape| Fact::new(site.element(), Some(shape)))
                .collect(),
            None => vec![Fact::new(site.element(), None); count],
        }
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let axis = axis_of(call.node.int("axis", 0), tensor.rank())?;
        let size = tensor.dims()[axis];
        let lengths = match call.optional(1) {
            Some(_) => call.integers(1)?.to_vec(),
            None => Self::equal_lengths(call.node, size as i64),
        };
        if lengths.iter().sum::<i64>() != size as i64 || lengths.iter().any(|&length| length < 0) {
            return Err(format!("{size} elements are not cut into {lengths:?}"));
        }
        let own = strides(tensor.dims());
        let mut start = 0;
        let mut parts = Vec::with_capacity(lengths.len());
        for length in lengths {
            let mut dims = tensor.dims().to_vec();
            dims[axis] = length as usize;
            let positions = indices(&dims).map(|index| {
                let place: usize = index.iter().zip(&own).map(|(at, stride)| at * stride).sum();
                place + start * own[axis]
            });
            let values = tensor.values().pick(positions);
            start += dims[axis];
            parts.push(Tensor::new(dims, values));
        }
        Ok(parts)
    }

    fn derivative(&self, _: &Site<'_>, input: usize) -> Derivative {
        if input == 0 {
            Derivative::Known
        } else {
            Derivative::Zero
        }
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let outputs = backward.node.output.len();
        let parts: Vec<String> = (0..outputs)
            .map(|output| match backward.gradient_of(output) {
                Some(gradient) => gradient,
                None => backward.filled_like(&backward.node.output[output], 0.0),
            })
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let along = AttributeProto::from_int("axis", backward.node.int("axis", 0));
        let found = backward.emit.node_with("Concat", &parts, vec![along]);
        backward.give(0, found);
    }
}
