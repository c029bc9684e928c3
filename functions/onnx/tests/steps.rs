//! Step graphs: their contract, what is refused, and that they train.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use millrace_onnx::layers::{self, Activation, Layer};
use millrace_onnx::proto::{AttributeProto, NodeProto, TensorProto};
use millrace_onnx::{Dim, ElementType, Error, Loss, Model, Optimizer, StepGraph, Tensor, check};
use support::{Draft, Tensors, batch, initial_state, next_state, noise, options, run_step};

fn classifier() -> Model {
    let dense = |units, activation| Layer::Dense {
        units,
        activation,
        bias: true,
    };
    let layers = [
        Layer::Scale { factor: 0.5 },
        dense(8, Activation::Relu),
        dense(3, Activation::Softmax),
    ];
    layers::build(&[4], &layers, 1).unwrap()
}

fn linear() -> Draft {
    let wide = [batch(), Dim::Fixed(3)];
    Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("w", &[4, 3], &noise(12, 1))
        .node("MatMul", &["x", "w"], "y")
        .output("y", &wide)
}

fn names(infos: &[millrace_onnx::TensorInfo]) -> Vec<String> {
    infos
        .iter()
        .map(|info| format!("{} {info}", info.name))
        .collect()
}

#[test]
fn inputs_and_outputs_have_the_names_of_the_contract() {
    let step = StepGraph::build(
        &classifier(),
        &options(Loss::CROSS_ENTROPY, Optimizer::ADAM),
    )
    .unwrap();
    let signature = step.step.signature();
    let inputs = names(&signature.inputs);
    assert_eq!(
        inputs[..7],
        [
            "input float32[batch, 4]",
            "labels int64[batch]",
            "lr float32[]",
            "step int64[]",
            "seed int64[]",
            "dense_1.weight float32[4, 8]",
            "dense_1.bias float32[8]",
        ]
    );
    assert_eq!(
        inputs[9..11],
        [
            "dense_1.weight.m float32[4, 8]",
            "dense_1.weight.v float32[4, 8]"
        ]
    );
    assert_eq!(inputs.len(), 5 + 4 * 3);
    let outputs = names(&signature.outputs);
    assert_eq!(
        outputs[..3],
        [
            "loss float32[]",
            "prediction float32[batch, 3]",
            "dense_1.weight.new float32[4, 8]"
        ]
    );
    assert!(outputs.contains(&"dense_2.bias.v.new float32[3]".to_owned()));
    assert_eq!(outputs.len(), 2 + 4 * 3);

    let evaluation = step.evaluation.signature();
    assert_eq!(names(&evaluation.inputs).len(), 2 + 4);
    assert_eq!(
        names(&evaluation.outputs),
        ["loss float32[]", "prediction float32[batch, 3]"]
    );
    assert_eq!(step.targets[0].labels.to_string(), "int64[batch]");
}

#[test]
fn the_same_model_gives_the_same_step() {
    let build = || {
        let step = StepGraph::build(
            &classifier(),
            &options(Loss::CROSS_ENTROPY, Optimizer::ADAM),
        )
        .unwrap();
        (step.step.encode(), step.evaluation.encode())
    };
    assert_eq!(build(), build());
}

#[test]
fn a_softmax_at_the_end_is_part_of_the_loss() {
    let step =
        StepGraph::build(&classifier(), &options(Loss::CROSS_ENTROPY, Optimizer::Sgd)).unwrap();
    let batch = Tensors::from([
        ("input".to_owned(), Tensor::from_f32(&[2, 4], &noise(8, 1))),
        ("labels".to_owned(), Tensor::integers(&[2], vec![2, 0])),
    ]);
    let outputs = run_step(&step, &batch, &initial_state(&step), 0.1, 1);
    let prediction = outputs["prediction"].as_floats().unwrap();
    let expected = -(prediction[2].ln() + prediction[3].ln()) / 2.0;
    assert!((outputs["loss"].as_floats().unwrap()[0] - expected).abs() < 1e-12);
}

#[test]
fn training_separates_two_clusters() {
    let step = StepGraph::build(
        &classifier(),
        &options(Loss::CROSS_ENTROPY, Optimizer::ADAM),
    )
    .unwrap();
    let (mut records, mut labels) = (Vec::new(), Vec::new());
    for (number, chunk) in noise(4 * 30, 3).chunks(4).enumerate() {
        let class = number % 3;
        records.extend(
            chunk
                .iter()
                .enumerate()
                .map(|(at, value)| if at == class { value + 3.0 } else { *value }),
        );
        labels.push(i64::try_from(class).unwrap());
    }
    let batch = Tensors::from([
        ("input".to_owned(), Tensor::from_f32(&[30, 4], &records)),
        ("labels".to_owned(), Tensor::integers(&[30], labels)),
    ]);
    let mut state = initial_state(&step);
    let mut losses = Vec::new();
    for number in 1..=60 {
        let outputs = run_step(&step, &batch, &state, 0.05, number);
        losses.push(outputs["loss"].as_floats().unwrap()[0]);
        state = next_state(&state, &outputs);
    }
    assert!(
        losses[59] < 0.05 && losses[0] > 0.5,
        "{} to {}",
        losses[0],
        losses[59]
    );
}

