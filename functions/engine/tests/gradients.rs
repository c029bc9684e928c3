//! The step graphs of all gradient cases on ONNX Runtime in float32, against the float64 reference.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../../onnx/tests/cases/mod.rs"]
mod cases;
mod library;
mod running;
#[path = "../../onnx/tests/support/mod.rs"]
mod support;

use millrace_engine::load;
use millrace_onnx::layers::{self, Activation, Layer};
use millrace_onnx::proto::AttributeProto;
use millrace_onnx::{
    ClassLabels, Clipping, CrossEntropy, Dim, ElementType, Loss, Lowering, Model, Optimizer,
    StepGraph, StepOptions, Tensor, evaluate,
};
use running::{Program, relative_error, run};
use support::{Draft, Tensors};

/// The largest relative error of a gradient in the Euclidean norm.
const LARGEST_ERROR: f64 = 1e-5;
/// A large step loses least of the gradient (p − p.new) / lr to the rounding of p.
const LEARNING_RATE: f64 = 1024.0;
/// The oldest and the newest in which models are trained, and two between: since 18 the axes of reductions are inputs, since 20 a
/// `Gelu` is one operator.
const OPERATOR_SETS: [i64; 4] = [13, 18, 20, 24];

#[test]
fn onnx_runtime_agrees_with_the_reference() {
    load(&library::path()).unwrap();
    let wrong: Vec<String> = cases::all()
        .iter()
        .flat_map(|case| [Lowering::Standard, Lowering::Fast].map(|lowering| (case, lowering)))
        .filter_map(|(case, lowering)| disagreement(case, lowering))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is unwrapped for training, loops and functions, computes what ONNX Runtime computes of the wrapped model.
#[test]
fn prepared_models_predict_what_the_exported_ones_do() {
    load(&library::path()).unwrap();
    for case in cases::prepared::cases() {
        let mut inputs = case.batch.clone();
        inputs.remove("labels");
        let expected = evaluate(&case.model, &inputs).unwrap();
        let found = run(&case.model, &inputs, expected.keys()).unwrap();
        for (name, expected) in &expected {
            let values = |tensor: &Tensor| tensor.as_floats().unwrap().to_vec();
            let error = relative_error(&values(&found[name]), &values(expected));
            assert!(
                error <= LARGEST_ERROR,
                "{}: {name} is off by {error:e}",
                case.name
            );
        }
    }
}

/// A gradient is written in the operator set of its model: what a model may be written in, its step has to be valid in.
#[test]
fn steps_are_valid_in_older_and_newer_operator_sets() {
    load(&library::path()).unwrap();
    let mut tried = [0; OPERATOR_SETS.len()];
    let mut wrong = Vec::new();
    for case in cases::all() {
        for (opset, tried) in OPERATOR_SETS.into_iter().zip(&mut tried) {
            let mut proto = case.model.proto().clone();
            for import in &mut proto.opset_import {
                if import.domain().is_empty() {
                    import.version = Some(opset);
                }
            }
            // Not every operator, and not every form of it, is in every set.
            let Ok(model) = Model::from_proto(proto) else {
                continue;
            };
            if Program::load(&model).is_err() {
                continue;
            }
            *tried += 1;
            let options = support::options(Loss::MeanSquaredError, Optimizer::Sgd);
            let step = StepGraph::build(&model, &options).map_err(|error| error.to_string());
            let loaded = step.and_then(|step| {
                let loaded = Program::load(&step.step);
                loaded.map(drop).map_err(|error| error.to_string())
            });
            if let Err(error) = loaded {
                wrong.push(format!("{}, operator set {opset}: {error}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried.iter().all(|tried| *tried > 100), "{tried:?}");
}

/// Three steps of whole models with every loss and optimizer: from the second on there is a state.
#[test]
fn whole_models_step_alike_in_both_lowerings() {
    load(&library::path()).unwrap();
    for (name, model, batch) in models() {
        for options in choices() {
            let build = |lowering| {
                let options = StepOptions {
                    lowering,
                    ..options.clone()
                };
                StepGraph::build(&model, &options).unwrap()
            };
            let graphs = [Lowering::Standard, Lowering::Fast].map(build);
            let mut inputs = step_inputs(&graphs[0], &batch);
            if !matches!(options.goals[0].loss, Loss::CrossEntropy(ref form) if form.labels == ClassLabels::Numbers)
            {
                let labels = support::noise(33 * 7, 4);
                inputs.insert("labels".to_owned(), Tensor::from_f32(&[33, 7], &labels));
            }
            for number in 1..=3 {
                inputs.insert("lr".to_owned(), Tensor::scalar(0.125));
                inputs.insert("step".to_owned(), Tensor::integers(&[], vec![number]));
                let expected = evaluate(&graphs[0].step, &inputs).unwrap();
                for graph in &graphs {
                    let found = run(&graph.step, &inputs, expected.keys()).unwrap();
                    for (output, expected) in &expected {
                        let found = found[output].as_floats().unwrap();
                        let error = relative_error(found, expected.as_floats().unwrap());
                        assert!(
                            error <= LARGEST_ERROR,
                            "{name}, {options:?}, step {number}: {output} is off by {error:e}"
                        );
                    }
                }
                let state = support::initial_state(&graphs[0]);
                inputs.extend(support::next_state(&state, &expected));
            }
        }
    }
}

/// The last batch of an epoch may have no label that is a class.
#[test]
fn a_batch_in_which_nothing_counts_changes_nothing() {
    load(&library::path()).unwrap();
    let (_, model, mut batch) = models().remove(0);
    batch.insert("labels".to_owned(), Tensor::integers(&[33], vec![-1; 33]));
    for lowering in [Lowering::Standard, Lowering::Fast] {
        let options = StepOptions {
            lowering,
            ..support::options(Loss::CROSS_ENTROPY, Optimizer::Sgd)
        };
        let step = StepGraph::build(&model, &options).unwrap();
        let inputs = step_inputs(&step, &batch);
        let outputs = step.step.signature().outputs.into_iter();
        let names: Vec<String> = outputs.map(|output| output.name).collect();
        let found = run(&step.step, &inputs, names.iter()).unwrap();
        assert_eq!(found["loss"].as_floats(), Some(&[0.0][..]), "{lowering:?}");
        for parameter in &step.parameters {
            assert_eq!(found[&parameter.output()], inputs[&parameter.name]);
        }
    }
}

/// Every loss, and every optimizer on a loss whose gradients are far from 0.
fn choices() -> Vec<StepOptions> {
    let sgd = |loss| support::options(loss, Optimizer::Sgd);
    let decaying = |optimizer| StepOptions {
        weight_decay: Some(0.25),
        ..support::options(Loss::CROSS_ENTROPY, optimizer)
    };
    let weighted = CrossEntropy {
        labels: ClassLabels::OneHot,
        label_smoothing: 0.125,
        class_weights: vec![1.0, 2.0, 0.5, 1.0, 1.0, 3.0, 1.0],
        axis: None,
    };
    let accumulating = StepOptions {
        accumulation: 2,
        clipping: Some(Clipping::Norm(0.125)),
        ..support::options(Loss::CROSS_ENTROPY, Optimizer::ADAM)
    };
    let mut choices = vec![
        sgd(Loss::CrossEntropy(weighted)),
        sgd(Loss::BINARY_CROSS_ENTROPY),
        sgd(Loss::MeanSquaredError),
        sgd(Loss::MeanAbsoluteError),
        sgd(Loss::Huber { delta: 0.25 }),
        decaying(Optimizer::Sgd),
        decaying(Optimizer::Momentum { momentum: 0.9 }),
        decaying(Optimizer::ADAM_W),
        accumulating,
    ];
    let optimizers = [
        Optimizer::Sgd,
        Optimizer::Momentum { momentum: 0.9 },
        Optimizer::Nesterov { momentum: 0.9 },
        Optimizer::ADAM,
        Optimizer::RMS_PROP,
        Optimizer::ADAGRAD,
        Optimizer::LION,
    ];
    choices.extend(optimizers.map(|optimizer| support::options(Loss::CROSS_ENTROPY, optimizer)));
    choices
}

/// Models with a batch each.
fn models() -> Vec<(&'static str, Model, Tensors)> {
    let dense = |units, activation| Layer::Dense {
        units,
        activation,
        bias: true,
    };
    let layers = [dense(150, Activation::Relu), dense(7, Activation::None)];
    let mlp = layers::build(&[230], &layers, 1).unwrap();
    let input = mlp.signature().inputs[0].name.clone();
    let batch = Tensors::from([
        (
            input,
            Tensor::from_f32(&[33, 230], &support::noise(33 * 230, 3)),
        ),
        // -1 is no class.
        (
            "labels".to_owned(),
            Tensor::integers(&[33], (0..33).map(|record| record % 8 - 1).collect()),
        ),
    ]);
    let images = Tensors::from([
        (
            "x".to_owned(),
            Tensor::from_f32(&[33, 2, 12, 12], &support::noise(33 * 2 * 144, 4)),
        ),
        (
            "labels".to_owned(),
            Tensor::integers(&[33], (0..33).map(|record| record % 7).collect()),
        ),
    ]);
    vec![("MLP", mlp, batch), ("CNN", cnn(), images)]
}

/// Two convolutions with `Relu` and pool, and two dense layers.
fn cnn() -> Model {
    let weights = |draft: Draft, name: &str, dims: &[usize], seed| {
        let values = support::noise(dims.iter().product(), seed);
        let values: Vec<f32> = values.iter().map(|value| value / 8.0).collect();
        draft.weights(name, dims, &values)
    };
    let image = [
        support::batch(),
        Dim::Fixed(2),
        Dim::Fixed(12),
        Dim::Fixed(12),
    ];
    let mut draft = Draft::new().input("x", ElementType::Float32, &image);
    let shapes: [(&str, &[usize]); 8] = [
        ("w1", &[8, 2, 3, 3]),
        ("b1", &[8]),
        ("w2", &[16, 8, 3, 3]),
        ("b2", &[16]),
        ("w3", &[144, 20]),
        ("b3", &[20]),
        ("w4", &[20, 7]),
        ("b4", &[7]),
    ];
    for ((name, dims), seed) in shapes.into_iter().zip(1..) {
        draft = weights(draft, name, dims, seed);
    }
    let same = || vec![AttributeProto::from_ints("pads", &[1, 1, 1, 1])];
    let halves = || {
        let windows = |name| AttributeProto::from_ints(name, &[2, 2]);
        vec![windows("kernel_shape"), windows("strides")]
    };
    draft
        .node_with("Conv", &["x", "w1", "b1"], "c1", same())
        .node("Relu", &["c1"], "r1")
        .node_with("MaxPool", &["r1"], "p1", halves())
        .node_with("Conv", &["p1", "w2", "b2"], "c2", same())
        .node("Relu", &["c2"], "r2")
        .node_with("MaxPool", &["r2"], "p2", halves())
        .node("Flatten", &["p2"], "f")
        .node("Gemm", &["f", "w3", "b3"], "d")
        .node("Relu", &["d"], "r3")
        .node("Gemm", &["r3", "w4", "b4"], "y")
        .output("y", &[support::batch(), Dim::Fixed(7)])
        .model()
}

/// The kernels' own test, as every training makes it.
#[test]
fn this_machine_can_use_the_fast_lowering() {
    load(&library::path()).unwrap();
    assert_eq!(millrace_engine::lowering(), Lowering::Fast);
}

/// What differs between the two on a case.
fn disagreement(case: &cases::Case, lowering: Lowering) -> Option<String> {
    let name = format!("{} ({lowering:?})", case.name);
    let options = support::options(Loss::MeanSquaredError, Optimizer::Sgd);
    // The reference is what the standard lowering computes.
    let step = match StepGraph::build(&case.model, &options) {
        Ok(step) => step,
        Err(error) => return Some(format!("{name}: {error}")),
    };
    let inputs = step_inputs(&step, &case.batch);
    let expected = evaluate(&step.step, &inputs).unwrap();
    let options = StepOptions {
        lowering,
        ..options
    };
    let step = StepGraph::build(&case.model, &options).unwrap();
    let found = match run(&step.step, &inputs, expected.keys()) {
        Ok(found) => found,
        Err(error) => return Some(format!("{name}: {error}")),
    };
    compare(&inputs, &found, &expected).map(|difference| format!("{name}: {difference}"))
}

/// The first output of a step that is not as expected.
fn compare(inputs: &Tensors, found: &Tensors, expected: &Tensors) -> Option<String> {
    let too_far = |name: &String| {
        let (found, expected) = (&found[name], &expected[name]);
        // What is compared is the gradient where there is one.
        let before = name
            .strip_suffix(".new")
            .and_then(|parameter| inputs.get(parameter)?.as_floats());
        let scaled = |tensor: &Tensor| -> Vec<f64> {
            let values = tensor.as_floats().unwrap_or_default();
            match before {
                Some(before) => before
                    .iter()
                    .zip(values)
                    .map(|(before, after)| (before - after) / LEARNING_RATE)
                    .collect(),
                None => values.to_vec(),
            }
        };
        let error = relative_error(&scaled(found), &scaled(expected));
        // Written so that a NaN is an error as well.
        let is_close = error <= LARGEST_ERROR;
        (found.dims() != expected.dims() || !is_close)
            .then(|| format!("{name} is off by {error:e}"))
    };
    expected.keys().find_map(too_far)
}

/// The first step from the initial parameters.
fn step_inputs(step: &StepGraph, batch: &Tensors) -> Tensors {
    let mut inputs = support::initial_state(step);
    inputs.extend(batch.clone());
    inputs.insert("lr".to_owned(), Tensor::scalar(LEARNING_RATE));
    inputs.insert("step".to_owned(), Tensor::integers(&[], vec![1]));
    inputs.insert(
        "seed".to_owned(),
        Tensor::integers(&[], vec![support::SEED]),
    );
    inputs
}
