//! The same elements under other dimensions: `Reshape`, `Flatten`, `Squeeze`, `Unsqueeze`.
//!
//! Of all of them ∂L/∂x is ∂L/∂y in the shape of x.

use super::{Backward, Call, Derivative, Family, Operator, Site, axis_of, resolve_axis};
use crate::Tensor;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;

pub(super) const OPERATORS: Family = &[
    ("Flatten", &Flatten),
    ("Reshape", &Reshape),
    ("Squeeze", &Squeeze),
    ("Unsqueeze", &Unsqueeze),
];

/// The gradient passes to the first input; the others are shapes and axes.
fn first_only(input: usize) -> Derivative {
    if input == 0 {
        Derivative::Known
    } else {
        Derivative::Zero
    }
}

fn give_in_shape_of_input(backward: &mut Backward<'_>) {
    let gradient = backward.gradient();
    let found = backward.reshape_to_input(&gradient, 0);
    backward.give(0, found);
}

/// To a shape that is an input: 0 keeps a dimension (unless `allowzero`), −1 is whatever is left.
struct Reshape;

impl Operator for Reshape {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let target = site.input(1).and_then(Fact::to_sizes);
        let known = target.map(|target| reshaped(site, target));
        let rank = match &known {
            Some(Err(rank)) => Some(*rank),
            _ => site.shape(1).and_then(declared_rank),
        };
        let unknown = || Some((0..rank?).map(|_| unknowns.next()).collect());
        let shape = known.and_then(Result::ok).or_else(unknown);
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let keeps_zero = call.node.int("allowzero", 0) != 0;
        let mut dims = Vec::new();
        let mut open = None;
        for (axis, &size) in call.integers(1)?.iter().enumerate() {
            dims.push(match size {
                -1 => {
                    open = Some(axis);
                    1
                }
                0 if !keeps_zero => *tensor
                    .dims()
                    .get(axis)
                    .ok_or("0 copies a dimension that is not there")?,
                size => usize::try_from(size).map_err(|_| format!("size {size} is negative"))?,
            });
        }
        let rest: usize = dims.iter().product();
        if let Some(axis) = open {
            dims[axis] = tensor
                .count()
                .checked_div(rest)
                .ok_or("what is left is not defined")?;
        }
        if dims.iter().product::<usize>() != tensor.count() {
            return Err(format!(
                "{:?} cannot take the shape {dims:?}",
                tensor.dims()
            ));
        }
        Ok(vec![tensor.with_dims(dims)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, _: &Site<'_>, input: usize) -> Derivative {
        first_only(input)
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        give_in_shape_of_input(backward);
    }
}

/// The rank that a list of sizes of this shape makes; no tensor has more than a few dimensions, whatever a file declares.
fn declared_rank(shape: &[Extent]) -> Option<usize> {
    let count = usize::try_from(shape.first()?.as_fixed()?).ok()?;
    (count <= 64).then_some(count)
}

/// The shape that a target means, or its rank where not all of it can be told.
fn reshaped(site: &Site<'_>, target: Vec<Extent>) -> Result<Vec<Extent>, usize> {
    let rank = target.len();
    let shape = site.shape(0);
    let keeps_zero = site.node.int("allowzero", 0) != 0;
    let mut open = None;
    let mut found = Vec::with_capacity(rank);
    for (axis, extent) in target.into_iter().enumerate() {
        found.push(match extent.as_fixed() {
            Some(-1) => {
                open = Some(axis);
                Extent::fixed(1)
            }
            Some(0) if !keeps_zero => shape.and_then(|shape| shape.get(axis)).ok_or(rank)?.clone(),
            _ => extent,
        });
    }
    if let Some(axis) = open {
        let all = Extent::product(shape.ok_or(rank)?);
        found[axis] = all.divided_by(&Extent::product(&found)).ok_or(rank)?;
    }
    Ok(found)
}

/// To two dimensions: those before the axis, and the others.
struct Flatten;

impl Operator for Flatten {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let shape = site.shape(0).and_then(|shape| {
            let axis = flatten_axis(site.node.int("axis", 1), shape.len())?;
            let (before, after) = shape.split_at(axis);
            Some(vec![Extent::product(before), Extent::product(after)])
        });
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let axis =
            flatten_axis(call.node.int("axis", 1), tensor.rank()).ok_or("the axis is not there")?;
        let (before, after) = tensor.dims().split_at(axis);
        let dims = vec![before.iter().product(), after.iter().product()];
        Ok(vec![tensor.with_dims(dims)])
    }

