//! Arithmetic on shapes: `Shape`, `Size`, `Concat`. No gradient passes a shape.

use super::{Call, Derivative, Family, Operator, Site, axis_of, resolve_axis};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::tensor::{indices, strides};
use crate::{ElementType, Tensor, Values};

pub(super) const OPERATORS: Family = &[("Concat", &Concat), ("Shape", &Shape), ("Size", &Size)];

/// The dimensions of a tensor, or those from `start` to `end`.
struct Shape;

impl Shape {
    fn part<'a, T>(site: &crate::proto::NodeProto, dims: &'a [T]) -> &'a [T] {
        let rank = dims.len() as i64;
        let place = |at: i64| (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize;
        let start = place(site.int("start", 0));
        let end = place(site.int("end", rank));
        &dims[start..end.max(start)]
    }
}

impl Operator for Shape {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let sizes = site
            .shape(0)
            .map(|shape| Self::part(site.node, shape).to_vec());
        let shape = sizes
            .as_ref()
            .map(|sizes| vec![Extent::fixed(sizes.len() as i64)]);
        vec![Fact {
            sizes,
            ..Fact::new(Some(ElementType::Int64), shape)
        }]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let sizes = Self::part(call.node, call.tensor(0)?.dims());
        let values = sizes.iter().map(|&size| size as i64).collect();
        Ok(vec![Tensor::integers(&[sizes.len()], values)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}

/// How many elements a tensor has.
struct Size;

impl Operator for Size {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![Fact {
            sizes: site.shape(0).map(|shape| vec![Extent::product(shape)]),
            ..Fact::new(Some(ElementType::Int64), Some(Vec::new()))
        }]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let count = call.tensor(0)?.count();
        Ok(vec![Tensor::integers(&[], vec![count as i64])])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}

/// Tensors one behind the other along an axis.
struct Concat;

impl Operator for Concat {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let count = site.node.input.len();
        let shape = (|| {
            let mut shape = site.shape(0)?.to_vec();
            let axis = resolve_axis(site.node.int("axis", 0), shape.len())?;
            let parts = (0..count).map(|index| site.shape(index)?.get(axis)?.as_fixed());
            let total = parts.sum::<Option<i64>>();
            shape[axis] = total.map_or_else(|| unknowns.next(), Extent::fixed);
            Some(shape)
        })();
        let sizes = (0..count)
            .map(|index| {
                site.input(index)
                    .filter(|fact| fact.rank() == Some(1))?
                    .to_sizes()
            })
            .collect::<Option<Vec<_>>>();
        vec![Fact {
            sizes: sizes.map(|parts| parts.concat()),
            ..Fact::new(site.element(), shape)
        }]
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
        let empty = first.values().pick(std::iter::empty());
        let mut joined = empty;
        for index in indices(&dims) {
            let (part, at) = Self::part_at(call, axis, &index)?;
            push(&mut joined, part.values(), at)?;
        }
        Ok(vec![Tensor::new(dims, joined)])
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
