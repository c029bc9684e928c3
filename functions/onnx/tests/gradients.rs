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
fn unary_operators() {
    for operator in [
        "Relu",
        "Tanh",
        "Sigmoid",
        "Exp",
        "Neg",
        "Identity",
        "Softmax",
        "LogSoftmax",
    ] {
        assert_on_hidden(hidden().node(operator, &["h"], "y"), &[3]);
    }
}

#[test]
fn logarithm_and_root_of_positive_values() {
    for operator in ["Log", "Sqrt"] {
        let draft = hidden()
            .node("Exp", &["h"], "e")
            .node(operator, &["e"], "y");
        assert_on_hidden(draft, &[3]);
    }
}

#[test]
fn softmax_along_an_inner_axis() {
    for operator in ["Softmax", "LogSoftmax"] {
        let draft = hidden()
            .integers("split", &[-1, 3, 1])
            .weights("row", &[1, 2], &noise(2, 5))
            .node("Reshape", &["h", "split"], "column")
            .node("Mul", &["column", "row"], "square")
            .node_with(
                operator,
                &["square"],
                "y",
                vec![AttributeProto::from_int("axis", 1)],
            );
        assert_on_hidden(draft, &[3, 2]);
    }
}

#[test]
fn arithmetic_broadcasts_in_every_direction() {
    let shapes: [&[usize]; 5] = [&[3], &[1], &[1, 3], &[1, 1], &[2, 1, 3]];
    for operator in ["Add", "Sub", "Mul", "Div"] {
        for shape in shapes {
            let count = shape.iter().product();
            let other: Vec<f32> = noise(count, 7)
                .into_iter()
                .map(|value| value + 2.0)
                .collect();
            let outputs: &[i64] = if shape.len() == 3 { &[3, 3] } else { &[3] };
            for inputs in [["h", "other"], ["other", "h"]] {
                let draft = hidden()
                    .weights("other", shape, &other)
                    .node("Exp", &["h"], "positive")
                    .node(
                        operator,
                        &inputs.map(|name| if name == "h" { "positive" } else { name }),
                        "y",
                    );
                if shape.len() == 3 {
                    // The two rows stand where the batch would: the output is [2, batch, 3].
                    let model = draft
                        .output("y", &[Dim::Fixed(2), batch(), Dim::Fixed(3)])
                        .model();
                    let mut tensors = regression(&[4], &[]);
                    tensors.insert(
                        "labels".to_owned(),
                        Tensor::from_f32(&[2, BATCH, 3], &noise(18, 3)),
                    );
                    assert_gradients(&model, Loss::MeanSquaredError, &tensors);
                } else {
                    assert_on_hidden(draft, outputs);
                }
            }
        }
    }
}

#[test]
fn one_tensor_on_both_sides() {
    for operator in ["Add", "Sub", "Mul", "Div"] {
        let draft = hidden()
            .weights("v", &[3], &[1.5, -0.5, 2.0])
            .node("Exp", &["h"], "e")
            .node("Mul", &["e", "v"], "scaled")
            .node(operator, &["scaled", "e"], "mixed")
            .node(operator, &["mixed", "scaled"], "y");
        assert_on_hidden(draft, &[3]);
    }
}

/// A shape that is an input is not known before the run, so the broadcast axes are found while it runs.
#[test]
fn broadcast_axes_that_only_show_at_run_time() {
    for operator in ["Add", "Sub", "Mul", "Div"] {
        let model = hidden()
            .input("shape", ElementType::Int64, &[Dim::Fixed(2)])
            .weights("v", &[3], &[1.5, 0.5, 2.0])
            .node("Reshape", &["v", "shape"], "row")
            .node(operator, &["h", "row"], "y")
            .output("y", &fixed(&[3]))
            .model();
        let mut tensors = regression(&[4], &[3]);
        tensors.insert("shape".to_owned(), Tensor::integers(&[2], vec![1, 3]));
        assert_gradients(&model, Loss::MeanSquaredError, &tensors);
        tensors.insert("shape".to_owned(), Tensor::integers(&[2], vec![3, 1]));
        assert_gradients(&model, Loss::MeanSquaredError, &tensors);
    }
}

