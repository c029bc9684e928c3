//! Which parameters weight decay leaves alone.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use millrace_onnx::{Dim, ElementType, Loss, Optimizer, StepGraph};
use support::{Draft, batch, noise, options};

/// The parameters of a model that decay: those that a step graph with weight decay multiplies by 1 − lr λ.
fn decaying(draft: Draft) -> Vec<String> {
    let mut choice = options(Loss::MeanSquaredError, Optimizer::Sgd);
    choice.weight_decay = Some(0.1);
    let step = StepGraph::build(&draft.model(), &choice).unwrap();
    let nodes = &step.step.graph().node;
    let parameters = step.parameters.into_iter().map(|parameter| parameter.name);
    parameters
        .filter(|name| {
            let after = nodes
                .iter()
                .find(|node| node.output[0] == format!("{name}.new"));
            after.unwrap().input[0] != *name
        })
        .collect()
}

#[test]
fn biases_and_scales_do_not_decay_however_they_are_written() {
    let draft = Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("matrix", &[4, 3], &noise(12, 1))
        .weights("bias", &[3], &noise(3, 2))
        .weights("wide_bias", &[1, 3], &noise(3, 3))
        .weights("scale", &[1, 3], &noise(3, 4))
        .weights("column", &[3, 1], &noise(3, 5))
        .node("Gemm", &["x", "matrix", "bias"], "h")
        .node("Mul", &["h", "scale"], "scaled")
        .node("Add", &["scaled", "wide_bias"], "shifted")
        .node("MatMul", &["shifted", "column"], "y")
        .output("y", &[batch(), Dim::Fixed(1)]);
    assert_eq!(decaying(draft), ["matrix", "column"]);
}
