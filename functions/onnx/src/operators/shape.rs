//! What a tensor's dimensions are: `Shape`, `Size`. No gradient passes a shape.

use super::{Call, Derivative, Family, Operator, Site};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::{ElementType, Tensor};

pub(super) const OPERATORS: Family = &[("Shape", &Shape), ("Size", &Size)];

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
