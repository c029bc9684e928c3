//! The gradients of a recurrent node's inputs: the directions taken apart, their gradients found and put together.

use super::form::{Direction, Form};
use super::pass::{Found, Mask, Pass};
use super::walk::Steps;
use super::{B, Cell, INITIAL_C, INITIAL_H, LENGTHS, R, W, X};
use crate::ElementType;
use crate::emitter::Emitter;
use crate::operators::Backward;
use crate::proto::{AttributeProto, TensorProto};

/// Emits the gradients of a node's inputs. The node has the output Y, and its steps come first.
pub(super) fn emit(cell: &dyn Cell, form: &Form, backward: &mut Backward<'_>) {
    let parts = Parts::of(cell, form, backward);
    let directions = form.directions.iter().enumerate();
    let found: Vec<(Pass, Found)> = directions
        .map(|(at, direction)| {
            let pass = parts.pass(backward, at, direction);
            let found = cell.backward(backward.emit, &pass);
            (pass, found)
        })
        .collect();
    if backward.wants(X) {
        let products: Vec<String> = found
            .iter()
            .map(|(pass, found)| backward.node("MatMul", &[&found.input, &pass.input]))
            .collect();
        let sum = products
            .into_iter()
            .reduce(|sum, product| backward.node("Add", &[&sum, &product]))
            .expect("a node has a direction");
        let gradient = backward.reshape_to_input(&sum, X);
        backward.give(X, gradient);
    }
    give(backward, W, &found, |emit, pass, found| {
        transposed_product(emit, &found.input, &pass.x)
    });
    give(backward, R, &found, |emit, _, found| {
        let shares = found.recurrent.iter();
        let products: Vec<String> = shares
            .map(|share| transposed_product(emit, &share.sums, &share.state))
            .collect();
        concat(emit, &products)
    });
    give(backward, B, &found, |emit, _, found| {
        let of_input = emit.reduce("ReduceSum", &found.input, &[0], false);
        let shares = found.recurrent.iter();
        let of_hidden: Vec<String> = shares
            .map(|share| emit.reduce("ReduceSum", &share.sums, &[0], false))
            .collect();
        let of_hidden = concat(emit, &of_hidden);
        emit.concat(&[&of_input, &of_hidden], 0)
    });
    for (which, input) in [INITIAL_H, INITIAL_C].into_iter().enumerate() {
        give(backward, input, &found, |_, pass, found| {
            let nothing = || pass.zeros.clone();
            found.initial[which].clone().unwrap_or_else(nothing)
        });
    }
}

/// Gives the gradient of an input that has a part for each direction.
fn give(
    backward: &mut Backward<'_>,
    input: usize,
    found: &[(Pass, Found)],
    of_direction: impl Fn(&mut Emitter, &Pass, &Found) -> String,
) {
    if !backward.wants(input) {
        return;
    }
    let first = backward.emit.integers(&[0]);
    let parts: Vec<String> = found
        .iter()
        .map(|(pass, found)| {
            let part = of_direction(backward.emit, pass, found);
            backward.node("Unsqueeze", &[&part, &first])
        })
        .collect();
    let gradient = concat(backward.emit, &parts);
    backward.give(input, gradient);
}

fn concat(emit: &mut Emitter, parts: &[String]) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    emit.concat(&parts, 0)
}

/// Aᵀ B
fn transposed_product(emit: &mut Emitter, a: &str, b: &str) -> String {
    let transposed = vec![AttributeProto::from_int("transA", 1)];
    emit.node_with("Gemm", &[a, b], transposed)
}

/// A node's tensors taken apart by direction.
struct Parts {
    element: ElementType,
    steps: Steps,
    units: i64,
    gates: i64,
    resets_product: bool,
    wants_initial: [bool; 2],
    x: String,
    zeros: String,
    lengths: Option<Lengths>,
    /// `[steps, 1, batch, units]` each.
    y: Vec<String>,
    gradient: Option<Vec<String>>,
    last_gradients: [Option<Vec<String>>; 2],
    initial: [Option<Vec<String>>; 2],
    input: Vec<String>,
    hidden: Vec<String>,
    biases: Option<Vec<String>>,
}

/// The sequences' lengths, as what is multiplied by.
struct Lengths {
    mask: Mask,
    /// 1 at each sequence's last step, else 0: `[steps, batch, 1]`.
    is_last: String,
    /// 1 for each sequence that has a step, else 0: `[batch, 1]`.
    is_any: String,
}

