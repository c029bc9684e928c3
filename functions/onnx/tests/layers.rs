//! Models of layers for images.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use millrace_onnx::layers::{self, Activation, Layer, Padding};
use millrace_onnx::{Loss, Optimizer, StepGraph, Tensor, check, evaluate};
use support::{Tensors, check_gradients, noise, options};

fn convolution(filters: usize, padding: Padding) -> Layer {
    Layer::Conv2d {
        filters,
        kernel: [3, 3],
        stride: [1, 1],
        padding,
        activation: Activation::Tanh,
        bias: true,
    }
}

fn network() -> Vec<Layer> {
    vec![
        Layer::Reshape {
            shape: vec![1, 8, 6],
        },
        convolution(3, Padding::Same),
        Layer::BatchNormalization {
            momentum: 0.8,
            epsilon: 1e-3,
        },
        Layer::Activation {
            function: Activation::Tanh,
        },
        Layer::MaxPooling {
            size: [2, 2],
            stride: [2, 2],
            padding: Padding::Same,
        },
        Layer::Dropout { ratio: 0.25 },
        convolution(2, Padding::Valid),
        Layer::AveragePooling {
            size: [2, 1],
            stride: [1, 1],
            padding: Padding::Same,
        },
        Layer::GlobalAveragePooling,
        Layer::Dense {
            units: 3,
            activation: Activation::Softmax,
            bias: true,
        },
    ]
}

fn records() -> Tensors {
    Tensors::from([
        (
            "input".to_owned(),
            Tensor::from_f32(&[4, 48], &noise(192, 1)),
        ),
        (
            "labels".to_owned(),
            Tensor::integers(&[4], vec![2, 0, 1, 2]),
        ),
    ])
}

#[test]
fn a_network_for_images_predicts_and_trains() {
    let model = layers::build(&[48], &network(), 5).unwrap();
    let found = check(&model, None).unwrap();
    let names: Vec<&str> = found
        .parameters
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "conv2d_1.weight",
            "conv2d_1.bias",
            "batch_normalization_1.scale",
            "batch_normalization_1.bias",
            "conv2d_2.weight",
            "conv2d_2.bias",
            "dense_1.weight",
            "dense_1.bias",
        ]
    );
    assert_eq!(
        found.statistics[0],
        ("batch_normalization_1.running_mean".to_owned(), vec![3])
    );
    let mut inputs = records();
    inputs.remove("labels");
    let outputs = evaluate(&model, &inputs).unwrap();
    assert_eq!(outputs["probabilities"].dims(), [4, 3]);
    check_gradients(&model, Loss::CROSS_ENTROPY, &records()).unwrap();
}

/// Before a rectifier weights are drawn by the inputs of a filter alone, else by inputs and outputs.
#[test]
fn filters_begin_within_the_limits_of_their_initialisers() {
    let largest = |activation: Activation| {
        let layer = Layer::Conv2d {
            filters: 40,
            kernel: [3, 3],
            stride: [1, 1],
            padding: Padding::Same,
            activation,
            bias: false,
        };
        let model = layers::build(&[2, 5, 5], &[layer], 5).unwrap();
        let weights = model.graph().initializer[0].to_f32().unwrap();
        weights
            .iter()
            .fold(0.0_f32, |most, weight| most.max(weight.abs()))
    };
    let he = (6.0_f32 / 18.0).sqrt();
    let glorot = (6.0_f32 / (18.0 + 360.0)).sqrt();
    for (activation, limit) in [(Activation::Relu, he), (Activation::None, glorot)] {
        let largest = largest(activation);
        assert!(
            (0.97 * limit..=limit).contains(&largest),
            "{largest} of {limit}"
        );
    }
}

