//! Batch normalization: which statistics are used when, how the running ones follow, and whose they are.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeMap;

use millrace_onnx::proto::{AttributeProto, FunctionProto, NodeProto, OperatorSetIdProto};
use millrace_onnx::{
    BatchNormalization, Dim, ElementType, Error, Loss, Model, Optimizer, StepGraph, Tensor, check,
    evaluate,
};
use support::{
    Draft, Tensors, batch, check_gradients_with, initial_state, noise, options, run_step,
};

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

fn step(model: &Model) -> StepGraph {
    StepGraph::build(model, &options(Loss::MeanSquaredError, Optimizer::Sgd)).unwrap()
}

fn floats(tensor: &Tensor) -> &[f64] {
    tensor.as_floats().unwrap()
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
#[test]
fn evaluation_uses_the_running_statistics() {
    for training_mode in [0, 1] {
        let step = step(&normalized("mean", "variance", training_mode).model());
        let mut inputs = data();
        inputs.extend(initial_state(&step));
        let found = evaluate(&step.evaluation, &inputs).unwrap();
        let h = product(&inputs);
        let expected: Vec<f64> = h
            .chunks(3)
            .flat_map(|row| {
                let statistics = [(0.1_f32, 0.5_f64), (-0.2, 1.5), (0.3, 2.5)];
                [0, 1, 2].map(|at| {
                    let (mean, variance) = (f64::from(statistics[at].0), statistics[at].1);
                    (row[at] - mean) / (variance + f64::from(1e-5_f32)).sqrt()
                })
            })
            .collect();
        let prediction = floats(&found["prediction"]);
        for (found, expected) in prediction.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
        }
    }
}

/// x · w
fn product(inputs: &Tensors) -> Vec<f64> {
    let (x, w) = (floats(&inputs["x"]), floats(&inputs["w"]));
    let rows = x.chunks(4);
    rows.flat_map(|row| (0..3).map(|column| (0..4).map(|at| row[at] * w[at * 3 + column]).sum()))
        .collect()
}

#[test]
fn running_statistics_are_shared_with_nothing_else() {
    // As exporters write a fresh model: scale and variance are the same ones, bias and mean the same zeros.
    let model = normalized("zeros", "ones", 0).model();
    let step = step(&model);
    let names: Vec<&str> = step.statistics.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["make y.running_mean", "make y.running_variance"]);
    assert_eq!(step.statistics[0].initial, [0.0; 3]);
    let found = check(&model, None).unwrap();
    assert_eq!(found.parameters.len(), 3);
    assert_eq!(
        found.statistics[1],
        ("make y.running_variance".to_owned(), vec![3])
    );

    let values = BTreeMap::from([
        ("ones".to_owned(), vec![2.0; 3]),
        ("make y.running_mean".to_owned(), vec![0.5; 3]),
    ]);
    let trained = model.with_parameters(&values).unwrap();
    let node = &trained.graph().node[1];
    assert_eq!(
        node.input,
        [
            "h",
            "ones",
            "zeros",
            "make y.running_mean",
            "make y.running_variance"
        ]
    );
    let again = trained.with_parameters(&BTreeMap::new()).unwrap();
    assert_eq!(again, trained);
}

#[test]
fn statistics_behind_identities_and_constants_are_found() {
    let mut draft = normalized("same", "fixed", 0);
    let identity = NodeProto {
        input: vec!["mean".to_owned()],
        output: vec!["same".to_owned()],
        op_type: Some("Identity".to_owned()),
        ..NodeProto::default()
    };
    let variance = millrace_onnx::proto::TensorProto::from_f32("", &[3], &[4.0; 3]);
    let constant = NodeProto {
        output: vec!["fixed".to_owned()],
        op_type: Some("Constant".to_owned()),
        attribute: vec![AttributeProto::from_tensor("value", variance)],
        ..NodeProto::default()
    };
    draft.graph.node.insert(0, identity);
    draft.graph.node.insert(0, constant);
    let step = step(&draft.model());
    assert_eq!(step.statistics[0].name, "mean");
    assert_eq!(step.statistics[1].name, "make y.running_variance");
    assert_eq!(step.statistics[1].initial, [4.0; 3]);
}

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

#[test]
fn the_step_normalizes_by_the_batch_and_the_running_statistics_follow() {
    let step = step(&normalized("mean", "variance", 0).model());
    let mut inputs = data();
    inputs.extend(initial_state(&step));
    let h = product(&inputs);
    let outputs = run_step(&step, &data(), &initial_state(&step), 0.1, 1);
    for channel in 0..3 {
        let column = |values: &[f64]| -> Vec<f64> {
            values.iter().copied().skip(channel).step_by(3).collect()
        };
        let average = |values: &[f64]| values.iter().sum::<f64>() / 5.0;
        let values = column(&h);
        let mean = average(&values);
        let squares: Vec<f64> = values.iter().map(|value| (value - mean).powi(2)).collect();
        let variance = average(&squares);
        for (value, found) in values.iter().zip(column(floats(&outputs["prediction"]))) {
            let expected = (value - mean) / (variance + f64::from(1e-5_f32)).sqrt();
            assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
        }
        for (name, statistic) in [("mean", mean), ("variance", variance)] {
            let running = floats(&inputs[name])[channel];
            let found = floats(&outputs[&format!("{name}.new")])[channel];
            let expected = 0.75 * running + 0.25 * statistic;
            assert!(
                (found - expected).abs() < 1e-12,
                "{name}: {found} for {expected}"
            );
        }
    }
}

