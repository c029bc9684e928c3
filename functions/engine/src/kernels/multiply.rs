//! Products of matrices, by a library that chooses its own instructions.
#![allow(
    unsafe_code,
    reason = "the library takes pointers and strides, which are checked here against the slices"
)]

/// A matrix in a slice.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix that lies row by row, without gaps.
    ///
    /// # Panics
    /// Where the slice has another number of elements.
    pub(super) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix fills its slice");
        Self {
            values,
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// The same numbers with rows for columns.
    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Whether a product takes the place of what is there, or is added to it.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Onto {
    Nothing,
    Sum,
}

/// Multiplies two matrices into one that lies row by row, on the calling thread.
///
/// # Panics
/// Where the sizes do not fit each other.
pub(super) fn multiply(left: Matrix<'_>, right: Matrix<'_>, product: &mut [f32], onto: Onto) {
    assert_eq!(left.columns, right.rows, "the inner sizes are one");
    assert_eq!(
        product.len(),
        left.rows * right.columns,
        "the product fills its slice"
    );
    let stride = |stride: usize| isize::try_from(stride).expect("no slice has as many elements");
    let keep = if onto == Onto::Sum { 1.0 } else { 0.0 };
    // SAFETY: the pointers are those of slices that live through the call, and the product's is the only one to its memory.
    // Every matrix has as many elements as its slice, and rows and columns are a slice's own, in this or in the other order
    // (`Matrix` can be made in no other way), so that the library, which stays within rows and columns, stays within the
    // slices. It does not read the product where that is to be replaced.
    unsafe {
        matrixmultiply::sgemm(
            left.rows,
            left.columns,
            right.columns,
            1.0,
            left.values.as_ptr(),
            stride(left.row_stride),
            stride(left.column_stride),
            right.values.as_ptr(),
            stride(right.row_stride),
            stride(right.column_stride),
            keep,
            product.as_mut_ptr(),
            stride(right.columns),
            1,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, Onto, multiply};

    #[test]
    fn products_are_those_of_the_definition() {
        let numbers = |count: u8| {
            (0..count)
                .map(|value| f32::from(value) - 7.0)
                .collect::<Vec<_>>()
        };
        let (rows, inner, columns) = (5, 3, 4);
        let (left, right) = (numbers(15), numbers(12));
        for onto in [Onto::Nothing, Onto::Sum] {
            let mut product = vec![2.0; rows * columns];
            let transposed = Matrix::new(&left, inner, rows).transposed();
            multiply(
                transposed,
                Matrix::new(&right, inner, columns),
                &mut product,
                onto,
            );
            for (at, found) in product.iter().enumerate() {
                let (row, column) = (at / columns, at % columns);
                let expected: f32 = (0..inner)
                    .map(|k| left[k * rows + row] * right[k * columns + column])
                    .sum();
                let start = if onto == Onto::Sum { 2.0 } else { 0.0 };
                assert!((found - expected - start).abs() < 1e-4);
            }
        }
    }
}
