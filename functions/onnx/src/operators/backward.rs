//! What a derivative sees: a node with the gradients of its outputs, and the emitter that takes the new nodes.

use super::Site;
use crate::ElementType;
use crate::emitter::Emitter;
use crate::extent::Extent;
use crate::facts::{Fact, Facts};
use crate::proto::{AttributeProto, NodeProto, TensorProto};

/// A node in the backward pass.
///
/// A gradient always has the shape and type of the tensor that it is the gradient of.
pub(crate) struct Backward<'a> {
    pub(crate) node: &'a NodeProto,
    pub(crate) emit: &'a mut Emitter,
    facts: &'a Facts,
    /// The gradients of the outputs; nothing where the loss does not depend on one.
    outputs: Vec<Option<String>>,
    wanted: Vec<bool>,
    found: Vec<(usize, String)>,
}

impl<'a> Backward<'a> {
    pub(crate) fn new(
        node: &'a NodeProto,
        emit: &'a mut Emitter,
        facts: &'a Facts,
        outputs: Vec<Option<String>>,
        wanted: Vec<bool>,
    ) -> Self {
        Self {
            node,
            emit,
            facts,
            outputs,
            wanted,
            found: Vec::new(),
        }
    }

    /// The gradients that were given, by input.
    pub(crate) fn into_found(self) -> Vec<(usize, String)> {
        self.found
    }

    /// The gradient of an output; nothing where the loss does not depend on it.
    pub(super) fn gradient_of(&self, output: usize) -> Option<String> {
        self.outputs.get(output).cloned().flatten()
    }

    /// The gradient of the first output. A node is only visited when the loss depends on one of its outputs.
    pub(super) fn gradient(&self) -> String {
        self.gradient_of(0)
            .expect("an operator with one output is visited only with its gradient")
    }

    /// Whether the gradient of an input is needed.
    pub(super) fn wants(&self, input: usize) -> bool {
        self.wanted.get(input).copied().unwrap_or_default()
    }

    /// Hands over the gradient of an input.
    pub(super) fn give(&mut self, input: usize, gradient: String) {
        self.found.push((input, gradient));
    }

    /// The name under which a node of the fast lowering gives the gradient of an input; empty where none is wanted.
    pub(super) fn give_named(&mut self, input: usize, what: &str) -> String {
        if !self.wants(input) {
            return String::new();
        }
        let name = self.emit.fast_name(what);
        self.give(input, name.clone());
        name
    }

    /// What the node's facts tell, by the same function that the operator infers with.
    pub(super) fn with_site<T>(&self, tell: impl FnOnce(&Site<'_>) -> T) -> T {
        let node = self.node;
        let inputs: Vec<&Fact> = node.input.iter().map(|name| self.facts.get(name)).collect();
        tell(&Site {
            node,
            inputs: &inputs,
        })
    }

    pub(super) fn input(&self, index: usize) -> &'a str {
        &self.node.input[index]
    }

