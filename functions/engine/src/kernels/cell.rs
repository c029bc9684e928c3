//! What the recurrent layers do in one step with the sums of one sequence, and how the gradient goes back through it.
//!
//! The sums of a step are s = W x + R h₋ + b, a block of as many as there are units for each gate; h₋ and c₋ are the states
//! before the step. A `GRU` has two blocks for its third gate, where what comes from x and what comes from h₋ stay apart: so
//! W's rows, R's and the biases each name the block that they belong to. D is the gradient of h and E that of c.

use super::exponential::{sigmoid, tanh};

/// A kind of layer.
pub(super) trait Cell: Send + Sync + 'static {
    /// Blocks of sums.
    const BLOCKS: usize;
    /// The block of each gate's rows of W, in the order of the format.
    const OF_INPUT: &'static [usize];
    /// The block of each gate's rows of R.
    const OF_HIDDEN: &'static [usize];
    /// Whether there is a c.
    const HAS_C: bool;

    /// Makes h and c of the sums, and of the sums what the way back needs.
    fn step(sums: &mut [f32], before: [&[f32]; 2], after: [&mut [f32]; 2]);

    /// Makes of D and E the gradients of the sums, and in place of D and E those of h₋ and c₋, without the way through R.
    fn step_back(
        kept: &[f32],
        before: [&[f32]; 2],
        after: [&[f32]; 2],
        gradients: [&mut [f32]; 2],
        found: &mut [f32],
    );
}

/// i = σ(s₀), o = σ(s₁), f = σ(s₂), n = tanh s₃; c = f c₋ + i n, h = o tanh c.
///
/// E ← E + D o (1 − tanh² c); the sums' gradients are E n i (1 − i), D tanh c · o (1 − o), E c₋ f (1 − f), E i (1 − n²);
/// D ← 0, E ← E f.
pub(super) struct Lstm;

impl Cell for Lstm {
    const BLOCKS: usize = 4;
    const OF_INPUT: &'static [usize] = &[0, 1, 2, 3];
    const OF_HIDDEN: &'static [usize] = &[0, 1, 2, 3];
    const HAS_C: bool = true;

    #[inline(always)]
    fn step(sums: &mut [f32], [_, before]: [&[f32]; 2], [h, c]: [&mut [f32]; 2]) {
        let units = h.len();
        let (open, new) = sums.split_at_mut(3 * units);
        for gate in open.iter_mut() {
            *gate = sigmoid(*gate);
        }
        for new in new.iter_mut() {
            *new = tanh(*new);
        }
        let [entering, output, forget] = blocks(open, units);
        let kept = forget.iter().zip(before);
        let added = entering.iter().zip(new.iter());
        for (c, ((forget, before), (entering, new))) in c.iter_mut().zip(kept.zip(added)) {
            *c = forget * before + entering * new;
        }
        for (h, (output, c)) in h.iter_mut().zip(output.iter().zip(c.iter())) {
            *h = output * tanh(*c);
        }
    }

    #[inline(always)]
    fn step_back(
        kept: &[f32],
        [_, before]: [&[f32]; 2],
        [_, after]: [&[f32]; 2],
        [of_h, of_c]: [&mut [f32]; 2],
        found: &mut [f32],
    ) {
        let units = of_h.len();
        let [entering, output, forget, new] = blocks(kept, units);
        let [of_entering, of_output, of_forget, of_new] = blocks_mut(found, units);
        let gates = entering.iter().zip(output).zip(forget.iter().zip(new));
        let states = after.iter().zip(before);
        let gradients = of_h.iter_mut().zip(of_c.iter_mut());
        let found = of_entering.iter_mut().zip(of_output);
        let found = found.zip(of_forget.iter_mut().zip(of_new));
        for ((found, gates), (states, gradients)) in found.zip(gates).zip(states.zip(gradients)) {
            let ((of_entering, of_output), (of_forget, of_new)) = found;
            let ((entering, output), (forget, new)) = gates;
            let ((after, before), (of_h, of_c)) = (states, gradients);
            let bent = tanh(*after);
            let gradient = *of_c + *of_h * output * (1.0 - bent * bent);
            *of_entering = gradient * new * entering * (1.0 - entering);
            *of_output = *of_h * bent * output * (1.0 - output);
            *of_forget = gradient * before * forget * (1.0 - forget);
            *of_new = gradient * entering * (1.0 - new * new);
            *of_c = gradient * forget;
            *of_h = 0.0;
        }
    }
}