/// A model whose inner tensors have the contract's names trains all the same.
#[test]
fn inner_tensors_make_way_for_the_contract() {
    let model = Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("w", &[4, 3], &noise(12, 1))
        .node("MatMul", &["x", "w"], "prediction")
        .node("Tanh", &["prediction"], "loss")
        .node("Exp", &["loss"], "labels")
        .output("labels", &[batch(), Dim::Fixed(3)])
        .model();
    let batch = Tensors::from([
        ("x".to_owned(), Tensor::from_f32(&[2, 4], &noise(8, 1))),
        ("labels".to_owned(), Tensor::from_f32(&[2, 3], &noise(6, 2))),
    ]);
    support::assert_gradients(&model, Loss::MeanSquaredError, &batch);
}

#[test]
fn names_that_collide_are_refused() {
    let with_input = |name: &str| {
        Draft::new()
            .input(name, ElementType::Float32, &[batch(), Dim::Fixed(4)])
            .weights("w", &[4, 3], &noise(12, 1))
            .node("MatMul", &[name, "w"], "y")
            .output("y", &[batch(), Dim::Fixed(3)])
    };
    let with_weights = |first: &str, second: &str| {
        Draft::new()
            .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
            .weights(first, &[4, 4], &noise(16, 1))
            .weights(second, &[4, 3], &noise(12, 1))
            .node("MatMul", &["x", first], "h")
            .node("MatMul", &["h", second], "y")
            .output("y", &[batch(), Dim::Fixed(3)])
    };
    let drafts = [
        with_input("labels"),
        with_input("lr"),
        with_input("loss"),
        with_input("w.new"),
        with_weights("a", "a.new"),
        with_weights("a", "a.m"),
    ];
    for draft in drafts {
        let refused = StepGraph::build(
            &draft.model(),
            &options(Loss::MeanSquaredError, Optimizer::ADAM),
        );
        assert!(
            matches!(refused, Err(Error::NameTaken { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn operators_without_a_derivative_are_named_with_their_nodes() {
    let model = linear()
        .node("LpNormalization", &["y"], "unit")
        .node("Hardmax", &["unit"], "z")
        .model();
    let mut proto = model.proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    graph.output[0].name = Some("z".to_owned());
    let model = Model::from_proto(proto).unwrap();
    let refused =
        StepGraph::build(&model, &options(Loss::MeanSquaredError, Optimizer::Sgd)).unwrap_err();
    let message = refused.to_string();
    assert!(
        message.contains("node 'make unit' (LpNormalization)")
            && message.contains("node 'make z' (Hardmax)"),
        "{message}"
    );
    assert!(message.contains("name a tensor in front of it as the prediction"));
    let found = check(&model, None).unwrap();
    assert_eq!(found.obstacles.len(), 2);
    assert!(!found.trainable());

    let mut before = options(Loss::MeanSquaredError, Optimizer::Sgd);
    before.goals[0].prediction = Some("y".to_owned());
    assert!(StepGraph::build(&model, &before).is_ok());
    assert!(check(&model, Some("y")).unwrap().trainable());
}

#[test]
fn a_diagonal_of_unequal_sizes_is_refused_in_words() {
    let equation = vec![AttributeProto::from_string("equation", "bb->b")];
    let model = linear()
        .node_with("Einsum", &["y"], "diagonal", equation)
        .output("diagonal", &[batch()])
        .model();
    let found = check(&model, Some("diagonal")).unwrap();
    assert_eq!(found.obstacles.len(), 1);
    let obstacle = found.obstacles[0].to_string();
    assert!(
        obstacle.contains("node 'make diagonal' (Einsum)")
            && obstacle.contains("takes a diagonal of sizes that are not known, or not equal"),
        "{obstacle}"
    );
}

#[test]
fn peepholes_are_refused_in_words() {
    let inputs = ["x", "w", "r", "", "", "", "", "p"];
    let units = vec![AttributeProto::from_int("hidden_size", 3)];
    let model = Draft::new()
        .input(
            "x",
            ElementType::Float32,
            &[Dim::Fixed(4), batch(), Dim::Fixed(2)],
        )
        .weights("w", &[1, 12, 2], &noise(24, 1))
        .weights("r", &[1, 12, 3], &noise(36, 2))
        .weights("p", &[1, 9], &noise(9, 3))
        .node_with("LSTM", &inputs, "y", units)
        .result("y")
        .model();
    let found = check(&model, None).unwrap();
    assert!(!found.trainable());
    let obstacle = found.obstacles[0].to_string();
    assert!(
        obstacle.contains("node 'make y' (LSTM) has peephole connections"),
        "{obstacle}"
    );
}

#[test]
fn an_unknown_operator_in_front_of_all_parameters_is_no_obstacle() {
    let model = Draft::new()
        .input("raw", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("w", &[4, 3], &noise(12, 1))
        .node("Asinh", &["raw"], "x")
        .node("MatMul", &["x", "w"], "y")
        .output("y", &[batch(), Dim::Fixed(3)])
        .model();
    let step = StepGraph::build(&model, &options(Loss::MeanSquaredError, Optimizer::Sgd)).unwrap();
    assert_eq!(step.targets[0].labels.to_string(), "float32[batch, 3]");
}

#[test]
fn nodes_that_lack_inputs_are_refused() {
    for (operator, count) in [
        ("MatMul", 1),
        ("Gemm", 1),
        ("Mul", 1),
        ("Reshape", 1),
        ("Softmax", 0),
        ("Tanh", 0),
    ] {
        let inputs = ["y"];
        let model = linear()
            .node(operator, &inputs[..count], "z")
            .output("z", &[batch(), Dim::Fixed(3)])
            .model();
        for loss in [Loss::MeanSquaredError, Loss::CROSS_ENTROPY] {
            let mut choice = options(loss, Optimizer::Sgd);
            choice.goals[0].prediction = Some("z".to_owned());
            assert!(StepGraph::build(&model, &choice).is_err(), "{operator}");
        }
    }
}

#[test]
fn a_prediction_through_which_nothing_trains_is_refused() {
    let to = |element: ElementType| vec![AttributeProto::from_int("to", i64::from(element.code()))];
    let model = linear()
        .node_with("Cast", &["y"], "whole", to(ElementType::Int64))
        .node_with("Cast", &["whole"], "z", to(ElementType::Float32))
        .model();
    let mut choice = options(Loss::MeanSquaredError, Optimizer::Sgd);
    choice.goals[0].prediction = Some("z".to_owned());
    let refused = StepGraph::build(&model, &choice).unwrap_err();
    let Error::NotTrainable(obstacles) = &refused else {
        panic!("{refused}");
    };
    let named: Vec<_> = obstacles.iter().map(|found| found.node.as_str()).collect();
    assert_eq!(named, ["make whole"]);
    assert!(
        refused
            .to_string()
            .contains("name a tensor in front of it as the prediction")
    );
}

#[test]
fn predictions_that_do_not_fit_are_refused() {
    let refused = |draft: Draft, prediction: Option<&str>, loss: Loss| {
        let mut choice = options(loss, Optimizer::Sgd);
        choice.goals[0].prediction = prediction.map(str::to_owned);
        match StepGraph::build(&draft.model(), &choice) {
            Err(Error::Request { reason }) => reason,
            other => panic!("{other:?}"),
        }
    };
    let squared = || Loss::MeanSquaredError;
    assert!(refused(linear(), Some("x"), squared()).contains("no node of the model makes"));
    assert!(refused(linear(), Some("nothing"), squared()).contains("no node of the model makes"));
    let two = linear()
        .node("Tanh", &["y"], "z")
        .output("z", &[batch(), Dim::Fixed(3)]);
    assert!(refused(two, None, squared()).contains("say which of them is the prediction: y, z"));
    let one_class = Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("w", &[4, 1], &noise(4, 1))
        .node("MatMul", &["x", "w"], "y")
        .output("y", &[batch(), Dim::Fixed(1)]);
    assert!(refused(one_class, None, Loss::CROSS_ENTROPY).contains("at least 2 classes"));
    let mut old = linear().node("Softmax", &["y"], "z");
    old.opset = 11;
    assert!(refused(old, None, squared()).contains("operator set 11"));
}

#[test]
fn what_does_not_train_is_said_with_the_reason() {
    let mut draft = linear().weights("unused", &[2], &[1.0, 2.0]);
    draft = draft.weights("root", &[], &[4.0]);
    let model = draft.node("Div", &["y", "root"], "z").model();
    let found = check(&model, Some("z")).unwrap();
    assert_eq!(found.parameters, [("w".to_owned(), vec![4, 3])]);
    assert_eq!(found.constants[0].0, "root");
    assert!(found.constants[0].1.contains("single number"));
}

#[test]
fn frozen_parameters_stay_initializers() {
    let frozen = |patterns: &[&str]| {
        let mut choice = options(Loss::CROSS_ENTROPY, Optimizer::ADAM);
        choice.frozen = patterns.iter().copied().map(str::to_owned).collect();
        StepGraph::build(&classifier(), &choice)
    };
    let step = frozen(&["dense_1.*"]).unwrap();
    let names: Vec<&str> = step.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["dense_2.weight", "dense_2.bias"]);
    let graph = step.step.graph();
    let kept = graph.initializer.iter().map(TensorProto::name);
    assert_eq!(kept.filter(|name| name.starts_with("dense_1")).count(), 2);
    // The gradient stops at the frozen layer: nothing of the activation in front of it is differentiated.
    let names = graph.node.iter().map(NodeProto::label);
    assert!(!names.into_iter().any(|name| name.contains("gradient/relu")));
    assert_eq!(step.slots.len(), 4);

    let refused = |patterns: &[&str]| frozen(patterns).unwrap_err().to_string();
    let unmatched = refused(&["dense_9.*"]);
    assert!(
        unmatched.contains("'dense_9.*' shall be frozen") && unmatched.contains("dense_1.weight"),
        "{unmatched}"
    );
    assert!(refused(&["*"]).contains("every parameter that a gradient reaches is frozen"));
}
