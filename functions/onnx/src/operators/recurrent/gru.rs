//! The gated recurrent unit of Cho et al. (2014).

use super::Cell;
use super::evaluation::Weights;
use super::pass::{Found, Pass, Share, product};
use crate::emitter::Emitter;

/// With u = W x + its bias and v = R h₋ + its bias, each in the order z, r, n, and h₋ the h before the step:
///
/// ```text
/// z = f(u_z + v_z),   r = f(u_r + v_r),   h = (1 − z) · n + z · h₋
/// n = g(u_n + r · v_n)                    with linear_before_reset
/// n = g(u_n + R_n (r · h₋) + its bias)    without
/// ```
///
/// With D the gradient of h, from Y and from the step behind:
///
/// ```text
/// a_z = D · (h₋ − n) · z',   a_n = D · (1 − z) · n'
/// with linear_before_reset   a_r = a_n · v_n · r',   ∂L/∂v = b = [a_z, a_r, a_n · r],   D₋ = D · z + Rᵀ b,   ∂L/∂R = Σ b h₋ᵀ
/// without, e = R_nᵀ a_n:     a_r = e · h₋ · r',      D₋ = D · z + e · r + R_zᵀ a_z + R_rᵀ a_r,
///                            ∂L/∂R = Σ [a_z, a_r] h₋ᵀ and Σ a_n (r · h₋)ᵀ
/// ∂L/∂u = a = [a_z, a_r, a_n]:   ∂L/∂W = Σ a xᵀ,   ∂L/∂x = Wᵀ a
/// ```
pub(super) struct Gru;

impl Cell for Gru {
    fn gates(&self) -> usize {
        3
    }

    fn activations(&self) -> &'static [&'static str] {
        &["Sigmoid", "Tanh"]
    }

    fn step(&self, weights: &Weights<'_>, x: &[f64], states: &mut [Vec<f64>; 2]) {
        let units = weights.units;
        let [f, g] = [0, 1].map(|which| weights.activations[which]);
        let before = states[0].clone();
        let input = weights.of_input(x);
        let hidden = weights.of_hidden(&before, 0);
        let gate = |at: usize| f.value(input[at] + hidden[at]);
        let resets: Vec<f64> = (units..2 * units).map(gate).collect();
        let new: Vec<f64> = if weights.resets_product {
            let products = hidden[2 * units..].iter().zip(&resets);
            products.map(|(product, reset)| product * reset).collect()
        } else {
            let reset: Vec<f64> = before.iter().zip(&resets).map(|(h, r)| h * r).collect();
            weights.of_hidden(&reset, 2)
        };
        for unit in 0..units {
            let z = gate(unit);
            let new = g.value(input[2 * units + unit] + new[unit]);
            states[0][unit] = (1.0 - z) * new + z * before[unit];
        }
    }

    fn backward(&self, emit: &mut Emitter, pass: &Pass) -> Found {
        if pass.resets_product {
            reset_behind_product(emit, pass)
        } else {
            reset_before_product(emit, pass)
        }
    }
}

/// With `linear_before_reset`: every gradient in a step is a multiple of D.
fn reset_behind_product(emit: &mut Emitter, pass: &Pass) -> Found {
    let [f, g] = [0, 1].map(|which| pass.activations[which]);
    let (units, element) = (pass.units, pass.element);
    let biases = pass.biases(emit);
    let [of_input, of_hidden] = biases.map_or([None, None], |biases| biases.map(Some));
    let input = pass.input_sums(emit, of_input.as_deref());
    let hidden = product(emit, &pass.before, &pass.hidden, of_hidden.as_deref());
    let input = emit.split_into(&input, 1, &[2 * units, units]);
    let hidden = emit.split_into(&hidden, 1, &[2 * units, units]);
    let sums = emit.node("Add", &[&input[0], &hidden[0]]);
    let gates = f.emit(emit, &sums);
    let parts = emit.split(&gates, 1, 2);
    let (z, r) = (&parts[0], &parts[1]);
    let reset = emit.node("Mul", &[r, &hidden[1]]);
    let sum = emit.node("Add", &[&input[1], &reset]);
    let new = g.emit(emit, &sum);

    let of_new = factor_of_new(emit, pass, z, &new);
    let difference = emit.node("Sub", &[&pass.before, &new]);
    let through_reset = emit.node("Mul", &[&of_new, &hidden[1]]);
    let others = emit.concat(&[&difference, &through_reset], 1);
    let slopes = f.slope(emit, &gates, element);
    let of_gates = emit.node("Mul", &[&others, &slopes]);
    let of_gates = pass.masked(emit, of_gates);
    let of_product = emit.node("Mul", &[&of_new, r]);
    let factors = emit.concat(&[&of_gates, &of_product], 1);
    let stays = pass.masked_to_one(emit, z.clone());

    let sequences = [pass.gradient.clone(), Some(factors), Some(stays)];
    let carried = vec![pass.last_gradients[0].clone()];
    let goes_on = pass.wants_initial[0];
    let walk = pass.walk_back();
    let (initial, found) = walk.over(emit, &sequences, carried, goes_on, |emit, step| {
        let gradient = step.sum(emit, 0, 0).unwrap_or_else(|| pass.zeros.clone());
        let all = emit.concat(&[&gradient, &gradient, &gradient], 1);
        let sums = emit.node("Mul", &[&all, step.value(1)]);
        let before = step.goes_on.then(|| {
            let through = emit.node("MatMul", &[&sums, &pass.hidden]);
            let stays = emit.node("Mul", &[&gradient, step.value(2)]);
            emit.node("Add", &[&through, &stays])
        });
        (vec![before], vec![sums, gradient])
    });
    let [sums, gradient] = found.try_into().expect("each step gives two tensors");
    let of_gates = emit.split_into(&sums, 1, &[2 * units, units]).remove(0);
    let of_new = emit.node("Mul", &[&gradient, &of_new]);
    Found {
        input: emit.concat(&[&of_gates, &of_new], 1),
        recurrent: vec![Share {
            sums,
            state: pass.before.clone(),
        }],
        initial,
    }
}

