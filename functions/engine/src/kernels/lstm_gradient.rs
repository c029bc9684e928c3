//! `LstmGradient`: the way of the gradient through all steps of an LSTM, some sequences at a time.
//!
//! Sequences do not know of each other, so each thread goes through all steps with its own ones: first forwards, for the gates
//! and c, which stay in the processor's cache, then back.

use millrace_onnx::fast;
use ort::Error;
use ort::operator::{BoxedKernel, ComputeContext, KernelContext};
use ort::value::TensorElementType::Float32;

use super::exponential::{sigmoid, tanh};
use super::instructions::{self, Task};
use super::operator::{Definition, Port, check_lengths, input, missing, tensor};
use super::parallel::for_each;
use super::rows::add_product;
use super::scratch;

pub(super) const OPERATOR: Definition = Definition {
    name: fast::LSTM_GRADIENT,
    inputs: &[
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Optional(Float32),
        Port::Optional(Float32),
        Port::Optional(Float32),
    ],
    outputs: &[
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float32),
    ],
    create: |node| Ok(create(node)),
};

/// Sequences of one part: enough that a row of R is read for several of them.
const SEQUENCES: usize = 8;

fn create(node: &KernelContext<'_>) -> BoxedKernel<'static> {
    let is_reverse = node.get::<i64>("reverse").unwrap_or(0) != 0;
    Box::new(move |context: &ComputeContext| compute(context, is_reverse))
}

fn compute(context: &ComputeContext, is_reverse: bool) -> ort::Result<()> {
    let [sums, hidden, initial] = [input(context, 0)?, input(context, 1)?, input(context, 2)?];
    let (shape, sums) = tensor::<f32>(&sums)?;
    let (_, hidden) = tensor::<f32>(&hidden)?;
    let (state_shape, initial) = tensor::<f32>(&initial)?;
    let [gradient, last_h, last_c] = [context.input(3)?, context.input(4)?, context.input(5)?];
    let optional = |value| -> ort::Result<Option<&[f32]>> {
        let found: Option<(_, &[f32])> = Option::map(value, tensor::<f32>).transpose()?;
        Ok(found.map(|(_, values)| values))
    };
    let (gradient, last_h, last_c) = (
        optional(gradient.as_ref())?,
        optional(last_h.as_ref())?,
        optional(last_c.as_ref())?,
    );
    let &[batch, units] = state_shape else {
        return Err(Error::new(format!(
            "expected a state for each sequence, got {state_shape:?}"
        )));
    };
    let (batch, units) = (usize::try_from(batch), usize::try_from(units));
    let (batch, units) = (batch.unwrap_or_default(), units.unwrap_or_default());
    if batch == 0 || units == 0 {
        return Err(Error::new("expected sequences and units"));
    }
    let steps = sums.len() / (batch * 4 * units);
    check_lengths(steps * batch * 4 * units, &[sums.len()])?;
    check_lengths(4 * units * units, &[hidden.len()])?;
    check_lengths(steps * batch * units, gradient.map(<[f32]>::len).as_slice())?;
    check_lengths(batch * units, last_h.map(<[f32]>::len).as_slice())?;
    check_lengths(batch * units, last_c.map(<[f32]>::len).as_slice())?;

    let state_shape = state_shape.to_vec();
    let outputs = [shape.to_vec(), state_shape.clone(), state_shape];
    let [mut found, mut of_h, mut of_c] = {
        let [found, of_h, of_c] = outputs;
        let output = |index, shape| context.output(index, shape)?.ok_or_else(missing);
        [output(0, found)?, output(1, of_h)?, output(2, of_c)?]
    };
    let (_, found) = found.try_extract_tensor_mut::<f32>()?;
    let (_, of_h) = of_h.try_extract_tensor_mut::<f32>()?;
    let (_, of_c) = of_c.try_extract_tensor_mut::<f32>()?;
    let state = SEQUENCES * units;
    let mut parts: Vec<Part<'_>> = of_h
        .chunks_mut(state)
        .zip(of_c.chunks_mut(state))
        .enumerate()
        .map(|(number, (of_h, of_c))| Part {
            layer: Layer {
                sums,
                hidden,
                initial,
                gradient,
                last: [last_h, last_c],
                batch,
                units,
                is_reverse,
            },
            first: number * SEQUENCES,
            found: Vec::with_capacity(steps),
            of_h,
            of_c,
        })
        .collect();
    for step in found.chunks_exact_mut(batch * 4 * units) {
        for (part, rows) in parts.iter_mut().zip(step.chunks_mut(4 * state)) {
            part.found.push(rows);
        }
    }
    let lengths = [steps * 4 * state, (steps + 1) * state, state, state];
    for_each(context, parts, |part| {
        scratch::with(lengths, |memory| instructions::run(Work(part, memory)));
    })
}

/// All sequences.
#[derive(Clone, Copy)]
struct Layer<'a> {
    sums: &'a [f32],
    hidden: &'a [f32],
    initial: &'a [f32],
    gradient: Option<&'a [f32]>,
    /// The gradients of the last h and c.
    last: [Option<&'a [f32]>; 2],
    batch: usize,
    units: usize,
    is_reverse: bool,
}

/// Some sequences, and where their gradients go.
struct Part<'a> {
    layer: Layer<'a>,
    /// The number of the first sequence.
    first: usize,
    /// By step.
    found: Vec<&'a mut [f32]>,
    of_h: &'a mut [f32],
    of_c: &'a mut [f32],
}

