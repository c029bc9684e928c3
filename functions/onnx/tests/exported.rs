//! What exporters write around a model, set aside for training and kept in the result.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use millrace_onnx::proto::{AttributeProto, NodeProto, TensorProto, ValueInfoProto};
use millrace_onnx::{Dim, ElementType, Loss, Model, Optimizer, StepGraph, check};
use support::{Draft, batch, noise, options};

fn linear() -> Draft {
    Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("w", &[4, 3], &noise(12, 1))
        .node("MatMul", &["x", "w"], "scores")
}

fn step(model: &Model) -> StepGraph {
    StepGraph::build(model, &options(Loss::MeanSquaredError, Optimizer::Sgd)).unwrap()
}

/// Adds an output that is no float32 tensor.
fn ending(mut draft: Draft, output: &str, element: ElementType) -> Model {
    let mut info = millrace_onnx::TensorInfo::new(output, element, Vec::new());
    info.dims = None;
    draft.graph.output.push(ValueInfoProto::from_info(&info));
    draft.model()
}

#[test]
fn a_step_ends_in_front_of_a_tail_and_the_result_keeps_it() {
    let model = ending(
        linear()
            .node("Softmax", &["scores"], "probabilities")
            .node("ArgMax", &["probabilities"], "class")
            .node("Squeeze", &["class"], "label"),
        "label",
        ElementType::Int64,
    );
    let step = step(&model);
    assert_eq!(step.parameters[0].name, "w");
    assert!(
        step.step
            .graph()
            .node
            .iter()
            .all(|node| node.op_type() != "ArgMax")
    );
    let trained = [("w".to_owned(), vec![0.5; 12])].into();
    let trained = model.with_parameters(&trained).unwrap();
    assert_eq!(trained.graph().node, model.graph().node);
    assert_eq!(
        trained.graph().initializer[0].to_f32().unwrap(),
        vec![0.5; 12]
    );
}

/// As skl2onnx ends a classifier: names of classes, and a map for each record.
#[test]
fn probabilities_stand_in_front_of_a_map() {
    let mut draft = linear()
        .node("Softmax", &["scores"], "probabilities")
        .node("ArgMax", &["probabilities"], "class")
        .node("LabelEncoder", &["class"], "label")
        .node("ZipMap", &["probabilities"], "maps");
    for node in draft.graph.node.iter_mut().skip(3) {
        node.domain = Some("ai.onnx.ml".to_owned());
    }
    draft.graph.output.push(ValueInfoProto {
        name: Some("maps".to_owned()),
        ..ValueInfoProto::default()
    });
    let model = ending(draft, "label", ElementType::String);
    let step = step(&model);
    assert_eq!(step.parameters.len(), 1);
    assert!(
        step.step
            .graph()
            .node
            .iter()
            .all(|node| node.domain().is_empty())
    );
}

#[test]
fn several_tails_are_told_apart() {
    let model = ending(
        linear()
            .node("Tanh", &["scores"], "bent")
            .node("ArgMax", &["bent"], "first")
            .node("ArgMax", &["scores"], "second"),
        "first",
        ElementType::Int64,
    );
    let mut proto = model.proto().clone();
    let outputs = &mut proto.graph.as_mut().unwrap().output;
    let mut second = outputs[0].clone();
    second.name = Some("second".to_owned());
    outputs.push(second);
    let refused = check(&Model::from_proto(proto).unwrap(), None).unwrap_err();
    assert!(
        refused.to_string().ends_with("prediction: bent, scores"),
        "{refused}"
    );
}

#[test]
fn trained_constants_go_back_into_their_nodes() {
    let mut draft = Draft::new().input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)]);
    let value = TensorProto::from_f32("", &[4, 3], &noise(12, 1));
    draft.graph.node.push(NodeProto {
        op_type: Some("Constant".to_owned()),
        output: vec!["w".to_owned()],
        attribute: vec![AttributeProto::from_tensor("value", value)],
        ..NodeProto::default()
    });
    let model = draft.node("MatMul", &["x", "w"], "y").result("y").model();
    let step = step(&model);
    assert_eq!(step.parameters[0].initial, noise(12, 1));
    let same = model
        .with_parameters(&[("w".to_owned(), noise(12, 1))].into())
        .unwrap();
    assert_eq!(same.encode(), model.encode());
    let trained = model
        .with_parameters(&[("w".to_owned(), noise(12, 2))].into())
        .unwrap();
    let value = trained.graph().node[0].tensor("value").unwrap();
    assert_eq!(value.to_f32().unwrap(), noise(12, 2));
}

#[test]
fn layers_that_share_a_weight_are_told() {
    let model = Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("tied", &[4, 4], &noise(16, 1))
        .weights("own", &[4], &noise(4, 2))
        .node("MatMul", &["x", "tied"], "h")
        .node("Add", &["h", "own"], "a")
        .node("MatMul", &["a", "tied"], "y")
        .result("y")
        .model();
    assert_eq!(
        check(&model, None).unwrap().shared,
        [("tied".to_owned(), 2)]
    );
}