#[test]
fn sizes_follow_windows_and_strides() {
    let sizes = |layer: Layer| {
        let model = layers::build(&[2, 7, 10], &[layer], 1).unwrap();
        let inputs = Tensors::from([(
            "input".to_owned(),
            Tensor::from_f32(&[1, 2, 7, 10], &noise(140, 1)),
        )]);
        evaluate(&model, &inputs).unwrap()["output"].dims().to_vec()
    };
    let strided = |padding| Layer::Conv2d {
        filters: 4,
        kernel: [3, 2],
        stride: [2, 3],
        padding,
        activation: Activation::None,
        bias: false,
    };
    assert_eq!(sizes(strided(Padding::Same)), [1, 4, 4, 4]);
    assert_eq!(sizes(strided(Padding::Valid)), [1, 4, 3, 3]);
    let largest = |padding| Layer::MaxPooling {
        size: [2, 3],
        stride: [2, 3],
        padding,
    };
    let average = |padding| Layer::AveragePooling {
        size: [2, 3],
        stride: [2, 3],
        padding,
    };
    assert_eq!(sizes(largest(Padding::Valid)), [1, 2, 3, 3]);
    assert_eq!(sizes(average(Padding::Valid)), [1, 2, 3, 3]);
    assert_eq!(sizes(largest(Padding::Same)), [1, 2, 4, 4]);
    assert_eq!(sizes(average(Padding::Same)), [1, 2, 4, 4]);
    let dims = vec![3, 1, 2];
    assert_eq!(sizes(Layer::Permute { dims }), [1, 10, 2, 7]);
    assert_eq!(sizes(Layer::GlobalAveragePooling), [1, 2]);
}

#[test]
fn layers_that_do_not_fit_are_refused_with_what_would_help() {
    let refused = |features: &[usize], layer: Layer| {
        layers::build(features, &[layer], 1)
            .unwrap_err()
            .to_string()
    };
    let message = refused(&[48], convolution(2, Padding::Same));
    assert!(
        message.starts_with("layer 1 (conv2d)")
            && message.contains("put a reshape layer before it"),
        "{message}"
    );
    let message = refused(&[1, 2, 9], convolution(2, Padding::Valid));
    assert!(
        message.contains("a window of 3 does not fit a side of 2"),
        "{message}"
    );
    let message = refused(&[1, 4, 4], convolution(0, Padding::Same));
    assert!(message.contains("no filters"), "{message}");
    let message = refused(
        &[1, 4, 4],
        Layer::MaxPooling {
            size: [2, 2],
            stride: [0, 1],
            padding: Padding::Valid,
        },
    );
    assert!(message.contains("stride of 0"), "{message}");
    let shape = vec![1, 7, 7];
    let message = refused(&[48], Layer::Reshape { shape });
    assert!(
        message.contains("records of shape [48], 48 elements, and [1, 7, 7] has 49"),
        "{message}"
    );
    for dims in [vec![1, 2], vec![0, 1, 2], vec![1, 2, 2]] {
        let message = refused(&[1, 4, 4], Layer::Permute { dims });
        assert!(message.contains("name each once, from 1"), "{message}");
    }
    let function = Activation::None;
    let message = refused(&[4], Layer::Activation { function });
    assert!(message.contains("leave the layer out"), "{message}");
    for (momentum, epsilon) in [(1.0, 1e-5), (0.9, 0.0)] {
        let layer = Layer::BatchNormalization { momentum, epsilon };
        let message = refused(&[4], layer);
        assert!(
            message.contains("momentum of 1") || message.contains("epsilon of 0"),
            "{message}"
        );
    }
    let (units, all_steps) = (3, false);
    let message = refused(&[4], Layer::Lstm { units, all_steps });
    assert!(
        message.contains("[steps, features], and gets records of shape [4]"),
        "{message}"
    );
    let message = refused(&[48], Layer::Dropout { ratio: 1.0 });
    assert!(message.contains("less than 1"), "{message}");
}

/// Same description, same seed, same step: also where masks are drawn.
#[test]
fn the_step_of_a_network_has_the_same_bytes_each_time() {
    let build = || {
        let model = layers::build(&[48], &network(), 5).unwrap();
        let step = StepGraph::build(&model, &options(Loss::CROSS_ENTROPY, Optimizer::ADAM));
        step.unwrap().step.encode()
    };
    assert_eq!(build(), build());
}
