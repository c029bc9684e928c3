//! Dropout: what its masks depend on, and that nothing is random but them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use millrace_onnx::proto::{AttributeProto, TensorProto};
use millrace_onnx::{Dim, ElementType, Loss, Model, Optimizer, StepGraph, Tensor, evaluate};
use support::{Draft, Tensors, batch, initial_state, options, step_inputs};

const RECORDS: usize = 60;
const FEATURES: usize = 50;

/// x[batch, 50] times ones, then dropout of a quarter: where x is 1, the prediction is the mask.
fn draft() -> Draft {
    let draft = Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(50)])
        .weights("ones", &[FEATURES], &[1.0; FEATURES])
        .node("Mul", &["x", "ones"], "h");
    with_ratio(draft)
}

fn with_ratio(mut draft: Draft) -> Draft {
    let ratio = TensorProto::from_f32("ratio", &[], &[0.25]);
    draft.graph.initializer.push(ratio);
    draft
}

fn single() -> Model {
    draft()
        .node("Dropout", &["h", "ratio"], "y")
        .result("y")
        .model()
}

fn step(model: &Model) -> StepGraph {
    StepGraph::build(model, &options(Loss::MeanSquaredError, Optimizer::Sgd)).unwrap()
}

fn ones() -> Tensors {
    let ones = Tensor::floats(&[RECORDS, FEATURES], vec![1.0; RECORDS * FEATURES]);
    Tensors::from([("x".to_owned(), ones.clone()), ("labels".to_owned(), ones)])
}

fn mask(step: &StepGraph, seed: i64, number: i64) -> Vec<f64> {
    let mut inputs = step_inputs(&ones(), &initial_state(step), 0.1, number);
    inputs.insert("seed".to_owned(), Tensor::integers(&[], vec![seed]));
    let outputs = evaluate(&step.step, &inputs).unwrap();
    outputs["prediction"].as_floats().unwrap().to_vec()
}

/// The share of places in which two masks agree: 10 / 16 where they have nothing to do with each other, since
/// 0.75² + 0.25² = 0.625.
fn agreement<'a>(
    left: impl IntoIterator<Item = &'a f64>,
    right: impl IntoIterator<Item = &'a f64>,
) -> f64 {
    let (mut same, mut all) = (0.0, 0.0);
    for (left, right) in left.into_iter().zip(right) {
        same += f64::from(u8::from((*left == 0.0) == (*right == 0.0)));
        all += 1.0;
    }
    same / all
}

fn assert_unrelated(agreement: f64) {
    // Four standard deviations of 3,000 independent places.
    assert!(
        (agreement - 0.625).abs() < 0.036,
        "they agree in {agreement}"
    );
}

#[test]
fn a_quarter_is_dropped_and_the_rest_scaled_up() {
    let step = step(&single());
    let mut dropped = 0.0;
    for number in 1..=10 {
        let mask = mask(&step, 7, number);
        let zeros = mask.iter().filter(|&&value| value == 0.0).count();
        for value in mask.iter().filter(|&&value| value != 0.0) {
            assert!((value - 1.0 / 0.75).abs() < 1e-7);
        }
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let share = zeros as f64 / mask.len() as f64;
        assert!((share - 0.25).abs() < 0.032, "{share} of step {number}");
        dropped += share / 10.0;
    }
    assert!((dropped - 0.25).abs() < 0.01, "{dropped}");
}

#[test]
fn seeds_and_steps_give_unrelated_masks() {
    let step = step(&single());
    let first = mask(&step, 7, 1);
    assert_eq!(first, mask(&step, 7, 1));
    for (seed, number) in [
        (8, 1),
        (7, 2),
        (1, 7),
        (-7, 1),
        (7 + 1_518_500_213, 1),
        (i64::MIN, 1),
        (i64::MAX, 1),
        (7, i64::MAX),
    ] {
        assert_unrelated(agreement(&first, &mask(&step, seed, number)));
    }
}

#[test]
fn rows_and_columns_are_unrelated() {
    let step = step(&single());
    let mask = mask(&step, 7, 3);
    for distance in [1, 2, 7] {
        let shifted = mask.iter().skip(distance * FEATURES);
        assert_unrelated(agreement(&mask, shifted));
        assert_unrelated(agreement(&mask, mask.iter().skip(distance)));
    }
    // Whether two rows agree in a column says nothing about the next two.
    let agree = |row: usize| -> Vec<f64> {
        let pairs = mask[row * FEATURES..]
            .iter()
            .zip(&mask[(row + 1) * FEATURES..]);
        let same = pairs.map(|(a, b)| f64::from(u8::from((*a == 0.0) == (*b == 0.0))));
        same.take(FEATURES).collect()
    };
    let (mut same, mut all) = (0.0, 0.0);
    for row in (0..RECORDS - 3).step_by(4) {
        for (a, b) in agree(row).iter().zip(agree(row + 2)) {
            same += f64::from(u8::from((a - b).abs() < 0.5));
            all += 1.0;
        }
    }
    // 0.625² + 0.375² of 750 places, four standard deviations.
    let share: f64 = same / all;
    assert!((share - 0.531).abs() < 0.075, "{share} of {all}");
}

