//! `OneHot`: class numbers as rows of a table.

use super::{Call, Derivative, Family, Operator, Site, resolve_axis};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::tensor::{indices, strides};
use crate::{Tensor, Values};

pub(super) const OPERATORS: Family = &[("OneHot", &OneHot)];

/// y[…, c, …] = the second value where c is the index, else the first, with c along a new axis. An index outside the depth
/// gives first values everywhere.
struct OneHot;

impl Operator for OneHot {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let depth = site
            .input(1)
            .and_then(Fact::to_sizes)
            .and_then(|sizes| sizes.first().cloned());
        let shape = site.shape(0).and_then(|shape| {
            let axis = resolve_axis(site.node.int("axis", -1), shape.len() + 1)?;
            let depth: Extent = depth.unwrap_or_else(|| unknowns.next());
            let mut shape = shape.to_vec();
            shape.insert(axis, depth);
            Some(shape)
        });
        vec![Fact::new(
            site.input(2).and_then(|values| values.element),
            shape,
        )]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let chosen: Vec<i64> = match tensor.values() {
            Values::Integer(values) => values.clone(),
            Values::Float(values) => values.iter().map(|&value| value as i64).collect(),
            Values::Boolean(_) => return Err("the indices are boolean".to_owned()),
        };
        let depth = match call.tensor(1)?.values() {
            Values::Integer(depth) if depth.len() == 1 => depth[0],
            Values::Float(depth) if depth.len() == 1 => depth[0] as i64,
            _ => return Err("the depth is not one number".to_owned()),
        };
        let values = call.tensor(2)?.values();
        if values.len() != 2 {
            return Err("the values are not two".to_owned());
        }
        let axis = resolve_axis(call.node.int("axis", -1), tensor.rank() + 1)
            .ok_or("the axis is not one of the result")?;
        let mut dims = tensor.dims().to_vec();
        dims.insert(
            axis,
            usize::try_from(depth).map_err(|_| "the depth is negative")?,
        );
        let own = strides(tensor.dims());
        let positions = indices(&dims).map(|mut index| {
            let class = index.remove(axis) as i64;
            let place: usize = index.iter().zip(&own).map(|(at, stride)| at * stride).sum();
            let wanted = chosen[place];
            let wanted = if wanted < 0 { wanted + depth } else { wanted };
            usize::from(class == wanted)
        });
        let values = values.pick(positions);
        Ok(vec![Tensor::new(dims, values)])
    }

    fn is_setting(&self, _: usize) -> bool {
        true
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}
