//! Models from layers, and models with trained values.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeMap;

use millrace_onnx::layers::{self, Activation, Layer};
use millrace_onnx::{Error, Model, Tensor, evaluate};
use proptest::prelude::*;
use support::Tensors;

fn dense(units: usize, activation: Activation) -> Layer {
    Layer::Dense {
        units,
        activation,
        bias: true,
    }
}

#[test]
fn layers_compute_what_they_say() {
    let layers = [
        Layer::Scale { factor: 0.5 },
        Layer::Flatten,
        dense(1, Activation::Relu),
    ];
    let model = layers::build(&[2, 2], &layers, 0).unwrap();
    let trained = BTreeMap::from([
        ("dense_1.weight".to_owned(), vec![1.0, 2.0, 3.0, 4.0]),
        ("dense_1.bias".to_owned(), vec![-20.0]),
    ]);
    let model = model.with_parameters(&trained).unwrap();
    let input = Tensor::floats(&[2, 2, 2], vec![2.0, 4.0, 6.0, 8.0, 8.0, 6.0, 4.0, 20.0]);
    let outputs = evaluate(&model, &Tensors::from([("input".to_owned(), input)])).unwrap();
    // 1·1 + 2·2 + 3·3 + 4·4 − 20 = 10 and 4·1 + 3·2 + 2·3 + 10·4 − 20 = 36
    assert_eq!(outputs["output"], Tensor::floats(&[2, 1], vec![10.0, 36.0]));
}

#[test]
fn sequences_become_rows_of_the_last_step_or_of_all_steps() {
    let table = Layer::Embedding { count: 3, width: 4 };
    for (all_steps, dims) in [(false, vec![2, 5]), (true, vec![2, 6, 5])] {
        let recurrent = [
            Layer::Lstm {
                units: 5,
                all_steps,
            },
            Layer::Gru {
                units: 5,
                all_steps,
            },
        ];
        for layer in recurrent {
            let model = layers::build(&[6], &[table.clone(), layer], 3).unwrap();
            let input = Tensor::floats(&[2, 6], vec![1.0; 12]);
            let outputs = evaluate(&model, &Tensors::from([("input".to_owned(), input)])).unwrap();
            assert_eq!(outputs["output"].dims(), dims);
        }
    }
}

#[test]
fn recurrent_weights_begin_orthogonal_and_forget_gates_open() {
    const UNITS: usize = 5;
    let layer = Layer::Lstm {
        units: UNITS,
        all_steps: false,
    };
    let model = layers::build(&[2, 3], &[layer], 8).unwrap();
    let initial = |name: &str| {
        let mut initializers = model.graph().initializer.iter();
        let tensor = initializers.find(|tensor| tensor.name() == name).unwrap();
        tensor.to_f32().unwrap()
    };
    let weights = initial("lstm_1.recurrent");
    let column = |column: usize| weights.iter().skip(column).step_by(UNITS);
    for left in 0..UNITS {
        for right in 0..UNITS {
            let product: f32 = column(left).zip(column(right)).map(|(a, b)| a * b).sum();
            let expected = if left == right { 1.0 } else { 0.0 };
            assert!(
                (product - expected).abs() < 1e-6,
                "{left}, {right}: {product}"
            );
        }
    }
    let biases = initial("lstm_1.bias");
    let forget = 2 * UNITS..3 * UNITS;
    for (at, bias) in biases.into_iter().enumerate() {
        let expected = if forget.contains(&at) { 1.0 } else { 0.0 };
        assert_eq!(bias.to_bits(), f32::to_bits(expected), "bias {at}");
    }
}

#[test]
fn probabilities_sum_to_one() {
    let model = layers::build(&[3], &[dense(4, Activation::Softmax)], 9).unwrap();
    let input = Tensor::floats(&[1, 3], vec![1e3, -2e3, 5e2]);
    let outputs = evaluate(&model, &Tensors::from([("input".to_owned(), input)])).unwrap();
    let sum: f64 = outputs["probabilities"].as_floats().unwrap().iter().sum();
    assert!((sum - 1.0).abs() < 1e-12);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let layers = [dense(16, Activation::Relu), dense(10, Activation::Softmax)];
    let build = |seed| layers::build(&[64], &layers, seed).unwrap().encode();
    assert_eq!(build(1), build(1));
    assert_ne!(build(1), build(2));
}

/// Values that were written down once: a new release of a library that changes them changes every seeded training.
#[test]
fn a_seed_keeps_its_values() {
    let model = layers::build(&[2], &[dense(2, Activation::Relu)], 42).unwrap();
    let values = model.graph().initializer[0].to_f32().unwrap();
    assert_eq!(values, FIRST_VALUES);
}

