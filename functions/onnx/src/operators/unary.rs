//! Functions of one floating-point number, applied to every element.

use super::{Backward, Call, Derivative, Operator, Site};
use crate::Tensor;
use crate::extent::Unknowns;
use crate::facts::Fact;

/// An operator that is described by its function and its derivative.
pub(super) struct Unary {
    pub(super) function: fn(f64) -> f64,
    /// Emits the gradient of the input from the gradient of the output.
    pub(super) gradient: fn(&mut Backward<'_>, &str) -> String,
}

impl Operator for Unary {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let values = call.floats(0)?.iter().copied().map(self.function).collect();
        Ok(vec![Tensor::floats(call.tensor(0)?.dims(), values)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let gradient = (self.gradient)(backward, &gradient);
        backward.give(0, gradient);
    }
}

/// The fact on an output that has the type and shape of the first input.
pub(super) fn same_as_input(site: &Site<'_>) -> Fact {
    Fact::new(site.element(), site.shape(0).map(<[_]>::to_vec))
}
