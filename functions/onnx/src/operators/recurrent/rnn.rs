//! The plain recurrent layer.

use super::Cell;
use super::evaluation::Weights;
use super::pass::{Found, Pass, Share};
use crate::emitter::Emitter;

/// h = f(W x + R h₋ + b), where h₋ is the h before the step and b both biases.
///
/// With D the gradient of h, from Y and from the step behind: the sum's gradient is a = D · f'(h), and D₋ = Rᵀ a; over all
/// steps ∂L/∂W = Σ a xᵀ, ∂L/∂R = Σ a h₋ᵀ, ∂L/∂b = Σ a, ∂L/∂x = Wᵀ a.
pub(super) struct Rnn;

impl Cell for Rnn {
    fn gates(&self) -> usize {
        1
    }

    fn activations(&self) -> &'static [&'static str] {
        &["Tanh"]
    }

    fn step(&self, weights: &Weights<'_>, x: &[f64], states: &mut [Vec<f64>; 2]) {
        let input = weights.of_input(x);
        let hidden = weights.of_hidden(&states[0], 0);
        let sums = input.iter().zip(&hidden);
        states[0] = sums
            .map(|(x, h)| weights.activations[0].value(x + h))
            .collect();
    }

    fn backward(&self, emit: &mut Emitter, pass: &Pass) -> Found {
        let slope = pass.activations[0].slope(emit, &pass.y, pass.element);
        let slope = pass.masked(emit, slope);
        let sequences = [pass.gradient.clone(), Some(slope), pass.rest()];
        let carried = vec![pass.last_gradients[0].clone()];
        let goes_on = pass.wants_initial[0];
        let walk = pass.walk_back();
        let (initial, found) = walk.over(emit, &sequences, carried, goes_on, |emit, step| {
            let gradient = step.sum(emit, 0, 0).unwrap_or_else(|| pass.zeros.clone());
            let sums = emit.node("Mul", &[&gradient, step.value(1)]);
            let before = step.goes_on.then(|| {
                let before = emit.node("MatMul", &[&sums, &pass.hidden]);
                step.keep(emit, before, &gradient, 2)
            });
            (vec![before], vec![sums])
        });
        let [sums] = found.try_into().expect("each step gives one tensor");
        Found {
            recurrent: vec![Share {
                sums: sums.clone(),
                state: pass.before.clone(),
            }],
            input: sums,
            initial,
        }
    }
}
