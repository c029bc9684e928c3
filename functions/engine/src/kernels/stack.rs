//! How the matrices of two tensors are multiplied with each other: the last two dimensions are those of a matrix, and those in
//! front are broadcast.

use ort::{Error, Result};

/// Products of one size.
pub(super) struct Stack {
    /// The dimensions in front of the products'.
    front: Vec<usize>,
    /// How many rows of the result are one matrix's. The dimensions in front of a left matrix are rows as well, where there is
    /// but one right matrix.
    pub(super) rows: usize,
    pub(super) inner: usize,
    pub(super) columns: usize,
    /// For each product the numbers of its left and of its right matrix.
    pub(super) places: Vec<[usize; 2]>,
    /// Rows of one matrix of the result's shape.
    high: usize,
}

impl Stack {
    /// The products of tensors of these sizes, each of which may be given transposed.
    ///
    /// # Errors
    /// Sizes that do not fit each other.
    pub(super) fn of(left: &[i64], right: &[i64], transposed: [bool; 2]) -> Result<Self> {
        let sizes = to_sizes(left).zip(to_sizes(right));
        let stack = sizes.and_then(|(left, right)| Self::new(&left, &right, transposed));
        stack.ok_or_else(|| Error::new(format!("{left:?} and {right:?} can't be multiplied")))
    }

    fn new(left: &[usize], right: &[usize], [is_left, is_right]: [bool; 2]) -> Option<Self> {
        let (&[.., high, deep], &[.., inner, columns]) = (left, right) else {
            return None;
        };
        let (high, deep) = if is_left { (deep, high) } else { (high, deep) };
        let (inner, columns) = if is_right {
            (columns, inner)
        } else {
            (inner, columns)
        };
        if deep != inner {
            return None;
        }
        let fronts = [left, right].map(|shape| &shape[..shape.len() - 2]);
        if fronts[1].is_empty() && !is_left {
            let count = fronts[0].iter().product::<usize>();
            return Some(Self {
                front: fronts[0].to_vec(),
                rows: count * high,
                inner,
                columns,
                places: vec![[0, 0]],
                high,
            });
        }
        let front = broadcast(fronts)?;
        let count = front.iter().product();
        let places = (0..count).map(|number| fronts.map(|own| place(number, &front, own)));
        Some(Self {
            places: places.collect(),
            front,
            rows: high,
            inner,
            columns,
            high,
        })
    }

    /// The sizes of the result.
    pub(super) fn shape(&self) -> Vec<usize> {
        let mut shape = self.front.clone();
        shape.extend([self.high, self.columns]);
        shape
    }
}

fn broadcast([left, right]: [&[usize]; 2]) -> Option<Vec<usize>> {
    let rank = left.len().max(right.len());
    let size = |shape: &[usize], axis: usize| match (axis + shape.len()).checked_sub(rank) {
        Some(own) => shape[own],
        None => 1,
    };
    (0..rank)
        .map(|axis| match (size(left, axis), size(right, axis)) {
            (one, other) if one == other || other == 1 => Some(one),
            (1, other) => Some(other),
            _ => None,
        })
        .collect()
}

/// The number of the matrix that is broadcast to the `number`-th.
fn place(mut number: usize, front: &[usize], own: &[usize]) -> usize {
    let (mut place, mut step) = (0, 1);
    for (axis, &size) in front.iter().enumerate().rev() {
        let at = number % size;
        number /= size;
        if let Some(own_axis) = (axis + own.len()).checked_sub(front.len()) {
            if own[own_axis] > 1 {
                place += at * step;
            }
            step *= own[own_axis];
        }
    }
    place
}

/// Sizes as ONNX Runtime has them.
pub(super) fn to_shape(sizes: &[usize]) -> Vec<i64> {
    let to_size = |&size: &usize| i64::try_from(size).unwrap_or(i64::MAX);
    sizes.iter().map(to_size).collect()
}

/// ONNX Runtime's sizes; nothing where one is negative.
pub(super) fn to_sizes(shape: &[i64]) -> Option<Vec<usize>> {
    let sizes = shape.iter().map(|&size| usize::try_from(size).ok());
    sizes.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::Stack;

    #[test]
    fn dimensions_in_front_are_broadcast() {
        let stack = Stack::new(&[2, 1, 4, 3], &[3, 3, 5], [false; 2]).unwrap();
        assert_eq!(stack.shape(), [2, 3, 4, 5]);
        let expected = [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]];
        assert_eq!(stack.places, expected);
        let stack = Stack::new(&[2, 6, 4, 3], &[5, 3], [false, true]).unwrap();
        assert_eq!((stack.rows, stack.inner, stack.columns), (48, 3, 5));
        assert_eq!(stack.shape(), [2, 6, 4, 5]);
        assert!(Stack::new(&[4, 3], &[4, 5], [false; 2]).is_none());
        assert!(Stack::new(&[2, 4, 3], &[3, 3, 5], [false; 2]).is_none());
        assert!(Stack::new(&[3], &[3, 5], [false; 2]).is_none());
    }
}
