//! Linear maps along one dimension of a tensor: every element of the result is a weighted sum of elements of the input.
//!
//! Of y = M x the gradient is ∂L/∂x = Mᵀ ∂L/∂y.

use super::Backward;
use crate::tensor::{indices, strides};
use crate::{ElementType, Tensor};

/// A matrix with few entries in a row.
#[derive(Clone, Debug)]
pub(super) struct Map {
    /// The size that it takes.
    columns: usize,
    /// For each element of the result: the elements that it is made of, with their weights.
    rows: Vec<Vec<(usize, f64)>>,
}

impl Map {
    pub(super) fn new(columns: usize, rows: Vec<Vec<(usize, f64)>>) -> Self {
        Self { columns, rows }
    }

    /// The tensor with the map along an axis.
    pub(super) fn apply(&self, tensor: &Tensor, values: &[f64], axis: usize) -> Tensor {
        let own = strides(tensor.dims());
        let mut dims = tensor.dims().to_vec();
        dims[axis] = self.rows.len();
        let sums = indices(&dims).map(|mut index| {
            let row = &self.rows[std::mem::take(&mut index[axis])];
            let base: usize = index.iter().zip(&own).map(|(at, stride)| at * stride).sum();
            let terms = row.iter();
            terms
                .map(|&(from, weight)| values[base + from * own[axis]] * weight)
                .sum()
        });
        let sums = sums.collect();
        Tensor::floats(&dims, sums)
    }

    /// Emits Mᵀ ∂L/∂y along an axis of a tensor of known rank.
    pub(super) fn transposed(
        &self,
        backward: &mut Backward<'_>,
        gradient: &str,
        axis: usize,
        rank: usize,
    ) -> String {
        let element = backward
            .input_fact(0)
            .element
            .unwrap_or(ElementType::Float32);
        let (rows, columns) = (self.rows.len(), self.columns);
        if axis + 2 == rank {
            let mut values = vec![0.0; rows * columns];
            for (row, from, weight) in self.entries() {
                values[from * rows + row] += weight;
            }
            let matrix = backward.emit.matrix([columns, rows], &values, element);
            return backward.node("MatMul", &[&matrix, gradient]);
        }
        let mut values = vec![0.0; rows * columns];
        for (row, from, weight) in self.entries() {
            values[row * columns + from] += weight;
        }
        let matrix = backward.emit.matrix([rows, columns], &values, element);
        let mut swapped: Vec<usize> = (0..rank).collect();
        swapped.swap(axis, rank - 1);
        let turned = backward.transpose(gradient, &swapped);
        let product = backward.node("MatMul", &[&turned, &matrix]);
        backward.transpose(&product, &swapped)
    }

    fn entries(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        let rows = self.rows.iter().enumerate();
        rows.flat_map(|(row, entries)| {
            entries
                .iter()
                .map(move |&(from, weight)| (row, from, weight))
        })
    }
}
