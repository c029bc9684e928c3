//! Whole models that are built from layers.

use millrace_onnx::layers::{self, Activation, Layer};
use millrace_onnx::{Model, Tensor};

use super::Case;
use crate::support::{Tensors, noise};

pub fn cases() -> Vec<Case> {
    let lstm = |all_steps| Layer::Lstm {
        units: 3,
        all_steps,
    };
    let gru = |all_steps| Layer::Gru {
        units: 2,
        all_steps,
    };
    let numbers = Tensor::floats(&[2, 4], vec![0.0, 3.0, 4.0, 3.0, 1.0, 1.0, 0.0, 2.0]);
    let table = Layer::Embedding { count: 5, width: 2 };
    vec![
        case(
            "an embedding, LSTM and GRU",
            &[4],
            &[table.clone(), lstm(true), gru(false), dense(2)],
            numbers.clone(),
        ),
        case(
            "all steps of an embedding in one row",
            &[4],
            &[table, Layer::Flatten, dense(2)],
            numbers,
        ),
        case(
            "LSTM of the last step",
            &[3, 2],
            &[gru(true), lstm(false)],
            Tensor::from_f32(&[2, 3, 2], &noise(12, 60)),
        ),
    ]
}

fn dense(units: usize) -> Layer {
    Layer::Dense {
        units,
        activation: Activation::None,
        bias: true,
    }
}

fn case(name: &str, features: &[usize], layers: &[Layer], input: Tensor) -> Case {
    let model: Model = layers::build(features, layers, 5).unwrap();
    let batch = Tensors::from([("input".to_owned(), input)]);
    Case::of(&format!("layers: {name}"), model, batch)
}