/// Without `linear_before_reset`: the gradient of the reset gate is known only behind a product in each step.
fn reset_before_product(emit: &mut Emitter, pass: &Pass) -> Found {
    let [f, g] = [0, 1].map(|which| pass.activations[which]);
    let (units, element) = (pass.units, pass.element);
    let bias = pass.bias(emit);
    let input = pass.input_sums(emit, bias.as_deref());
    let input = emit.split_into(&input, 1, &[2 * units, units]);
    let weights = emit.split_into(&pass.hidden, 0, &[2 * units, units]);
    let sums = product(emit, &pass.before, &weights[0], Some(&input[0]));
    let gates = f.emit(emit, &sums);
    let parts = emit.split(&gates, 1, 2);
    let (z, r) = (&parts[0], parts[1].clone());
    let reset = emit.node("Mul", &[&r, &pass.before]);
    let sum = product(emit, &reset, &weights[1], Some(&input[1]));
    let new = g.emit(emit, &sum);

    let of_new = factor_of_new(emit, pass, z, &new);
    let difference = emit.node("Sub", &[&pass.before, &new]);
    let others = emit.concat(&[&difference, &pass.before], 1);
    let slopes = f.slope(emit, &gates, element);
    let of_gates = emit.node("Mul", &[&others, &slopes]);
    let of_gates = pass.masked(emit, of_gates);
    let stays = pass.masked_to_one(emit, z.clone());

    let sequences = [
        pass.gradient.clone(),
        Some(of_new),
        Some(of_gates),
        Some(stays),
        Some(r),
    ];
    let carried = vec![pass.last_gradients[0].clone()];
    let goes_on = pass.wants_initial[0];
    let walk = pass.walk_back();
    let (initial, found) = walk.over(emit, &sequences, carried, goes_on, |emit, step| {
        let gradient = step.sum(emit, 0, 0).unwrap_or_else(|| pass.zeros.clone());
        let new = emit.node("Mul", &[&gradient, step.value(1)]);
        let reset = emit.node("MatMul", &[&new, &weights[1]]);
        let both = emit.concat(&[&gradient, &reset], 1);
        let gates = emit.node("Mul", &[&both, step.value(2)]);
        let before = step.goes_on.then(|| {
            let through = emit.node("MatMul", &[&gates, &weights[0]]);
            let stays = emit.node("Mul", &[&gradient, step.value(3)]);
            let passes = emit.node("Mul", &[&reset, step.value(4)]);
            let direct = emit.node("Add", &[&stays, &passes]);
            emit.node("Add", &[&through, &direct])
        });
        (vec![before], vec![gates, new])
    });
    let [gates, new] = found.try_into().expect("each step gives two tensors");
    Found {
        input: emit.concat(&[&gates, &new], 1),
        recurrent: vec![
            Share {
                sums: gates,
                state: pass.before.clone(),
            },
            Share {
                sums: new,
                state: reset,
            },
        ],
        initial,
    }
}

/// (1 − z) · n', and 0 behind the end of a sequence.
fn factor_of_new(emit: &mut Emitter, pass: &Pass, z: &str, new: &str) -> String {
    let slope = pass.activations[1].slope(emit, new, pass.element);
    let one = emit.float(1.0, pass.element);
    let rest = emit.node("Sub", &[&one, z]);
    let factor = emit.node("Mul", &[&rest, &slope]);
    pass.masked(emit, factor)
}
