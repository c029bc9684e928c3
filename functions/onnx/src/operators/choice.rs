//! `Where`: a choice between two tensors, element by element.

use super::{Backward, Call, Derivative, Family, Operator, Site, broadcast};
use crate::Tensor;
use crate::Values;
use crate::extent::Unknowns;
use crate::facts::Fact;

pub(super) const OPERATORS: Family = &[("Where", &Where)];

/// y = a where the condition holds, else b. With G = ∂L/∂y: ∂L/∂a = Σ G where the condition holds, ∂L/∂b = Σ G where it does
/// not, sums over the dimensions along which an input was broadcast. No gradient passes to the condition.
struct Where;

impl Operator for Where {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let element = site.input(1).and_then(|fact| fact.element);
        let shape = broadcast::common_shape(site, 3, unknowns);
        vec![Fact::new(element, shape)]
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