impl Parts {
    fn of(cell: &dyn Cell, form: &Form, backward: &mut Backward<'_>) -> Self {
        let size = |input: usize, axis: usize| {
            let shape = backward.input_fact(input).shape.as_deref();
            shape
                .and_then(|shape| shape.get(axis)?.as_fixed())
                .expect("sizes are known where there is a derivative")
        };
        let (features, units) = (size(W, 2), size(R, 2));
        let element = backward
            .input_fact(X)
            .element
            .unwrap_or(ElementType::Float32);
        let gates = cell.gates() as i64;
        let count = form.directions.len();
        let zeros = zeros(backward, units, element);
        let steps = steps(backward, element, &zeros);
        let lengths = given(backward, LENGTHS)
            .map(|lengths| Lengths::of(backward.emit, lengths, &steps, element));
        let flat = |backward: &mut Backward<'_>, tensor: &str, shape: &[i64], axis: usize| {
            apart(backward.emit, tensor, count, axis)
                .iter()
                .map(|part| reshape(backward.emit, part, shape))
                .collect::<Vec<String>>()
        };
        let state = [-1, units];
        let optional = |backward: &mut Backward<'_>, input: usize, shape: &[i64]| {
            let tensor = given(backward, input)?.to_owned();
            Some(flat(backward, &tensor, shape, 0))
        };
        Self {
            element,
            steps,
            units,
            gates,
            resets_product: backward.node.int("linear_before_reset", 0) != 0,
            wants_initial: [INITIAL_H, INITIAL_C].map(|input| backward.wants(input)),
            x: reshape(backward.emit, backward.input(X), &[-1, features]),
            zeros,
            lengths,
            y: apart(backward.emit, backward.output(), count, 1),
            gradient: backward
                .gradient_of(0)
                .map(|gradient| flat(backward, &gradient, &state, 1)),
            last_gradients: [1, 2].map(|output| {
                let gradient = backward.gradient_of(output)?;
                Some(flat(backward, &gradient, &state, 0))
            }),
            initial: [INITIAL_H, INITIAL_C].map(|input| optional(backward, input, &state)),
            input: flat(backward, backward.input(W), &[gates * units, features], 0),
            hidden: flat(backward, backward.input(R), &[gates * units, units], 0),
            biases: optional(backward, B, &[2 * gates * units]),
        }
    }

    fn pass(&self, backward: &mut Backward<'_>, at: usize, direction: &Direction) -> Pass {
        let emit = &mut *backward.emit;
        let of_direction = |parts: &Option<Vec<String>>| Some(parts.as_ref()?[at].clone());
        let mut gradient = of_direction(&self.gradient);
        let mut last_gradients = [0, 1].map(|which| of_direction(&self.last_gradients[which]));
        if let Some(lengths) = &self.lengths {
            let masked = |emit: &mut Emitter, tensor: Option<String>, mask: &str| {
                tensor.map(|tensor| emit.node("Mul", &[&tensor, mask]))
            };
            gradient = masked(emit, gradient, &lengths.mask.inside);
            last_gradients = last_gradients.map(|last| masked(emit, last, &lengths.is_any));
        }
        Pass {
            units: self.units,
            element: self.element,
            activations: direction.activations.clone(),
            resets_product: self.resets_product,
            y: reshape(emit, &self.y[at], &[-1, self.units]),
            before: self.before(emit, at, direction),
            hidden: self.hidden[at].clone(),
            initial_c: of_direction(&self.initial[1]),
            gradient,
            last_gradients,
            wants_initial: self.wants_initial,
            x: self.x.clone(),
            input: self.input[at].clone(),
            biases: of_direction(&self.biases),
            mask: self.lengths.as_ref().map(|lengths| lengths.mask.clone()),
            zeros: self.zeros.clone(),
            steps: self.steps.clone(),
            gates: self.gates,
            is_reverse: direction.is_reverse,
        }
    }

    /// The h before every step: Y moved by one step, with the initial h where there is none before.
    fn before(&self, emit: &mut Emitter, at: usize, direction: &Direction) -> String {
        let initial = self.initial[0].as_ref().map(|initial| initial[at].as_str());
        // Backwards, a sequence begins at its own last step.
        let own_beginnings = self.lengths.as_ref().filter(|_| direction.is_reverse);
        let outermost = match own_beginnings {
            Some(_) => &self.zeros,
            None => initial.unwrap_or(&self.zeros),
        };
        let before = if let Steps::Known(1) = self.steps {
            outermost.to_owned()
        } else {
            let (start, end) = if direction.is_reverse {
                (1, i64::from(i32::MAX))
            } else {
                (0, -1)
            };
            let bounds = [start, end, 0].map(|value| emit.integers(&[value]));
            let [start, end, axis] = bounds.each_ref().map(String::as_str);
            let others = emit.node("Slice", &[&self.y[at], start, end, axis]);
            let others = reshape(emit, &others, &[-1, self.units]);
            if direction.is_reverse {
                emit.concat(&[&others, outermost], 0)
            } else {
                emit.concat(&[outermost, &others], 0)
            }
        };
        match own_beginnings.zip(initial) {
            Some((lengths, initial)) => {
                let spread = emit.node("Mul", &[&lengths.is_last, initial]);
                let spread = reshape(emit, &spread, &[-1, self.units]);
                emit.node("Add", &[&before, &spread])
            }
            None => before,
        }
    }
}

