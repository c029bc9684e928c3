//! `Slice`.

use super::backward::fixed_shape;
use super::{Backward, Call, Derivative, Family, Operator, Site, axis_of, resolve_axis};
use crate::Tensor;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::AttributeProto;
use crate::tensor::{indices, strides};

pub(super) const OPERATORS: Family = &[("Slice", &Slice)];

/// Bounds from here on mean "to the end", as exporters write it.
const FAR: i64 = i32::MAX as i64 - 1;

/// Every `step`-th element from `start` until before `end`, along some axes.
///
/// ∂L/∂x is ∂L/∂y with zeros in the places that were left out: by `Pad` where steps are 1 and sizes known. Otherwise the
/// places are found while it runs: along each axis the numbers 0 … n − 1 are sliced as x was, which tells for each element of
/// x the element of y that it became; where it became none, one of the zeros that stand behind ∂L/∂y.
struct Slice;

/// What a slice takes along an axis of known size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) start: i64,
    pub(crate) step: i64,
    pub(crate) count: i64,
}

impl Cut {
    /// What the bounds mean for a size; nothing for a step of 0.
    pub(crate) fn new(size: i64, start: i64, end: i64, step: i64) -> Option<Self> {
        let from_end = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
        let (start, end) = (from_end(start), from_end(end));
        let (start, count) = match step {
            0 => return None,
            1.. => {
                let (start, end) = (start.clamp(0, size), end.clamp(0, size));
                (start, (end - start + (step - 1).min(size)) / step)
            }
            _ => {
                let (start, end) = (start.clamp(-1, size - 1), end.clamp(-1, size - 1));
                (
                    start,
                    (start - end + step.saturating_neg().min(size) - 1) / step.saturating_neg(),
                )
            }
        };
        let count = count.max(0);
        Some(Self { start, step, count })
    }

    pub(crate) fn places(self) -> impl Iterator<Item = i64> {
        (0..self.count).map(move |at| self.start + at * self.step)
    }
}

/// The bounds along one axis.
struct Bounds {
    axis: usize,
    start: Option<i64>,
    end: Option<Extent>,
    step: Option<i64>,
}

/// The axes and what is known of their bounds; nothing where the axes show only at run time.
fn bounds(site: &Site<'_>, rank: usize) -> Option<Vec<Bounds>> {
    let constant = |input: usize| site.input(input)?.constant.as_ref()?.as_integers();
    let count = constant(1).map(<[i64]>::len);
    let count = count.or_else(|| Some(site.shape(1)?.first()?.as_fixed()? as usize))?;
    let axes = match site.input(3) {
        Some(_) => constant(3)?.to_vec(),
        None => (0..count as i64).collect(),
    };
    let ends = site.input(2).and_then(Fact::to_sizes);
    let bounds = axes.into_iter().enumerate().map(|(at, axis)| {
        Some(Bounds {
            axis: resolve_axis(axis, rank)?,
            start: constant(1).and_then(|starts| starts.get(at).copied()),
            end: ends.as_ref().and_then(|ends| ends.get(at).cloned()),
            step: match site.input(4) {
                Some(_) => constant(4).and_then(|steps| steps.get(at).copied()),
                None => Some(1),
            },
        })
    });
    bounds.collect()
}

impl Bounds {
    /// What is taken of a size that is a plain number.
    fn cut(&self, size: &Extent) -> Option<Cut> {
        let end = self.end.as_ref()?.as_fixed()?;
        Cut::new(size.as_fixed()?, self.start?, end, self.step?)
    }

    /// How many elements are taken.
    fn length(&self, size: &Extent) -> Option<Extent> {
        if let Some(cut) = self.cut(size) {
            return Some(Extent::fixed(cut.count));
        }
        let (start, end, step) = (self.start?, self.end.as_ref()?, self.step?);
        match (start, end.as_fixed(), step) {
            (0, Some(FAR..), 1) => Some(size.clone()),
            (FAR.. | -1, Some(end), -1) if end < -FAR => Some(size.clone()),
            // A symbol is within the size: else what stands behind the slice would not fit.
            (0, None, 1) if !end.is_unknown() => Some(end.clone()),
            // The last elements: sizes of tensors that are trained on are not smaller.
            (..0, Some(FAR..), 1) => Some(Extent::fixed(start.saturating_neg())),
            _ => None,
        }
    }
}

