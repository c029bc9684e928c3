//! Preprocessing as the first nodes of a model: what it computes, and that it does not train.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeMap;

use millrace_onnx::preprocessing::{Becomes, Column};
use millrace_onnx::proto::AttributeProto;
use millrace_onnx::{
    Dim, ElementType, Loss, Model, Optimizer, StepGraph, StepOptions, Tensor, evaluate,
};
use support::{Draft, batch};

fn number(fill: Option<f64>, shift: f64, scale: f64) -> Column {
    Column {
        fill,
        becomes: Becomes::Number { shift, scale },
    }
}

fn one_hot(fill: Option<f64>, categories: &[f64]) -> Column {
    Column {
        fill,
        becomes: Becomes::OneHot(categories.to_vec()),
    }
}

/// What the only input takes.
fn before(model: &Model, columns: &[Column]) -> Result<Model, millrace_onnx::Error> {
    model.with_preprocessing(&[("x".to_owned(), columns.to_vec())])
}

/// `y = x · w` with a parameter of ones on the diagonal, so that `y` is what the model gets.
fn passing(sizes: &[usize]) -> Model {
    let fixed = sizes
        .iter()
        .map(|&size| Dim::Fixed(size.try_into().unwrap()));
    let dims: Vec<Dim> = std::iter::once(batch()).chain(fixed).collect();
    let width = *sizes.last().unwrap();
    let mut diagonal = vec![0.0; width * width];
    for place in 0..width {
        diagonal[place * width + place] = 1.0;
    }
    Draft::new()
        .input("x", ElementType::Float32, &dims)
        .weights("w", &[width, width], &diagonal)
        .node("MatMul", &["x", "w"], "y")
        .output("y", &dims)
        .model()
}

fn run(model: &Model, dims: &[usize], numbers: &[f64]) -> Vec<f64> {
    let x = Tensor::floats(dims, numbers.to_vec());
    let outputs = evaluate(model, &BTreeMap::from([("x".to_owned(), x)])).unwrap();
    outputs["y"].as_floats().unwrap().to_vec()
}

#[test]
fn columns_are_filled_scaled_and_made_one_hot_in_their_order() {
    let columns = [
        number(Some(4.0), 2.0, 2.0),
        one_hot(None, &[1.0, 3.0]),
        number(None, 0.0, 1.0),
        one_hot(Some(7.0), &[7.0]),
    ];
    let model = before(&passing(&[5]), &columns).unwrap();
    assert_eq!(model.signature().inputs[0].to_string(), "float32[batch, 4]");
    let nan = f64::NAN;
    let found = run(&model, &[2, 4], &[6.0, 3.0, 9.0, nan, nan, 2.0, 5.0, 1.0]);
    let expected = [2.0, 0.0, 1.0, 9.0, 1.0, 1.0, 0.0, 0.0, 5.0, 0.0];
    assert_eq!(found, expected);
    assert!(Model::decode(model.encode()).unwrap().is_preprocessed());
}

#[test]
fn each_input_has_columns_of_its_own() {
    let model = Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(3)])
        .input("kind", ElementType::Int64, &[batch(), Dim::Fixed(1)])
        .input("z", ElementType::Float32, &[batch(), Dim::Fixed(1)])
        .node_with(
            "Cast",
            &["kind"],
            "number",
            vec![AttributeProto::from_int("to", 1)],
        )
        .node_with(
            "Concat",
            &["x", "number", "z"],
            "y",
            vec![AttributeProto::from_int("axis", 1)],
        )
        .output("y", &[batch(), Dim::Fixed(5)])
        .model();
    let left = number(None, 0.0, 1.0);
    let of = |name: &str, columns: &[Column]| (name.to_owned(), columns.to_vec());
    let parts = [
        of("x", &[one_hot(None, &[4.0, 5.0]), number(None, 1.0, 2.0)]),
        of("kind", std::slice::from_ref(&left)),
        of("z", &[number(Some(8.0), 0.0, 4.0)]),
    ];
    let model = model.with_preprocessing(&parts).unwrap();
    let shapes: Vec<String> = model
        .signature()
        .inputs
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        shapes,
        ["float32[batch, 2]", "int64[batch, 1]", "float32[batch, 1]"]
    );
    let inputs = [
        ("x", Tensor::floats(&[1, 2], vec![5.0, 7.0])),
        ("kind", Tensor::integers(&[1, 1], vec![6])),
        ("z", Tensor::floats(&[1, 1], vec![f64::NAN])),
    ];
    let inputs = inputs.map(|(name, tensor)| (name.to_owned(), tensor));
    let outputs = evaluate(&model, &BTreeMap::from(inputs)).unwrap();
    let found = outputs["y"].as_floats().unwrap();
    assert_eq!(found, [0.0, 1.0, 3.0, 6.0, 2.0]);

    let error = |name: &str, column: Column| {
        let model = passing_integers();
        let error = model.with_preprocessing(&[(name.to_owned(), vec![column])]);
        error.unwrap_err().to_string()
    };
    assert!(error("x", number(None, 1.0, 1.0)).contains("name the columns"));
    assert!(error("u", left).contains("no input `u`"));
}

/// A model of one input of integers.
fn passing_integers() -> Model {
    let dims = [batch(), Dim::Fixed(1)];
    Draft::new()
        .input("x", ElementType::Int64, &dims)
        .node_with("Cast", &["x"], "y", vec![AttributeProto::from_int("to", 1)])
        .output("y", &dims)
        .model()
}

#[test]
fn records_keep_their_shape_where_columns_stay_numbers() {
    let columns: Vec<Column> = (0..6)
        .map(|index| number(None, f64::from(index), 2.0))
        .collect();
    let model = before(&passing(&[2, 3]), &columns).unwrap();
    let found = run(&model, &[1, 2, 3], &[2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    assert_eq!(found, [1.0; 6]);
}

#[test]
fn what_was_fitted_does_not_train() {
    let columns = [number(Some(1.0), 2.0, 3.0), one_hot(None, &[0.0, 1.0])];
    let model = before(&passing(&[3]), &columns).unwrap();
    let options = StepOptions::new(Loss::MeanSquaredError, Optimizer::Sgd);
    let graph = StepGraph::build(&model, &options).unwrap();
    let names: Vec<&str> = graph
        .parameters
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["w"]);
}

#[test]
fn what_does_not_fit_is_told() {
    let model = passing(&[3]);
    let two = [number(None, 0.0, 1.0), number(None, 0.0, 1.0)];
    let error = before(&model, &two).unwrap_err().to_string();
    assert!(
        error.contains("float32[batch, 3]") && error.contains("[2]"),
        "{error}"
    );
    let wide = [one_hot(None, &[1.0, 2.0]), number(None, 0.0, 1.0)];
    let once = before(&model, &wide).unwrap();
    let error = before(&once, &two).unwrap_err().to_string();
    assert!(error.contains("already"), "{error}");
    let image = passing(&[1, 3]);
    assert!(before(&image, &wide).is_err());
}