impl Lengths {
    fn of(emit: &mut Emitter, lengths: &str, steps: &Steps, element: ElementType) -> Self {
        let cast = |emit: &mut Emitter, tensor: &str, element: ElementType| {
            let to = vec![AttributeProto::from_int("to", i64::from(element.code()))];
            emit.node_with("Cast", &[tensor], to)
        };
        let numbers = match steps {
            Steps::Known(steps) => {
                let numbers: Vec<i64> = (0..*steps as i64).collect();
                emit.integers(&numbers)
            }
            Steps::Open { sizes, .. } => {
                let scalar = emit.integers(&[]);
                let count = emit.node("Reshape", &[&sizes[0], &scalar]);
                let (zero, one) = (emit.integer(0), emit.integer(1));
                emit.node("Range", &[&zero, &count, &one])
            }
        };
        let column = emit.integers(&[-1, 1]);
        let numbers = emit.node("Reshape", &[&numbers, &column]);
        let lengths = cast(emit, lengths, ElementType::Int64);

        let is_inside = emit.node("Greater", &[&lengths, &numbers]);
        let is_inside = cast(emit, &is_inside, element);
        let inside = emit.node("Reshape", &[&is_inside, &column]);
        let one = emit.float(1.0, element);
        let outside = emit.node("Sub", &[&one, &inside]);

        let single = emit.integer(1);
        let last = emit.node("Sub", &[&lengths, &single]);
        let is_last = emit.node("Equal", &[&last, &numbers]);
        let is_last = cast(emit, &is_last, element);
        let behind = emit.integers(&[-1]);
        let is_last = emit.node("Unsqueeze", &[&is_last, &behind]);

        let none = emit.integer(0);
        let is_any = emit.node("Greater", &[&lengths, &none]);
        let is_any = cast(emit, &is_any, element);
        let is_any = emit.node("Reshape", &[&is_any, &column]);
        Self {
            mask: Mask { inside, outside },
            is_last,
            is_any,
        }
    }
}

/// An input that may be left out.
fn given<'a>(backward: &Backward<'a>, input: usize) -> Option<&'a str> {
    let name = backward.node.input.get(input)?;
    (!name.is_empty()).then_some(name)
}

/// Its parts along the axis of the directions.
fn apart(emit: &mut Emitter, tensor: &str, directions: usize, axis: usize) -> Vec<String> {
    emit.split(tensor, axis as i64, directions)
}

fn reshape(emit: &mut Emitter, tensor: &str, shape: &[i64]) -> String {
    let shape = emit.integers(shape);
    emit.node("Reshape", &[tensor, &shape])
}

fn steps(backward: &mut Backward<'_>, element: ElementType, zeros: &str) -> Steps {
    let fact = backward.input_fact(X);
    let steps = fact.shape.as_ref().and_then(|shape| shape[0].as_fixed());
    if let Some(steps) = steps {
        return Steps::Known(steps as usize);
    }
    let shape = backward.node("Shape", &[backward.input(X)]);
    let [steps, batch, _] = backward
        .emit
        .split(&shape, 0, 3)
        .try_into()
        .expect("three parts were asked for");
    Steps::Open {
        sizes: [steps, batch],
        element,
        zeros: zeros.to_owned(),
    }
}

/// 0 for every unit of every sequence, `[batch, units]`.
fn zeros(backward: &mut Backward<'_>, units: i64, element: ElementType) -> String {
    let fact = backward.input_fact(X);
    let batch = fact.shape.as_ref().and_then(|shape| shape[1].as_fixed());
    let shape = if let Some(batch) = batch {
        backward.emit.integers(&[batch, units])
    } else {
        let shape = backward.node("Shape", &[backward.input(X)]);
        let batch = backward.emit.split(&shape, 0, 3).remove(1);
        let units = backward.emit.integers(&[units]);
        backward.emit.concat(&[&batch, &units], 0)
    };
    let zero = match element {
        ElementType::Float64 => TensorProto::from_f64("", &[1], &[0.0]),
        _ => TensorProto::from_f32("", &[1], &[0.0]),
    };
    let zero = vec![AttributeProto::from_tensor("value", zero)];
    backward.emit.node_with("ConstantOfShape", &[&shape], zero)
}
