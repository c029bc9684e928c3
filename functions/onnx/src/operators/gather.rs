//! Elements looked up by their indices: `Gather`, `GatherElements`, `GatherND`. Indices below 0 count from the end.

use super::backward::fixed_shape;
use super::{
    Backward, Call, Derivative, Family, Operator, Site, axis_of, resolve_axis, scatter_add,
};
use crate::Tensor;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::AttributeProto;
use crate::tensor::{indices, strides};

pub(super) const OPERATORS: Family = &[
    ("Gather", &Gather),
    ("GatherElements", &GatherElements),
    ("GatherND", &GatherNd),
];

/// The place that an index names.
pub(super) fn place(index: i64, size: usize) -> Result<usize, String> {
    resolve_axis(index, size).ok_or_else(|| format!("index {index} is not one of {size}"))
}

/// The gradient passes to the first input if its rank, and the rank of the indices, are known.
fn known_by_rank(site: &Site<'_>, input: usize) -> Derivative {
    if input != 0 {
        return Derivative::Zero;
    }
    Derivative::known_if(
        site.shape(0).is_some() && site.shape(1).is_some(),
        "looks up in a tensor of an unknown number of dimensions",
    )
}

/// y = x at whole indices along an axis. ∂L/∂x is zero, and at each index the sum of the parts of ∂L/∂y that it became.
struct Gather;

