//! Products of matrices, whose sums stay in registers.
//!
//! Each element is a sum over the inner size in the order of its numbers, in blocks that depend on that size alone: where a
//! product is cut, by rows and by columns, changes no byte of it. A right matrix is read from where it lies, in strips as wide
//! as a tile; it is copied only where its rows do not lie from end to end, and where a strip would not fill a vector.

use super::instructions::{Vector, VectorTask, run_on_vectors};
use super::matrix::{Matrix, Rectangle};
use super::product_tiles::Piece;
use super::scratch;

/// Elements of the inner size that are summed at a time: a strip of the right matrix stays in the nearest cache.
const DEPTH: usize = 192;
/// Vectors of a strip.
const WIDEST: usize = 3;
/// Numbers of the longest vector.
pub(super) const LONGEST: usize = 16;
/// Multiplications of a part: enough that handing it to a thread costs little beside it.
const PART: usize = 1 << 20;
/// The least columns of a part: with fewer, too many loads come upon a multiplication.
const LEAST_COLUMNS: usize = 2 * LONGEST;
/// The least rows of a part.
const LEAST_ROWS: usize = 16;
/// The least rows of a part that has to copy its strips.
const LEAST_ROWS_OF_COPIED: usize = 256;
/// Into more parts nothing is cut.
const MOST_PARTS: usize = 64;

/// target = relu(factor · left · right + bias), or the product added to what is there.
pub(super) struct Product<'a> {
    pub(super) left: Matrix<'a>,
    pub(super) right: Matrix<'a>,
    pub(super) target: Rectangle<'a>,
    pub(super) ending: Ending<'a>,
}

/// What becomes of the sums.
#[derive(Clone, Copy)]
pub(super) struct Ending<'a> {
    pub(super) factor: f32,
    /// A number for each column.
    pub(super) bias: Option<&'a [f32]>,
    /// Whether negative numbers become 0.
    pub(super) relu: bool,
    /// Whether the product is added to what is there, in place of a bias.
    pub(super) adds: bool,
}

impl Ending<'_> {
    /// The product alone.
    pub(super) const PLAIN: Self = Self {
        factor: 1.0,
        bias: None,
        relu: false,
        adds: false,
    };
}

impl Product<'_> {
    /// How many multiplications it takes.
    pub(super) fn size(&self) -> usize {
        self.left.rows() * self.left.columns() * self.right.columns()
    }

    /// Parts that can be computed at once, as their sizes alone say.
    pub(super) fn split(self) -> Vec<Self> {
        let wanted = (self.size() / PART).next_power_of_two().min(MOST_PARTS);
        if wanted < 2 {
            return vec![self];
        }
        let (rows, columns) = (self.target.rows(), self.target.columns());
        let is_copied = self.right.is_transposed();
        let least_rows = if is_copied {
            LEAST_ROWS_OF_COPIED
        } else {
            LEAST_ROWS
        };
        let of_rows = |wanted: usize| wanted.min(rows / least_rows).max(1);
        let of_columns = |wanted: usize| wanted.min(columns / LEAST_COLUMNS).max(1);
        let (high, wide) = if is_copied || columns > rows {
            let wide = of_columns(wanted);
            (of_rows(wanted.div_ceil(wide)), wide)
        } else {
            let high = of_rows(wanted);
            (high, of_columns(wanted.div_ceil(high)))
        };
        let height = rows.div_ceil(high).next_multiple_of(LEAST_ROWS / 2);
        let width = columns.div_ceil(wide).next_multiple_of(LONGEST);
        let Self {
            left,
            right,
            target,
            ending,
        } = self;
        let mut parts = Vec::with_capacity(high * wide);
        let mut below = target;
        for row in (0..rows).step_by(height) {
            let high = row..rows.min(row + height);
            let (mut behind, rest) = below.split_rows(high.len());
            below = rest;
            for column in (0..columns).step_by(width) {
                let wide = column..columns.min(column + width);
                let (target, rest) = behind.split_columns(wide.len());
                behind = rest;
                parts.push(Self {
                    left: left.some_rows(&high),
                    right: right.some_columns(&wide),
                    target,
                    ending: Ending {
                        bias: ending.bias.map(|bias| &bias[wide]),
                        ..ending
                    },
                });
            }
        }
        parts
    }

    /// Computes it on the calling thread, with memory for [`PANEL`] numbers.
    pub(super) fn compute_with(self, panel: &mut [f32]) {
        run_on_vectors(Work(self, panel));
    }

    /// Computes it on the calling thread.
    pub(super) fn compute(self) {
        scratch::with([PANEL], |[panel]| self.compute_with(panel));
    }
}

/// Work for threads: parts of products that are large, and several products that are small.
pub(super) fn gathered(products: Vec<Product<'_>>) -> Vec<Vec<Product<'_>>> {
    let mut parts = Vec::new();
    let (mut few, mut size) = (Vec::new(), 0);
    for product in products {
        if product.size() >= PART {
            parts.extend(product.split().into_iter().map(|part| vec![part]));
            continue;
        }
        size += product.size();
        few.push(product);
        if size >= PART {
            parts.push(std::mem::take(&mut few));
            size = 0;
        }
    }
    if !few.is_empty() {
        parts.push(few);
    }
    parts
}

/// How many numbers a copied strip has.
pub(super) const PANEL: usize = DEPTH * WIDEST * LONGEST;

struct Work<'a, 'm>(Product<'a>, &'m mut [f32]);

impl VectorTask for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        multiply::<V>(self.0, self.1);
    }
}

