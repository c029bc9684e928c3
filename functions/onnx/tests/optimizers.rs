//! Optimizers, weight decay, clipping and accumulation against their papers' equations, computed here in float64.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeMap;

use millrace_onnx::layers::{self, Activation, Layer};
use millrace_onnx::{Clipping, Error, Loss, Model, Optimizer, StepGraph, StepOptions, Tensor};
use support::{Tensors, initial_state, next_state, noise, options, run_step};

const LR: f64 = 0.05;

/// The values of all parameters, or their gradients.
type Numbers = BTreeMap<String, Vec<f64>>;

fn model() -> Model {
    let dense = |units, activation| Layer::Dense {
        units,
        activation,
        bias: true,
    };
    let layers = [dense(4, Activation::Tanh), dense(2, Activation::None)];
    layers::build(&[3], &layers, 3).unwrap()
}

fn batch(number: u8) -> Tensors {
    let seed = u64::from(number);
    Tensors::from([
        (
            "input".to_owned(),
            Tensor::from_f32(&[4, 3], &noise(12, seed)),
        ),
        (
            "labels".to_owned(),
            Tensor::from_f32(&[4, 2], &noise(8, seed + 50)),
        ),
    ])
}

/// Steps with an option set, and plain gradients for the equations.
struct Run {
    step: StepGraph,
    gradients: StepGraph,
    state: Tensors,
    /// Where the parameters are by the equations.
    expected: Numbers,
}

impl Run {
    fn new(options: &StepOptions) -> Self {
        let gradients = StepGraph::build(
            &model(),
            &StepOptions::new(Loss::MeanSquaredError, Optimizer::Sgd),
        )
        .unwrap();
        let step = StepGraph::build(&model(), options).unwrap();
        let parameters = gradients.parameters.iter();
        let expected = parameters
            .map(|parameter| {
                let values = parameter.initial.iter().copied().map(f64::from);
                (parameter.name.clone(), values.collect())
            })
            .collect();
        Self {
            state: initial_state(&step),
            expected,
            step,
            gradients,
        }
    }

    /// The gradients at the parameters of the equations.
    fn gradients(&self, number: u8) -> Numbers {
        let at: Tensors = self
            .gradients
            .parameters
            .iter()
            .map(|parameter| {
                let values = self.expected[&parameter.name].clone();
                (
                    parameter.name.clone(),
                    Tensor::floats(&parameter.dims, values),
                )
            })
            .collect();
        let unit = run_step(&self.gradients, &batch(number), &at, 1.0, 1);
        let difference = |(name, before): (&String, &Vec<f64>)| {
            let after = unit[&format!("{name}.new")].as_floats().unwrap();
            let gradient = before
                .iter()
                .zip(after)
                .map(|(before, after)| before - after);
            (name.clone(), gradient.collect())
        };
        self.expected.iter().map(difference).collect()
    }

