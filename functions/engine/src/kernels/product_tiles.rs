//! Tiles of a product: as many rows and columns as their sums find room in registers.
//!
//! The loops over a tile have constants for bounds and go by index, which the compiler unrolls before it looks for what can
//! live in registers.
#![allow(clippy::needless_range_loop, reason = "as said above")]
#![allow(
    unsafe_code,
    reason = "a tile reads and writes at distances that are checked once for all of its elements"
)]

use std::ops::Range;

use super::instructions::{BLOCK, Vector};
use super::matrix::{Matrix, Rectangle};
use super::product::{Ending, LONGEST};

/// Some of the inner size.
pub(super) struct Piece<'a> {
    pub(super) left: Matrix<'a>,
    pub(super) right: Matrix<'a>,
    pub(super) ending: Ending<'a>,
    /// Whether nothing was summed before it.
    pub(super) is_first: bool,
    /// Whether nothing is to be summed behind it.
    pub(super) is_last: bool,
}

impl Piece<'_> {
    /// Some columns from `column` on: as many as the vectors have lanes, or fewer than one vector has.
    #[inline(always)]
    pub(super) fn strip<V: Vector, const WIDE: usize>(
        &self,
        column: usize,
        width: usize,
        panel: &mut [f32],
        target: &mut Rectangle<'_>,
    ) {
        let depth = self.right.rows();
        let is_whole = width == WIDE * V::LANES;
        let (strip, stride) = if depth == 0 {
            (&[][..], 0)
        } else if is_whole && !self.right.is_transposed() {
            (self.right.at(0, column), self.right.stride())
        } else {
            let panel = &mut panel[..depth * WIDE * V::LANES];
            copy::<V>(&self.right, column..column + width, panel);
            (&*panel, WIDE * V::LANES)
        };
        let strip = Strip {
            values: strip,
            stride,
            depth,
            column,
            width,
        };
        if self.left.is_transposed() {
            self.tiles::<V, WIDE, true>(&strip, target);
        } else {
            self.tiles::<V, WIDE, false>(&strip, target);
        }
    }

    #[inline(always)]
    fn tiles<V: Vector, const WIDE: usize, const ACROSS: bool>(
        &self,
        strip: &Strip<'_>,
        target: &mut Rectangle<'_>,
    ) {
        let rows = self.left.rows();
        let mut row = 0;
        while row < rows {
            row += match rows - row {
                8.. if V::MANY => self.tile::<V, 8, WIDE, ACROSS>(row, strip, target),
                4.. => self.tile::<V, 4, WIDE, ACROSS>(row, strip, target),
                2.. => self.tile::<V, 2, WIDE, ACROSS>(row, strip, target),
                _ => self.tile::<V, 1, WIDE, ACROSS>(row, strip, target),
            };
        }
    }

    /// Gives back the number of its rows.
    #[inline(always)]
    fn tile<V: Vector, const HIGH: usize, const WIDE: usize, const ACROSS: bool>(
        &self,
        row: usize,
        strip: &Strip<'_>,
        target: &mut Rectangle<'_>,
    ) -> usize {
        let sums = self.sums::<V, HIGH, WIDE, ACROSS>(row, strip);
        let factor = V::splat(self.ending.factor);
        let bias = match self.ending.bias {
            Some(bias) if self.is_first => &bias[strip.column..][..strip.width],
            _ => &[],
        };
        let reads = self.ending.adds || !self.is_first;
        let relu = self.ending.relu && self.is_last;
        // The last element is the furthest that is written.
        target.at(row + HIGH - 1, strip.column + strip.width - 1);
        let stride = target.stride();
        let first = target.at(row, strip.column);
        for high in 0..HIGH {
            // SAFETY: the rows of the tile were checked above.
            let place = unsafe { first.add(high * stride) };
            if strip.width < WIDE * V::LANES {
                let mut buffer = [0.0; LONGEST];
                if reads {
                    // SAFETY: the target has as many columns from this one on, and nobody else writes them.
                    let there = unsafe { std::slice::from_raw_parts(place, strip.width) };
                    buffer[..strip.width].copy_from_slice(there);
                } else {
                    buffer[..bias.len()].copy_from_slice(bias);
                }
                finished(sums[high][0], factor, V::load(&buffer), relu).store(&mut buffer);
                // SAFETY: as above.
                let there = unsafe { std::slice::from_raw_parts_mut(place, strip.width) };
                there.copy_from_slice(&buffer[..strip.width]);
                continue;
            }
            for wide in 0..WIDE {
                // SAFETY: the tile is as wide as the strip, whose last column was checked above.
                let place = unsafe { place.add(wide * V::LANES) };
                let base = if reads {
                    // SAFETY: as above.
                    unsafe { V::read(place) }
                } else if bias.is_empty() {
                    V::splat(0.0)
                } else {
                    V::load(&bias[wide * V::LANES..])
                };
                // SAFETY: as above.
                unsafe { finished(sums[high][wide], factor, base, relu).write(place) };
            }
        }
        HIGH
    }

    #[inline(always)]
    fn sums<V: Vector, const HIGH: usize, const WIDE: usize, const ACROSS: bool>(
        &self,
        row: usize,
        strip: &Strip<'_>,
    ) -> [[V; WIDE]; HIGH] {
        let mut sums = [[V::splat(0.0); WIDE]; HIGH];
        let depth = strip.depth;
        if depth == 0 {
            return sums;
        }
        let stride = self.left.stride();
        let left = self.left.at(row, 0);
        let (step, across) = if ACROSS { (stride, 1) } else { (1, stride) };
        assert!(
            (HIGH - 1) * across + (depth - 1) * step < left.len(),
            "{OUTSIDE}"
        );
        let last = (depth - 1) * strip.stride + WIDE * V::LANES;
        assert!(last <= strip.values.len(), "{OUTSIDE}");
        let (mut left, mut right) = (left.as_ptr(), strip.values.as_ptr());
        for _ in 0..depth {
            let mut values = [V::splat(0.0); WIDE];
            for wide in 0..WIDE {
                // SAFETY: the last row of the strip was checked above.
                values[wide] = unsafe { V::read(right.add(wide * V::LANES)) };
            }
            for high in 0..HIGH {
                // SAFETY: the last element of the left matrix was checked above.
                let factor = V::splat(unsafe { *left.add(high * across) });
                for wide in 0..WIDE {
                    sums[high][wide] = values[wide].multiply_add(factor, sums[high][wide]);
                }
            }
            // Behind the last one, nothing is read.
            left = left.wrapping_add(step);
            right = right.wrapping_add(strip.stride);
        }
        sums
    }
}