    fn derivative(&self, _: &Site<'_>, input: usize) -> Derivative {
        first_only(input)
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        give_in_shape_of_input(backward);
    }
}

/// Unlike other axes this one may stand behind the last dimension.
fn flatten_axis(axis: i64, rank: usize) -> Option<usize> {
    if axis == rank as i64 {
        Some(rank)
    } else {
        resolve_axis(axis, rank)
    }
}

/// Without dimensions of size 1: the named ones, or all.
struct Squeeze;

impl Operator for Squeeze {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let shape = site.shape(0).and_then(|shape| {
            let named = match site.input(1) {
                Some(axes) => Some(axes.constant.as_ref()?.as_integers()?.to_vec()),
                None => None,
            };
            let is_dropped: Vec<bool> = match named {
                Some(axes) => {
                    let axes = axes.into_iter().map(|axis| resolve_axis(axis, shape.len()));
                    let axes = axes.collect::<Option<Vec<_>>>()?;
                    (0..shape.len()).map(|axis| axes.contains(&axis)).collect()
                }
                // Whether a size that is not known is 1 shows only at run time.
                None if shape.iter().any(|extent| extent.as_fixed().is_none()) => return None,
                None => shape.iter().map(Extent::is_one).collect(),
            };
            let kept = shape
                .iter()
                .zip(is_dropped)
                .filter(|(_, is_dropped)| !is_dropped);
            Some(kept.map(|(extent, _)| extent.clone()).collect())
        });
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let axes = match call.optional(1) {
            Some(_) => call
                .integers(1)?
                .iter()
                .map(|&axis| axis_of(axis, tensor.rank()))
                .collect::<Result<Vec<_>, _>>()?,
            None => (0..tensor.rank())
                .filter(|&axis| tensor.dims()[axis] == 1)
                .collect(),
        };
        if axes.iter().any(|&axis| tensor.dims()[axis] != 1) {
            return Err(format!(
                "axes {axes:?} of {:?} are not all of size 1",
                tensor.dims()
            ));
        }
        let kept = (0..tensor.rank()).filter(|axis| !axes.contains(axis));
        let dims = kept.map(|axis| tensor.dims()[axis]).collect();
        Ok(vec![tensor.with_dims(dims)])
    }

    fn derivative(&self, _: &Site<'_>, input: usize) -> Derivative {
        first_only(input)
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        give_in_shape_of_input(backward);
    }
}

/// With new dimensions of size 1 at the named places of the result.
struct Unsqueeze;

impl Unsqueeze {
    fn places<T: Clone>(dims: &[T], axes: &[i64], one: &T) -> Option<Vec<T>> {
        let rank = dims.len() + axes.len();
        let places = axes.iter().map(|&axis| resolve_axis(axis, rank));
        let places = places.collect::<Option<Vec<_>>>()?;
        let mut rest = dims.iter();
        let mut filled = Vec::with_capacity(rank);
        for axis in 0..rank {
            let is_new = places.contains(&axis);
            filled.push(if is_new {
                one.clone()
            } else {
                rest.next()?.clone()
            });
        }
        rest.next().is_none().then_some(filled)
    }
}

impl Operator for Unsqueeze {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let shape = site.shape(0).and_then(|shape| {
            let axes = site.input(1)?.constant.as_ref()?;
            Self::places(shape, axes.as_integers()?, &Extent::fixed(1))
        });
        vec![Fact {
            sizes: site.input(0).and_then(|fact| fact.sizes.clone()),
            ..Fact::new(site.element(), shape)
        }]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let axes = call.integers(1)?;
        let dims = Self::places(tensor.dims(), axes, &1)
            .ok_or_else(|| format!("axes {axes:?} do not fit"))?;
        Ok(vec![tensor.with_dims(dims)])
    }

    fn derivative(&self, _: &Site<'_>, input: usize) -> Derivative {
        first_only(input)
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        give_in_shape_of_input(backward);
    }
}
