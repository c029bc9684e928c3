//! Functions of two numbers, applied to every pair of elements under broadcasting.

use super::{Backward, Call, Derivative, Operator, Site, broadcast};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::{Tensor, Values};

/// An operator of two tensors that is described by its function and its derivatives.
pub(super) struct Binary {
    pub(super) floats: fn(f64, f64) -> f64,
    /// Nothing where whole numbers overflow or are divided by zero.
    pub(super) integers: fn(i64, i64) -> Option<i64>,
    /// Emits the gradients of the inputs, before the sum over broadcast dimensions.
    pub(super) gradients: [fn(&mut Backward<'_>, &str) -> String; 2],
}

impl Operator for Binary {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        vec![broadcast::fact(site, site.element(), unknowns)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (dims, left, right) = broadcast::pair(call)?;
        let values = match (left.values(), right.values()) {
            (Values::Float(left), Values::Float(right)) => {
                let pairs = left.iter().zip(right);
                Values::Float(pairs.map(|(a, b)| (self.floats)(*a, *b)).collect())
            }
            (Values::Integer(left), Values::Integer(right)) => {
                let pairs = left.iter().zip(right);
                let values = pairs
                    .map(|(a, b)| (self.integers)(*a, *b))
                    .collect::<Option<_>>();
                Values::Integer(values.ok_or("whole numbers overflow or are divided by zero")?)
            }
            _ => return Err("the inputs are of different kinds".to_owned()),
        };
        Ok(vec![Tensor::new(dims, values)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        for (input, gradient_of) in self.gradients.iter().enumerate() {
            if backward.wants(input) {
                let gradient = backward.gradient();
                let gradient = gradient_of(backward, &gradient);
                let gradient = backward.unbroadcast(&gradient, input);
                backward.give(input, gradient);
            }
        }
    }
}
