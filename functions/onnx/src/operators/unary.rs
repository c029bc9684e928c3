//! Functions of one number, applied to every element.

use super::{Backward, Call, Derivative, Operator, Site};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::proto::NodeProto;
use crate::{Tensor, Values};

/// An operator on floating-point numbers that is described by its function and its derivative.
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

/// The same of an operator with attributes that are numbers.
pub(super) struct Parametric<const N: usize> {
    /// Their names, and what they are where a node leaves them out.
    pub(super) attributes: [(&'static str, f32); N],
    pub(super) function: fn(f64, [f64; N]) -> f64,
    /// Emits the gradient of the input from the gradient of the output.
    pub(super) gradient: fn(&mut Backward<'_>, &str, [f64; N]) -> String,
}

impl<const N: usize> Parametric<N> {
    fn values(&self, node: &NodeProto) -> [f64; N] {
        let value = |(name, default)| f64::from(node.float(name, default));
        self.attributes.map(value)
    }
}

impl<const N: usize> Operator for Parametric<N> {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let attributes = self.values(call.node);
        let values = call.floats(0)?.iter();
        let values = values.map(|&value| (self.function)(value, attributes));
        Ok(vec![Tensor::floats(
            call.tensor(0)?.dims(),
            values.collect(),
        )])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let attributes = self.values(backward.node);
        let gradient = backward.gradient();
        let gradient = (self.gradient)(backward, &gradient, attributes);
        backward.give(0, gradient);
    }
}

/// The same of an operator that takes whole numbers as well.
pub(super) struct Signed {
    pub(super) floats: fn(f64) -> f64,
    pub(super) integers: fn(i64) -> i64,
    /// Emits the gradient of the input from the gradient of the output.
    pub(super) gradient: fn(&mut Backward<'_>, &str) -> String,
}

impl Operator for Signed {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        Ok(vec![on_numbers(
            call.tensor(0)?,
            self.floats,
            self.integers,
        )?])
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

/// An operator that is constant between jumps, so that no gradient passes it.
pub(super) struct Stepwise {
    pub(super) floats: fn(f64) -> f64,
    pub(super) integers: fn(i64) -> i64,
}

impl Operator for Stepwise {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        Ok(vec![on_numbers(
            call.tensor(0)?,
            self.floats,
            self.integers,
        )?])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}

fn on_numbers(
    tensor: &Tensor,
    floats: fn(f64) -> f64,
    integers: fn(i64) -> i64,
) -> Result<Tensor, String> {
    let values = match tensor.values() {
        Values::Float(values) => Values::Float(values.iter().copied().map(floats).collect()),
        Values::Integer(values) => Values::Integer(values.iter().copied().map(integers).collect()),
        Values::Boolean(_) => {
            return Err("the input is boolean where numbers are needed".to_owned());
        }
    };
    Ok(Tensor::new(tensor.dims().to_vec(), values))
}

/// The fact on an output that has the type and shape of the first input.
pub(super) fn same_as_input(site: &Site<'_>) -> Fact {
    Fact::new(site.element(), site.shape(0).map(<[_]>::to_vec))
}
