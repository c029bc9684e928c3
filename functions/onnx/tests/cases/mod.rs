//! Small models, one for every operator and form of it, whose gradients are held against finite differences in float64,
//! and whose step graphs are held against ONNX Runtime by the crate that runs it.
//!
//! One file a family, as in the library. A case's loss is the mean squared error against noise; the first input is the batch.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(dead_code, reason = "each test program uses its own part")]

mod activation;
mod arithmetic;
mod attention;
mod cast;
mod choice;
mod constant;
mod convolution;
mod convolution_block;
mod dropout;
mod einsum;
mod exponential;
mod integer;
mod layers;
mod linear;
mod logic;
mod normalization;
mod pooling;
pub mod prepared;
mod ranking;
mod recurrent;
mod reduction;
mod shapes;
pub mod sizes;
mod softmax;
mod variadic;

use millrace_onnx::{Dim, ElementType, Model, Tensor, evaluate};

use crate::support::{Draft, Tensors, batch, noise};

/// A model and a batch for it.
#[derive(Clone)]
#[allow(dead_code, reason = "each test program uses its own part")]
pub struct Case {
    /// The operator, then what is special about this form of it. It stands in what a failed test says.
    pub name: String,
    pub model: Model,
    /// The inputs of the model, and the labels.
    pub batch: Tensors,
}

impl Case {
    /// A case whose inputs are noise of the given dimensions.
    pub fn new(name: &str, draft: Draft, inputs: &[(&str, &[usize])]) -> Self {
        let noisy = |(index, &(name, dims)): (usize, &(&str, &[usize]))| {
            let values = noise(dims.iter().product(), 11 + index as u64);
            (name.to_owned(), Tensor::from_f32(dims, &values))
        };
        Self::with(name, draft, inputs.iter().enumerate().map(noisy).collect())
    }

    /// A case with inputs that matter.
    pub fn with(name: &str, draft: Draft, batch: Tensors) -> Self {
        Self::of(name, draft.model(), batch)
    }

    /// A case of a whole model.
    pub fn of(name: &str, model: Model, mut batch: Tensors) -> Self {
        let outputs = evaluate(&model, &batch).unwrap_or_else(|error| panic!("{name}: {error}"));
        let prediction = outputs.values().next().unwrap();
        let labels = noise(prediction.count(), 12);
        batch.insert(
            "labels".to_owned(),
            Tensor::from_f32(prediction.dims(), &labels),
        );
        Self {
            name: name.to_owned(),
            model,
            batch,
        }
    }
}

/// x[batch, channels, sizes…] times a parameter of the shape of a record: the tensor `h`.
pub fn images(record: &[usize]) -> Draft {
    let sizes = record
        .iter()
        .map(|&size| Dim::Fixed(i64::try_from(size).unwrap()));
    let dims: Vec<Dim> = std::iter::once(batch()).chain(sizes).collect();
    Draft::new()
        .input("x", ElementType::Float32, &dims)
        .weights("s", record, &noise(record.iter().product(), 4))
        .node("Mul", &["x", "s"], "h")
}

/// All cases.
pub fn all() -> Vec<Case> {
    [
        activation::cases(),
        arithmetic::cases(),
        attention::cases(),
        cast::cases(),
        choice::cases(),
        constant::cases(),
        convolution::cases(),
        convolution_block::cases(),
        dropout::cases(),
        einsum::cases(),
        exponential::cases(),
        integer::cases(),
        layers::cases(),
        linear::cases(),
        logic::cases(),
        normalization::cases(),
        pooling::cases(),
        prepared::cases(),
        ranking::cases(),
        recurrent::cases(),
        reduction::cases(),
        shapes::cases(),
        sizes::cases(),
        softmax::cases(),
        variadic::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The batch that fits [`hidden`].
pub const X: &[(&str, &[usize])] = &[("x", &[3, 4])];

/// x[batch, 4] times w[4, 3]: the tensor `h`, in which both signs occur.
pub fn hidden() -> Draft {
    Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("w", &[4, 3], &noise(12, 1))
        .node("MatMul", &["x", "w"], "h")
}

/// [`hidden`] with its exponential: the tensor `positive`.
pub fn positive() -> Draft {
    hidden().node("Exp", &["h"], "positive")
}