/// A part, and memory for its gates, its c before and after each step, and the gradients of h and c.
struct Work<'a, 'm>(Part<'a>, [&'m mut [f32]; 4]);

impl Task for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self(part, [gates, cells, of_h, of_c]) = self;
        let layer = part.layer;
        let units = layer.units;
        let state = part.of_h.len();
        let steps = part.found.len();
        let (of_h, of_c) = (&mut of_h[..state], &mut of_c[..state]);
        let own = part.first * units..part.first * units + state;
        let at = |done: usize| {
            if layer.is_reverse {
                steps - 1 - done
            } else {
                done
            }
        };

        cells[..state].copy_from_slice(&layer.initial[own.clone()]);
        for done in 0..steps {
            let start = (at(done) * layer.batch + part.first) * 4 * units;
            let sums = &layer.sums[start..start + 4 * state];
            let gates = &mut gates[done * 4 * state..][..4 * state];
            let (before, cells) = cells[done * state..][..2 * state].split_at_mut(state);
            let rows = gates.chunks_exact_mut(4 * units);
            let rows = rows.zip(sums.chunks_exact(4 * units));
            let states = cells
                .chunks_exact_mut(units)
                .zip(before.chunks_exact(units));
            for ((gates, sums), (cells, before)) in rows.zip(states) {
                step(gates, sums, cells, before);
            }
        }

        for (gradient, last) in [&mut *of_h, &mut *of_c].into_iter().zip(layer.last) {
            match last {
                Some(last) => gradient.copy_from_slice(&last[own.clone()]),
                None => gradient.fill(0.0),
            }
        }
        let mut found = part.found;
        for done in (0..steps).rev() {
            let at = at(done);
            if let Some(gradient) = layer.gradient {
                let start = (at * layer.batch + part.first) * units;
                for (sum, value) in of_h.iter_mut().zip(&gradient[start..start + state]) {
                    *sum += value;
                }
            }
            let gates = &gates[done * 4 * state..][..4 * state];
            let (before, cells) = cells[done * state..][..2 * state].split_at(state);
            let rows = found[at].chunks_exact_mut(4 * units);
            let rows = rows.zip(gates.chunks_exact(4 * units));
            let states = cells.chunks_exact(units).zip(before.chunks_exact(units));
            let gradients = of_h.chunks_exact(units).zip(of_c.chunks_exact_mut(units));
            for (((found, gates), states), gradients) in rows.zip(states).zip(gradients) {
                step_back(found, gates, states, gradients);
            }
            of_h.fill(0.0);
            add_product(found[at], layer.hidden, units, of_h);
        }
        part.of_h.copy_from_slice(of_h);
        part.of_c.copy_from_slice(of_c);
    }
}

/// The gates of one sequence in one step, in the order i, o, f, n, and its c.
#[inline(always)]
fn step(gates: &mut [f32], sums: &[f32], cells: &mut [f32], before: &[f32]) {
    let units = cells.len();
    let (open, new) = gates.split_at_mut(3 * units);
    for (gate, sum) in open.iter_mut().zip(sums) {
        *gate = sigmoid(*sum);
    }
    for (new, sum) in new.iter_mut().zip(&sums[3 * units..]) {
        *new = tanh(*sum);
    }
    let (entering, forget) = (&open[..units], &open[2 * units..]);
    let kept = forget.iter().zip(before);
    let added = entering.iter().zip(new);
    for (cell, ((forget, before), (entering, new))) in cells.iter_mut().zip(kept.zip(added)) {
        *cell = forget * before + entering * *new;
    }
}

/// The gradients of the four sums, and that of the c before.
#[inline(always)]
fn step_back(
    found: &mut [f32],
    gates: &[f32],
    (cells, before): (&[f32], &[f32]),
    (of_h, of_c): (&[f32], &mut [f32]),
) {
    let units = cells.len();
    let (of_entering, found) = found.split_at_mut(units);
    let (of_output, found) = found.split_at_mut(units);
    let (of_forget, of_new) = found.split_at_mut(units);
    let (entering, gates) = gates.split_at(units);
    let (output, gates) = gates.split_at(units);
    let (forget, new) = gates.split_at(units);
    let found = of_entering.iter_mut().zip(of_output);
    let found = found.zip(of_forget.iter_mut().zip(of_new));
    let gates = entering.iter().zip(output).zip(forget.iter().zip(new));
    let states = cells.iter().zip(before).zip(of_h.iter().zip(of_c));
    for ((found, gates), states) in found.zip(gates).zip(states) {
        let ((of_entering, of_output), (of_forget, of_new)) = found;
        let ((entering, output), (forget, new)) = gates;
        let ((cell, before), (of_h, of_c)) = states;
        let bent = tanh(*cell);
        let gradient = *of_c + of_h * output * (1.0 - bent * bent);
        *of_entering = gradient * new * entering * (1.0 - entering);
        *of_output = of_h * bent * output * (1.0 - output);
        *of_forget = gradient * before * forget * (1.0 - forget);
        *of_new = gradient * entering * (1.0 - new * new);
        *of_c = gradient * forget;
    }
}
