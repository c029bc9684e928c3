//! Any number of tensors under broadcasting: `Max`, `Min`, `Sum`.

use super::{Backward, Call, Derivative, Family, Operator, Site, broadcast};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::proto::AttributeProto;
use crate::{ElementType, Tensor, Values};

pub(super) const OPERATORS: Family = &[("Max", &MAX), ("Min", &MIN), ("Sum", &SUM)];

/// An operator that combines its inputs two by two.
struct Variadic {
    floats: fn(f64, f64) -> f64,
    integers: fn(i64, i64) -> i64,
    /// Emits the gradients of the inputs that are wanted, in the shape of the output.
    gradients: fn(&mut Backward<'_>, &str) -> Vec<(usize, String)>,
}

/// y = max xᵢ; ∂L/∂xᵢ = Σ ∂L/∂y · [xᵢ = y] / n, where n is how many inputs equal y there: they share the gradient.
static MAX: Variadic = Variadic {
    floats: |a, b| if a > b || a.is_nan() { a } else { b },
    integers: i64::max,
    gradients: shared,
};

/// y = min xᵢ; ∂L/∂xᵢ = Σ ∂L/∂y · [xᵢ = y] / n, where n is how many inputs equal y there: they share the gradient.
static MIN: Variadic = Variadic {
    floats: |a, b| if a < b || a.is_nan() { a } else { b },
    integers: i64::min,
    gradients: shared,
};

/// y = Σᵢ xᵢ; ∂L/∂xᵢ = Σ ∂L/∂y.
static SUM: Variadic = Variadic {
    floats: |a, b| a + b,
    integers: i64::wrapping_add,
    gradients: |backward, gradient| {
        let wanted = (0..backward.node.input.len()).filter(|&input| backward.wants(input));
        wanted.map(|input| (input, gradient.to_owned())).collect()
    },
};

fn shared(backward: &mut Backward<'_>, gradient: &str) -> Vec<(usize, String)> {
    let count = backward.node.input.len();
    if count == 1 {
        return vec![(0, gradient.to_owned())];
    }
    let element = backward.output_fact().element;
    let code = element.unwrap_or(ElementType::Float32).code();
    let is_extreme: Vec<String> = (0..count)
        .map(|input| backward.node("Equal", &[backward.input(input), backward.output()]))
        .collect();
    let mut total: Option<String> = None;
    for mask in &is_extreme {
        let to = vec![AttributeProto::from_int("to", i64::from(code))];
        let counted = backward.emit.node_with("Cast", &[mask], to);
        total = Some(match total {
            Some(total) => backward.node("Add", &[&total, &counted]),
            None => counted,
        });
    }
    let total = total.expect("there are two inputs or more");
    let share = backward.node("Div", &[gradient, &total]);
    let zero = backward.float(0.0);
    (0..count)
        .filter(|&input| backward.wants(input))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|input| {
            let found = backward.node("Where", &[&is_extreme[input], &share, &zero]);
            (input, found)
        })
        .collect()
}

impl Operator for Variadic {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let shape = broadcast::common_shape(site, site.node.input.len(), unknowns);
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let inputs = (0..call.inputs.len()).map(|input| call.tensor(input));
        let (dims, inputs) = broadcast::all(&inputs.collect::<Result<Vec<_>, _>>()?)?;
        let mut inputs = inputs.iter().map(Tensor::values);
        let mut found = inputs.next().ok_or("there is no input")?.clone();
        for input in inputs {
            match (&mut found, input) {
                (Values::Float(found), Values::Float(input)) => {
                    combine(found, input, self.floats);
                }
                (Values::Integer(found), Values::Integer(input)) => {
                    combine(found, input, self.integers);
                }
                _ => return Err("the inputs are not numbers of one kind".to_owned()),
            }
        }
        Ok(vec![Tensor::new(dims, found)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        for (input, found) in (self.gradients)(backward, &gradient) {
            let found = backward.unbroadcast(&found, input);
            backward.give(input, found);
        }
    }
}

fn combine<T: Copy>(found: &mut [T], other: &[T], function: fn(T, T) -> T) {
    for (found, &other) in found.iter_mut().zip(other) {
        *found = function(*found, other);
    }
}
