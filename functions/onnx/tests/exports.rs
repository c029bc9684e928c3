//! Small files as exporters wrote them (`exports/export.py`): each gives a step graph whose gradients are right.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use millrace_onnx::{Loss, evaluate};
use support::check_gradients;
use support::exports::{Export, all, predicted};

#[test]
fn gradients_of_exported_models_agree_with_differences() {
    let paths = all();
    assert!(paths.len() >= 12, "{paths:?}");
    let wrong: Vec<String> = paths
        .iter()
        .filter_map(|path| {
            let export = Export::read(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            let found = check_gradients(&export.sized, Loss::MeanSquaredError, &export.batch);
            Some(format!("{}: {}", export.name, found.err()?))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The values that a step ends with find their way into the file, and the model in it predicts by them.
#[test]
fn exported_models_take_trained_values() {
    for path in all() {
        let export = Export::read(&path).unwrap();
        let all = export.step.parameters.iter().chain(&export.step.statistics);
        let moved = |values: &[f32]| values.iter().map(|value| value * 0.5 + 0.25).collect();
        let values = all.map(|found| (found.name.clone(), moved(&found.initial)));
        let trained = export.model.with_parameters(&values.collect()).unwrap();
        let again = export.read_again(trained);
        let before = predicted(&export.step, &export.batch).unwrap();
        let after = predicted(&again.step, &again.batch).unwrap();
        assert_ne!(before, after, "{}", export.name);
        let initial = &again.step.parameters.last().unwrap().initial;
        let expected: Vec<f32> = moved(&export.step.parameters.last().unwrap().initial);
        assert_eq!(*initial, expected, "{}", export.name);
        evaluate(&again.step.evaluation, &again.inputs())
            .unwrap_or_else(|error| panic!("{}: {error}", export.name));
    }
}