/// z = σ(s₀), r = σ(s₁), n = tanh (s₂ + r s₃); h = (1 − z) n + z h₋, where s₂ has no part of R and s₃ none of W.
///
/// With A = D (1 − z) (1 − n²), the sums' gradients are D (h₋ − n) z (1 − z), A s₃ r (1 − r), A, A r; D ← D z.
pub(super) struct Gru;

impl Cell for Gru {
    const BLOCKS: usize = 4;
    const OF_INPUT: &'static [usize] = &[0, 1, 2];
    const OF_HIDDEN: &'static [usize] = &[0, 1, 3];
    const HAS_C: bool = false;

    #[inline(always)]
    fn step(sums: &mut [f32], [before, _]: [&[f32]; 2], [h, _]: [&mut [f32]; 2]) {
        let units = h.len();
        let (gates, others) = sums.split_at_mut(2 * units);
        for gate in gates.iter_mut() {
            *gate = sigmoid(*gate);
        }
        let [update, reset] = blocks(gates, units);
        let (new, product) = others.split_at_mut(units);
        for (new, (reset, product)) in new.iter_mut().zip(reset.iter().zip(product.iter())) {
            *new = tanh(*new + reset * product);
        }
        let states = update.iter().zip(new.iter()).zip(before);
        for (h, ((update, new), before)) in h.iter_mut().zip(states) {
            *h = (1.0 - update) * new + update * before;
        }
    }

    #[inline(always)]
    fn step_back(
        kept: &[f32],
        [before, _]: [&[f32]; 2],
        _: [&[f32]; 2],
        [of_h, _]: [&mut [f32]; 2],
        found: &mut [f32],
    ) {
        let units = of_h.len();
        let [update, reset, new, product] = blocks(kept, units);
        let [of_update, of_reset, of_new, of_product] = blocks_mut(found, units);
        let gates = update.iter().zip(reset).zip(new.iter().zip(product));
        let found = of_update.iter_mut().zip(of_reset);
        let found = found.zip(of_new.iter_mut().zip(of_product));
        for ((found, gates), (before, of_h)) in found.zip(gates).zip(before.iter().zip(of_h)) {
            let ((of_update, of_reset), (of_new, of_product)) = found;
            let ((update, reset), (new, product)) = gates;
            let gradient = *of_h * (1.0 - update) * (1.0 - new * new);
            *of_update = *of_h * (before - new) * update * (1.0 - update);
            *of_reset = gradient * product * reset * (1.0 - reset);
            *of_new = gradient;
            *of_product = gradient * reset;
            *of_h *= update;
        }
    }
}

/// h = tanh s. The sum's gradient is D (1 − h²); D ← 0.
pub(super) struct Rnn;

impl Cell for Rnn {
    const BLOCKS: usize = 1;
    const OF_INPUT: &'static [usize] = &[0];
    const OF_HIDDEN: &'static [usize] = &[0];
    const HAS_C: bool = false;

    #[inline(always)]
    fn step(sums: &mut [f32], _: [&[f32]; 2], [h, _]: [&mut [f32]; 2]) {
        for (h, sum) in h.iter_mut().zip(sums) {
            *h = tanh(*sum);
        }
    }

    #[inline(always)]
    fn step_back(
        _: &[f32],
        _: [&[f32]; 2],
        [h, _]: [&[f32]; 2],
        [of_h, _]: [&mut [f32]; 2],
        found: &mut [f32],
    ) {
        for (found, (h, of_h)) in found.iter_mut().zip(h.iter().zip(of_h)) {
            *found = *of_h * (1.0 - h * h);
            *of_h = 0.0;
        }
    }
}

#[inline(always)]
fn blocks<const N: usize>(values: &[f32], units: usize) -> [&[f32]; N] {
    std::array::from_fn(|block| &values[block * units..][..units])
}

#[inline(always)]
fn blocks_mut<const N: usize>(mut values: &mut [f32], units: usize) -> [&mut [f32]; N] {
    std::array::from_fn(|_| {
        values
            .split_off_mut(..units)
            .expect("a row has all blocks of the cell")
    })
}
