//! Arithmetic on shapes as exporters write it, followed while some sizes are only symbols.
//!
//! What is known of lists of sizes passes through `Gather`, `Slice`, `Concat`, `Mul` and the like, element by element: a size
//! that cannot be told becomes one of which nothing is known, and the others stay.

use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::operators::{Cut, Site, resolve_axis};
use crate::{Tensor, Values};

/// Longer lists are no shapes.
const MOST_SIZES: usize = 64;

/// The elements of a node's first output, of which the shape is known, as sizes in row-major order.
pub(crate) fn follow(
    site: &Site<'_>,
    shape: &[Extent],
    unknowns: &mut Unknowns,
) -> Option<Vec<Extent>> {
    let of = |input: usize| site.input(input).and_then(Fact::to_sizes);
    let sizes = match site.node.op_type() {
        "Identity" | "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" | "Cast" => of(0)?,
        "Gather" => gathered(site, &of(0)?)?,
        "Slice" => sliced(site, &of(0)?)?,
        "Concat" => {
            let parts = (0..site.node.input.len()).map(|input| {
                let is_list = site.input(input).is_some_and(|fact| fact.rank() == Some(1));
                of(input).filter(|_| is_list)
            });
            parts.collect::<Option<Vec<_>>>()?.concat()
        }
        "Where" => {
            let condition = site.input(0)?.constant.clone()?;
            let Values::Boolean(condition) = condition.values() else {
                return None;
            };
            let (yes, no) = (of(1)?, of(2)?);
            let count = condition.len().max(yes.len()).max(no.len());
            let chosen = (0..count).map(|at| {
                let holds = *at_or_only(condition, at)?;
                at_or_only(if holds { &yes } else { &no }, at).cloned()
            });
            chosen.collect::<Option<_>>()?
        }
        "ReduceProd" => vec![Extent::product(&of(0)?)],
        operator => {
            let combine = combination(operator)?;
            let (left, right) = (of(0)?, of(1)?);
            let pairs = (0..left.len().max(right.len())).map(|at| {
                let (left, right) = (at_or_only(&left, at)?, at_or_only(&right, at)?);
                Some(combine(left, right).unwrap_or_else(|| unknowns.next()))
            });
            pairs.collect::<Option<_>>()?
        }
    };
    // Lists that are broadcast as a row and a column have more elements than are followed here.
    let is_all = Extent::product(shape).as_fixed() == Some(sizes.len() as i64);
    (is_all && sizes.len() <= MOST_SIZES).then_some(sizes)
}

/// Whether two lists of sizes are equal, element by element, where that is the same whatever the symbols stand for.
pub(crate) fn compare(site: &Site<'_>) -> Option<Tensor> {
    if site.node.op_type() != "Equal" {
        return None;
    }
    let (left, right) = (site.input(0)?, site.input(1)?);
    let dims = [left, right].into_iter().max_by_key(|fact| fact.rank())?;
    let dims = dims
        .shape
        .as_ref()?
        .iter()
        .map(|size| Some(size.as_fixed()? as usize));
    let dims = dims.collect::<Option<Vec<_>>>()?;
    let (left, right) = (left.to_sizes()?, right.to_sizes()?);
    let count = left.len().max(right.len());
    let equal = (0..count).map(|at| {
        let (left, right) = (at_or_only(&left, at)?, at_or_only(&right, at)?);
        match (left.as_fixed(), right.as_fixed()) {
            (Some(left), Some(right)) => Some(left == right),
            _ if left == right => Some(true),
            // No size is negative.
            (Some(..0), None) | (None, Some(..0)) => Some(false),
            _ => None,
        }
    });
    let equal = equal.collect::<Option<Vec<_>>>()?;
    let fits = dims.iter().product::<usize>() == count;
    fits.then(|| Tensor::new(dims, Values::Boolean(equal)))
}

/// The element of a list, or of a list of one that is broadcast.
fn at_or_only<T>(list: &[T], at: usize) -> Option<&T> {
    match list {
        [only] => Some(only),
        several => several.get(at),
    }
}

fn combination(operator: &str) -> Option<fn(&Extent, &Extent) -> Option<Extent>> {
    Some(match operator {
        "Mul" => |left, right| Some(left.times(right)),
        "Div" => Extent::divided_by,
        "Add" => |left, right| match (left.as_fixed(), right.as_fixed()) {
            (Some(left), Some(right)) => Some(Extent::fixed(left.saturating_add(right))),
            (Some(0), None) => Some(right.clone()),
            (None, Some(0)) => Some(left.clone()),
            _ => None,
        },
        "Sub" => |left, right| match (left.as_fixed(), right.as_fixed()) {
            (Some(left), Some(right)) => Some(Extent::fixed(left.saturating_sub(right))),
            (None, Some(0)) => Some(left.clone()),
            _ => (left == right).then_some(Extent::fixed(0)),
        },
        "Max" | "Min" => |left, right| (left == right).then(|| left.clone()),
        _ => return None,
    })
}

fn gathered(site: &Site<'_>, list: &[Extent]) -> Option<Vec<Extent>> {
    if site.input(0)?.rank() != Some(1) {
        return None;
    }
    let picked = site.input(1)?.constant.clone()?;
    let picked = picked.as_integers()?.iter();
    picked
        .map(|&at| Some(list[resolve_axis(at, list.len())?].clone()))
        .collect()
}

fn sliced(site: &Site<'_>, list: &[Extent]) -> Option<Vec<Extent>> {
    if site.input(0)?.rank() != Some(1) {
        return None;
    }
    let number = |input: usize| match site.input(input)?.constant.as_ref()?.as_integers()? {
        &[only] => Some(only),
        _ => None,
    };
    let step = match site.input(4) {
        Some(_) => number(4)?,
        None => 1,
    };
    let cut = Cut::new(list.len() as i64, number(1)?, number(2)?, step)?;
    let places = cut.places();
    Some(places.map(|at| list[at as usize].clone()).collect())
}