#[test]
fn gemm_with_every_attribute() {
    for transpose_a in [0, 1] {
        for transpose_b in [0, 1] {
            for (bias, dims) in [
                (Some(vec![3]), 3),
                (Some(vec![1]), 1),
                (Some(vec![1, 3]), 3),
                (None, 0),
            ] {
                let weights: [usize; 2] = if transpose_b == 1 { [3, 4] } else { [4, 3] };
                let mut draft = Draft::new()
                    .input("x", ElementType::Float32, &fixed(&[4]))
                    .weights("first", &[4, 4], &noise(16, 2))
                    .weights("w", &weights, &noise(12, 3))
                    .node("MatMul", &["x", "first"], "a");
                let mut left = "a";
                if transpose_a == 1 {
                    draft = draft.node("Transpose", &["a"], "turned");
                    left = "turned";
                }
                let mut inputs = vec![left, "w"];
                if let Some(shape) = &bias {
                    draft = draft.weights("b", shape, &noise(dims, 4));
                    inputs.push("b");
                }
                let attributes = vec![
                    AttributeProto::from_int("transA", transpose_a),
                    AttributeProto::from_int("transB", transpose_b),
                    AttributeProto::from_float("alpha", 0.75),
                    AttributeProto::from_float("beta", 1.25),
                ];
                assert_on_hidden(draft.node_with("Gemm", &inputs, "y", attributes), &[3]);
            }
        }
    }
}

#[test]
fn gemm_whose_weights_stand_on_the_left() {
    for transpose_a in [0, 1] {
        let draft = Draft::new()
            .input("x", ElementType::Float32, &fixed(&[4]))
            .weights(
                "w",
                if transpose_a == 1 { &[4, 3] } else { &[3, 4] },
                &noise(12, 3),
            );
        let attributes = vec![
            AttributeProto::from_int("transA", transpose_a),
            AttributeProto::from_int("transB", 1),
        ];
        let draft = draft
            .node_with("Gemm", &["w", "x"], "turned", attributes)
            .node("Transpose", &["turned"], "y");
        assert_on_hidden(draft, &[3]);
    }
}

/// Shapes of the two factors after the batch, with the weights on the right or the left, and of the product.
#[test]
fn matmul_of_stacks_and_vectors() {
    let right: [(&[usize], &[usize], &[i64]); 6] = [
        (&[4], &[4, 2], &[2]),
        (&[5, 4], &[4, 2], &[5, 2]),
        (&[2, 5, 4], &[4, 2], &[2, 5, 2]),
        (&[2, 5, 4], &[2, 4, 3], &[2, 5, 3]),
        (&[2, 5, 4], &[1, 4, 3], &[2, 5, 3]),
        (&[5, 4], &[4], &[5]),
    ];
    for (features, weights, outputs) in right {
        assert_product(features, weights, outputs, false);
    }
    let left: [(&[usize], &[usize], &[i64]); 4] = [
        (&[4, 3], &[2, 4], &[2, 3]),
        (&[2, 4, 3], &[1, 5, 4], &[2, 5, 3]),
        (&[2, 4, 3], &[2, 5, 4], &[2, 5, 3]),
        (&[4, 3], &[4], &[3]),
    ];
    for (features, weights, outputs) in left {
        assert_product(features, weights, outputs, true);
    }
}

fn assert_product(features: &[usize], weights: &[usize], outputs: &[i64], is_left: bool) {
    let sizes: Vec<i64> = features
        .iter()
        .map(|&size| i64::try_from(size).unwrap())
        .collect();
    let inputs = if is_left {
        ["w", "scaled"]
    } else {
        ["scaled", "w"]
    };
    let model = Draft::new()
        .input("x", ElementType::Float32, &fixed(&sizes))
        .weights("w", weights, &noise(weights.iter().product(), 8))
        .weights("scale", &[1], &[0.5])
        .node("Mul", &["x", "scale"], "scaled")
        .node("MatMul", &inputs, "y")
        .output("y", &fixed(outputs))
        .model();
    let outputs: Vec<usize> = outputs
        .iter()
        .map(|&size| usize::try_from(size).unwrap())
        .collect();
    assert_gradients(
        &model,
        Loss::MeanSquaredError,
        &regression(features, &outputs),
    );
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
fn a_cast_to_double_and_back() {
    let to = |element: ElementType| vec![AttributeProto::from_int("to", i64::from(element.code()))];
    let draft = hidden()
        .node_with("Cast", &["h"], "wide", to(ElementType::Float64))
        .node("Tanh", &["wide"], "bent")
        .node_with("Cast", &["bent"], "y", to(ElementType::Float32));
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
    assert_gradients(&network(Activation::Softmax), Loss::CrossEntropy, &tensors);
    assert_gradients(&network(Activation::None), Loss::CrossEntropy, &tensors);
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