    /// Runs the step graph, and holds it against the equations.
    fn step(&mut self, number: u8) {
        let outputs = run_step(&self.step, &batch(number), &self.state, LR, number.into());
        self.state = next_state(&self.state, &outputs);
        for (name, expected) in &self.expected {
            let found = self.state[name].as_floats().unwrap();
            for (found, expected) in found.iter().zip(expected) {
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

/// Runs some steps on changing batches, and follows them with the equations; `update` gets a parameter, its gradient, its
/// state and the number of the step.
fn assert_follows(
    optimizer: Optimizer,
    slots: &[&str],
    update: impl Fn(f64, f64, &mut [f64], i32) -> f64,
) {
    let mut run = Run::new(&options(Loss::MeanSquaredError, optimizer));
    let names: Vec<&str> = run
        .step
        .slots
        .iter()
        .map(|slot| slot.name.as_str())
        .collect();
    let expected: Vec<String> = run
        .step
        .parameters
        .iter()
        .flat_map(|parameter| {
            slots
                .iter()
                .map(|slot| format!("{}.{slot}", parameter.name))
        })
        .collect();
    assert_eq!(names, expected);
    let mut memory: BTreeMap<String, Vec<[f64; 2]>> = run
        .expected
        .iter()
        .map(|(name, values)| (name.clone(), vec![[0.0; 2]; values.len()]))
        .collect();
    for number in 1..=5 {
        let gradients = run.gradients(number);
        for (name, values) in &mut run.expected {
            let memory = memory.get_mut(name).unwrap();
            for ((value, gradient), memory) in values.iter_mut().zip(&gradients[name]).zip(memory) {
                *value = update(*value, *gradient, memory, number.into());
            }
        }
        run.step(number);
    }
}

/// Robbins and Monro 1951: p ← p − lr g.
#[test]
fn gradient_descent() {
    assert_follows(Optimizer::Sgd, &[], |value, gradient, _, _| {
        value - LR * gradient
    });
}

/// Polyak 1964: b ← μ b + g, p ← p − lr b.
#[test]
fn momentum() {
    assert_follows(
        Optimizer::Momentum { momentum: 0.9 },
        &["momentum"],
        |value, gradient, state, _| {
            state[0] = 0.9 * state[0] + gradient;
            value - LR * state[0]
        },
    );
}

/// Sutskever et al. 2013, equations 3 and 4: v' = μ v − lr ∇f(θ + μ v), θ' = θ + v'. The model holds p = θ + μ v.
#[test]
fn nesterov() {
    assert_follows(
        Optimizer::Nesterov { momentum: 0.9 },
        &["momentum"],
        |value, gradient, state, _| {
            let velocity = state[0];
            let theta = value - 0.9 * velocity;
            state[0] = 0.9 * velocity - LR * gradient;
            theta + state[0] + 0.9 * state[0]
        },
    );
}

/// Kingma and Ba 2015, Algorithm 1, word for word.
fn adam(gradient: f64, state: &mut [f64], step: i32, epsilon: f64) -> f64 {
    state[0] = 0.9 * state[0] + 0.1 * gradient;
    state[1] = 0.999 * state[1] + 0.001 * gradient * gradient;
    let mean = state[0] / (1.0 - 0.9_f64.powi(step));
    let square = state[1] / (1.0 - 0.999_f64.powi(step));
    mean / (square.sqrt() + epsilon)
}

/// The large ε shows that it stands outside the root.
#[test]
fn adam_of_the_paper() {
    for epsilon in [1e-8, 1e-2] {
        let optimizer = Optimizer::Adam {
            beta1: 0.9,
            beta2: 0.999,
            epsilon,
        };
        assert_follows(
            optimizer,
            &["m", "v"],
            move |value, gradient, state, step| value - LR * adam(gradient, state, step, epsilon),
        );
    }
}

/// Tieleman and Hinton 2012, lecture 6.5.
#[test]
fn rms_prop() {
    for epsilon in [1e-8, 1e-2] {
        let optimizer = Optimizer::RmsProp {
            decay: 0.9,
            epsilon,
        };
        assert_follows(optimizer, &["square"], move |value, gradient, state, _| {
            state[0] = 0.9 * state[0] + 0.1 * gradient * gradient;
            value - LR * gradient / (state[0].sqrt() + epsilon)
        });
    }
}

/// Duchi, Hazan and Singer 2011, Figure 1 with a diagonal matrix and no constraint.
#[test]
fn adagrad() {
    assert_follows(
        Optimizer::ADAGRAD,
        &["square"],
        |value, gradient, state, _| {
            state[0] += gradient * gradient;
            value - LR * gradient / (state[0].sqrt() + 1e-10)
        },
    );
}

/// Chen et al. 2023, Algorithm 2 with λ = 0.
#[test]
fn lion() {
    assert_follows(Optimizer::LION, &["m"], |value, gradient, state, _| {
        let interpolated: f64 = 0.9 * state[0] + 0.1 * gradient;
        state[0] = 0.99 * state[0] + 0.01 * gradient;
        value - LR * interpolated.signum()
    });
}

/// Loshchilov and Hutter 2019, Algorithm 2, line 12, for matrices; biases follow Adam alone.
#[test]
fn adam_w() {
    for (decay, given) in [(0.01, None), (0.3, Some(0.3))] {
        let mut options = options(Loss::MeanSquaredError, Optimizer::ADAM_W);
        options.weight_decay = given;
        let mut run = Run::new(&options);
        let mut memory: BTreeMap<String, Vec<[f64; 2]>> = BTreeMap::new();
        for number in 1..=5 {
            let gradients = run.gradients(number);
            for (name, values) in &mut run.expected {
                let decay = if name.ends_with("weight") { decay } else { 0.0 };
                let memory = memory
                    .entry(name.clone())
                    .or_insert_with(|| vec![[0.0; 2]; values.len()]);
                for ((value, gradient), memory) in
                    values.iter_mut().zip(&gradients[name]).zip(memory)
                {
                    let step = adam(*gradient, memory, number.into(), 1e-8);
                    *value -= LR * (step + decay * *value);
                }
            }
            run.step(number);
        }
    }
}

/// Pascanu, Mikolov and Bengio 2013, Algorithm 1: ĝ ← ∂E/∂θ; if ‖ĝ‖ ≥ threshold then ĝ ← threshold/‖ĝ‖ · ĝ.
#[test]
fn clipping_by_the_global_norm() {
    for limit in [0.05, 100.0] {
        let mut options = options(Loss::MeanSquaredError, Optimizer::Sgd);
        options.clipping = Some(Clipping::Norm(limit));
        let mut run = Run::new(&options);
        for number in 1..=3 {
            let gradients = run.gradients(number);
            let squares = gradients
                .values()
                .flatten()
                .map(|gradient| gradient * gradient);
            let norm = squares.sum::<f64>().sqrt();
            assert!((limit - norm).abs() > 0.01, "the norm {norm} shows nothing");
            let factor = if norm >= limit { limit / norm } else { 1.0 };
            for (name, values) in &mut run.expected {
                for (value, gradient) in values.iter_mut().zip(&gradients[name]) {
                    *value -= LR * factor * gradient;
                }
            }
            run.step(number);
        }
    }
}

#[test]
fn clipping_by_value() {
    let mut options = options(Loss::MeanSquaredError, Optimizer::Sgd);
    options.clipping = Some(Clipping::Value(0.1));
    let mut run = Run::new(&options);
    let mut clipped = 0;
    for number in 1..=3 {
        let gradients = run.gradients(number);
        for (name, values) in &mut run.expected {
            for (value, gradient) in values.iter_mut().zip(&gradients[name]) {
                clipped += usize::from(gradient.abs() > 0.1);
                *value -= LR * gradient.clamp(-0.1, 0.1);
            }
        }
        run.step(number);
    }
    assert!(clipped > 0);
}

/// Three runs make one step on the mean of their gradients; in between nothing moves.
#[test]
fn gradients_accumulate_over_runs() {
    let mut options = options(Loss::MeanSquaredError, Optimizer::ADAM);
    options.accumulation = 3;
    options.clipping = Some(Clipping::Value(0.2));
    let mut run = Run::new(&options);
    assert!(run.state.contains_key("dense_1.weight.gradient"));
    let mut memory: BTreeMap<String, Vec<[f64; 2]>> = BTreeMap::new();
    for update in 1..=3_u8 {
        let mut sums: Numbers = BTreeMap::new();
        for number in 3 * update - 2..=3 * update {
            for (name, gradient) in run.gradients(number) {
                let sum = sums
                    .entry(name)
                    .or_insert_with(|| vec![0.0; gradient.len()]);
                for (sum, gradient) in sum.iter_mut().zip(gradient) {
                    *sum += gradient;
                }
            }
            if number < 3 * update {
                let moments = run.state["dense_1.weight.m"].clone();
                run.step(number);
                assert_eq!(run.state["dense_1.weight.m"], moments);
            }
        }
        for (name, values) in &mut run.expected {
            let memory = memory
                .entry(name.clone())
                .or_insert_with(|| vec![[0.0; 2]; values.len()]);
            for ((value, sum), memory) in values.iter_mut().zip(&sums[name]).zip(memory) {
                let mean = (sum / 3.0).clamp(-0.2, 0.2);
                *value -= LR * adam(mean, memory, update.into(), 1e-8);
            }
        }
        run.step(3 * update);
        let sum = run.state["dense_1.weight.gradient"].as_floats().unwrap();
        assert!(sum.iter().all(|&sum| sum == 0.0));
    }
}

#[test]
fn constants_outside_their_range_are_refused() {
    let adam = |beta1, epsilon| Optimizer::Adam {
        beta1,
        beta2: 0.999,
        epsilon,
    };
    let refused = |options: &StepOptions| match StepGraph::build(&model(), options) {
        Err(Error::Request { reason }) => reason,
        other => panic!("{options:?}: {other:?}"),
    };
    let wrong = [
        (Optimizer::Momentum { momentum: 1.0 }, "momentum is 1"),
        (
            Optimizer::Nesterov { momentum: f64::NAN },
            "momentum is NaN",
        ),
        (adam(-0.1, 1e-8), "beta1 is -0.1"),
        (adam(0.9, 0.0), "epsilon is 0"),
        (adam(0.9, 1e-60), "at least 1.17"),
        (
            Optimizer::RmsProp {
                decay: 1.5,
                epsilon: 1e-8,
            },
            "decay is 1.5",
        ),
        (Optimizer::Adagrad { epsilon: -1.0 }, "epsilon is -1"),
        (
            Optimizer::Lion {
                beta1: 0.9,
                beta2: 1.0,
            },
            "beta2 is 1",
        ),
    ];
    for (optimizer, reason) in wrong {
        let found = refused(&options(Loss::MeanSquaredError, optimizer));
        assert!(found.contains(reason), "{optimizer:?}: {found}");
    }
    let sgd = || options(Loss::MeanSquaredError, Optimizer::Sgd);
    let mut decay = sgd();
    decay.weight_decay = Some(-0.1);
    assert!(refused(&decay).contains("the weight decay is -0.1"));
    for clipping in [Clipping::Norm(0.0), Clipping::Value(f64::NAN)] {
        let mut wrong = sgd();
        wrong.clipping = Some(clipping);
        assert!(refused(&wrong).contains("must be more than 0"));
    }
    let mut never = sgd();
    never.accumulation = 0;
    assert!(refused(&never).contains("at least 1"));
}
