//! `LstmGradient`, `GruGradient` and `RnnGradient`: the gradients of recurrent layers, from what these have kept.
//!
//! Each thread goes back through all steps with its own sequences, for the gradients of the sums; the others are products of
//! these.

use std::marker::PhantomData;

use millrace_onnx::fast;
use ort::Result;
use ort::operator::{BoxedKernel, ComputeContext, KernelContext};
use ort::value::TensorElementType::Float32;

use super::cell::{Cell, Gru, Lstm, Rnn};
use super::instructions::{self, Task};
use super::layer::{Layer, optional, to_size, values, ways};
use super::operator::{Definition, Port, check_lengths, missing};
use super::panels::{Factor, add_products, length, pack};
use super::parallel::for_each;
use super::scratch;

pub(super) const LSTM: Definition = definition::<Lstm>(fast::LSTM_GRADIENT);
pub(super) const GRU: Definition = definition::<Gru>(fast::GRU_GRADIENT);
pub(super) const RNN: Definition = definition::<Rnn>(fast::RNN_GRADIENT);

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
            Port::Required(Float32),
            Port::Required(Float32),
            Port::Optional(Float32),
            Port::Optional(Float32),
            Port::Optional(Float32),
            Port::Optional(Float32),
        ],
        outputs: &[
            Port::Optional(Float32),
            Port::Optional(Float32),
            Port::Optional(Float32),
            Port::Optional(Float32),
            Port::Optional(Float32),
            Port::Optional(Float32),
        ],
        create: |node| Ok(create::<C>(node)),
    }
}

/// Rows of one part of the products: what they need stays in the processor's first cache.
pub(super) const ROWS: usize = 64;

fn create<C: Cell>(node: &KernelContext<'_>) -> BoxedKernel<'static> {
    let ways = ways(node);
    Box::new(move |context: &ComputeContext| compute::<C>(context, &ways))
}

fn compute<C: Cell>(context: &ComputeContext, ways: &[bool]) -> Result<()> {
    let own = values::<6>(context, 0)?;
    let layer = Layer::of::<C>(&own, ways)?;
    let others = values::<6>(context, 6)?;
    let mut found = [None; 6];
    for (found, value) in found.iter_mut().zip(&others) {
        *found = optional(value.as_ref())?.map(|(_, values)| values);
    }
    let [hidden, gates, cells, gradient, last_h, last_c] = found;
    let kept = Kept {
        layer: &layer,
        hidden: hidden.ok_or_else(missing)?,
        gates: gates.ok_or_else(missing)?,
        cells: cells.filter(|_| C::HAS_C).unwrap_or_default(),
        gradient,
        last: [last_h, last_c.filter(|_| C::HAS_C)],
    };
    kept.check::<C>()?;

    let (directions, rows) = (ways.len(), layer.steps * layer.batch);
    let (sums, width) = (layer.sums::<C>(), kept.width());
    let lengths = [
        directions * rows * sums,
        directions * length(sums, layer.units),
        directions * layer.batch * layer.units,
        directions * layer.batch * layer.of_c::<C>(),
        directions * rows * width,
        directions * sums * width,
    ];
    scratch::with(lengths, |[found, panels, of_h, of_c, records, totals]| {
        kept.go_back::<C>(context, found, panels, [of_h, of_c])?;
        kept.lay_out(context, records)?;
        kept.multiply::<C>(context, found, records, totals)?;
        kept.write_weights::<C>(context, totals)?;
        kept.write_input::<C>(context, found)?;
        for (output, (values, width)) in [(of_h, layer.units), (of_c, layer.of_c::<C>())]
            .into_iter()
            .enumerate()
        {
            if width > 0 {
                write(
                    context,
                    output + 4,
                    &[directions, layer.batch, width],
                    |to| {
                        to.copy_from_slice(values);
                    },
                )?;
            }
        }
        Ok(())
    })
}

/// Fills an output, where it is wanted.
pub(super) fn write(
    context: &ComputeContext,
    index: usize,
    shape: &[usize],
    fill: impl FnOnce(&mut [f32]),
) -> Result<()> {
    let shape: Vec<i64> = shape.iter().copied().map(to_size).collect();
    if let Some(mut output) = context.output(index, shape)? {
        fill(output.try_extract_tensor_mut::<f32>()?.1);
    }
    Ok(())
}

/// What the forward pass has left, and the gradients that come in.
pub(super) struct Kept<'a> {
    pub(super) layer: &'a Layer<'a>,
    /// Y
    hidden: &'a [f32],
    gates: &'a [f32],
    cells: &'a [f32],
    gradient: Option<&'a [f32]>,
    /// The gradients of the last h and c.
    last: [Option<&'a [f32]>; 2],
}

impl Kept<'_> {
    fn check<C: Cell>(&self) -> Result<()> {
        let layer = self.layer;
        let states = layer.ways.len() * layer.batch;
        let rows = layer.steps * states;
        let [gradient, last_h, last_c] =
            [self.gradient, self.last[0], self.last[1]].map(|values| values.map(<[f32]>::len));
        check_lengths(rows * layer.units, &[self.hidden.len()])?;
        check_lengths(rows * layer.sums::<C>(), &[self.gates.len()])?;
        check_lengths(rows * layer.of_c::<C>(), &[self.cells.len()])?;
        check_lengths(rows * layer.units, gradient.as_slice())?;
        check_lengths(states * layer.units, last_h.as_slice())?;
        check_lengths(states * layer.units, last_c.as_slice())
    }

    /// The rows of a part after so many steps, of a tensor with `[steps, directions, batch, width]`.
    fn rows<'v>(&self, values: &'v [f32], width: usize, place: [usize; 3]) -> &'v [f32] {
        let [direction, done, first] = place;
        let step = self.layer.at(direction, done);
        let row = (step * self.layer.ways.len() + direction) * self.layer.batch + first;
        &values[row * width..]
    }

    /// h (0) or c (1) before a step.
    pub(super) fn before(&self, state: usize, place: [usize; 3], width: usize) -> &[f32] {
        let [direction, done, first] = place;
        match done.checked_sub(1) {
            Some(done) => {
                let values = [self.hidden, self.cells][state];
                self.rows(values, width, [direction, done, first])
            }
            None => self.layer.initial(state, direction, first),
        }
    }

    /// Finds the gradients of the sums, `[directions, steps · batch, sums]`, and those of the initial states.
    fn go_back<C: Cell>(
        &self,
        context: &ComputeContext,
        found: &mut [f32],
        panels: &mut [f32],
        [of_h, of_c]: [&mut [f32]; 2],
    ) -> Result<()> {
        let layer = self.layer;
        let of_direction = panels.len() / layer.ways.len();
        panels.fill(0.0);
        for (direction, panels) in panels.chunks_exact_mut(of_direction).enumerate() {
            pack(layer.rows_of_r::<C>(direction), 0, panels);
        }
        for (gradient, last) in [&mut *of_h, &mut *of_c].into_iter().zip(self.last) {
            match last {
                Some(last) => gradient.copy_from_slice(last),
                None => gradient.fill(0.0),
            }
        }
        let panels = &*panels;
        let found = layer.pieces(found, layer.sums::<C>(), |index| index / layer.steps);
        let of_h = layer.last_pieces(of_h, layer.units);
        let of_c = layer.last_pieces(of_c, layer.of_c::<C>());
        let pieces = found.into_iter().zip(of_h.into_iter().zip(of_c));
        let parts = pieces.enumerate().map(|(number, (found, gradients))| {
            let (direction, first) = layer.place(number);
            Back {
                kept: self,
                direction,
                first,
                panels: &panels[direction * of_direction..][..of_direction],
                found,
                gradients: gradients.into(),
                cell: PhantomData::<C>,
            }
        });
        for_each(context, parts.collect(), instructions::run)
    }

    /// Gives the gradient of X: the sums' gradients times W.
    fn write_input<C: Cell>(&self, context: &ComputeContext, found: &[f32]) -> Result<()> {
        let layer = self.layer;
        let (features, directions) = (layer.features, layer.ways.len());
        let shape = [layer.steps, layer.batch, features].map(to_size);
        let Some(mut input) = context.output(0, shape.to_vec())? else {
            return Ok(());
        };
        let (_, input) = input.try_extract_tensor_mut::<f32>()?;
        let (sums, rows) = (layer.sums::<C>(), layer.steps * layer.batch);
        let of_direction = length(sums, features);
        scratch::with([directions * of_direction], |[panels]| {
            panels.fill(0.0);
            for (direction, panels) in panels.chunks_exact_mut(of_direction).enumerate() {
                pack(layer.rows_of_w::<C>(direction), 0, panels);
            }
            let panels = &*panels;
            let parts = input.chunks_mut(ROWS * features).enumerate();
            let parts = parts.map(|(part, input)| {
                let count = input.len() / features;
                let factors = (0..directions).map(|direction| Factor {
                    rows: &found[(direction * rows + part * ROWS) * sums..][..count * sums],
                    inner: sums,
                    panels: &panels[direction * of_direction..][..of_direction],
                });
                Input {
                    factors: factors.collect(),
                    features,
                    gradient: input,
                }
            });
            for_each(context, parts.collect(), instructions::run)
        })
    }
}

