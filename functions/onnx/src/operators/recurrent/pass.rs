//! What a cell's gradient works with: one direction of a node, all steps in rows `[steps · batch, …]`.

use super::activation::Activation;
use super::walk::{Steps, Walk};
use crate::ElementType;
use crate::emitter::Emitter;
use crate::proto::AttributeProto;

/// What the gradient of one direction starts from.
pub(super) struct Pass {
    pub(super) units: i64,
    pub(super) element: ElementType,
    pub(super) activations: Vec<Activation>,
    /// Whether a `GRU` applies its reset gate behind the product.
    pub(super) resets_product: bool,
    /// The rows of Y.
    pub(super) y: String,
    /// The h before every step.
    pub(super) before: String,
    /// R, `[gates · units, units]`.
    pub(super) hidden: String,
    pub(super) initial_c: Option<String>,
    /// The gradient of Y; nothing where the loss does not depend on it.
    pub(super) gradient: Option<String>,
    /// The gradients of the last h and the last c.
    pub(super) last_gradients: [Option<String>; 2],
    /// Whether the gradients of the initial h and c are needed.
    pub(super) wants_initial: [bool; 2],
    /// The rows of X.
    pub(super) x: String,
    /// W, `[gates · units, features]`.
    pub(super) input: String,
    /// W's biases and R's in one list.
    pub(super) biases: Option<String>,
    /// Nothing where all sequences are equally long.
    pub(super) mask: Option<Mask>,
    /// 0 for every unit of every sequence, `[batch, units]`.
    pub(super) zeros: String,
    pub(super) steps: Steps,
    pub(super) gates: i64,
    /// Whether the forward pass begins at the last step.
    pub(super) is_reverse: bool,
}

/// Which steps belong to the sequences, where these differ in length.
#[derive(Clone)]
pub(super) struct Mask {
    /// 1 where a step belongs to its sequence, else 0: `[steps · batch, 1]`.
    pub(super) inside: String,
    /// The opposite.
    pub(super) outside: String,
}

/// What a cell gives back.
pub(super) struct Found {
    /// The gradient of W x.
    pub(super) input: String,
    /// The gradients of the products of R, from its first row to its last.
    pub(super) recurrent: Vec<Share>,
    /// The gradients of the initial states.
    pub(super) initial: Vec<Option<String>>,
}

/// Some rows of R.
pub(super) struct Share {
    /// The gradient of the product.
    pub(super) sums: String,
    /// What the rows were multiplied by.
    pub(super) state: String,
}

impl Pass {
    /// The way that the forward pass took.
    pub(super) fn walk_on(&self) -> Walk {
        Walk::new(self.steps.clone(), self.is_reverse)
    }

    /// The way of the gradient.
    pub(super) fn walk_back(&self) -> Walk {
        Walk::new(self.steps.clone(), !self.is_reverse)
    }

    /// The sum of both biases; nothing without them.
    pub(super) fn bias(&self, emit: &mut Emitter) -> Option<String> {
        let shape = emit.integers(&[2, self.gates * self.units]);
        let both = emit.node("Reshape", &[self.biases.as_ref()?, &shape]);
        Some(emit.reduce("ReduceSum", &both, &[0], false))
    }

    /// W's biases and R's.
    pub(super) fn biases(&self, emit: &mut Emitter) -> Option<[String; 2]> {
        emit.split(self.biases.as_ref()?, 0, 2).try_into().ok()
    }

    /// W x, and a bias.
    pub(super) fn input_sums(&self, emit: &mut Emitter, bias: Option<&str>) -> String {
        product(emit, &self.x, &self.input, bias)
    }

    /// The rows with 0 behind the end of each sequence.
    pub(super) fn masked(&self, emit: &mut Emitter, rows: String) -> String {
        match &self.mask {
            Some(mask) => emit.node("Mul", &[&rows, &mask.inside]),
            None => rows,
        }
    }

    /// The rows with 1 behind the end of each sequence.
    pub(super) fn masked_to_one(&self, emit: &mut Emitter, rows: String) -> String {
        match &self.mask {
            Some(mask) => {
                let rows = emit.node("Mul", &[&rows, &mask.inside]);
                emit.node("Add", &[&rows, &mask.outside])
            }
            None => rows,
        }
    }

    /// 1 behind the end of each sequence, else 0; nothing where all are equally long.
    pub(super) fn rest(&self) -> Option<String> {
        self.mask.as_ref().map(|mask| mask.outside.clone())
    }
}

/// The rows times a transposed matrix, and what is to be added.
pub(super) fn product(emit: &mut Emitter, rows: &str, matrix: &str, added: Option<&str>) -> String {
    let inputs: Vec<&str> = [rows, matrix].into_iter().chain(added).collect();
    let transposed = vec![AttributeProto::from_int("transB", 1)];
    emit.node_with("Gemm", &inputs, transposed)
}
