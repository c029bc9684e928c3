//! `Where`: a choice between two tensors, element by element.

use super::{Backward, Call, Derivative, Family, Operator, Site, broadcast};
use crate::Tensor;
use crate::Values;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;

pub(super) const OPERATORS: Family = &[("Where", &Where)];

/// y = a where the condition holds, else b. With G = ∂L/∂y: ∂L/∂a = Σ G where the condition holds, ∂L/∂b = Σ G where it does
/// not, sums over the dimensions along which an input was broadcast. No gradient passes to the condition.
struct Where;

impl Where {
    /// The choice between lists of sizes by a condition that is known, as exporters write it in front of `Expand`.
    fn sizes(site: &Site<'_>) -> Option<Vec<Extent>> {
        let condition = site.input(0)?.constant.as_ref()?;
        let Values::Boolean(condition) = condition.values() else {
            return None;
        };
        let pairs = broadcast::sizes(site, [1, 2])?;
        let is_list = site.shape(0)?.len() <= 1 && condition.len() == pairs.len();
        let chosen = pairs.into_iter().zip(condition);
        is_list.then(|| {
            chosen
                .map(|([yes, no], &holds)| if holds { yes } else { no })
                .collect()
        })
    }
}

impl Operator for Where {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let element = site.input(1).and_then(|fact| fact.element);
        vec![Fact {
            sizes: Self::sizes(site),
            ..Fact::new(element, broadcast::common_shape(site, 3, unknowns))
        }]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let inputs = [call.tensor(0)?, call.tensor(1)?, call.tensor(2)?];
        let (dims, inputs) = broadcast::all(&inputs)?;
        let Values::Boolean(condition) = inputs[0].values() else {
            return Err("the condition is not boolean".to_owned());
        };
        let values = match (inputs[1].values(), inputs[2].values()) {
            (Values::Float(yes), Values::Float(no)) => Values::Float(choose(condition, yes, no)),
            (Values::Integer(yes), Values::Integer(no)) => {
                Values::Integer(choose(condition, yes, no))
            }
            (Values::Boolean(yes), Values::Boolean(no)) => {
                Values::Boolean(choose(condition, yes, no))
            }
            _ => return Err("the two choices are of different kinds".to_owned()),
        };
        Ok(vec![Tensor::new(dims, values)])
    }

    fn least_inputs(&self) -> usize {
        3
    }

    fn derivative(&self, _: &Site<'_>, input: usize) -> Derivative {
        if input == 0 {
            Derivative::Zero
        } else {
            Derivative::Known
        }
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let (gradient, condition) = (backward.gradient(), backward.input(0));
        let zero = backward.float(0.0);
        for (input, chosen) in [(1, [&gradient, &zero]), (2, [&zero, &gradient])] {
            if backward.wants(input) {
                let found = backward.node("Where", &[condition, chosen[0], chosen[1]]);
                let found = backward.unbroadcast(&found, input);
                backward.give(input, found);
            }
        }
    }
}

fn choose<T: Copy>(condition: &[bool], yes: &[T], no: &[T]) -> Vec<T> {
    let choices = yes.iter().zip(no);
    condition
        .iter()
        .zip(choices)
        .map(|(&holds, (&yes, &no))| if holds { yes } else { no })
        .collect()
}
