//! Small models, one for every operator and form of it, whose gradients are held against finite differences in float64,
//! and whose step graphs are held against ONNX Runtime by the crate that runs it.
//!
//! One file a family, as in the library. A case's loss is the mean squared error against noise; the first input is the batch.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod activation;

use millrace_onnx::{Model, Tensor, evaluate};

use crate::support::{Draft, Tensors, noise};

/// A model and a batch for it.
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
    pub fn with(name: &str, draft: Draft, mut batch: Tensors) -> Self {
        let model = draft.model();
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

/// All cases.
pub fn all() -> Vec<Case> {
    [activation::cases()].into_iter().flatten().collect()
}
