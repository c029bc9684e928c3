//! `Lstm`, `Gru` and `Rnn`: recurrent layers that keep what their gradients need.
//!
//! Sequences do not know of each other, so each thread goes through all steps with its own ones. W and R are laid out once for
//! all steps.

use ort::Result;
use ort::operator::{BoxedKernel, ComputeContext, KernelContext};
use ort::value::TensorElementType::Float32;

use millrace_onnx::fast;

use super::cell::{Cell, Gru, Lstm, Rnn};
use super::instructions::{self, Task};
use super::layer::{Layer, to_size, values, ways};
use super::operator::{Definition, Port, missing};
use super::panels::{Factor, add_products, length, pack_columns};
use super::parallel::for_each;
use super::scratch;

pub(super) const LSTM: Definition = definition::<Lstm>(fast::LSTM);
pub(super) const GRU: Definition = definition::<Gru>(fast::GRU);
pub(super) const RNN: Definition = definition::<Rnn>(fast::RNN);

const fn definition<C: Cell>(name: &'static str) -> Definition {
    Definition {
        name,
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
            Port::Optional(Float32),
            Port::Optional(Float32),
            Port::Required(Float32),
            Port::Optional(Float32),
        ],
        create: |node| Ok(create::<C>(node)),
    }
}

fn create<C: Cell>(node: &KernelContext<'_>) -> BoxedKernel<'static> {
    let ways = ways(node);
    Box::new(move |context: &ComputeContext| compute::<C>(context, &ways))
}

fn compute<C: Cell>(context: &ComputeContext, ways: &[bool]) -> Result<()> {
    let values = values::<6>(context, 0)?;
    let layer = Layer::of::<C>(&values, ways)?;
    let &Layer {
        steps,
        batch,
        units,
        features,
        ..
    } = &layer;
    let (directions, sums, of_c) = (ways.len(), layer.sums::<C>(), layer.of_c::<C>());
    let rows = |width| [steps, directions, batch, width].map(to_size).to_vec();
    let mut hidden = context.output(0, rows(units))?.ok_or_else(missing)?;
    let mut kept = context.output(3, rows(sums))?.ok_or_else(missing)?;
    let mut cells = match of_c {
        0 => None,
        width => Some(context.output(4, rows(width))?.ok_or_else(missing)?),
    };
    let (_, hidden) = hidden.try_extract_tensor_mut::<f32>()?;
    let (_, kept) = kept.try_extract_tensor_mut::<f32>()?;
    let cells = match &mut cells {
        Some(cells) => cells.try_extract_tensor_mut::<f32>()?.1,
        None => &mut [],
    };

    let of_direction = [length(features, sums), length(units, sums)];
    let laid_out = directions * of_direction.iter().sum::<usize>();
    scratch::with([laid_out, directions * sums], |[panels, biases]| {
        panels.fill(0.0);
        let of_panels = panels.chunks_exact_mut(laid_out / directions);
        for (direction, panels) in of_panels.enumerate() {
            let (input, recurrent) = panels.split_at_mut(of_direction[0]);
            pack_columns(layer.rows_of_w::<C>(direction), features, input);
            pack_columns(layer.rows_of_r::<C>(direction), units, recurrent);
        }
        for (direction, biases) in biases.chunks_exact_mut(sums).enumerate() {
            layer.write_biases::<C>(direction, biases);
        }
        let (panels, biases): (&[f32], &[f32]) = (panels, biases);
        let at = |index: usize| index % directions;
        let hidden = layer.pieces(hidden, units, at);
        let kept = layer.pieces(kept, sums, at);
        let cells = layer.pieces(cells, of_c, at);
        let pieces = hidden.into_iter().zip(kept).zip(cells);
        let parts = pieces.enumerate().map(|(number, ((hidden, kept), cells))| {
            let (direction, first) = layer.place(number);
            let panels = &panels[direction * laid_out / directions..];
            let (input, recurrent) = panels.split_at(of_direction[0]);
            Part {
                layer: &layer,
                direction,
                first,
                panels: [input, recurrent],
                biases: &biases[direction * sums..][..sums],
                hidden,
                kept,
                cells,
            }
        });
        for_each(context, parts.collect(), |part| {
            instructions::run(Work::<C>(part, std::marker::PhantomData));
        })
    })?;

    for (output, (all, width)) in [(&*hidden, units), (&*cells, of_c)].into_iter().enumerate() {
        let shape = [directions, batch, width].map(to_size).to_vec();
        if width == 0 {
            continue;
        }
        if let Some(mut last) = context.output(output + 1, shape)? {
            let (_, last) = last.try_extract_tensor_mut::<f32>()?;
            for (direction, last) in last.chunks_exact_mut(batch * width).enumerate() {
                let step = layer.at(direction, steps - 1);
                let all = all.chunks_exact(batch * width);
                for rows in all.skip(step * directions + direction).take(1) {
                    last.copy_from_slice(rows);
                }
            }
        }
    }
    Ok(())
}

/// Some sequences in one direction, and where what they give goes, step by step in the order of the computation.
struct Part<'a> {
    layer: &'a Layer<'a>,
    direction: usize,
    /// The number of the first sequence.
    first: usize,
    /// Those of W and of R.
    panels: [&'a [f32]; 2],
    biases: &'a [f32],
    hidden: Vec<&'a mut [f32]>,
    kept: Vec<&'a mut [f32]>,
    cells: Vec<&'a mut [f32]>,
}

struct Work<'a, C>(Part<'a>, std::marker::PhantomData<C>);

impl<C: Cell> Task for Work<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let part = self.0;
        let layer = part.layer;
        let (units, features) = (layer.units, layer.features);
        let (sums, of_c) = (layer.sums::<C>(), layer.of_c::<C>());
        let (mut hidden, mut cells) = (part.hidden, part.cells);
        for (done, kept) in part.kept.into_iter().enumerate() {
            let count = kept.len() / sums;
            let initial = [0, 1].map(|state| layer.initial(state, part.direction, part.first));
            let (before_h, h) = last_two(&mut hidden, done, initial[0]);
            let (before_c, c) = last_two(&mut cells, done, initial[1]);
            for sums in kept.chunks_exact_mut(sums) {
                sums.copy_from_slice(part.biases);
            }
            let first = layer.at(part.direction, done) * layer.batch + part.first;
            let factors = [
                Factor {
                    rows: &layer.x[first * features..][..count * features],
                    inner: features,
                    panels: part.panels[0],
                },
                Factor {
                    rows: &before_h[..count * units],
                    inner: units,
                    panels: part.panels[1],
                },
            ];
            add_products(&factors, sums, kept);
            for (row, kept) in kept.chunks_exact_mut(sums).enumerate() {
                C::step(
                    kept,
                    [
                        &before_h[row * units..][..units],
                        &before_c[row * of_c..][..of_c],
                    ],
                    [&mut h[row * units..][..units], &mut c[row * of_c..][..of_c]],
                );
            }
        }
    }
}

/// A state before a step and behind it.
#[inline(always)]
fn last_two<'s>(
    states: &'s mut [&mut [f32]],
    done: usize,
    initial: &'s [f32],
) -> (&'s [f32], &'s mut [f32]) {
    let (before, now) = states.split_at_mut(done);
    let before = before.last().map_or(initial, |state| &**state);
    (before, &mut *now[0])
}