impl Operator for Gather {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let shape = (|| {
            let (shape, indices) = (site.shape(0)?, site.shape(1)?);
            let axis = resolve_axis(site.node.int("axis", 0), shape.len())?;
            Some([&shape[..axis], indices, &shape[axis + 1..]].concat())
        })();
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (tensor, list) = (call.tensor(0)?, call.tensor(1)?);
        let axis = axis_of(call.node.int("axis", 0), tensor.rank())?;
        let size = tensor.dims()[axis];
        let places = call.integers(1)?.iter().map(|&index| place(index, size));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let (before, behind) = (&tensor.dims()[..axis], &tensor.dims()[axis + 1..]);
        let inner: usize = behind.iter().product();
        let outer: usize = before.iter().product();
        let places = &places;
        let positions = (0..outer).flat_map(|outer| {
            places.iter().flat_map(move |place| {
                let start = (outer * size + place) * inner;
                start..start + inner
            })
        });
        let values = tensor.values().pick(positions);
        let dims = [before, list.dims(), behind].concat();
        Ok(vec![Tensor::new(dims, values)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, site: &Site<'_>, input: usize) -> Derivative {
        known_by_rank(site, input)
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let (fact, list) = (backward.input_fact(0), backward.input_fact(1));
        let Some((rank, own)) = fact.rank().zip(list.rank()) else {
            return;
        };
        let Some(axis) = resolve_axis(backward.node.int("axis", 0), rank) else {
            return;
        };
        if let Some(found) = padded(backward, &gradient, axis, rank) {
            backward.give(0, found);
            return;
        }
        // The axis, and in the gradient the indices' dimensions, to the front.
        let front: Vec<usize> = std::iter::once(axis)
            .chain((0..rank).filter(|&other| other != axis))
            .collect();
        let indexed = axis..axis + own;
        let others = (0..rank + own - 1).filter(|other| !indexed.contains(other));
        let rows: Vec<usize> = indexed.clone().chain(others).collect();
        let rows = backward.transpose(&gradient, &rows);
        let shape = turned_shape(backward, &front);
        let list = backward.as_int64(backward.input(1));
        let last = backward.emit.integers(&[own as i64]);
        let list = backward.node("Unsqueeze", &[&list, &last]);
        let sums = scatter_add::emit(backward, &shape, &list, &rows, 1);
        let back: Vec<usize> = (1..=axis).chain([0]).chain(axis + 1..rank).collect();
        let found = backward.transpose(&sums, &back);
        backward.give(0, found);
    }
}

/// One constant index of a dimension of known size: zeros before and behind.
fn padded(backward: &mut Backward<'_>, gradient: &str, axis: usize, rank: usize) -> Option<String> {
    let list = backward.input_fact(1).constant.clone()?;
    let size = backward.input_fact(0).size_along(axis as i64)?;
    let (&[index], true) = (list.as_integers()?, list.rank() <= 1) else {
        return None;
    };
    let at = place(index, size as usize).ok()? as i64;
    let mut before = vec![0; rank];
    let mut behind = vec![0; rank];
    before[axis] = at;
    behind[axis] = size - at - 1;
    let mut row = gradient.to_owned();
    if list.rank() == 0 {
        let axis = backward.emit.integers(&[axis as i64]);
        row = backward.node("Unsqueeze", &[gradient, &axis]);
    }
    Some(backward.pad(&row, &before, &behind))
}

/// The shape of the first input with its dimensions in another order.
fn turned_shape(backward: &mut Backward<'_>, order: &[usize]) -> String {
    let shape = backward.input_fact(0).shape.as_deref();
    if let Some(sizes) = shape.and_then(fixed_shape) {
        let sizes: Vec<i64> = order.iter().map(|&axis| sizes[axis]).collect();
        return backward.emit.integers(&sizes);
    }
    let shape = backward.shape_of(backward.input(0));
    let order: Vec<i64> = order.iter().map(|&axis| axis as i64).collect();
    let order = backward.emit.integers(&order);
    backward.node("Gather", &[&shape, &order])
}

/// y at an index = x at the same index, but along an axis at the one that a tensor of indices has there. ∂L/∂x is zero, and at
/// each place the sum of the elements of ∂L/∂y that came from it.
struct GatherElements;

impl Operator for GatherElements {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![Fact::new(site.element(), site.shape(1).map(<[_]>::to_vec))]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (tensor, list) = (call.tensor(0)?, call.tensor(1)?);
        let axis = axis_of(call.node.int("axis", 0), tensor.rank())?;
        let positions = element_positions(tensor.dims(), list.dims(), call.integers(1)?, axis)?;
        let values = tensor.values().pick(positions.into_iter());
        Ok(vec![Tensor::new(list.dims().to_vec(), values)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, site: &Site<'_>, input: usize) -> Derivative {
        known_by_rank(site, input)
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let Some(rank) = backward.input_fact(0).rank() else {
            return;
        };
        let Some(axis) = resolve_axis(backward.node.int("axis", 0), rank) else {
            return;
        };
        let list = backward.input(1);
        if backward.emit.opset >= 16 {
            let zeros = backward.filled_like(backward.input(0), 0.0);
            let options = vec![
                AttributeProto::from_int("axis", axis as i64),
                AttributeProto::from_string("reduction", "add"),
            ];
            let inputs = [zeros.as_str(), list, &gradient];
            let found = backward.emit.node_with("ScatterElements", &inputs, options);
            backward.give(0, found);
            return;
        }
        // Before operator set 16 nothing adds at places: a table of zeros and ones says what goes where.
        let size = backward.size_at_run_time(backward.input(0), axis as i64);
        let off_on = backward.emit.floats(&[0.0, 1.0]);
        let last = vec![AttributeProto::from_int("axis", -1)];
        let table = backward
            .emit
            .node_with("OneHot", &[list, &size, &off_on], last);
        let behind = backward.emit.integers(&[rank as i64]);
        let column = backward.node("Unsqueeze", &[&gradient, &behind]);
        let spread = backward.node("Mul", &[&table, &column]);
        let sums = backward
            .emit
            .reduce("ReduceSum", &spread, &[axis as i64], false);
        let order: Vec<usize> = (0..axis).chain([rank - 1]).chain(axis..rank - 1).collect();
        let sums = backward.transpose(&sums, &order);
        // Along the other axes there may be fewer indices than elements.
        let own = backward.shape_of(backward.input(0));
        let covered = backward.node("Shape", &[&sums]);
        let missing = backward.node("Sub", &[&own, &covered]);
        let none = backward.emit.integers(&vec![0; rank]);
        let first = vec![AttributeProto::from_int("axis", 0)];
        let pads = backward.emit.node_with("Concat", &[&none, &missing], first);
        let found = backward.node("Pad", &[&sums, &pads]);
        backward.give(0, found);
    }
}

/// Where the elements stand that a tensor of indices along an axis names.
pub(super) fn element_positions(
    dims: &[usize],
    list: &[usize],
    values: &[i64],
    axis: usize,
) -> Result<Vec<usize>, String> {
    if list.len() != dims.len() {
        return Err(format!("indices {list:?} do not fit {dims:?}"));
    }
    let own = strides(dims);
    let found = indices(list).zip(values).map(|(mut index, &value)| {
        index[axis] = place(value, dims[axis])?;
        if index.iter().zip(dims).any(|(at, size)| at >= size) {
            return Err(format!("indices {list:?} reach out of {dims:?}"));
        }
        Ok(index.iter().zip(&own).map(|(at, stride)| at * stride).sum())
    });
    found.collect()
}

/// y = the parts of x at lists of indices, which are the last dimension of a tensor; the first `batch_dims` dimensions are
/// gone along together. ∂L/∂x is zero, and at each place the sum of the parts of ∂L/∂y that came from it.
struct GatherNd;

impl Operator for GatherNd {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let shape = (|| {
            let (shape, list) = (site.shape(0)?, site.shape(1)?);
            let (last, outer) = list.split_last()?;
            let together = site.node.int("batch_dims", 0) as usize;
            let inner = shape.get(together + last.as_fixed()? as usize..)?;
            Some([outer, inner].concat())
        })();
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (tensor, list) = (call.tensor(0)?, call.tensor(1)?);
        let together = call.node.int("batch_dims", 0) as usize;
        let starts = row_starts(tensor.dims(), list.dims(), call.integers(1)?, together)?;
        let (&k, outer) = list.dims().split_last().ok_or("the indices are no list")?;
        let inner = &tensor.dims()[together + k..];
        let count: usize = inner.iter().product();
        let positions = starts.into_iter().flat_map(|start| start..start + count);
        let values = tensor.values().pick(positions);
        Ok(vec![Tensor::new([outer, inner].concat(), values)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, site: &Site<'_>, input: usize) -> Derivative {
        if input != 0 {
            return Derivative::Zero;
        }
        Derivative::known_if(
            list_length(site.input(1)).is_some() && site.shape(0).is_some(),
            "looks up by lists of indices of an unknown length",
        )
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let list = backward.input_fact(1);
        let Some((rank, k)) = list.rank().zip(list_length(Some(list))) else {
            return;
        };
        let together = backward.node.int("batch_dims", 0) as usize;
        let own = backward.as_int64(backward.input(1));
        let full = if together == 0 {
            own
        } else {
            with_own_places(backward, &own, together, rank)
        };
        let shape = backward.shape_of(backward.input(0));
        let found = scatter_add::emit(backward, &shape, &full, &gradient, together + k);
        backward.give(0, found);
    }
}

/// How many indices name a place.
pub(super) fn list_length(list: Option<&Fact>) -> Option<usize> {
    let shape = list?.shape.as_deref()?;
    shape.last().and_then(Extent::as_fixed).map(|k| k as usize)
}

/// Puts each list's own place along the dimensions that are gone along together before it.
fn with_own_places(
    backward: &mut Backward<'_>,
    list: &str,
    together: usize,
    rank: usize,
) -> String {
    let [zero, one] = [0, 1].map(|number| backward.emit.integer(number));
    let first = backward.emit.integers(&[0]);
    let single = backward.emit.integers(&[1]);
    let shape = backward.node("Shape", &[list]);
    let outer = backward.slice(&shape, 0, 0, rank as i64 - 1);
    let along = |axis| vec![AttributeProto::from_int("axis", axis)];
    let column = backward
        .emit
        .node_with("Concat", &[&outer, &single], along(0));
    let mut columns = Vec::new();
    for axis in 0..together {
        let size = backward.size_at_run_time(list, axis as i64);
        let size = backward.node("Squeeze", &[&size, &first]);
        let places = backward.node("Range", &[&zero, &size, &one]);
        let mut standing = vec![1; rank];
        standing[axis] = -1;
        let standing = backward.emit.integers(&standing);
        let places = backward.node("Reshape", &[&places, &standing]);
        columns.push(backward.node("Expand", &[&places, &column]));
    }
    let mut parts: Vec<&str> = columns.iter().map(String::as_str).collect();
    parts.push(list);
    backward
        .emit
        .node_with("Concat", &parts, along(rank as i64 - 1))
}

/// Where the parts begin that lists of indices name.
pub(super) fn row_starts(
    dims: &[usize],
    list: &[usize],
    values: &[i64],
    together: usize,
) -> Result<Vec<usize>, String> {
    let (&k, outer) = list.split_last().ok_or("the indices are no list")?;
    let fits = together + k <= dims.len() && outer.get(..together) == dims.get(..together);
    if !fits {
        return Err(format!("indices {list:?} do not fit {dims:?}"));
    }
    let own = strides(dims);
    let starts = indices(outer).enumerate().map(|(row, index)| {
        let mut start = 0;
        for axis in 0..together {
            start += index[axis] * own[axis];
        }
        for (axis, &value) in (together..).zip(&values[row * k..(row + 1) * k]) {
            start += place(value, dims[axis])? * own[axis];
        }
        Ok(start)
    });
    starts.collect()
}