impl Operator for Slice {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let shape = site.shape(0).map(|shape| {
            let mut found = shape.to_vec();
            match bounds(site, shape.len()) {
                Some(bounds) => {
                    for bound in bounds {
                        let length = bound.length(&shape[bound.axis]);
                        found[bound.axis] = length.unwrap_or_else(|| unknowns.next());
                    }
                }
                None => found
                    .iter_mut()
                    .for_each(|extent| *extent = unknowns.next()),
            }
            found
        });
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let (starts, ends) = (call.integers(1)?, call.integers(2)?);
        let axes = match call.optional(3) {
            Some(_) => call.integers(3)?.to_vec(),
            None => (0..starts.len() as i64).collect(),
        };
        let steps = match call.optional(4) {
            Some(_) => call.integers(4)?.to_vec(),
            None => vec![1; starts.len()],
        };
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
            return Err("starts, ends, axes and steps are of different lengths".to_owned());
        }
        let whole = |&size: &usize| (0..size as i64).collect();
        let mut places: Vec<Vec<i64>> = tensor.dims().iter().map(whole).collect();
        for (at, axis) in axes.into_iter().enumerate() {
            let axis = axis_of(axis, tensor.rank())?;
            let cut = Cut::new(tensor.dims()[axis] as i64, starts[at], ends[at], steps[at]);
            places[axis] = cut.ok_or("a step is 0")?.places().collect();
        }
        let dims: Vec<usize> = places.iter().map(Vec::len).collect();
        let own = strides(tensor.dims());
        let positions = indices(&dims).map(|index| {
            let terms = index.iter().zip(&places).zip(&own);
            terms
                .map(|((&at, places), stride)| places[at] as usize * stride)
                .sum()
        });
        let values = tensor.values().pick(positions);
        Ok(vec![Tensor::new(dims, values)])
    }

    fn least_inputs(&self) -> usize {
        3
    }

    fn derivative(&self, site: &Site<'_>, input: usize) -> Derivative {
        if input != 0 {
            return Derivative::Zero;
        }
        let bounds = site.shape(0).and_then(|shape| bounds(site, shape.len()));
        Derivative::known_if(
            bounds.is_some(),
            "slices along axes that are not known before it runs",
        )
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let mut gradient = backward.gradient();
        let found = backward.with_site(|site| {
            let shape = site.shape(0)?.to_vec();
            let bounds = bounds(site, shape.len())?;
            Some((shape, bounds))
        });
        let Some((shape, bounds)) = found else {
            return;
        };
        let mut before = vec![0; shape.len()];
        let mut behind = vec![0; shape.len()];
        for (at, bound) in bounds.iter().enumerate() {
            let size = &shape[bound.axis];
            match (bound.cut(size), size.as_fixed()) {
                (Some(cut), Some(size)) if cut.step == 1 => {
                    before[bound.axis] = cut.start;
                    behind[bound.axis] = size - cut.start - cut.count;
                }
                _ if bound.step == Some(1) && bound.length(size).as_ref() == Some(size) => {}
                _ => gradient = spread(backward, &gradient, at, bound.axis, shape.len()),
            }
        }
        let found = backward.pad(&gradient, &before, &behind);
        backward.give(0, found);
    }
}

/// Puts a gradient's elements back where the slice took them, along one axis; `at` is its place in the node's lists.
fn spread(
    backward: &mut Backward<'_>,
    gradient: &str,
    at: usize,
    axis: usize,
    rank: usize,
) -> String {
    let [zero, one] = [0, 1].map(|number| backward.emit.integer(number));
    let first = backward.emit.integers(&[0]);
    let size = backward.size_at_run_time(backward.input(0), axis as i64);
    let count = backward.node("Squeeze", &[&size, &first]);
    let all = backward.node("Range", &[&zero, &count, &one]);
    let start = bound_at(backward, 1, at);
    let end = bound_at(backward, 2, at);
    let mut inputs = vec![all, start, end, first.clone()];
    if backward
        .node
        .input
        .get(4)
        .is_some_and(|name| !name.is_empty())
    {
        inputs.push(bound_at(backward, 4, at));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let taken = backward.node("Slice", &inputs);
    let length = backward.node("Shape", &[&taken]);
    let last = backward.node("Squeeze", &[&length, &first]);
    let places = backward.node("Range", &[&zero, &last, &one]);
    // Elements that were not taken point behind the last one of the gradient, where a zero will stand.
    let none = backward.node("Expand", &[&length, &size]);
    let second = backward.emit.integers(&[1]);
    let rows = backward.node("Unsqueeze", &[&taken, &second]);
    let origin = backward.node("ScatterND", &[&none, &rows, &places]);
    let mut behind = vec![0; rank];
    behind[axis] = 1;
    let padded = backward.pad(gradient, &vec![0; rank], &behind);
    let along = vec![AttributeProto::from_int("axis", axis as i64)];
    backward
        .emit
        .node_with("Gather", &[&padded, &origin], along)
}

/// One number of the node's starts, ends or steps, as a list.
fn bound_at(backward: &mut Backward<'_>, input: usize, at: usize) -> String {
    let fact = backward.input_fact(input);
    let constant = fact.constant.as_ref().and_then(|list| list.as_integers());
    if let Some(number) = constant.and_then(|list| list.get(at)) {
        return backward.emit.integers(&[*number]);
    }
    let is_single = fact.shape.as_deref().and_then(fixed_shape) == Some(vec![1]);
    let list = backward.as_int64(backward.input(input));
    if is_single {
        return list;
    }
    let at = backward.emit.integers(&[at as i64]);
    backward.node("Gather", &[&list, &at])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn bounds_mean_what_the_format_says() {
        let places = |size, start, end, step| -> Vec<i64> {
            Cut::new(size, start, end, step).unwrap().places().collect()
        };
        assert_eq!(places(5, 1, i64::MAX, 2), [1, 3]);
        assert_eq!(places(5, -2, 100, 1), [3, 4]);
        assert_eq!(places(5, -1, i64::MIN, -1), [4, 3, 2, 1, 0]);
        assert_eq!(places(5, 100, 0, -2), [4, 2]);
        assert_eq!(places(5, 3, 1, 1), [0_i64; 0]);
        assert_eq!(places(0, -1, i64::MIN, -1), [0_i64; 0]);
        assert!(Cut::new(5, 0, 1, 0).is_none());
    }
}
