//! `Pad`.

use super::along::Map;
use super::{Backward, Call, Derivative, Family, Operator, Site, axis_of, resolve_axis};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::NodeProto;
use crate::tensor::{indices, strides};
use crate::{Tensor, Values};

pub(super) const OPERATORS: Family = &[("Pad", &Pad)];

/// More elements before and behind, along each axis or some; fewer where a number is negative.
///
/// Constant: ∂L/∂x is ∂L/∂y padded by the negative numbers, and the value's gradient the sum of ∂L/∂y over the padding.
/// Edge, reflect and wrap copy elements of x: along each axis y = M x, ∂L/∂x = Mᵀ ∂L/∂y, where M has a single 1 in each row.
struct Pad;

/// What fills the new places.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Constant,
    Edge,
    Reflect,
    Wrap,
}

impl Mode {
    fn of(node: &NodeProto) -> Option<Self> {
        match node.string("mode").unwrap_or("constant") {
            "constant" => Some(Self::Constant),
            "edge" => Some(Self::Edge),
            "reflect" => Some(Self::Reflect),
            "wrap" => Some(Self::Wrap),
            _ => None,
        }
    }

    /// The element that stands in a place; nothing where a constant stands.
    fn origin(self, place: i64, size: i64) -> Option<usize> {
        if (0..size).contains(&place) {
            return Some(place as usize);
        }
        let found = match self {
            Self::Edge if size > 0 => place.clamp(0, size - 1),
            Self::Wrap if size > 0 => place.rem_euclid(size),
            Self::Reflect if size == 1 => 0,
            Self::Reflect if size > 1 => {
                let around = place.rem_euclid(2 * (size - 1));
                around.min(2 * (size - 1) - around)
            }
            _ => return None,
        };
        Some(found as usize)
    }
}

/// How many elements are added before and behind, dimension by dimension.
#[derive(Debug)]
struct Pads {
    before: Vec<i64>,
    behind: Vec<i64>,
}

impl Pads {
    fn new(pads: &[i64], axes: Option<&[i64]>, rank: usize) -> Option<Self> {
        let axes = match axes {
            Some(axes) => {
                let axes = axes.iter().map(|&axis| resolve_axis(axis, rank));
                axes.collect::<Option<Vec<_>>>()?
            }
            None => (0..rank).collect(),
        };
        if pads.len() != 2 * axes.len() {
            return None;
        }
        let (first, second) = pads.split_at(axes.len());
        let mut found = Self {
            before: vec![0; rank],
            behind: vec![0; rank],
        };
        for ((axis, before), behind) in axes.into_iter().zip(first).zip(second) {
            found.before[axis] = *before;
            found.behind[axis] = *behind;
        }
        Some(found)
    }

    /// The numbers, where they are constant.
    fn of(site: &Site<'_>, rank: usize) -> Option<Self> {
        let pads = site.input(1)?.constant.as_ref()?;
        let axes = match site.input(3) {
            Some(axes) => Some(axes.constant.as_ref()?.as_integers()?),
            None => None,
        };
        Self::new(pads.as_integers()?, axes, rank)
    }

    fn changes(&self, axis: usize) -> bool {
        self.before[axis] != 0 || self.behind[axis] != 0
    }

    fn padded(&self, axis: usize, size: i64) -> i64 {
        size + self.before[axis] + self.behind[axis]
    }

    /// Where each element of the result comes from, along an axis.
    fn map(&self, mode: Mode, axis: usize, size: i64) -> Map {
        let places = 0..self.padded(axis, size).max(0);
        let rows = places.map(|place| {
            let origin = mode.origin(place - self.before[axis], size);
            origin.map(|origin| (origin, 1.0)).into_iter().collect()
        });
        Map::new(size as usize, rows.collect())
    }
}

