//! Products of few rows with a matrix that is used again and again: it is laid out once, and the sums of a tile stay in registers.
//!
//! A panel is 32 columns of the matrix, row by row without gaps, the last one filled up with zeros; the panels of a matrix lie
//! one behind the other. A tile's sizes are constants, so that the compiler sees that its sums fit the registers.

use std::array;
use std::ops::Range;

use super::instructions::{Vectors, vectors};

/// Columns of a panel.
pub(super) const COLUMNS: usize = 32;
/// Rows of a tile: with two vectors of columns, its sums are as many as the processor can have under way.
const ROWS: usize = 4;
/// Columns that are computed as one, whatever the processor makes of them: with more, the compiler takes them apart.
const WIDE: usize = 16;

/// Some rows of sums.
type Tile<const HIGH: usize, const VECTORS: usize> = [[[f32; WIDE]; VECTORS]; HIGH];

/// How long the panels of a matrix are.
pub(super) fn length(rows: usize, columns: usize) -> usize {
    rows * columns.next_multiple_of(COLUMNS)
}

/// Lays out a matrix, given by its rows. A row that is empty is one of zeros.
pub(super) fn pack<'r>(
    rows: impl IntoIterator<Item = &'r [f32], IntoIter: ExactSizeIterator>,
    start: usize,
    panels: &mut [f32],
) {
    let rows = rows.into_iter();
    let count = rows.len();
    for (number, row) in rows.enumerate() {
        let mut at = start;
        let mut rest = row;
        while !rest.is_empty() {
            let (panel, column) = (at / COLUMNS, at % COLUMNS);
            let (piece, behind) = rest.split_at(rest.len().min(COLUMNS - column));
            let place = (panel * count + number) * COLUMNS + column;
            panels[place..place + piece.len()].copy_from_slice(piece);
            at += piece.len();
            rest = behind;
        }
    }
}

/// Lays out a matrix of `rows` rows, given by its columns. A column that is empty is one of zeros.
pub(super) fn pack_columns<'c>(
    columns: impl IntoIterator<Item = &'c [f32]>,
    rows: usize,
    panels: &mut [f32],
) {
    for (number, column) in columns.into_iter().enumerate() {
        let panel = &mut panels[number / COLUMNS * rows * COLUMNS..][..rows * COLUMNS];
        let places = panel.iter_mut().skip(number % COLUMNS).step_by(COLUMNS);
        for (place, value) in places.zip(column) {
            *place = *value;
        }
    }
}

/// Rows, and the panels of the matrix that they are multiplied with.
#[derive(Clone, Copy)]
pub(super) struct Factor<'a> {
    /// `[rows, inner]`
    pub(super) rows: &'a [f32],
    pub(super) inner: usize,
    /// Those of a matrix `[inner, columns]`.
    pub(super) panels: &'a [f32],
}

/// Adds to `sums` `[rows, columns]` the product of each factor.
#[inline(always)]
pub(super) fn add_products(factors: &[Factor<'_>], columns: usize, sums: &mut [f32]) {
    match vectors() {
        Vectors::Wide => add_tiles::<2, true>(factors, columns, sums),
        Vectors::Narrow => add_tiles::<1, true>(factors, columns, sums),
        Vectors::Unknown => add_tiles::<1, false>(factors, columns, sums),
    }
}

#[inline(always)]
fn add_tiles<const VECTORS: usize, const FUSED: bool>(
    factors: &[Factor<'_>],
    columns: usize,
    sums: &mut [f32],
) {
    let rows = sums.len() / columns;
    for at in (0..columns).step_by(VECTORS * WIDE) {
        for factor in factors {
            let panel = factor.inner * COLUMNS;
            let panel = &factor.panels[at / COLUMNS * panel..][..panel];
            let mut row = 0;
            while row < rows {
                let sums = &mut sums[row * columns..];
                let left = &factor.rows[row * factor.inner..];
                if row + ROWS <= rows {
                    let found = row_tile::<ROWS, VECTORS, FUSED>(left, factor.inner, panel, at);
                    add(found, sums, columns, at);
                    row += ROWS;
                } else {
                    let found = row_tile::<1, VECTORS, FUSED>(left, factor.inner, panel, at);
                    add(found, sums, columns, at);
                    row += 1;
                }
            }
        }
    }
}

/// Adds to `sums` the product of some columns of `left` `[inner, stride]`, as rows, and the matrix `[inner, …]` in the panels.
/// A row of `sums` is as long as all panels are wide.
#[inline(always)]
pub(super) fn add_transposed_product(
    left: &[f32],
    stride: usize,
    range: &Range<usize>,
    panels: &[f32],
    sums: &mut [f32],
) {
    match vectors() {
        Vectors::Wide => add_column_tiles::<2, true>(left, stride, range, panels, sums),
        Vectors::Narrow => add_column_tiles::<1, true>(left, stride, range, panels, sums),
        Vectors::Unknown => add_column_tiles::<1, false>(left, stride, range, panels, sums),
    }
}

#[inline(always)]
fn add_column_tiles<const VECTORS: usize, const FUSED: bool>(
    left: &[f32],
    stride: usize,
    range: &Range<usize>,
    panels: &[f32],
    sums: &mut [f32],
) {
    let inner = left.len() / stride;
    let columns = panels.len() / inner;
    for at in (0..columns).step_by(VECTORS * WIDE) {
        let panel = &panels[at / COLUMNS * inner * COLUMNS..][..inner * COLUMNS];
        let mut row = range.start;
        while row < range.end {
            let sums = &mut sums[(row - range.start) * columns..];
            if row + ROWS <= range.end {
                let factors = column_factors::<ROWS>(left, stride, row);
                add(
                    tile::<_, VECTORS, FUSED>(factors, panel, at),
                    sums,
                    columns,
                    at,
                );
                row += ROWS;
            } else {
                let factors = column_factors::<1>(left, stride, row);
                add(
                    tile::<_, VECTORS, FUSED>(factors, panel, at),
                    sums,
                    columns,
                    at,
                );
                row += 1;
            }
        }
    }
}

#[inline(always)]
fn row_tile<const HIGH: usize, const VECTORS: usize, const FUSED: bool>(
    left: &[f32],
    inner: usize,
    panel: &[f32],
    at: usize,
) -> Tile<HIGH, VECTORS> {
    let rows: [&[f32]; HIGH] = array::from_fn(|row| &left[row * inner..][..inner]);
    let factors = (0..inner).map(|k| rows.map(|row| row[k]));
    tile::<HIGH, VECTORS, FUSED>(factors, panel, at)
}

/// What the rows of a panel are multiplied by where the rows of the product are columns of `left`.
#[inline(always)]
fn column_factors<const HIGH: usize>(
    left: &[f32],
    stride: usize,
    first: usize,
) -> impl Iterator<Item = [f32; HIGH]> {
    left.chunks_exact(stride).map(move |row| {
        let row = &row[first..first + HIGH];
        array::from_fn(|at| row[at])
    })
}

/// Σ factors · row over the rows of a panel, from its column `at` on.
#[inline(always)]
fn tile<const HIGH: usize, const VECTORS: usize, const FUSED: bool>(
    factors: impl Iterator<Item = [f32; HIGH]>,
    panel: &[f32],
    at: usize,
) -> Tile<HIGH, VECTORS> {
    let mut sums = [[[0.0; WIDE]; VECTORS]; HIGH];
    let start = at % COLUMNS;
    for (row, factors) in panel.chunks_exact(COLUMNS).zip(factors) {
        let (row, _) = row[start..].as_chunks::<WIDE>();
        for (sums, factor) in sums.iter_mut().zip(factors) {
            for (sums, values) in sums.iter_mut().zip(row) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = if FUSED {
                        factor.mul_add(*value, *sum)
                    } else {
                        factor * value + *sum
                    };
                }
            }
        }
    }
    sums
}