/// sum · factor + base, or 0 where that is negative.
#[inline(always)]
fn finished<V: Vector>(sum: V, factor: V, base: V, relu: bool) -> V {
    let found = sum.multiply_add(factor, base);
    if relu { found.positive() } else { found }
}

const OUTSIDE: &str = "a tile lies within its matrices";

/// Columns of the right matrix, row by row.
struct Strip<'a> {
    values: &'a [f32],
    stride: usize,
    depth: usize,
    /// The first of them.
    column: usize,
    width: usize,
}

/// Copies columns row by row, with zeros behind them.
#[inline(always)]
fn copy<V: Vector>(matrix: &Matrix<'_>, columns: Range<usize>, panel: &mut [f32]) {
    let depth = matrix.rows();
    let width = panel.len() / depth;
    let count = columns.len();
    if count < width {
        panel.fill(0.0);
    }
    if !matrix.is_transposed() {
        for (row, places) in panel.chunks_exact_mut(width).enumerate() {
            places[..count].copy_from_slice(&matrix.at(row, columns.start)[..count]);
        }
        return;
    }
    let [deep, wide] = [depth, count].map(|size| size / BLOCK * BLOCK);
    for row in (0..deep).step_by(BLOCK) {
        for place in (0..wide).step_by(BLOCK) {
            let from = matrix.at(row, columns.start + place);
            let to = &mut panel[row * width + place..];
            let last = BLOCK - 1;
            assert!(last * matrix.stride() + BLOCK <= from.len(), "{OUTSIDE}");
            assert!(last * width + BLOCK <= to.len(), "{OUTSIDE}");
            // SAFETY: the last row of both was just checked.
            unsafe { V::transpose(from.as_ptr(), matrix.stride(), to.as_mut_ptr(), width) };
        }
    }
    for (place, column) in columns.enumerate() {
        let from = if place < wide { deep } else { 0 };
        let values = &matrix.at(0, column)[from..depth];
        let places = panel.iter_mut().skip(from * width + place).step_by(width);
        for (place, value) in places.zip(values) {
            *place = *value;
        }
    }
}