    pub(super) fn output(&self) -> &'a str {
        &self.node.output[0]
    }

    pub(super) fn input_fact(&self, index: usize) -> &'a Fact {
        self.facts.get(self.input(index))
    }

    pub(super) fn output_fact(&self) -> &'a Fact {
        self.facts.get(self.output())
    }

    /// Whether operators of the fast lowering may be used: only on what is known to be float32.
    pub(super) fn is_fast(&self) -> bool {
        self.emit.is_fast() && self.input_fact(0).element == Some(ElementType::Float32)
    }

    /// A constant of the type that the first output has.
    pub(super) fn float(&mut self, value: f64) -> String {
        let element = self.output_fact().element.unwrap_or(ElementType::Float32);
        self.emit.float(value, element)
    }

    pub(super) fn node(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.emit.node(operator, inputs)
    }

    /// The part of a tensor from `start` to `end` along an axis.
    pub(super) fn slice(&mut self, tensor: &str, axis: i64, start: i64, end: i64) -> String {
        let bounds = [start, end, axis].map(|number| self.emit.integers(&[number]));
        let [start, end, axis] = &bounds;
        self.node("Slice", &[tensor, start, end, axis])
    }

    /// A tensor with zeros around it: how many before and behind, dimension by dimension. Negative numbers take off.
    pub(super) fn pad(&mut self, tensor: &str, before: &[i64], behind: &[i64]) -> String {
        if before.iter().chain(behind).all(|&count| count == 0) {
            return tensor.to_owned();
        }
        let pads = self.emit.integers(&[before, behind].concat());
        self.node("Pad", &[tensor, &pads])
    }

    /// The size of a tensor along an axis, found while it runs, as a list of one.
    pub(super) fn size_at_run_time(&mut self, tensor: &str, axis: i64) -> String {
        let shape = self.node("Shape", &[tensor]);
        let axis = self.emit.integers(&[axis]);
        self.node("Gather", &[&shape, &axis])
    }

    /// The shape of a tensor of the model as a list: by constant numbers where all sizes are known, else found while it runs.
    pub(super) fn shape_of(&mut self, tensor: &str) -> String {
        let sizes = self
            .facts
            .get(tensor)
            .shape
            .as_deref()
            .and_then(fixed_shape);
        match sizes {
            Some(sizes) => self.emit.integers(&sizes),
            None => self.node("Shape", &[tensor]),
        }
    }

    /// One value everywhere, in the shape of a tensor of the model.
    pub(super) fn filled_like(&mut self, tensor: &str, value: f64) -> String {
        let shape = self.shape_of(tensor);
        self.filled(&shape, value)
    }

    /// One value everywhere, in a shape that is a list.
    pub(super) fn filled(&mut self, shape: &str, value: f64) -> String {
        let value = match self.input_fact(0).element {
            Some(ElementType::Float64) => TensorProto::from_f64("", &[1], &[value]),
            _ => TensorProto::from_f32("", &[1], &[value as f32]),
        };
        let value = vec![AttributeProto::from_tensor("value", value)];
        self.emit.node_with("ConstantOfShape", &[shape], value)
    }

    /// The dimensions in another order.
    pub(super) fn transpose(&mut self, tensor: &str, order: &[usize]) -> String {
        if order.iter().enumerate().all(|(place, &axis)| place == axis) {
            return tensor.to_owned();
        }
        let order: Vec<i64> = order.iter().map(|&axis| axis as i64).collect();
        let order = vec![AttributeProto::from_ints("perm", &order)];
        self.emit.node_with("Transpose", &[tensor], order)
    }

    /// Whole numbers of a tensor of the model as int64, which is the only type that some operators take.
    pub(super) fn as_int64(&mut self, tensor: &str) -> String {
        if self.facts.get(tensor).element == Some(ElementType::Int64) {
            return tensor.to_owned();
        }
        let to = AttributeProto::from_int("to", i64::from(ElementType::Int64.code()));
        self.emit.node_with("Cast", &[tensor], vec![to])
    }

    /// Reshapes a tensor to the shape of an input: by constant numbers where all sizes but one are known, else by the
    /// shape at run time.
    pub(super) fn reshape_to_input(&mut self, tensor: &str, input: usize) -> String {
        let known = self
            .input_fact(input)
            .shape
            .as_deref()
            .and_then(reshape_target);
        let target = match known {
            Some(target) => self.emit.integers(&target),
            None => self.node("Shape", &[self.input(input)]),
        };
        self.node("Reshape", &[tensor, &target])
    }

    /// Sums a gradient of the output's shape over the dimensions along which the input was broadcast.
    pub(super) fn unbroadcast(&mut self, gradient: &str, input: usize) -> String {
        let from = self.output_fact().shape.as_deref();
        let to = self.input_fact(input).shape.as_deref();
        match from.zip(to).map(|(from, to)| broadcast_axes(from, to)) {
            Some(Some(axes)) => self.sum_over(gradient, input, &axes),
            _ => self.unbroadcast_at_run_time(gradient, input),
        }
    }

    fn sum_over(&mut self, gradient: &str, input: usize, axes: &Axes) -> String {
        let leading: Vec<i64> = (0..axes.leading as i64).collect();
        let all: Vec<i64> = leading
            .iter()
            .copied()
            .chain(axes.stretched.iter().copied())
            .collect();
        if all.is_empty() {
            return gradient.to_owned();
        }
        let keeps = !axes.stretched.is_empty();
        let sum = self.emit.reduce("ReduceSum", gradient, &all, keeps);
        if leading.is_empty() || axes.stretched.is_empty() {
            return sum;
        }
        self.reshape_to_input(&sum, input)
    }

    /// Which dimensions are 1 in the input shows only at run time: its shape is filled up with ones on the left, and the
    /// gradient summed wherever there is a 1.
    pub(super) fn unbroadcast_at_run_time(&mut self, gradient: &str, input: usize) -> String {
        let own = self.node("Shape", &[self.input(input)]);
        let full = self.node("Shape", &[gradient]);
        let full_rank = self.node("Shape", &[&full]);
        let own_rank = self.node("Shape", &[&own]);
        let missing = self.node("Sub", &[&full_rank, &own_rank]);
        let one = TensorProto::from_i64("", &[1], &[1]);
        let one = vec![AttributeProto::from_tensor("value", one)];
        let ones = self.emit.node_with("ConstantOfShape", &[&missing], one);
        let along = vec![AttributeProto::from_int("axis", 0)];
        let filled = self.emit.node_with("Concat", &[&ones, &own], along);
        let single = self.emit.integer(1);
        let is_one = self.node("Equal", &[&filled, &single]);
        let axes = self.node("NonZero", &[&is_one]);
        let list = self.emit.integers(&[-1]);
        let axes = self.node("Reshape", &[&axes, &list]);
        let options = vec![
            AttributeProto::from_int("keepdims", 1),
            AttributeProto::from_int("noop_with_empty_axes", 1),
        ];
        let sum = self
            .emit
            .node_with("ReduceSum", &[gradient, &axes], options);
        self.node("Reshape", &[&sum, &own])
    }
}

