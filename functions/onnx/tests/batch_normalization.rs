//! Batch normalization: which statistics are used when, how the running ones follow, and whose they are.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeMap;

use millrace_onnx::proto::AttributeProto;
use millrace_onnx::{
    BatchNormalization, Dim, ElementType, Error, Loss, Optimizer, StepGraph, Tensor,
};
use support::{Draft, Tensors, batch, check_gradients_with, noise, options};

/// x[batch, 4] · w, normalized over three channels with statistics of the given names, as `y`.
fn normalized(mean: &str, variance: &str, training_mode: i64) -> Draft {
    let attributes = vec![
        AttributeProto::from_float("momentum", 0.75),
        AttributeProto::from_int("training_mode", training_mode),
    ];
    let mut draft = Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("w", &[4, 3], &noise(12, 1))
        .weights("ones", &[3], &[1.0; 3])
        .weights("zeros", &[3], &[0.0; 3])
        .weights("mean", &[3], &[0.1, -0.2, 0.3])
        .weights("variance", &[3], &[0.5, 1.5, 2.5])
        .node("MatMul", &["x", "w"], "h")
        .node_with(
            "BatchNormalization",
            &["h", "ones", "zeros", mean, variance],
            "y",
            attributes,
        );
    if training_mode == 1 {
        let outputs = &mut draft.graph.node.last_mut().unwrap().output;
        outputs.extend(["mean_out".to_owned(), "variance_out".to_owned()]);
    }
    draft.output("y", &[batch(), Dim::Fixed(3)])
}

fn data() -> Tensors {
    Tensors::from([
        ("x".to_owned(), Tensor::from_f32(&[5, 4], &noise(20, 2))),
        (
            "labels".to_owned(),
            Tensor::from_f32(&[5, 3], &noise(15, 3)),
        ),
    ])
}

fn frozen() -> millrace_onnx::StepOptions {
    millrace_onnx::StepOptions {
        batch_normalization: BatchNormalization::Freeze,
        ..options(Loss::MeanSquaredError, Optimizer::Sgd)
    }
}

#[test]
fn frozen_statistics_stay_while_scale_and_bias_train() {
    for training_mode in [0, 1] {
        let model = normalized("mean", "variance", training_mode).model();
        check_gradients_with(&model, &frozen(), &data()).unwrap();
        let step = StepGraph::build(&model, &frozen()).unwrap();
        assert!(step.statistics.is_empty());
        let names: Vec<&str> = step.parameters.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["w", "ones", "zeros"]);
    }
}

#[test]
fn images_are_normalized_by_channel() {
    let model = Draft::new()
        .input(
            "x",
            ElementType::Float32,
            &[batch(), Dim::Fixed(2), Dim::Fixed(2), Dim::Fixed(3)],
        )
        .weights("w", &[2, 1, 1], &[0.5, -1.5])
        .weights("scale", &[2], &[1.5, 0.5])
        .weights("bias", &[2], &[0.1, 0.2])
        .weights("mean", &[2], &[0.1, -0.2])
        .weights("variance", &[2], &[0.5, 1.5])
        .node("Mul", &["x", "w"], "h")
        .node(
            "BatchNormalization",
            &["h", "scale", "bias", "mean", "variance"],
            "y",
        )
        .result("y")
        .model();
    let tensor = |seed| Tensor::from_f32(&[3, 2, 2, 3], &noise(36, seed));
    let batch = Tensors::from([
        ("x".to_owned(), tensor(2)),
        ("labels".to_owned(), tensor(3)),
    ]);
    check_gradients_with(&model, &frozen(), &batch).unwrap();
}

/// Each record is predicted by the running statistics, alone, however the exporter wrote the node.
/// A model exported in the form for training predicts by its running statistics once it is trained.
#[test]
fn a_trained_model_has_the_form_for_prediction() {
    let model = normalized("mean", "variance", 1).model();
    let trained = model.with_parameters(&BTreeMap::new()).unwrap();
    let node = &trained.graph().node[1];
    assert_eq!(node.output, ["y"]);
    assert_eq!(node.int("training_mode", 0), 0);
    let plain = normalized("mean", "variance", 0).model();
    assert_eq!(plain.with_parameters(&BTreeMap::new()).unwrap(), plain);
}

#[test]
fn statistics_have_names_of_the_contract() {
    let model = normalized("mean", "variance", 0)
        .weights("mean.new", &[4, 3], &noise(12, 9))
        .node("MatMul", &["x", "mean.new"], "other")
        .node("Add", &["y", "other"], "z")
        .result("z")
        .model();
    let mut choice = options(Loss::MeanSquaredError, Optimizer::Sgd);
    choice.goals[0].prediction = Some("z".to_owned());
    let refused = StepGraph::build(&model, &choice);
    assert!(
        matches!(refused, Err(Error::NameTaken { .. })),
        "{refused:?}"
    );
}
