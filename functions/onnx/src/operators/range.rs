//! `Range`.

use super::{Call, Derivative, Family, Operator, Site};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::{Tensor, Values};

pub(super) const OPERATORS: Family = &[("Range", &Range)];

/// The numbers from a start until before a limit, in equal steps. It never trains.
struct Range;

impl Operator for Range {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let only =
            |input: usize| -> Option<Extent> { site.input(input)?.to_sizes()?.first().cloned() };
        let is_count = only(0).and_then(|start| start.as_fixed()) == Some(0)
            && only(2).is_some_and(|step| step.is_one());
        let count =
            only(1).filter(|limit| is_count && limit.as_fixed().is_none_or(|limit| limit >= 0));
        let bounds = (0..3)
            .map(|input| only(input)?.as_fixed())
            .collect::<Option<Vec<_>>>();
        let fixed = bounds.and_then(|bounds| {
            let &[start, limit, step] = bounds.as_slice() else {
                return None;
            };
            Some(Extent::fixed(
                integers(start, limit, step).ok()?.len() as i64
            ))
        });
        let count = count.or(fixed).unwrap_or_else(|| unknowns.next());
        vec![Fact::new(site.element(), Some(vec![count]))]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let bounds = [call.tensor(0)?, call.tensor(1)?, call.tensor(2)?];
        let values = match bounds.map(Tensor::values) {
            [
                Values::Integer(start),
                Values::Integer(limit),
                Values::Integer(step),
            ] => {
                let (&[start], &[limit], &[step]) = (&start[..], &limit[..], &step[..]) else {
                    return Err("a bound is not one number".to_owned());
                };
                Values::Integer(integers(start, limit, step)?)
            }
            [
                Values::Float(start),
                Values::Float(limit),
                Values::Float(step),
            ] => {
                let (&[start], &[limit], &[step]) = (&start[..], &limit[..], &step[..]) else {
                    return Err("a bound is not one number".to_owned());
                };
                let count = ((limit - start) / step).ceil().max(0.0) as usize;
                Values::Float((0..count).map(|at| start + at as f64 * step).collect())
            }
            _ => return Err("the bounds are not numbers of one kind".to_owned()),
        };
        Ok(vec![Tensor::new(vec![values.len()], values)])
    }

    fn least_inputs(&self) -> usize {
        3
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}

/// The most numbers that are written out.
const MOST: i64 = 1 << 24;

fn integers(start: i64, limit: i64, step: i64) -> Result<Vec<i64>, String> {
    if step == 0 {
        return Err("the step is 0".to_owned());
    }
    let distance = limit.saturating_sub(start);
    let count = distance / step + i64::from(distance % step != 0 && (distance > 0) == (step > 0));
    if count > MOST {
        return Err(format!("{count} numbers are too many"));
    }
    Ok((0..count).map(|at| start + at * step).collect())
}