#[test]
fn nodes_have_masks_of_their_own() {
    let one_after_another = draft()
        .node("Dropout", &["h", "ratio"], "first")
        .node("Dropout", &["h", "ratio"], "second")
        .node("Sub", &["first", "second"], "y")
        .result("y")
        .model();
    let step = step(&one_after_another);
    let difference = mask(&step, 7, 1);
    let zeros: Vec<f64> = vec![0.0; difference.len()];
    assert_unrelated(agreement(&difference, &zeros));
}

/// Written down once: a mask that changes makes another model of the same training.
#[test]
fn a_mask_keeps_its_values() {
    let step = step(&single());
    let kept: String = mask(&step, 20, 1)[..48]
        .iter()
        .map(|&value| if value == 0.0 { '.' } else { 'x' })
        .collect();
    assert_eq!(kept, "xxx.xx.xxx.xxxxx.xx..x.xxx...x.xxxxxx.xxx.xx...x");
}

#[test]
fn evaluation_and_the_trained_model_drop_nothing() {
    let switched = |mode: Option<bool>| {
        let draft = draft();
        match mode {
            None => draft.node("Dropout", &["h", "ratio"], "y"),
            Some(mode) => {
                let constant = millrace_onnx::proto::AttributeProto::from_tensor(
                    "value",
                    TensorProto {
                        data_type: Some(ElementType::Bool.code()),
                        raw_data: Some(vec![u8::from(mode)].into()),
                        ..TensorProto::default()
                    },
                );
                draft
                    .node_with("Constant", &[], "mode", vec![constant])
                    .node("Dropout", &["h", "ratio", "mode"], "y")
            }
        }
        .result("y")
        .model()
    };
    for mode in [None, Some(true), Some(false)] {
        let model = switched(mode);
        let step = step(&model);
        let mut inputs = ones();
        inputs.extend(initial_state(&step));
        let outputs = evaluate(&step.evaluation, &inputs).unwrap();
        assert_eq!(outputs["prediction"], ones()["x"]);
        let share = agreement(&mask(&step, 7, 1), &vec![0.0; RECORDS * FEATURES]);
        assert!((share - 0.25).abs() < 0.032, "{share} with {mode:?}");
        let trained = model.with_parameters(&std::collections::BTreeMap::new());
        let trained = trained.unwrap();
        let node = trained.graph().node.last().unwrap();
        assert_eq!(node.input, ["h", "ratio"]);
    }
}

#[test]
fn a_ratio_that_is_not_constant_is_refused() {
    let model = draft()
        .input("share", ElementType::Float32, &[])
        .node("Dropout", &["h", "share"], "y")
        .result("y")
        .model();
    let refused = StepGraph::build(&model, &options(Loss::MeanSquaredError, Optimizer::Sgd));
    let message = refused.unwrap_err().to_string();
    assert!(
        message.contains("node 'make y' (Dropout) has a ratio that is not a constant"),
        "{message}"
    );
}

/// Noise in the shape of a tensor that is constant, or in a shape of its own, is drawn anew like any other.
#[test]
fn noise_is_no_constant_whatever_its_shape_comes_from() {
    let shape = AttributeProto::from_ints("shape", &[50]);
    let of_shape = draft().node_with("RandomNormal", &[], "noise", vec![shape]);
    let mut of_constant = draft();
    let constant = TensorProto::from_f64("zeros", &[FEATURES], &[0.0; FEATURES]);
    of_constant.graph.initializer.push(constant);
    let float = AttributeProto::from_int("dtype", 1);
    let of_constant = of_constant.node_with("RandomUniformLike", &["zeros"], "noise", vec![float]);
    for noisy in [of_shape, of_constant] {
        let model = noisy.node("Add", &["h", "noise"], "y").result("y").model();
        let step = step(&model);
        let first = mask(&step, 1, 1);
        assert!(first.iter().any(|number| (number - first[0]).abs() > 0.1));
        assert_ne!(first, mask(&step, 1, 2));
        assert_ne!(first, mask(&step, 2, 1));
        assert_eq!(first, mask(&step, 1, 1));
        let mut inputs = ones();
        inputs.extend(initial_state(&step));
        let expected = evaluate(&step.evaluation, &inputs).unwrap();
        let expected = expected["prediction"].as_floats().unwrap().to_vec();
        let mean = expected[0];
        assert!(expected.iter().all(|number| (number - mean).abs() < 1e-9));
    }
}