/// Adds a tile to the sums from the column `at` on; what stands over is left out.
#[inline(always)]
fn add<const HIGH: usize, const VECTORS: usize>(
    tile: Tile<HIGH, VECTORS>,
    sums: &mut [f32],
    columns: usize,
    at: usize,
) {
    for (row, tile) in tile.into_iter().enumerate() {
        let sums = &mut sums[row * columns..][..columns][at..];
        for (sums, tile) in sums.chunks_mut(WIDE).zip(tile) {
            for (sum, value) in sums.iter_mut().zip(tile) {
                *sum += value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Factor, add_products, add_tiles, add_transposed_product, length, pack, pack_columns,
    };

    fn numbers(count: usize, factor: usize) -> Vec<f32> {
        (0..count)
            .map(|at| f32::from(u8::try_from(at * factor % 19).unwrap_or_default()) - 9.0)
            .collect()
    }

    fn close(found: f32, expected: f32) -> bool {
        (found - expected).abs() < 1e-3
    }

    #[test]
    fn sums_grow_by_the_product_of_the_definition() {
        for [rows, inner, columns] in [[9, 5, 70], [4, 7, 32], [3, 1, 40], [8, 6, 5]] {
            let (left, right) = (numbers(rows * inner, 37), numbers(inner * columns, 23));
            let transposed: Vec<f32> = (0..columns * inner)
                .map(|at| right[at % inner * columns + at / inner])
                .collect();
            let mut panels = vec![0.0; length(inner, columns)];
            let mut same = panels.clone();
            pack(right.chunks(columns), 0, &mut panels);
            pack_columns(transposed.chunks(inner), inner, &mut same);
            assert_eq!(panels, same);
            let factor = Factor {
                rows: &left,
                inner,
                panels: &panels,
            };
            let mut sums = vec![2.0; rows * columns];
            add_products(&[factor, factor], columns, &mut sums);
            // As on a processor of which nothing is known.
            add_tiles::<1, false>(&[factor], columns, &mut sums);
            for (at, found) in sums.iter().enumerate() {
                let (row, column) = (at / columns, at % columns);
                let expected: f32 = (0..inner)
                    .map(|k| left[row * inner + k] * right[k * columns + column])
                    .sum();
                assert!(close(*found, 3.0 * expected + 2.0));
            }
        }
    }

    #[test]
    fn columns_are_taken_as_rows() {
        let (inner, stride, columns) = (6, 11, 40);
        let (left, right) = (numbers(inner * stride, 37), numbers(inner * columns, 23));
        let mut panels = vec![0.0; length(inner, columns)];
        pack(right.chunks(columns), 0, &mut panels);
        let range = 2..9;
        let width = columns.next_multiple_of(super::COLUMNS);
        let mut sums = vec![1.0; range.len() * width];
        add_transposed_product(&left, stride, &range, &panels, &mut sums);
        for (at, found) in sums.iter().enumerate() {
            let (row, column) = (range.start + at / width, at % width);
            let expected: f32 = (0..inner)
                .filter(|_| column < columns)
                .map(|k| left[k * stride + row] * right[k * columns + column])
                .sum();
            assert!(close(*found, expected + 1.0));
        }
    }
}
