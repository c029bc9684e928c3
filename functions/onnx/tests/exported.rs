//! What exporters write around a model, set aside for training and kept in the result.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cases;
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

#[test]
fn parameters_that_something_cuts_off_are_told_with_what_does() {
    let model = linear()
        .weights("v", &[3], &noise(3, 2))
        .node("Floor", &["v"], "steps")
        .node("Round", &["steps"], "again")
        .node("Mul", &["scores", "again"], "y")
        .result("y")
        .model();
    let found = check(&model, None).unwrap();
    assert!(found.trainable());
    let (_, why) = found
        .constants
        .iter()
        .find(|(name, _)| name == "v")
        .unwrap();
    assert!(why.contains("node 'make steps' (Floor)"), "{why}");

    let model = linear()
        .node("Round", &["scores"], "whole")
        .node("Relu", &["whole"], "y")
        .result("y")
        .model();
    let found = check(&model, None).unwrap();
    assert!(!found.trainable());
    assert_eq!(found.obstacles.len(), 1);
    assert_eq!(found.obstacles[0].node, "make whole");
}

/// The mean that a normalization gives besides has no derivative here; to use it must not train by half a gradient.
#[test]
fn a_use_of_the_mean_that_a_normalization_gives_is_refused() {
    let mut draft = linear().weights("scale", &[3], &noise(3, 2)).node(
        "LayerNormalization",
        &["scores", "scale"],
        "normal",
    );
    draft.graph.node[1].output.push("mean".to_owned());
    let unused = draft.clone().node("Relu", &["normal"], "y").result("y");
    assert!(check(&unused.model(), None).unwrap().trainable());
    let used = draft.node("Add", &["normal", "mean"], "y").result("y");
    let found = check(&used.model(), None).unwrap();
    let obstacle = found.obstacles[0].to_string();
    assert!(
        obstacle.contains("make normal") && obstacle.contains("output 'mean'"),
        "{obstacle}"
    );
}

#[test]
fn trained_coefficients_go_back_into_a_linear_model() {
    let model = cases::prepared::classifier("SOFTMAX", "L1");
    let step = step(&model);
    let names = [
        "LinearClassifier.coefficients",
        "LinearClassifier.intercepts",
    ];
    let trained: Vec<&str> = step
        .parameters
        .iter()
        .map(|found| found.name.as_str())
        .collect();
    assert_eq!(trained, names);
    assert_eq!(step.parameters[0].initial, noise(12, 1));
    let values = [
        (names[0].to_owned(), noise(12, 8)),
        (names[1].to_owned(), noise(3, 9)),
    ];
    let trained = model.with_parameters(&values.into()).unwrap();
    let node = &trained.graph().node[0];
    assert_eq!(node.floats("coefficients").unwrap(), noise(12, 8));
    assert_eq!(node.floats("intercepts").unwrap(), noise(3, 9));
    let same = step.parameters.iter();
    let same = same.map(|found| (found.name.clone(), found.initial.clone()));
    let same = model.with_parameters(&same.collect()).unwrap();
    assert_eq!(same.encode(), model.encode());
}

/// scikit-learn's exporter names no later operator set than a model needs.
#[test]
fn an_older_operator_set_of_which_nothing_has_changed_is_raised() {
    let mut proto = cases::prepared::regressor().proto().clone();
    proto.opset_import[0].version = Some(9);
    let step = step(&Model::from_proto(proto).unwrap());
    assert_eq!(step.step.opset(), Some(13));
    let older = linear()
        .opset(12)
        .node("Softmax", &["scores"], "y")
        .result("y");
    let refused = check(&older.model(), None).unwrap_err();
    assert!(refused.to_string().contains("operator set 12"), "{refused}");
}

/// An output that gives the classes as numbers stands beside the one that learns.
#[test]
fn of_several_outputs_the_one_that_is_no_tail_is_the_prediction() {
    let to = i64::from(ElementType::Float32.code());
    let to = vec![AttributeProto::from_int("to", to)];
    let model = linear()
        .node("Softmax", &["scores"], "probabilities")
        .node("ArgMax", &["probabilities"], "class")
        .node_with("Cast", &["class"], "number", to)
        .result("number")
        .result("probabilities")
        .model();
    assert!(check(&model, None).unwrap().trainable());
}

/// A weight whose name another branch has as well does not train: its values would not find their way back.
#[test]
fn trained_weights_go_back_into_a_branch() {
    let model = cases::prepared::branches();
    let step = step(&model);
    let trained: Vec<&str> = step
        .parameters
        .iter()
        .map(|found| found.name.as_str())
        .collect();
    assert_eq!(trained, ["bias", "own"]);
    let values = [("own".to_owned(), vec![0.5; 12])].into();
    let trained = model.with_parameters(&values).unwrap();
    let branch = trained
        .graph()
        .node
        .iter()
        .find_map(|node| node.graph("then_branch"));
    let own = &branch.unwrap().initializer[0];
    assert_eq!(own.to_f32().unwrap(), vec![0.5; 12]);
}

#[test]
fn control_flow_whose_shape_is_not_constant_is_named() {
    let model = cases::prepared::branches();
    let mut proto = model.proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    // By a feature's sign in place of the number of features.
    graph.node.retain(|node| node.op_type() != "Equal");
    graph.node.insert(
        0,
        NodeProto {
            op_type: Some("Greater".to_owned()),
            input: vec!["x".to_owned(), "x".to_owned()],
            output: vec!["is four".to_owned()],
            ..NodeProto::default()
        },
    );
    let found = check(&Model::from_proto(proto).unwrap(), None).unwrap();
    let obstacle = found.obstacles[0].to_string();
    assert!(
        obstacle.contains("node 'z' (If) is control flow whose shape is not constant"),
        "{obstacle}"
    );
}

/// As PyTorch's older exporter writes the mask of an attention.
#[test]
fn a_mask_of_infinite_numbers_does_not_train() {
    for (number, reason) in [(f32::NEG_INFINITY, "as masks do"), (f32::NAN, "diverged")] {
        let model = linear()
            .weights("mask", &[3], &[0.0, number, 0.0])
            .node("Add", &["scores", "mask"], "masked")
            .node("Softmax", &["masked"], "y")
            .result("y")
            .model();
        let found = check(&model, None).unwrap();
        assert_eq!(found.parameters.len(), 1);
        let (name, why) = &found.constants[0];
        assert!(name == "mask" && why.contains(reason), "{why}");
    }
}

#[test]
fn numbers_of_the_program_do_not_train() {
    let found = check(&cases::prepared::constants(), None).unwrap();
    let names: Vec<&str> = found
        .parameters
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["w", "b"]);
}
