//! Every derivative against finite differences of the reference evaluator.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cases;
mod support;

use millrace_onnx::layers::{self, Activation, Layer};
use millrace_onnx::proto::{AttributeProto, TensorProto};
use millrace_onnx::{Dim, ElementType, Loss, Model, Tensor};
use support::{Draft, Tensors, assert_gradients, batch, check_gradients, noise};

const BATCH: usize = 3;

#[test]
fn every_operator_in_every_form() {
    let wrong: Vec<String> = cases::all()
        .iter()
        .filter_map(|case| {
            let difference =
                check_gradients(&case.model, Loss::MeanSquaredError, &case.batch).err()?;
            Some(format!("{}: {difference}", case.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A batch with an input `x` of the given features and noise for labels.
fn regression(features: &[usize], outputs: &[usize]) -> Tensors {
    let dims = |sizes: &[usize]| [&[BATCH], sizes].concat();
    let tensor =
        |dims: Vec<usize>, seed| Tensor::from_f32(&dims, &noise(dims.iter().product(), seed));
    Tensors::from([
        ("x".to_owned(), tensor(dims(features), 11)),
        ("labels".to_owned(), tensor(dims(outputs), 12)),
    ])
}

fn classification(input: &str, features: &[usize], classes: i64) -> Tensors {
    let dims = [&[BATCH], features].concat();
    let values = noise(dims.iter().product(), 13);
    let labels = (0..)
        .take(BATCH)
        .map(|record: i64| (record * 2 + 1) % classes);
    Tensors::from([
        (input.to_owned(), Tensor::from_f32(&dims, &values)),
        (
            "labels".to_owned(),
            Tensor::integers(&[BATCH], labels.collect()),
        ),
    ])
}

fn fixed(sizes: &[i64]) -> Vec<Dim> {
    std::iter::once(batch())
        .chain(sizes.iter().copied().map(Dim::Fixed))
        .collect()
}

/// x[batch, 4] times w[4, 3]: the tensor `h`.
fn hidden() -> Draft {
    Draft::new()
        .input("x", ElementType::Float32, &fixed(&[4]))
        .weights("w", &[4, 3], &noise(12, 1))
        .node("MatMul", &["x", "w"], "h")
}

fn assert_on_hidden(draft: Draft, outputs: &[i64]) {
    let sizes: Vec<usize> = outputs
        .iter()
        .map(|&size| usize::try_from(size).unwrap())
        .collect();
    let model = draft.output("y", &fixed(outputs)).model();
    assert_gradients(&model, Loss::MeanSquaredError, &regression(&[4], &sizes));
}

#[test]
fn the_same_elements_under_other_dimensions() {
    let turn = |order: &[i64]| vec![AttributeProto::from_ints("perm", order)];
    let draft = hidden()
        .integers("shape", &[0, 3, -1, 1])
        .integers("last", &[3])
        .integers("first", &[0])
        .node("Reshape", &["h", "shape"], "four")
        .node_with("Transpose", &["four"], "turned", turn(&[2, 0, 3, 1]))
        .node("Squeeze", &["turned", "first"], "three")
        .node("Unsqueeze", &["three", "last"], "again")
        .node_with(
            "Flatten",
            &["again"],
            "y",
            vec![AttributeProto::from_int("axis", 1)],
        );
    assert_on_hidden(draft, &[3]);
}

#[test]
fn a_weight_that_is_used_twice_and_turned() {
    let draft = Draft::new()
        .input("x", ElementType::Float32, &fixed(&[4]))
        .weights("w", &[4, 4], &noise(16, 6))
        .node("MatMul", &["x", "w"], "first")
        .node("Tanh", &["first"], "bent")
        .node("Transpose", &["w"], "turned")
        .node("MatMul", &["bent", "turned"], "y");
    assert_on_hidden(draft, &[4]);
}

fn network(ends: Activation) -> Model {
    let dense = |units, activation, bias| Layer::Dense {
        units,
        activation,
        bias,
    };
    let layers = [
        Layer::Scale { factor: 0.5 },
        Layer::Flatten,
        dense(5, Activation::Relu, true),
        dense(4, Activation::Tanh, false),
        dense(4, Activation::Sigmoid, true),
        dense(3, ends, true),
    ];
    layers::build(&[2, 3], &layers, 7).unwrap()
}

#[test]
fn whole_networks_with_cross_entropy() {
    let tensors = classification("input", &[2, 3], 3);
    assert_gradients(&network(Activation::Softmax), Loss::CROSS_ENTROPY, &tensors);
    assert_gradients(&network(Activation::None), Loss::CROSS_ENTROPY, &tensors);
}

#[test]
fn whole_networks_with_squared_errors() {
    let mut tensors = classification("input", &[2, 3], 3);
    tensors.insert(
        "labels".to_owned(),
        Tensor::from_f32(&[BATCH, 3], &noise(9, 2)),
    );
    assert_gradients(&network(Activation::None), Loss::MeanSquaredError, &tensors);
    assert_gradients(
        &network(Activation::Softmax),
        Loss::MeanSquaredError,
        &tensors,
    );
}

/// The differences themselves are held against a case that was worked out by hand.
#[test]
fn a_gradient_worked_out_by_hand() {
    // y = w x with w = 3, x = 2, label 10: L = (6 − 10)², dL/dw = 2 (6 − 10) · 2 = −16.
    let model = Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(1)])
        .weights("w", &[1, 1], &[3.0])
        .node("MatMul", &["x", "w"], "y")
        .output("y", &[batch(), Dim::Fixed(1)])
        .model();
    let tensors = Tensors::from([
        ("x".to_owned(), Tensor::floats(&[1, 1], vec![2.0])),
        ("labels".to_owned(), Tensor::floats(&[1, 1], vec![10.0])),
    ]);
    let options = support::options(Loss::MeanSquaredError, millrace_onnx::Optimizer::Sgd);
    let step = millrace_onnx::StepGraph::build(&model, &options).unwrap();
    let outputs = support::run_step(&step, &tensors, &support::initial_state(&step), 0.125, 1);
    assert_eq!(outputs["loss"].as_floats(), Some([16.0].as_slice()));
    assert_eq!(outputs["w.new"].as_floats(), Some([5.0].as_slice()));
    assert_eq!(outputs["prediction"].as_floats(), Some([6.0].as_slice()));
}

#[test]
fn constants_do_not_train() {
    let mut draft = hidden();
    draft
        .graph
        .initializer
        .push(TensorProto::from_f32("root", &[], &[2.0]));
    let model = draft
        .node("Div", &["h", "root"], "y")
        .output("y", &fixed(&[3]))
        .model();
    let options = support::options(Loss::MeanSquaredError, millrace_onnx::Optimizer::Sgd);
    let step = millrace_onnx::StepGraph::build(&model, &options).unwrap();
    let trained: Vec<&str> = step
        .parameters
        .iter()
        .map(|parameter| parameter.name.as_str())
        .collect();
    assert_eq!(trained, ["w"]);
}

#[test]
fn sizes_are_followed_while_the_batch_is_a_symbol() {
    use cases::sizes::{attention, expanded, halves};
    let shape = |draft: Draft| {
        let options = support::options(Loss::MeanSquaredError, millrace_onnx::Optimizer::Sgd);
        let model = draft.result("y").model();
        let step = millrace_onnx::StepGraph::build(&model, &options).unwrap();
        step.targets[0].prediction.dims.clone().unwrap()
    };
    let time = || Dim::Symbolic("time".to_owned());
    let eight = || Dim::Fixed(8);
    assert_eq!(shape(attention(time())), [batch(), time(), eight()]);
    let two = Dim::Fixed(2);
    assert_eq!(shape(attention(two.clone())), [batch(), two, eight()]);
    assert_eq!(shape(expanded()), [batch(), Dim::Fixed(3), eight()]);
    assert_eq!(shape(halves()), [batch(), Dim::Unknown, Dim::Fixed(4)]);
}