impl Operator for Pad {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let shape = site.shape(0).map(|shape| {
            let pads = Pads::of(site, shape.len());
            let padded = |(axis, size): (usize, &Extent)| match (&pads, size.as_fixed()) {
                (Some(pads), _) if !pads.changes(axis) => size.clone(),
                (Some(pads), Some(size)) => Extent::fixed(pads.padded(axis, size)),
                _ => unknowns.next(),
            };
            shape.iter().enumerate().map(padded).collect()
        });
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let mode = Mode::of(call.node).ok_or("its mode is not known")?;
        let axes = match call.optional(3) {
            Some(_) => Some(call.integers(3)?),
            None => None,
        };
        for &axis in axes.unwrap_or_default() {
            axis_of(axis, tensor.rank())?;
        }
        let pads = Pads::new(call.integers(1)?, axes, tensor.rank())
            .ok_or("pads are not two numbers for each axis")?;
        let sizes = tensor.dims().iter().enumerate();
        let dims = sizes
            .map(|(axis, &size)| usize::try_from(pads.padded(axis, size as i64)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| "more is taken off than there is")?;
        let own = strides(tensor.dims());
        let origins: Vec<Option<usize>> = indices(&dims)
            .map(|index| {
                let places = index.iter().enumerate().map(|(axis, &at)| {
                    let place = at as i64 - pads.before[axis];
                    Some(mode.origin(place, tensor.dims()[axis] as i64)? * own[axis])
                });
                places.sum()
            })
            .collect();
        let fill = call.optional(2).map(Tensor::values);
        let values = filled(tensor.values(), fill, &origins)?;
        Ok(vec![Tensor::new(dims, values)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, site: &Site<'_>, input: usize) -> Derivative {
        if matches!(input, 1 | 3) {
            return Derivative::Zero;
        }
        match Mode::of(site.node) {
            Some(Mode::Constant) => Derivative::known_if(
                site.input(3).is_none() || pads_of(site).is_some(),
                "pads along axes that are not known before it runs",
            ),
            Some(_) if input == 2 => Derivative::Zero,
            Some(_) => Derivative::known_if(
                pads_of(site).is_some_and(|(pads, shape)| {
                    let sizes = shape.iter().enumerate();
                    let mut open = sizes.filter(|(_, size)| size.as_fixed().is_none());
                    !open.any(|(axis, _)| pads.changes(axis))
                }),
                "pads dimensions whose size is not known before it runs with copies of their elements",
            ),
            None => Derivative::missing("pads in a mode that is not known here"),
        }
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let mut gradient = backward.gradient();
        let mode = Mode::of(backward.node).unwrap_or(Mode::Constant);
        let known = backward.with_site(pads_of);
        if mode == Mode::Constant {
            let found = if let Some((pads, _)) = known {
                let negative =
                    |counts: &[i64]| counts.iter().map(|count| -count).collect::<Vec<_>>();
                backward.pad(&gradient, &negative(&pads.before), &negative(&pads.behind))
            } else {
                let pads = backward.node("Neg", &[backward.input(1)]);
                backward.node("Pad", &[&gradient, &pads])
            };
            if backward.wants(2) {
                let [all, inner] = [&gradient, &found].map(|tensor| sum(backward, tensor));
                let padding = backward.node("Sub", &[&all, &inner]);
                let value = backward.reshape_to_input(&padding, 2);
                backward.give(2, value);
            }
            if backward.wants(0) {
                backward.give(0, found);
            }
            return;
        }
        let Some((pads, shape)) = known else {
            return;
        };
        for (axis, size) in shape.iter().enumerate() {
            if let Some(size) = size.as_fixed().filter(|_| pads.changes(axis)) {
                let map = pads.map(mode, axis, size);
                gradient = map.transposed(backward, &gradient, axis, shape.len());
            }
        }
        backward.give(0, gradient);
    }
}

/// The sum of all elements, of rank 0.
fn sum(backward: &mut Backward<'_>, tensor: &str) -> String {
    let scalar = vec![crate::proto::AttributeProto::from_int("keepdims", 0)];
    backward.emit.node_with("ReduceSum", &[tensor], scalar)
}

fn pads_of(site: &Site<'_>) -> Option<(Pads, Vec<Extent>)> {
    let shape = site.shape(0)?;
    Some((Pads::of(site, shape.len())?, shape.to_vec()))
}

/// The elements at the origins, and the fill where there is none: zero where the node gives none.
fn filled(
    values: &Values,
    fill: Option<&Values>,
    origins: &[Option<usize>],
) -> Result<Values, String> {
    fn at<T: Copy>(values: &[T], fill: T, origins: &[Option<usize>]) -> Vec<T> {
        let origins = origins.iter();
        origins
            .map(|origin| origin.map_or(fill, |at| values[at]))
            .collect()
    }
    Ok(match (values, fill) {
        (Values::Float(values), None) => Values::Float(at(values, 0.0, origins)),
        (Values::Integer(values), None) => Values::Integer(at(values, 0, origins)),
        (Values::Boolean(values), None) => Values::Boolean(at(values, false, origins)),
        (Values::Float(values), Some(Values::Float(fill))) if fill.len() == 1 => {
            Values::Float(at(values, fill[0], origins))
        }
        (Values::Integer(values), Some(Values::Integer(fill))) if fill.len() == 1 => {
            Values::Integer(at(values, fill[0], origins))
        }
        (Values::Boolean(values), Some(Values::Boolean(fill))) if fill.len() == 1 => {
            Values::Boolean(at(values, fill[0], origins))
        }
        _ => return Err("what it fills with is not one element of the tensor's kind".to_owned()),
    })
}