/// Along which dimensions an input was broadcast.
struct Axes {
    /// How many dimensions the input lacks on the left.
    leading: usize,
    /// Where the input has size 1 and the output another.
    stretched: Vec<i64>,
}

/// Nothing where it depends on sizes that are not known.
fn broadcast_axes(from: &[Extent], to: &[Extent]) -> Option<Axes> {
    let leading = from.len().checked_sub(to.len())?;
    let mut stretched = Vec::new();
    for (axis, (wide, narrow)) in from
        .iter()
        .zip(std::iter::repeat_n(None, leading).chain(to.iter().map(Some)))
        .enumerate()
    {
        match narrow {
            Some(narrow) if narrow.is_one() && !wide.is_one() => stretched.push(axis as i64),
            Some(narrow) if narrow != wide => return None,
            _ => {}
        }
    }
    Some(Axes { leading, stretched })
}

/// The sizes, where all of them are known.
pub(super) fn fixed_shape(shape: &[Extent]) -> Option<Vec<i64>> {
    shape.iter().map(Extent::as_fixed).collect()
}

/// The shape as `Reshape` takes it; at most one size may be unknown, and none 0, which means another thing there.
fn reshape_target(shape: &[Extent]) -> Option<Vec<i64>> {
    let target: Vec<i64> = shape
        .iter()
        .map(|extent| extent.as_fixed().unwrap_or(-1))
        .collect();
    let unknown = target.iter().filter(|&&size| size == -1).count();
    (unknown <= 1 && !target.contains(&0)).then_some(target)
}
