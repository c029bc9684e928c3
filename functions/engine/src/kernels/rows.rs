//! Few rows times a matrix, where handing the matrix to a library, which lays it out anew each time, costs more than the product.
//!
//! The sums of a tile stay in registers: its sizes are constants, so that the compiler can see that.

const ROWS: usize = 4;
const COLUMNS: usize = 32;

/// Adds to `sums` `[rows, columns]` the product of `left` `[rows, inner]` and `right` `[inner, columns]`.
///
/// # Panics
/// Where the sizes do not fit each other.
#[inline(always)]
pub(super) fn add_product(left: &[f32], right: &[f32], columns: usize, sums: &mut [f32]) {
    let inner = right.len() / columns;
    assert_eq!(right.len(), inner * columns, "the matrix fills its slice");
    assert_eq!(
        left.len() * columns,
        sums.len() * inner,
        "there is a sum for each row and column"
    );
    let mut lefts = left.chunks_exact(ROWS * inner);
    let mut found = sums.chunks_exact_mut(ROWS * columns);
    for (left, sums) in (&mut lefts).zip(&mut found) {
        let (first, second) = left.split_at(2 * inner);
        let (first, second) = (first.split_at(inner), second.split_at(inner));
        let rows = [first.0, first.1, second.0, second.1];
        let mut at = 0;
        while at + COLUMNS <= columns {
            let tile = tile(rows, right, columns, at);
            for (sums, tile) in sums.chunks_exact_mut(columns).zip(tile) {
                for (sum, value) in sums[at..at + COLUMNS].iter_mut().zip(tile) {
                    *sum += value;
                }
            }
            at += COLUMNS;
        }
        for (left, sums) in rows.into_iter().zip(sums.chunks_exact_mut(columns)) {
            one_row(left, right, columns, at, sums);
        }
    }
    let rest = found.into_remainder().chunks_exact_mut(columns);
    for (left, sums) in lefts.remainder().chunks_exact(inner).zip(rest) {
        one_row(left, right, columns, 0, sums);
    }
}

/// The product of some rows and some of the columns.
#[inline(always)]
fn tile(
    [a, b, c, d]: [&[f32]; ROWS],
    right: &[f32],
    columns: usize,
    at: usize,
) -> [[f32; COLUMNS]; ROWS] {
    let mut sums = [[0.0; COLUMNS]; ROWS];
    let rows = right.chunks_exact(columns).zip(a).zip(b).zip(c).zip(d);
    for ((((row, a), b), c), d) in rows {
        let row = &row[at..at + COLUMNS];
        for (sums, factor) in sums.iter_mut().zip([a, b, c, d]) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += factor * value;
            }
        }
    }
    sums
}

/// What is left: one row, and the columns from `at` on.
#[inline(always)]
fn one_row(left: &[f32], right: &[f32], columns: usize, at: usize, sums: &mut [f32]) {
    for (factor, row) in left.iter().zip(right.chunks_exact(columns)) {
        for (sum, value) in sums[at..].iter_mut().zip(&row[at..]) {
            *sum += factor * value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::add_product;

    #[test]
    fn sums_grow_by_the_product_of_the_definition() {
        for [rows, inner, columns] in [[9, 5, 70], [4, 7, 32], [3, 1, 40], [8, 6, 5]] {
            let numbers = |count: usize| -> Vec<f32> {
                (0..count)
                    .map(|at| f32::from(u8::try_from(at * 37 % 19).unwrap_or_default()) - 9.0)
                    .collect()
            };
            let (left, right) = (numbers(rows * inner), numbers(inner * columns));
            let mut sums = vec![2.0; rows * columns];
            add_product(&left, &right, columns, &mut sums);
            for (at, found) in sums.iter().enumerate() {
                let (row, column) = (at / columns, at % columns);
                let expected: f32 = (0..inner)
                    .map(|k| left[row * inner + k] * right[k * columns + column])
                    .sum();
                assert!((found - expected - 2.0).abs() < 1e-3);
            }
        }
    }
}