/// Computes a product, with memory for [`PANEL`] numbers.
///
/// # Panics
/// Where the sizes do not fit each other.
#[inline(always)]
fn multiply<V: Vector>(mut product: Product<'_>, panel: &mut [f32]) {
    let (left, right) = (product.left, product.right);
    let target = &mut product.target;
    let columns = right.columns();
    assert_eq!(left.columns(), right.rows(), "the inner sizes are one");
    assert_eq!(left.rows(), target.rows(), "the target has the rows");
    assert_eq!(columns, target.columns(), "the target has the columns");
    assert!(product.ending.bias.is_none_or(|bias| bias.len() == columns));
    if left.rows() == 0 {
        return;
    }
    let inner = left.columns();
    let depth = inner.div_ceil(inner.div_ceil(DEPTH).max(1)).max(1);
    let mut from = 0;
    loop {
        let to = inner.min(from + depth);
        let piece = Piece {
            left: left.some_columns(&(from..to)),
            right: right.some_rows(&(from..to)),
            ending: product.ending,
            is_first: from == 0,
            is_last: to == inner,
        };
        let mut column = 0;
        while column < columns {
            // Four vectors are better two and two than three and one.
            let (wide, width) = match (columns - column) / V::LANES {
                0 => (1, columns - column),
                1 => (1, V::LANES),
                2 | 4 => (2, 2 * V::LANES),
                _ => (3, 3 * V::LANES),
            };
            match wide {
                1 => piece.strip::<V, 1>(column, width, panel, target),
                2 => piece.strip::<V, 2>(column, width, panel, target),
                _ => piece.strip::<V, WIDEST>(column, width, panel, target),
            }
            column += width;
        }
        from = to;
        if from == inner {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::instructions::{VECTORS, run_on};
    use super::super::matrix::{Matrix, Rectangle};
    use super::{Ending, PANEL, Product, Work};

    fn numbers(count: usize, factor: usize) -> Vec<f32> {
        (0..count)
            .map(|at| f32::from(u8::try_from(at * factor % 19).unwrap_or_default()) - 9.0)
            .collect()
    }

    /// Sizes that end within tiles and within vectors, and more than one block of the inner size.
    const SIZES: [[usize; 3]; 7] = [
        [1, 1, 1],
        [9, 5, 70],
        [15, 33, 48],
        [8, 200, 16],
        [32, 64, 37],
        [3, 0, 5],
        [2, 500, 128],
    ];

    fn expected(left: Matrix<'_>, right: Matrix<'_>, row: usize, column: usize) -> f32 {
        (0..left.columns())
            .map(|inner| left.at(row, inner)[0] * right.at(inner, column)[0])
            .sum()
    }

    #[test]
    fn products_are_those_of_the_definition() {
        let forms = [false, true].map(|left| [false, true].map(|right| (left, right)));
        for [rows, inner, columns] in SIZES {
            let (left, right) = (numbers(rows * inner, 37), numbers(inner * columns, 23));
            let bias = numbers(columns, 7);
            for (is_left, is_right) in forms.into_iter().flatten() {
                let left = Matrix::given(&left, rows, inner, is_left);
                let right = Matrix::given(&right, inner, columns, is_right);
                for (vectors, adds) in VECTORS
                    .into_iter()
                    .flat_map(|name| [(name, false), (name, true)])
                {
                    let ending = Ending {
                        factor: 0.5,
                        bias: Some(bias.as_slice()).filter(|_| !adds),
                        relu: !adds,
                        adds,
                    };
                    let stride = columns + 3;
                    let mut found = vec![2.0; rows * stride];
                    let product = Product {
                        left,
                        right,
                        target: Rectangle::new(&mut found, rows, columns, stride),
                        ending,
                    };
                    let mut panel = vec![f32::NAN; PANEL];
                    if run_on(vectors, Work(product, &mut panel)).is_none() {
                        continue;
                    }
                    for (at, found) in found.iter().enumerate() {
                        let (row, column) = (at / stride, at % stride);
                        let expected = if column >= columns {
                            2.0
                        } else if adds {
                            expected(left, right, row, column) / 2.0 + 2.0
                        } else {
                            (expected(left, right, row, column) / 2.0 + bias[column]).max(0.0)
                        };
                        assert!(
                            (found - expected).abs() < 1e-2,
                            "{vectors}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }

    /// Not one byte depends on where a product is cut.
    #[test]
    fn parts_are_the_product() {
        for ([rows, inner, columns], is_right) in [
            ([70, 300, 130], false),
            ([600, 100, 70], true),
            ([33, 700, 200], false),
        ] {
            let (left, right) = (numbers(rows * inner, 37), numbers(inner * columns, 23));
            let (left, right): (Vec<f32>, Vec<f32>) = (
                left.iter().map(|value| value / 7.0).collect(),
                right.iter().map(|value| value / 3.0).collect(),
            );
            let bias = numbers(columns, 7);
            let mut found = [vec![0.0; rows * columns], vec![1.0; rows * columns]];
            let [whole, parts] = found.each_mut().map(|found| Product {
                left: Matrix::new(&left, rows, inner),
                right: Matrix::given(&right, inner, columns, is_right),
                target: Rectangle::new(found, rows, columns, columns),
                ending: Ending {
                    bias: Some(&bias),
                    ..Ending::PLAIN
                },
            });
            whole.compute();
            let parts = parts.split();
            assert!(parts.len() > 1);
            parts.into_iter().rev().for_each(Product::compute);
            let [whole, parts] =
                found.map(|found| found.into_iter().map(f32::to_bits).collect::<Vec<_>>());
            assert!(whole == parts);
        }
    }
}
