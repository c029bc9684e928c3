//! The long short-term memory of Hochreiter and Schmidhuber (1997), with forget gates.

use super::Cell;
use super::evaluation::Weights;
use super::pass::{Found, Pass, Share, product};
use crate::emitter::Emitter;

/// With the sums s = W x + R h₋ + b in the order i, o, f, n, where h₋ and c₋ are the states before the step:
///
/// ```text
/// i = f(s_i),   o = f(s_o),   f = f(s_f),   n = g(s_n),   c = f · c₋ + i · n,   h = o · h(c)
/// ```
///
/// With D the gradient of h and E that of c, each from the outputs and from the step behind:
///
/// ```text
/// E gets D · o · h'(c)
/// a_i = E · n · i',   a_o = D · h(c) · o',   a_f = E · c₋ · f',   a_n = E · i · n'
/// D₋ = Rᵀ a,   E₋ = E · f
/// ∂L/∂W = Σ a xᵀ,   ∂L/∂R = Σ a h₋ᵀ,   ∂L/∂b = Σ a,   ∂L/∂x = Wᵀ a
/// ```
pub(super) struct Lstm;

impl Cell for Lstm {
    fn gates(&self) -> usize {
        4
    }

    fn activations(&self) -> &'static [&'static str] {
        &["Sigmoid", "Tanh", "Tanh"]
    }

    fn step(&self, weights: &Weights<'_>, x: &[f64], states: &mut [Vec<f64>; 2]) {
        let input = weights.of_input(x);
        let hidden = weights.of_hidden(&states[0], 0);
        let [of_gates, of_new, of_cell] = [0, 1, 2].map(|which| weights.activations[which]);
        let units = weights.units;
        for unit in 0..units {
            let sum = |gate: usize| input[gate * units + unit] + hidden[gate * units + unit];
            let [entering, output, forget] = [0, 1, 2].map(|gate| of_gates.value(sum(gate)));
            let cell = forget * states[1][unit] + entering * of_new.value(sum(3));
            states[1][unit] = cell;
            states[0][unit] = output * of_cell.value(cell);
        }
    }

    fn backward(&self, emit: &mut Emitter, pass: &Pass) -> Found {
        let kept = Kept::of(emit, pass);
        let sequences = [
            pass.gradient.clone(),
            Some(kept.slope_of_c),
            Some(kept.factors),
            Some(kept.forget),
            pass.rest(),
        ];
        let carried = pass.last_gradients.to_vec();
        let goes_on = pass.wants_initial.contains(&true);
        let walk = pass.walk_back();
        let (initial, found) = walk.over(emit, &sequences, carried, goes_on, |emit, step| {
            let of_h = step.sum(emit, 0, 0).unwrap_or_else(|| pass.zeros.clone());
            let through_h = emit.node("Mul", &[&of_h, step.value(1)]);
            let of_c = match step.carried(1) {
                Some(behind) => emit.node("Add", &[behind, &through_h]),
                None => through_h,
            };
            let all = emit.concat(&[&of_c, &of_h, &of_c, &of_c], 1);
            let sums = emit.node("Mul", &[&all, step.value(2)]);
            let before = if step.goes_on {
                let h = emit.node("MatMul", &[&sums, &pass.hidden]);
                let h = step.keep(emit, h, &of_h, 4);
                let c = emit.node("Mul", &[&of_c, step.value(3)]);
                vec![Some(h), Some(c)]
            } else {
                vec![None, None]
            };
            (before, vec![sums])
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

/// What the four gates take, in all steps.
fn all_sums(emit: &mut Emitter, pass: &Pass) -> String {
    let bias = pass.bias(emit);
    let sums = pass.input_sums(emit, bias.as_deref());
    product(emit, &pass.before, &pass.hidden, Some(&sums))
}

/// What the gradient needs of the forward pass, over all steps.
struct Kept {
    /// o · h'(c)
    slope_of_c: String,
    /// What the gradients of c, h, c, c are multiplied by to be those of the four sums.
    factors: String,
    /// The forget gate; 1 behind the end of a sequence, where c stays as it is.
    forget: String,
}

impl Kept {
    fn of(emit: &mut Emitter, pass: &Pass) -> Self {
        let [f, g, h] = [0, 1, 2].map(|which| pass.activations[which]);
        let (units, element) = (pass.units, pass.element);
        let sums = all_sums(emit, pass);
        let parts = emit.split_into(&sums, 1, &[3 * units, units]);
        let gates = f.emit(emit, &parts[0]);
        let new = g.emit(emit, &parts[1]);
        let parts = emit.split(&gates, 1, 3);
        let (input, output) = (&parts[0], &parts[1]);

        let entering = emit.node("Mul", &[input, &new]);
        let entering = pass.masked(emit, entering);
        let forget = pass.masked_to_one(emit, parts[2].clone());
        let (c, before) = cells(emit, pass, &entering, &forget);

        let bent = h.emit(emit, &c);
        let slope = h.slope(emit, &bent, element);
        let slope_of_c = emit.node("Mul", &[output, &slope]);
        let slope_of_c = pass.masked(emit, slope_of_c);

        let others = emit.concat(&[&new, &bent, &before], 1);
        let slopes = f.slope(emit, &gates, element);
        let of_gates = emit.node("Mul", &[&others, &slopes]);
        let slope = g.slope(emit, &new, element);
        let of_new = emit.node("Mul", &[input, &slope]);
        let factors = emit.concat(&[&of_gates, &of_new], 1);
        let factors = pass.masked(emit, factors);
        Self {
            slope_of_c,
            factors,
            forget,
        }
    }
}

/// The c of every step and the one before it, found again from what enters and what is forgotten.
fn cells(emit: &mut Emitter, pass: &Pass, entering: &str, forget: &str) -> (String, String) {
    let zeros = pass.initial_c.as_ref().unwrap_or(&pass.zeros);
    let carried = vec![pass.initial_c.clone()];
    let sequences = [Some(entering.to_owned()), Some(forget.to_owned())];
    let walk = pass.walk_on();
    let (_, found) = walk.over(emit, &sequences, carried, false, |emit, step| {
        let c = match step.carried(0) {
            Some(before) => {
                let rest = emit.node("Mul", &[before, step.value(1)]);
                emit.node("Add", &[&rest, step.value(0)])
            }
            None => step.value(0).to_owned(),
        };
        let before = step.carried(0).unwrap_or(zeros).to_owned();
        (vec![Some(c.clone())], vec![c, before])
    });
    let [c, before] = found.try_into().expect("each step gives two tensors");
    (c, before)
}
