//! Optimizers against their papers' equations, computed here in float64.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use millrace_onnx::layers::{self, Activation, Layer};
use millrace_onnx::{Error, Loss, Optimizer, StepGraph, Tensor};
use support::{Tensors, initial_state, next_state, noise, options, run_step};

const LR: f64 = 0.05;

/// Runs some steps on changing batches, and follows them with the equations; `update` gets a parameter, its gradient, its
/// state and the number of the step.
fn assert_follows(
    optimizer: Optimizer,
    slots: usize,
    update: impl Fn(f64, f64, &mut [f64], i32) -> f64,
) {
    let dense = |units, activation| Layer::Dense {
        units,
        activation,
        bias: true,
    };
    let layers = [dense(4, Activation::Tanh), dense(2, Activation::None)];
    let model = layers::build(&[3], &layers, 3).unwrap();
    let gradients =
        StepGraph::build(&model, &options(Loss::MeanSquaredError, Optimizer::Sgd)).unwrap();
    let step = StepGraph::build(&model, &options(Loss::MeanSquaredError, optimizer)).unwrap();
    assert_eq!(step.slots.len(), slots * step.parameters.len());

    let mut state = initial_state(&step);
    let mut expected = initial_state(&gradients);
    let mut memory: std::collections::BTreeMap<String, Vec<[f64; 2]>> = expected
        .iter()
        .map(|(name, tensor)| (name.clone(), vec![[0.0; 2]; tensor.count()]))
        .collect();
    for number in 1..=5_u8 {
        let batch = Tensors::from([
            (
                "input".to_owned(),
                Tensor::from_f32(&[4, 3], &noise(12, number.into())),
            ),
            (
                "labels".to_owned(),
                Tensor::from_f32(&[4, 2], &noise(8, u64::from(number) + 50)),
            ),
        ]);
        let unit = run_step(&gradients, &batch, &expected, 1.0, 1);
        for (name, memory) in &mut memory {
            let before = expected[name].as_floats().unwrap().to_vec();
            let moved = unit[&format!("{name}.new")].as_floats().unwrap();
            let values = before
                .iter()
                .zip(moved)
                .zip(memory)
                .map(|((&value, &moved), memory)| {
                    update(value, value - moved, &mut memory[..slots], number.into())
                });
            let tensor = Tensor::floats(expected[name].dims(), values.collect());
            expected.insert(name.clone(), tensor);
        }
        let outputs = run_step(&step, &batch, &state, LR, number.into());
        state = next_state(&state, &outputs);
        for (name, expected) in &expected {
            let found = state[name].as_floats().unwrap();
            for (found, expected) in found.iter().zip(expected.as_floats().unwrap()) {
                // The graph's constants are float32.
                let distance = (found - expected).abs();
                assert!(
                    distance <= 1e-6,
                    "{name} after step {number}: {found}, by the equations {expected}"
                );
            }
        }
    }
}

/// Robbins and Monro 1951: p ← p − lr g.
#[test]
fn gradient_descent() {
    assert_follows(Optimizer::Sgd, 0, |value, gradient, _, _| {
        value - LR * gradient
    });
}

/// Polyak 1964: b ← μ b + g, p ← p − lr b.
#[test]
fn momentum() {
    assert_follows(
        Optimizer::Momentum { momentum: 0.9 },
        1,
        |value, gradient, state, _| {
            state[0] = 0.9 * state[0] + gradient;
            value - LR * state[0]
        },
    );
}

/// Kingma and Ba 2015, Algorithm 1, word for word. The large ε shows that it stands outside the root.
#[test]
fn adam() {
    for epsilon in [1e-8, 1e-2] {
        let optimizer = Optimizer::Adam {
            beta1: 0.9,
            beta2: 0.999,
            epsilon,
        };
        assert_follows(optimizer, 2, move |value, gradient, state, step| {
            state[0] = 0.9 * state[0] + 0.1 * gradient;
            state[1] = 0.999 * state[1] + 0.001 * gradient * gradient;
            let mean = state[0] / (1.0 - 0.9_f64.powi(step));
            let square = state[1] / (1.0 - 0.999_f64.powi(step));
            value - LR * mean / (square.sqrt() + epsilon)
        });
    }
}

#[test]
fn constants_outside_their_range_are_refused() {
    let layers = [Layer::Dense {
        units: 2,
        activation: Activation::None,
        bias: false,
    }];
    let model = layers::build(&[3], &layers, 3).unwrap();
    let adam = |beta1, epsilon| Optimizer::Adam {
        beta1,
        beta2: 0.999,
        epsilon,
    };
    let wrong = [
        Optimizer::Momentum { momentum: 1.0 },
        Optimizer::Momentum { momentum: f64::NAN },
        adam(-0.1, 1e-8),
        adam(0.9, 0.0),
    ];
    for optimizer in wrong {
        let refused = StepGraph::build(&model, &options(Loss::MeanSquaredError, optimizer));
        assert!(
            matches!(refused, Err(Error::Request { .. })),
            "{optimizer:?}"
        );
    }
}
