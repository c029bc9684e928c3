//! Elements put in place by their indices: `ScatterElements`, `ScatterND`.
//!
//! With x the tensor, u the updates and r the reduction, y is x with u put in (r = none), added in, or multiplied in.
//! - none: ∂L/∂x is ∂L/∂y with zeros at the places, ∂L/∂u is ∂L/∂y at the places; a place that occurs twice is not defined;
//! - add: ∂L/∂x = ∂L/∂y, ∂L/∂u is ∂L/∂y at the places;
//! - mul: ∂L/∂x is ∂L/∂y with u multiplied in, ∂L/∂u is ∂L/∂y · y at the places, divided by u, which must not be 0;
//! - max, min: those of x and of the updates of a place that equal y have equal shares of ∂L/∂y, as in the reductions.

use super::gather::{element_positions, row_starts};
use super::unary::same_as_input;
use super::{Backward, Call, Derivative, Family, Operator, Site, axis_of};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::proto::{AttributeProto, NodeProto};
use crate::{ElementType, Tensor, Values};

pub(super) const OPERATORS: Family = &[
    ("ScatterElements", &Scatter::Elements),
    ("ScatterND", &Scatter::Parts),
];

/// Which of the two operators.
#[derive(Clone, Copy, Debug)]
enum Scatter {
    /// Single elements, by indices along an axis.
    Elements,
    /// Parts, by lists of indices.
    Parts,
}

/// What becomes of an element and its update.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reduction {
    None,
    Add,
    Mul,
    Max,
    Min,
}

impl Reduction {
    fn of(node: &NodeProto) -> Option<Self> {
        match node.string("reduction").unwrap_or("none") {
            "none" => Some(Self::None),
            "add" => Some(Self::Add),
            "mul" => Some(Self::Mul),
            "max" => Some(Self::Max),
            "min" => Some(Self::Min),
            _ => None,
        }
    }

    fn float(self, old: f64, update: f64) -> f64 {
        match self {
            Self::None => update,
            Self::Add => old + update,
            Self::Mul => old * update,
            Self::Max => old.max(update),
            Self::Min => old.min(update),
        }
    }

    fn integer(self, old: i64, update: i64) -> i64 {
        match self {
            Self::None => update,
            Self::Add => old.wrapping_add(update),
            Self::Mul => old.wrapping_mul(update),
            Self::Max => old.max(update),
            Self::Min => old.min(update),
        }
    }
}

impl Scatter {
    /// For each element of the updates, its position in the result.
    fn positions(self, call: &Call<'_>) -> Result<Vec<usize>, String> {
        let (dims, list) = (call.tensor(0)?.dims(), call.tensor(1)?.dims());
        match self {
            Self::Elements => {
                let axis = axis_of(call.node.int("axis", 0), dims.len())?;
                element_positions(dims, list, call.integers(1)?, axis)
            }
            Self::Parts => {
                let starts = row_starts(dims, list, call.integers(1)?, 0)?;
                let k = list.last().copied().unwrap_or_default();
                let count: usize = dims[k..].iter().product();
                let parts = starts.into_iter();
                Ok(parts.flat_map(|start| start..start + count).collect())
            }
        }
    }

    /// Emits a tensor's elements at the places.
    fn look_up(self, backward: &mut Backward<'_>, tensor: &str) -> String {
        let list = backward.input(1);
        match self {
            Self::Elements => {
                let along = self.axis(backward.node);
                backward
                    .emit
                    .node_with("GatherElements", &[tensor, list], along)
            }
            Self::Parts => backward.node("GatherND", &[tensor, list]),
        }
    }

