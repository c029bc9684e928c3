//! Where the matrices of an attention's heads lie in tensors.

use ort::operator::KernelContext;
use ort::{Error, Result};

use super::matrix::{Matrix, Rectangle};
use super::product::{Ending, Product};

/// Q, K and V.
pub(super) const OPERANDS: usize = 3;

/// What the attributes say.
#[derive(Clone)]
pub(super) struct Heads {
    /// How many there are of each record.
    pub(super) count: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) width: usize,
    pub(super) scale: f32,
    /// Q `[queries, inner]`, K `[inner, keys]`, V `[keys, width]`.
    pub(super) operands: [Place; OPERANDS],
    /// Y `[queries, width]`.
    pub(super) output: Place,
    /// The sizes of a record of Y.
    pub(super) shape: Vec<i64>,
    /// How far the numbers of a mask for records, heads, queries and keys are from one another, where there is one.
    pub(super) mask: Option<[usize; 4]>,
}

impl Heads {
    pub(super) fn of(node: &KernelContext<'_>) -> Result<Self> {
        let sizes = numbers(node, "sizes")?;
        let [count, queries, keys, inner, width] = sizes;
        let place = |name: &str, rows, columns| -> Result<Place> {
            let [first, head, row, column] = numbers(node, name)?;
            let place = Place {
                first,
                head,
                rows,
                columns,
                stride: if column == 1 { row } else { column },
                is_transposed: column != 1,
            };
            let is_one = |stride: usize| stride == 1;
            if is_one(row) || is_one(column) {
                Ok(place)
            } else {
                Err(Error::new(format!(
                    "'{name}' lie neither by rows nor by columns"
                )))
            }
        };
        let output = place("output", queries, width)?;
        let shape = node.get::<Vec<i64>>("shape").unwrap_or_default();
        if output.is_transposed || shape.iter().product::<i64>() != to_i64(count * queries * width)
        {
            return Err(Error::new("the output of an attention has no such shape"));
        }
        Ok(Self {
            count,
            queries,
            keys,
            width,
            scale: node.get::<f32>("scale").unwrap_or(1.0),
            operands: [
                place("queries", queries, inner)?,
                place("keys", inner, keys)?,
                place("values", keys, width)?,
            ],
            output,
            shape,
            mask: numbers(node, "mask").ok(),
        })
    }

    /// How many numbers P has for each record.
    pub(super) fn shares(&self) -> usize {
        self.count * self.queries * self.keys
    }

    /// How many numbers Y has for each record.
    pub(super) fn outputs(&self) -> usize {
        self.count * self.queries * self.width
    }

    /// The shape of a tensor whose records have these sizes.
    pub(super) fn shape(records: usize, sizes: &[i64]) -> Vec<i64> {
        std::iter::once(to_i64(records))
            .chain(sizes.iter().copied())
            .collect()
    }

    /// The shape of P.
    pub(super) fn shape_of_shares(&self, records: usize) -> Vec<i64> {
        let sizes = [self.count, self.queries, self.keys].map(to_i64);
        Self::shape(records, &sizes)
    }
}

fn to_i64(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Numbers of an attribute, none of them negative.
fn numbers<const N: usize>(node: &KernelContext<'_>, name: &str) -> Result<[usize; N]> {
    let found = node.get::<Vec<i64>>(name).unwrap_or_default();
    let found: Option<Vec<usize>> = found
        .into_iter()
        .map(|number| usize::try_from(number).ok())
        .collect();
    let found = found.and_then(|found| <[usize; N]>::try_from(found).ok());
    found.ok_or_else(|| Error::new(format!("'{name}' has not {N} numbers")))
}

/// Where the matrices of the heads lie in a record.
#[derive(Clone, Copy)]
pub(super) struct Place {
    first: usize,
    /// From one head to the next.
    head: usize,
    rows: usize,
    columns: usize,
    /// From one row to the next, or from one column where columns lie from end to end.
    stride: usize,
    is_transposed: bool,
}

impl Place {
    /// The matrix of a head.
    ///
    /// # Panics
    /// Where the record ends before it.
    pub(super) fn matrix<'a>(&self, record: &'a [f32], head: usize) -> Matrix<'a> {
        let values = &record[self.first + head * self.head..];
        if self.is_transposed {
            Matrix::strided(values, self.columns, self.rows, self.stride).transposed()
        } else {
            Matrix::strided(values, self.rows, self.columns, self.stride)
        }
    }

    /// The product that is the matrix of a head.
    ///
    /// # Panics
    /// Where the record ends before it.
    pub(super) fn product<'a>(
        &self,
        left: Matrix<'a>,
        right: Matrix<'a>,
        factor: f32,
        record: &'a mut [f32],
        head: usize,
    ) -> Product<'a> {
        let values = &mut record[self.first + head * self.head..];
        let (left, right) = if self.is_transposed {
            (right.transposed(), left.transposed())
        } else {
            (left, right)
        };
        let (rows, columns) = (left.rows(), right.columns());
        Product {
            left,
            right,
            target: Rectangle::new(values, rows, columns, self.stride),
            ending: Ending {
                factor,
                ..Ending::PLAIN
            },
        }
    }
}