/// Two layers by one function, of which the exporter has merged the statistics.
#[test]
fn a_function_that_normalizes_has_statistics_of_each_call() {
    let domain = || Some("local".to_owned());
    let node = |operator: &str, inputs: &[&str], output: &str| NodeProto {
        op_type: Some(operator.to_owned()),
        input: inputs.iter().copied().map(str::to_owned).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    };
    let inputs = ["in", "weights", "scale", "bias", "mean", "variance"];
    let inner = ["h", "scale", "bias", "mean", "variance"];
    let function = FunctionProto {
        name: Some("layer".to_owned()),
        domain: domain(),
        input: inputs.map(str::to_owned).to_vec(),
        output: vec!["out".to_owned()],
        node: vec![
            node("MatMul", &["in", "weights"], "h"),
            node("BatchNormalization", &inner, "out"),
        ],
        ..FunctionProto::default()
    };
    let mut draft = Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("first", &[4, 3], &noise(12, 1))
        .weights("second", &[3, 3], &noise(9, 2))
        .weights("scale", &[3], &[0.5, 1.0, 1.5])
        .weights("zeros", &[3], &[0.0; 3])
        .weights("ones", &[3], &[1.0; 3]);
    for (from, weights, to) in [("x", "first", "a"), ("a", "second", "y")] {
        let mut call = node(
            "layer",
            &[from, weights, "scale", "zeros", "zeros", "ones"],
            to,
        );
        call.domain = domain();
        call.name = Some(format!("call {to}"));
        draft.graph.node.push(call);
    }
    let mut proto = draft
        .output("y", &[batch(), Dim::Fixed(3)])
        .model()
        .proto()
        .clone();
    proto.functions = vec![function];
    proto.opset_import.push(OperatorSetIdProto {
        domain: domain(),
        version: Some(1),
    });
    let model = Model::from_proto(proto).unwrap();
    let sgd = options(Loss::MeanSquaredError, Optimizer::Sgd);
    check_gradients_with(&model, &sgd, &data()).unwrap();

    let step = StepGraph::build(&model, &sgd).unwrap();
    assert_eq!(step.statistics.len(), 4);
    let outputs = run_step(&step, &data(), &initial_state(&step), 0.1, 1);
    let all = step.parameters.iter().chain(&step.statistics);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the model has float32 values"
    )]
    let values = all.map(|found| {
        let values = outputs[&found.output()].as_floats().unwrap().iter();
        (
            found.name.clone(),
            values.map(|&value| value as f32).collect(),
        )
    });
    let trained = model.with_parameters(&values.collect()).unwrap();
    let normalizations = trained.graph().node.iter();
    let normalizations = normalizations.filter(|node| node.op_type() == "BatchNormalization");
    let statistics: Vec<&String> = normalizations.flat_map(|node| &node.input[3..]).collect();
    assert_eq!(statistics.len(), 4);
    assert!(
        statistics
            .iter()
            .enumerate()
            .all(|(at, name)| !statistics[..at].contains(name))
    );
    let x = Tensors::from([("x".to_owned(), data()["x"].clone())]);
    assert!(evaluate(&trained, &x).is_ok());
}

/// As PyTorch's exporter writes a layer that keeps no running statistics.
#[test]
fn statistics_that_the_graph_computes_are_differentiated() {
    let over = || {
        vec![
            AttributeProto::from_ints("axes", &[0]),
            AttributeProto::from_int("keepdims", 0),
        ]
    };
    let model = Draft::new()
        .opset(15)
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("w", &[4, 3], &noise(12, 1))
        .weights("scale", &[3], &[0.5, 1.0, 1.5])
        .weights("bias", &[3], &[0.5, 0.0, -0.5])
        .node("MatMul", &["x", "w"], "h")
        .node_with("ReduceMean", &["h"], "mean", over())
        .node("Sub", &["h", "mean"], "centred")
        .node("Mul", &["centred", "centred"], "squares")
        .node_with("ReduceMean", &["squares"], "variance", over())
        .node(
            "BatchNormalization",
            &["h", "scale", "bias", "mean", "variance"],
            "y",
        )
        .output("y", &[batch(), Dim::Fixed(3)])
        .model();
    for options in [options(Loss::MeanSquaredError, Optimizer::Sgd), frozen()] {
        check_gradients_with(&model, &options, &data()).unwrap();
        let step = StepGraph::build(&model, &options).unwrap();
        assert_eq!(step.parameters.len(), 3);
        assert!(step.statistics.is_empty());
    }
}
