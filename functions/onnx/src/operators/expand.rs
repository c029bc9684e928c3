//! The same elements several times: `Expand`, `Tile`.

use super::backward::fixed_shape;
use super::{Backward, Call, Derivative, Family, Operator, Site, broadcast};
use crate::Tensor;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::AttributeProto;
use crate::tensor::{indices, strides};

pub(super) const OPERATORS: Family = &[("Expand", &Expand), ("Tile", &Tile)];

fn first_only(input: usize) -> Derivative {
    if input == 0 {
        Derivative::Known
    } else {
        Derivative::Zero
    }
}

/// x broadcast together with a shape; ∂L/∂x is ∂L/∂y summed over the dimensions along which x was stretched.
struct Expand;

impl Operator for Expand {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let sizes = site.input(1).and_then(Fact::to_sizes);
        let shapes = site.shape(0).zip(sizes);
        let shape = shapes.map(|(shape, sizes)| broadcast::extents(shape, &sizes, unknowns));
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let sizes = call.integers(1)?.iter().map(|&size| usize::try_from(size));
        let sizes = sizes
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| "a size is negative")?;
        let wide = broadcast::shape(tensor.dims(), &sizes)?;
        Ok(vec![broadcast::stretch(tensor, &wide)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, _: &Site<'_>, input: usize) -> Derivative {
        first_only(input)
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let found = backward.unbroadcast(&gradient, 0);
        backward.give(0, found);
    }
}

/// x repeated along each dimension. ∂L/∂x is the sum over the copies: ∂L/∂y reshaped to [r₁, n₁, r₂, n₂, …] and summed over
/// the numbers of copies r.
struct Tile;

impl Tile {
    fn repeats(site: &Site<'_>) -> Option<Vec<Extent>> {
        site.input(1)?.to_sizes()
    }
}

impl Operator for Tile {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let shape = site.shape(0).map(|shape| {
            match Self::repeats(site).filter(|repeats| repeats.len() == shape.len()) {
                Some(repeats) => {
                    let pairs = shape.iter().zip(&repeats);
                    pairs.map(|(size, repeat)| size.times(repeat)).collect()
                }
                None => shape.iter().map(|_| unknowns.next()).collect(),
            }
        });
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (tensor, repeats) = (call.tensor(0)?, call.integers(1)?);
        if repeats.len() != tensor.rank() {
            return Err(format!("{repeats:?} does not fit {:?}", tensor.dims()));
        }
        let sizes = tensor.dims().iter().zip(repeats);
        let dims = sizes
            .map(|(size, &repeat)| Ok(size * usize::try_from(repeat)?))
            .collect::<Result<Vec<_>, std::num::TryFromIntError>>()
            .map_err(|_| "a number of copies is negative")?;
        let own = strides(tensor.dims());
        let positions = indices(&dims).map(|index| {
            let terms = index.iter().zip(tensor.dims()).zip(&own);
            terms.map(|((at, size), stride)| at % size * stride).sum()
        });
        let values = tensor.values().pick(positions);
        Ok(vec![Tensor::new(dims, values)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, site: &Site<'_>, input: usize) -> Derivative {
        if input != 0 {
            return Derivative::Zero;
        }
        Derivative::known_if(
            site.shape(0).is_some(),
            "repeats a tensor of an unknown number of dimensions",
        )
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let found = backward.with_site(|site| Some((site.shape(0)?.to_vec(), Self::repeats(site))));
        let Some((shape, repeats)) = found else {
            return;
        };
        let sizes = fixed_shape(&shape);
        let repeats = repeats.as_deref().and_then(fixed_shape);
        let split = match sizes.zip(repeats) {
            Some((sizes, repeats)) => {
                let pairs = repeats.iter().zip(&sizes);
                let pairs: Vec<i64> = pairs.flat_map(|(&repeat, &size)| [repeat, size]).collect();
                backward.emit.integers(&pairs)
            }
            None => interleaved(backward),
        };
        let copies: Vec<i64> = (0..shape.len() as i64).map(|axis| 2 * axis).collect();
        let split = backward.node("Reshape", &[&gradient, &split]);
        let found = backward.emit.reduce("ReduceSum", &split, &copies, false);
        backward.give(0, found);
    }
}

/// The numbers of copies and the sizes in turn, found while it runs.
fn interleaved(backward: &mut Backward<'_>) -> String {
    let sizes = backward.shape_of(backward.input(0));
    let second = backward.emit.integers(&[1]);
    let columns =
        [backward.input(1), &sizes].map(|list| backward.node("Unsqueeze", &[list, &second]));
    let along = vec![AttributeProto::from_int("axis", 1)];
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let pairs = backward.emit.node_with("Concat", &columns, along);
    let flat = backward.emit.integers(&[-1]);
    backward.node("Reshape", &[&pairs, &flat])
}