const FIRST_VALUES: [f32; 4] = [-1.386_166_2, -0.525_662, -1.426_004_9, -0.742_362_1];

#[test]
fn first_values_lie_in_the_papers_limits() {
    for (activation, limit) in [
        (Activation::Relu, (6.0_f32 / 50.0).sqrt()),
        (Activation::Tanh, (6.0_f32 / 80.0).sqrt()),
    ] {
        let model = layers::build(&[50], &[dense(30, activation)], 4).unwrap();
        let values = model.graph().initializer[0].to_f32().unwrap();
        let largest = values
            .iter()
            .fold(0.0_f32, |largest, value| largest.max(value.abs()));
        assert!(
            largest <= limit && largest > 0.98 * limit,
            "{activation:?}: {largest}"
        );
        let bias = model.graph().initializer[1].to_f32().unwrap();
        assert_eq!(bias, vec![0.0; 30]);
    }
}

#[test]
fn layers_that_make_no_model_are_refused() {
    let refused = |features: &[usize], layers: &[Layer]| {
        layers::build(features, layers, 0).unwrap_err().to_string()
    };
    assert!(refused(&[], &[Layer::Flatten]).contains("no features"));
    assert!(refused(&[4], &[]).contains("at least one layer"));
    assert!(
        refused(&[8, 8], &[dense(3, Activation::None)]).contains("put a flatten layer before it")
    );
    assert!(
        refused(&[8], &[Layer::Flatten, dense(0, Activation::None)])
            .starts_with("layer 2 (dense): it has no units")
    );
    assert!(refused(&[8], &[Layer::Scale { factor: f32::NAN }]).contains("finite"));
    assert!(refused(&[8], &[dense(usize::MAX, Activation::None)]).contains("parameters"));
    let table = |count| Layer::Embedding { count, width: 2 };
    assert!(refused(&[8], &[table(0)]).contains("empty"));
    assert!(refused(&[8], &[table(usize::MAX)]).contains("parameters"));
    assert!(refused(&[8], &[Layer::Flatten, table(3)]).contains("put it first"));
    let lstm = |units| Layer::Lstm {
        units,
        all_steps: false,
    };
    assert!(refused(&[8], &[lstm(3)]).contains("[steps, features]"));
    assert!(refused(&[8, 2], &[lstm(0)]).contains("no units"));
    assert!(refused(&[8, 2], &[lstm(usize::MAX / 2)]).contains("parameters"));
}

#[test]
fn trained_values_change_nothing_else() {
    let model = layers::build(&[3], &[dense(4, Activation::Softmax)], 9).unwrap();
    let same = model.graph().initializer.iter();
    let same = same.map(|tensor| (tensor.name().to_owned(), tensor.to_f32().unwrap()));
    let same: BTreeMap<String, Vec<f32>> = same.collect();
    assert_eq!(
        model.with_parameters(&same).unwrap().encode(),
        model.encode()
    );

    let other = BTreeMap::from([(
        "dense_1.bias".to_owned(),
        vec![7.5, -1.0, f32::MIN_POSITIVE, 0.1],
    )]);
    let trained = Model::decode(model.with_parameters(&other).unwrap().encode()).unwrap();
    assert_eq!(
        trained.graph().initializer[1].to_f32().unwrap(),
        other["dense_1.bias"]
    );
    assert_eq!(trained.graph().initializer[0], model.graph().initializer[0]);
    assert_eq!(trained.graph().node, model.graph().node);
}

#[test]
fn trained_values_have_to_fit() {
    let model = layers::build(&[3], &[dense(4, Activation::Softmax)], 9).unwrap();
    let wrong = |name: &str, count: usize| {
        let values = BTreeMap::from([(name.to_owned(), vec![0.0; count])]);
        model.with_parameters(&values).unwrap_err()
    };
    assert!(matches!(wrong("dense_1.bias", 3), Error::Tensor { .. }));
    assert!(matches!(wrong("dense_2.bias", 4), Error::Request { .. }));
}

proptest! {
    #[test]
    fn models_survive_the_round_trip(
        features in prop::collection::vec(1_usize..4, 1..3),
        units in prop::collection::vec(1_usize..5, 1..4),
        seed: u64,
    ) {
        let mut layers = vec![Layer::Flatten];
        layers.extend(units.into_iter().map(|units| dense(units, Activation::Tanh)));
        let model = layers::build(&features, &layers, seed).unwrap();
        let bytes = model.encode();
        let decoded = Model::decode(bytes.clone()).unwrap();
        prop_assert_eq!(&decoded, &model);
        prop_assert_eq!(decoded.encode(), bytes);
    }
}
