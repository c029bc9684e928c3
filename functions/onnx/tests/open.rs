//! Dimensions behind the batch that a model leaves open: named where they stand in the way, and given sizes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use millrace_onnx::proto::AttributeProto;
use millrace_onnx::{
    Dim, ElementType, Loss, Model, OpenDimension, Optimizer, StepGraph, check, inspect,
};
use support::{Draft, batch, noise, options};

fn named(name: &str) -> Dim {
    Dim::Symbolic(name.to_owned())
}

/// A convolution over images of these sizes.
fn convolution(height: Dim, width: Dim) -> Model {
    let image = [batch(), Dim::Fixed(1), height, width];
    Draft::new()
        .input("x", ElementType::Float32, &image)
        .weights("w", &[2, 1, 3, 3], &noise(18, 1))
        .node_with(
            "Conv",
            &["x", "w"],
            "y",
            vec![AttributeProto::from_ints("pads", &[1; 4])],
        )
        .result("y")
        .model()
}

fn shape(sizes: &[usize]) -> Vec<(String, Vec<usize>)> {
    vec![("x".to_owned(), sizes.to_vec())]
}

#[test]
fn what_stands_in_the_way_is_said_with_the_dimensions_that_are_open() {
    let model = convolution(named("height"), Dim::Unknown);
    let found = check(&model, None).unwrap();
    assert!(found.awaits_sizes() && !found.trainable());
    let open = |axis, size: Option<&str>| OpenDimension {
        input: "x".to_owned(),
        axis,
        size: size.map(str::to_owned),
    };
    assert_eq!(found.open, [open(2, Some("height")), open(3, None)]);
    let help = &found.obstacles[0].help;
    let wanted = "dimension 2 of the input 'x' (height), dimension 3 of the input 'x':";
    assert!(help.contains(wanted), "{help}");

    let sized = check(&model.with_shapes(&shape(&[1, 6, 4])).unwrap(), None).unwrap();
    assert!(sized.trainable() && !sized.awaits_sizes() && sized.open.is_empty());
    let bytes = std::io::Cursor::new(model.encode());
    let inspection = inspect(bytes).unwrap();
    let inspection = inspection.with_shapes(&shape(&[1, 6, 4])).unwrap();
    assert_eq!(
        inspection.signature.inputs[0].to_string(),
        "float32[batch, 1, 6, 4]"
    );
    assert!(inspection.check(None).unwrap().trainable());
}

#[test]
fn a_model_that_needs_no_sizes_keeps_its_dimensions_open() {
    let model = Draft::new()
        .input(
            "x",
            ElementType::Float32,
            &[batch(), named("steps"), Dim::Fixed(4)],
        )
        .weights("w", &[4, 3], &noise(12, 1))
        .node("MatMul", &["x", "w"], "y")
        .result("y")
        .model();
    let found = check(&model, None).unwrap();
    assert!(found.trainable() && !found.awaits_sizes());
    assert_eq!(found.open.len(), 1);
    let step = StepGraph::build(&model, &options(Loss::MeanSquaredError, Optimizer::Sgd)).unwrap();
    assert_eq!(step.inputs[0].to_string(), "float32[batch, steps, 4]");
}

#[test]
fn what_is_learned_goes_back_into_the_model_that_is_open() {
    let model = convolution(named("height"), named("width"));
    let sized = model.with_shapes(&shape(&[1, 6, 4])).unwrap();
    let step = StepGraph::build(&sized, &options(Loss::MeanSquaredError, Optimizer::Sgd)).unwrap();
    assert_eq!(step.inputs[0].to_string(), "float32[batch, 1, 6, 4]");
    assert_eq!(
        step.targets[0].prediction.to_string(),
        "float32[batch, 2, 6, 4]"
    );
    let values = step
        .parameters
        .iter()
        .map(|found| (found.name.clone(), vec![0.5; 18]));
    let trained = model.with_parameters(&values.collect()).unwrap();
    assert_eq!(trained.signature().inputs, model.signature().inputs);
    assert_eq!(trained.graph().initializer[0].to_f32().unwrap(), [0.5; 18]);
}

#[test]
fn shapes_that_a_model_does_not_take_are_refused() {
    let refused = |model: &Model, sizes: &[usize]| {
        let error = model.with_shapes(&shape(sizes)).unwrap_err();
        error.to_string()
    };
    let square = convolution(named("side"), named("side"));
    assert_eq!(
        refused(&square, &[1, 6, 4]),
        "the model takes float32[batch, 1, side, side] as 'x', and a record has the shape [1, 6, 4] there: side would be \
         6 and 4 at once"
    );
    assert!(refused(&square, &[3, 6, 6]).ends_with("[3, 6, 6] there"));
    assert!(refused(&square, &[6, 6]).ends_with("[6, 6] there"));
    let batches = convolution(batch(), Dim::Fixed(4));
    assert!(refused(&batches, &[1, 6, 4]).ends_with("is the size of a batch too"));
    let other = [("image".to_owned(), vec![1, 6, 6])];
    let refused = square.with_shapes(&other).unwrap_err().to_string();
    assert!(
        refused.contains("no input 'image'") && refused.ends_with("it takes x"),
        "{refused}"
    );
}
