//! Matrices in slices: those that are read, as they lie or transposed, and rectangles that are written.
#![allow(
    unsafe_code,
    reason = "rectangles that lie side by side in one slice are no slices of their own"
)]

use std::marker::PhantomData;
use std::ops::Range;

/// A matrix that is read.
///
/// Its rows lie in the slice from end to end, one as far behind the other as the stride says; of a transposed one, its
/// columns do.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    stride: usize,
    is_transposed: bool,
}

impl<'a> Matrix<'a> {
    /// A matrix that lies row by row, without gaps.
    ///
    /// # Panics
    /// Where the slice has another number of elements.
    pub(super) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix fills its slice");
        Self::strided(values, rows, columns, columns)
    }

    /// A matrix that lies row by row, with gaps.
    ///
    /// # Panics
    /// Where the slice ends before it.
    pub(super) fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(fits(values.len(), rows, columns, stride), "{OUTSIDE}");
        Self {
            values,
            rows,
            columns,
            stride,
            is_transposed: false,
        }
    }

    /// The same numbers with rows for columns.
    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            is_transposed: !self.is_transposed,
            ..self
        }
    }

    /// A matrix that lies without gaps, row by row or, transposed, column by column.
    ///
    /// # Panics
    /// Where the slice has another number of elements.
    pub(super) fn given(
        values: &'a [f32],
        rows: usize,
        columns: usize,
        is_transposed: bool,
    ) -> Self {
        if is_transposed {
            Self::new(values, columns, rows).transposed()
        } else {
            Self::new(values, rows, columns)
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Whether columns lie from end to end, not rows.
    pub(super) fn is_transposed(&self) -> bool {
        self.is_transposed
    }

    /// How far one row is behind the other, or one column where it is transposed.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// What lies from an element on.
    ///
    /// # Panics
    /// Where the slice ends before it.
    #[inline(always)]
    pub(super) fn at(&self, row: usize, column: usize) -> &'a [f32] {
        if self.is_transposed {
            &self.values[column * self.stride + row..]
        } else {
            &self.values[row * self.stride + column..]
        }
    }

    /// Some of the rows.
    pub(super) fn some_rows(self, range: &Range<usize>) -> Self {
        assert!(
            range.end <= self.rows && range.start <= range.end,
            "{OUTSIDE}"
        );
        let at = if self.is_transposed {
            range.start
        } else {
            range.start * self.stride
        };
        Self {
            values: &self.values[at.min(self.values.len())..],
            rows: range.len(),
            ..self
        }
    }

    /// Some of the columns.
    pub(super) fn some_columns(self, range: &Range<usize>) -> Self {
        self.transposed().some_rows(range).transposed()
    }
}

const OUTSIDE: &str = "a matrix lies within its slice";

/// Whether rows of these sizes end within a slice.
fn fits(length: usize, rows: usize, columns: usize, stride: usize) -> bool {
    match rows.checked_sub(1) {
        Some(before) if columns > 0 => {
            let last = before.checked_mul(stride);
            (rows == 1 || columns <= stride)
                && last
                    .and_then(|last| last.checked_add(columns))
                    .is_some_and(|end| end <= length)
        }
        _ => true,
    }
}

/// A matrix that is written, row by row with gaps. No two of them share an element.
pub(super) struct Rectangle<'a> {
    first: *mut f32,
    rows: usize,
    columns: usize,
    stride: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is the only one to its elements, as a slice of them would be.
unsafe impl Send for Rectangle<'_> {}

impl<'a> Rectangle<'a> {
    /// A rectangle at the start of a slice.
    ///
    /// # Panics
    /// Where the slice ends before it.
    pub(super) fn new(values: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(fits(values.len(), rows, columns, stride), "{OUTSIDE}");
        Self {
            first: values.as_mut_ptr(),
            rows,
            columns,
            stride,
            slice: PhantomData,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// A row from one of its elements on. Rows behind it can be reached by the stride.
    ///
    /// # Panics
    /// Where it has no such element.
    #[inline(always)]
    pub(super) fn at(&mut self, row: usize, column: usize) -> *mut f32 {
        assert!(row < self.rows && column < self.columns, "{OUTSIDE}");
        // SAFETY: `new` and the splits have found that all elements lie in the slice.
        unsafe { self.first.add(row * self.stride + column) }
    }

    /// The first rows, and the others.
    pub(super) fn split_rows(self, count: usize) -> (Self, Self) {
        assert!(count <= self.rows, "{OUTSIDE}");
        let first = if count < self.rows {
            // SAFETY: the row is one of the rectangle's.
            unsafe { self.first.add(count * self.stride) }
        } else {
            self.first
        };
        let others = Self {
            first,
            rows: self.rows - count,
            ..self
        };
        let rows = count;
        (Self { rows, ..self }, others)
    }

    /// The first columns, and the others.
    pub(super) fn split_columns(self, count: usize) -> (Self, Self) {
        assert!(count <= self.columns, "{OUTSIDE}");
        let first = if count < self.columns && self.rows > 0 {
            // SAFETY: the column is one of the rectangle's.
            unsafe { self.first.add(count) }
        } else {
            self.first
        };
        let others = Self {
            first,
            columns: self.columns - count,
            ..self
        };
        let columns = count;
        (Self { columns, ..self }, others)
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, Rectangle};

    #[test]
    fn parts_are_where_they_were() {
        let values: Vec<f32> = (0u8..35).map(f32::from).collect();
        let whole = Matrix::strided(&values, 5, 6, 7);
        let part = whole.some_rows(&(1..4)).some_columns(&(2..6));
        let turned = whole.transposed().some_rows(&(2..6)).some_columns(&(1..4));
        for row in 0..3 {
            for column in 0..4 {
                let expected = values[(row + 1) * 7 + column + 2];
                for found in [part.at(row, column)[0], turned.at(column, row)[0]] {
                    assert!((found - expected).abs() < f32::EPSILON);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "within its slice")]
    fn none_ends_behind_its_slice() {
        Rectangle::new(&mut [0.0; 34], 5, 7, 7);
    }
}
