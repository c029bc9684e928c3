//! Small files as exporters wrote them, on ONNX Runtime: they predict as before, and learn, in both lowerings.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod library;
mod running;
#[path = "../../onnx/tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use millrace_engine::load;
use millrace_onnx::proto::ValueInfoProto;
use millrace_onnx::{
    ElementType, Loss, Lowering, Model, Optimizer, StepGraph, StepOptions, Tensor, TensorInfo,
};
use running::{Program, relative_error, run};
use support::exports::{Export, all};

/// Of models that end in a map of classes: the tensor in front of it.
const INNER: [(&str, &str); 3] = [
    ("sklearn_linear", "probability_tensor"),
    ("sklearn_pipeline", "out_activations_result"),
    ("sklearn_two_classes", "probabilities"),
];

#[test]
fn what_training_makes_of_a_file_predicts_what_the_file_does() {
    load(&library::path()).unwrap();
    for path in all() {
        let export = Export::read(&path).unwrap();
        // In the form in which it predicts, where it was exported in that for training.
        let original = export.model.with_parameters(&BTreeMap::new()).unwrap();
        let (original, output) = with_prediction(&original, &export.name);
        let found = run(&original, &export.batch, [&output].into_iter()).unwrap();
        let name = "prediction".to_owned();
        let evaluated = run(
            &export.step.evaluation,
            &export.inputs(),
            [&name].into_iter(),
        );
        let (found, evaluated) = (&found[&output], &evaluated.unwrap()[&name]);
        assert_eq!(found.dims(), evaluated.dims(), "{}", export.name);
        let values = |tensor: &Tensor| tensor.as_floats().unwrap().to_vec();
        let error = relative_error(&values(evaluated), &values(found));
        assert!(error <= 1e-6, "{} is off by {error:e}", export.name);
    }
}

/// The model with its prediction as the only output, and that output's name.
fn with_prediction(model: &Model, name: &str) -> (Model, String) {
    let floats = model.signature().outputs.into_iter();
    let mut floats = floats.filter(|output| output.element == ElementType::Float32);
    let inner = INNER.iter().find(|(of, _)| *of == name);
    let output = match inner {
        Some((_, inner)) => (*inner).to_owned(),
        None => floats.next().unwrap().name,
    };
    let info = TensorInfo {
        dims: None,
        ..TensorInfo::new(&output, ElementType::Float32, Vec::new())
    };
    let mut proto = model.proto().clone();
    proto.graph.as_mut().unwrap().output = vec![ValueInfoProto::from_info(&info)];
    (Model::from_proto(proto).unwrap(), output)
}

#[test]
fn exported_models_learn_in_both_lowerings() {
    load(&library::path()).unwrap();
    for path in all() {
        let export = Export::read(&path).unwrap();
        for lowering in [Lowering::Standard, Lowering::Fast] {
            let options = StepOptions {
                lowering,
                ..support::options(Loss::MeanSquaredError, Optimizer::ADAM)
            };
            let step = StepGraph::build(&export.sized, &options).unwrap();
            let outputs = step.step.signature().outputs.into_iter();
            let names: Vec<String> = outputs.map(|output| output.name).collect();
            let mut program = Program::load(&step.step).unwrap();
            let mut state = support::initial_state(&step);
            let mut losses = Vec::new();
            for number in 1..=20 {
                let inputs = support::step_inputs(&export.batch, &state, 0.01, number);
                let outputs = program.run(&inputs, names.iter()).unwrap();
                losses.push(outputs["loss"].as_floats().unwrap()[0]);
                state = support::next_state(&state, &outputs);
            }
            assert!(
                losses[19] < losses[0],
                "{} ({lowering:?}): {losses:?}",
                export.name
            );
        }
    }
}
