//! Sums over a row in an order that vectors can follow: a sum for each place of a vector, and then the sum of these.

const LANES: usize = 16;

/// Σ a
#[inline(always)]
pub(super) fn sum(values: &[f32]) -> f32 {
    fold(values, values, |sum, value, _| sum + value)
}

/// Σ a b
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, a, b| sum + a * b)
}

#[inline(always)]
fn fold(a: &[f32], b: &[f32], step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let ((wide_a, rest_a), (wide_b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in wide_a.iter().zip(wide_b) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane = step(*lane, *a, *b);
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(rest_a.iter().zip(rest_b)) {
        *lane = step(*lane, *a, *b);
    }
    halve(lanes, |one, other| one + other)
}

/// The largest number of a row; −∞ where it has none.
#[inline(always)]
pub(super) fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (wide, rest) = values.as_chunks::<LANES>();
    for values in wide {
        for (lane, &value) in lanes.iter_mut().zip(values) {
            *lane = larger(value, *lane);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = larger(value, *lane);
    }
    halve(lanes, larger)
}

/// As vectors have it: the second one, where one of them is no number.
#[inline(always)]
fn larger(one: f32, other: f32) -> f32 {
    if one > other { one } else { other }
}

/// Each half onto the other, until one number is left: the halves are vectors too.
#[inline(always)]
fn halve(lanes: [f32; LANES], step: impl Fn(f32, f32) -> f32) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|at| step(lanes[at], lanes[at + 8]));
    let four: [f32; 4] = std::array::from_fn(|at| step(eight[at], eight[at + 4]));
    step(step(four[0], four[2]), step(four[1], four[3]))
}

#[cfg(test)]
mod tests {
    use super::{dot, largest, sum};

    #[test]
    fn no_element_is_left_out() {
        for length in [0_u8, 1, 16, 37] {
            let values: Vec<f32> = (0..length).map(f32::from).collect();
            let plain: f32 = values.iter().sum();
            let squares: f32 = values.iter().map(|value| value * value).sum();
            assert!((sum(&values) - plain).abs() < 1e-3);
            assert!((dot(&values, &values) - squares).abs() < 1e-1);
            let expected = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert!(largest(&values).total_cmp(&expected).is_eq());
        }
    }
}