/// Some sequences in one direction on their way back.
struct Back<'a, C> {
    kept: &'a Kept<'a>,
    direction: usize,
    /// The number of the first sequence.
    first: usize,
    /// Those of R.
    panels: &'a [f32],
    /// Step by step, in the order of the forward pass.
    found: Vec<&'a mut [f32]>,
    /// Those of h and c.
    gradients: [&'a mut [f32]; 2],
    cell: PhantomData<C>,
}

impl<C: Cell> Task for Back<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (kept, layer) = (self.kept, self.kept.layer);
        let (units, sums, wide) = (layer.units, layer.sums::<C>(), layer.of_c::<C>());
        let [of_h, of_c] = self.gradients;
        let count = of_h.len() / units;
        for (done, found) in self.found.into_iter().enumerate().rev() {
            let place = [self.direction, done, self.first];
            if let Some(gradient) = kept.gradient {
                let gradient = kept.rows(gradient, units, place);
                for (sum, value) in of_h.iter_mut().zip(gradient) {
                    *sum += value;
                }
            }
            let before = [kept.before(0, place, units), kept.before(1, place, wide)];
            let after = [
                kept.rows(kept.hidden, units, place),
                kept.rows(kept.cells, wide, place),
            ];
            let all = kept.rows(kept.gates, sums, place);
            for row in 0..count {
                let state = |width: usize| row * width..(row + 1) * width;
                C::step_back(
                    &all[state(sums)],
                    [&before[0][state(units)], &before[1][state(wide)]],
                    [&after[0][state(units)], &after[1][state(wide)]],
                    [&mut of_h[state(units)], &mut of_c[state(wide)]],
                    &mut found[state(sums)],
                );
            }
            let factor = Factor {
                rows: found,
                inner: sums,
                panels: self.panels,
            };
            add_products(&[factor], units, of_h);
        }
    }
}

/// Some rows of the gradient of X.
struct Input<'a> {
    factors: Vec<Factor<'a>>,
    features: usize,
    gradient: &'a mut [f32],
}

impl Task for Input<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.gradient.fill(0.0);
        add_products(&self.factors, self.features, self.gradient);
    }
}
