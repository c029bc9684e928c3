//! Matrices for the evaluation of products, as plain loops.

use crate::Tensor;

/// A view of a matrix, perhaps transposed.
pub(super) struct Matrix<'a> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    values: &'a [f64],
    transposed: bool,
}

impl<'a> Matrix<'a> {
    pub(super) fn of(tensor: &Tensor, values: &'a [f64], transposed: bool) -> Result<Self, String> {
        let &[first, second] = tensor.dims() else {
            return Err(format!("shape {:?} is no matrix", tensor.dims()));
        };
        let (rows, columns) = if transposed {
            (second, first)
        } else {
            (first, second)
        };
        Ok(Self {
            rows,
            columns,
            values,
            transposed,
        })
    }

    /// The matrix at a place in a stack.
    pub(super) fn at(values: &'a [f64], place: usize, size: &[usize]) -> Self {
        let count = size[0] * size[1];
        Self {
            rows: size[0],
            columns: size[1],
            values: &values[place * count..(place + 1) * count],
            transposed: false,
        }
    }

    fn get(&self, row: usize, column: usize) -> f64 {
        if self.transposed {
            self.values[column * self.rows + row]
        } else {
            self.values[row * self.columns + column]
        }
    }

    pub(super) fn times(&self, other: &Matrix<'_>) -> Result<Vec<f64>, String> {
        if self.columns != other.rows {
            let (rows, columns) = (self.rows, self.columns);
            return Err(format!(
                "a {rows} × {columns} matrix does not fit one of {} rows",
                other.rows
            ));
        }
        let mut product = Vec::with_capacity(self.rows * other.columns);
        for row in 0..self.rows {
            for column in 0..other.columns {
                let terms =
                    (0..self.columns).map(|inner| self.get(row, inner) * other.get(inner, column));
                product.push(terms.sum());
            }
        }
        Ok(product)
    }
}
