//! The gradients of a recurrent layer's weights.
//!
//! Those of W, R and the biases are one product: that of the sums' gradients with what W and R were multiplied by, and a 1 for
//! the bias, side by side in one row.

use std::ops::Range;

use ort::Result;
use ort::operator::ComputeContext;

use super::cell::Cell;
use super::instructions::{self, Task};
use super::panels::{COLUMNS, add_transposed_product, length, pack};
use super::parallel::for_each;
use super::recurrent_gradient::{Kept, ROWS, write};

impl Kept<'_> {
    /// How wide a record is when it is laid out: x, the h before, and 1.
    pub(super) fn width(&self) -> usize {
        length(1, self.layer.features + self.layer.units + 1)
    }

    /// Lays out x, the h before and 1 of every step and sequence, side by side: `ROWS` of them in panels, then the next ones.
    pub(super) fn lay_out(&self, context: &ComputeContext, records: &mut [f32]) -> Result<()> {
        let (layer, width) = (self.layer, self.width());
        let rows = layer.steps * layer.batch;
        let parts =
            records
                .chunks_exact_mut(rows * width)
                .enumerate()
                .flat_map(|(direction, records)| {
                    let parts = records.chunks_mut(ROWS * width).enumerate();
                    parts.map(move |(part, panels)| (direction, part * ROWS, panels))
                });
        for_each(context, parts.collect(), |(direction, first, panels)| {
            let range = first..first + panels.len() / width;
            panels.fill(0.0);
            let (features, units) = (layer.features, layer.units);
            let x = range
                .clone()
                .map(|row| &layer.x[row * features..][..features]);
            let before = range.clone().map(|row| {
                let (step, sequence) = (row / layer.batch, row % layer.batch);
                // The same function tells the step from what is done and the other way round.
                let done = layer.at(direction, step);
                let part = self.before(0, [direction, done, sequence], units);
                &part[..units]
            });
            pack(x, 0, panels);
            pack(before, features, panels);
            pack(range.map(|_| [1.0].as_slice()), features + units, panels);
        })
    }

    /// The sums' gradients, transposed, times the records: `[directions, sums, width]`.
    pub(super) fn multiply<C: Cell>(
        &self,
        context: &ComputeContext,
        found: &[f32],
        records: &[f32],
        totals: &mut [f32],
    ) -> Result<()> {
        let (layer, width) = (self.layer, self.width());
        let (sums, rows) = (layer.sums::<C>(), layer.steps * layer.batch);
        let directions = totals.chunks_exact_mut(sums * width).enumerate();
        let parts = directions.flat_map(|(direction, totals)| {
            let parts = totals.chunks_mut(COLUMNS * width).enumerate();
            parts.map(move |(part, totals)| {
                let start = part * COLUMNS;
                Product {
                    found: &found[direction * rows * sums..][..rows * sums],
                    records: &records[direction * rows * width..][..rows * width],
                    sums,
                    width,
                    range: start..start + totals.len() / width,
                    totals,
                }
            })
        });
        for_each(context, parts.collect(), instructions::run)
    }

    /// Gives the gradients of W, R and the biases from the rows of the product.
    pub(super) fn write_weights<C: Cell>(
        &self,
        context: &ComputeContext,
        totals: &[f32],
    ) -> Result<()> {
        let (layer, width) = (self.layer, self.width());
        let (units, features, directions) = (layer.units, layer.features, layer.ways.len());
        let gates = C::OF_INPUT.len() * units;
        let rows = |blocks: &'static [usize]| {
            let by_direction = totals.chunks_exact(layer.sums::<C>() * width);
            by_direction.flat_map(move |totals| {
                let blocks = blocks.iter();
                blocks.flat_map(move |block| {
                    totals[block * units * width..]
                        .chunks_exact(width)
                        .take(units)
                })
            })
        };
        write(context, 1, &[directions, gates, features], |weights| {
            for (weights, row) in weights.chunks_exact_mut(features).zip(rows(C::OF_INPUT)) {
                weights.copy_from_slice(&row[..features]);
            }
        })?;
        write(context, 2, &[directions, gates, units], |weights| {
            for (weights, row) in weights.chunks_exact_mut(units).zip(rows(C::OF_HIDDEN)) {
                weights.copy_from_slice(&row[features..features + units]);
            }
        })?;
        write(context, 3, &[directions, 2 * gates], |biases| {
            let halves = [rows(C::OF_INPUT), rows(C::OF_HIDDEN)];
            for (half, mut rows) in halves.into_iter().enumerate() {
                for biases in biases.chunks_exact_mut(2 * gates) {
                    let biases = &mut biases[half * gates..][..gates];
                    for (bias, row) in biases.iter_mut().zip(&mut rows) {
                        *bias = row[features + units];
                    }
                }
            }
        })
    }
}

/// Some rows of the product of the sums' gradients and the records.
struct Product<'a> {
    found: &'a [f32],
    records: &'a [f32],
    sums: usize,
    width: usize,
    range: Range<usize>,
    totals: &'a mut [f32],
}

impl Task for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.totals.fill(0.0);
        let records = self.records.chunks(ROWS * self.width);
        let found = self.found.chunks(ROWS * self.sums);
        for (found, records) in found.zip(records) {
            add_transposed_product(found, self.sums, &self.range, records, self.totals);
        }
    }
}
