//! `OneHot`: class numbers as rows of a table.

use super::{Call, Derivative, Family, Operator, Site};
use crate::Tensor;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;

pub(super) const OPERATORS: Family = &[("OneHot", &OneHot)];

/// y[…, c] = the second value where c is the index, else the first. Only the last axis is evaluated here, which is what
/// losses use; an index outside the depth gives a row of first values.
struct OneHot;

impl Operator for OneHot {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let depth = site
            .input(1)
            .and_then(Fact::to_sizes)
            .and_then(|sizes| sizes.first().cloned());
        let is_last = site.node.int("axis", -1) == -1;
        let shape = site.shape(0).filter(|_| is_last).map(|shape| {
            let depth: Extent = depth.unwrap_or_else(|| unknowns.next());
            [shape, &[depth]].concat()
        });
        vec![Fact::new(
            site.input(2).and_then(|values| values.element),
            shape,
        )]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        if call.node.int("axis", -1) != -1 {
            return Err("only the last axis is evaluated".to_owned());
        }
        let (indices, values) = (call.integers(0)?, call.floats(2)?);
        let (&[depth], &[off, on]) = (call.integers(1)?, values) else {
            return Err("the depth is one number, and the values are two".to_owned());
        };
        let row = |&index: &i64| {
            let index = if index < 0 { index + depth } else { index };
            (0..depth).map(move |class| if class == index { on } else { off })
        };
        let values = indices.iter().flat_map(row).collect();
        let depth = usize::try_from(depth).map_err(|_| "the depth is negative")?;
        let dims = [call.tensor(0)?.dims(), &[depth]].concat();
        Ok(vec![Tensor::floats(&dims, values)])
    }

    fn is_setting(&self, _: usize) -> bool {
        true
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}