    /// Gives those that are the largest or smallest of their place equal shares of its gradient.
    fn give_shares(self, backward: &mut Backward<'_>, gradient: &str) {
        let there = self.look_up(backward, backward.output());
        let kept = as_numbers(backward, backward.input(0), backward.output());
        let taken = as_numbers(backward, backward.input(2), &there);
        let mut add = self.axis(backward.node);
        add.push(AttributeProto::from_string("reduction", "add"));
        let operator = backward.node.op_type();
        let inputs = [kept.as_str(), backward.input(1), &taken];
        let count = backward.emit.node_with(operator, &inputs, add);
        let share = backward.node("Div", &[gradient, &count]);
        if backward.wants(0) {
            let found = backward.node("Mul", &[&share, &kept]);
            backward.give(0, found);
        }
        if backward.wants(2) {
            let shares = self.look_up(backward, &share);
            let found = backward.node("Mul", &[&shares, &taken]);
            backward.give(2, found);
        }
    }

    fn axis(self, node: &NodeProto) -> Vec<AttributeProto> {
        match self {
            Self::Elements => vec![AttributeProto::from_int("axis", node.int("axis", 0))],
            Self::Parts => Vec::new(),
        }
    }
}

/// 1 where two tensors are equal, else 0.
fn as_numbers(backward: &mut Backward<'_>, tensor: &str, other: &str) -> String {
    let element = backward.output_fact().element;
    let code = element.unwrap_or(ElementType::Float32).code();
    let to = vec![AttributeProto::from_int("to", i64::from(code))];
    let is_equal = backward.node("Equal", &[tensor, other]);
    backward.emit.node_with("Cast", &[&is_equal], to)
}

impl Operator for Scatter {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (tensor, updates) = (call.tensor(0)?, call.tensor(2)?);
        let reduction = Reduction::of(call.node).ok_or("its reduction is not known")?;
        let positions = self.positions(call)?;
        if positions.len() != updates.count() {
            return Err(format!(
                "{} updates do not fit {} places",
                updates.count(),
                positions.len()
            ));
        }
        let mut values = tensor.values().clone();
        match (&mut values, updates.values()) {
            (Values::Float(values), Values::Float(updates)) => {
                for (at, &update) in positions.into_iter().zip(updates) {
                    values[at] = reduction.float(values[at], update);
                }
            }
            (Values::Integer(values), Values::Integer(updates)) => {
                for (at, &update) in positions.into_iter().zip(updates) {
                    values[at] = reduction.integer(values[at], update);
                }
            }
            (Values::Boolean(values), Values::Boolean(updates)) if reduction == Reduction::None => {
                for (at, &update) in positions.into_iter().zip(updates) {
                    values[at] = update;
                }
            }
            _ => return Err("the updates are of another kind than the tensor".to_owned()),
        }
        Ok(vec![Tensor::new(tensor.dims().to_vec(), values)])
    }

    fn least_inputs(&self) -> usize {
        3
    }

    fn derivative(&self, site: &Site<'_>, input: usize) -> Derivative {
        match Reduction::of(site.node) {
            _ if input == 1 => Derivative::Zero,
            Some(_) => Derivative::Known,
            None => Derivative::missing("reduces in a way that is not known here"),
        }
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let reduction = Reduction::of(backward.node);
        if matches!(reduction, Some(Reduction::Max | Reduction::Min)) {
            self.give_shares(backward, &gradient);
            return;
        }
        if backward.wants(0) {
            let found = match reduction {
                Some(Reduction::Add) => gradient.clone(),
                Some(Reduction::Mul) => {
                    let inputs = [gradient.as_str(), backward.input(1), backward.input(2)];
                    let attributes = backward.node.attribute.clone();
                    let operator = backward.node.op_type();
                    backward.emit.node_with(operator, &inputs, attributes)
                }
                _ => {
                    let zeros = backward.filled_like(backward.input(2), 0.0);
                    let inputs = [gradient.as_str(), backward.input(1), &zeros];
                    let along = self.axis(backward.node);
                    let operator = backward.node.op_type();
                    backward.emit.node_with(operator, &inputs, along)
                }
            };
            backward.give(0, found);
        }
        if backward.wants(2) {
            let found = if reduction == Some(Reduction::Mul) {
                let product = backward.node("Mul", &[&gradient, backward.output()]);
                let there = self.look_up(backward, &product);
                backward.node("Div", &[&there, backward.input(2)])
            } else {
                self.look_up(backward, &gradient)
            };
            backward.give(2, found);
        }
    }
}
