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
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::{dot, sum};

    #[test]
    fn no_element_is_left_out() {
        for length in [0_u8, 1, 16, 37] {
            let values: Vec<f32> = (0..length).map(f32::from).collect();
            let plain: f32 = values.iter().sum();
            let squares: f32 = values.iter().map(|value| value * value).sum();
            assert!((sum(&values) - plain).abs() < 1e-3);
            assert!((dot(&values, &values) - squares).abs() < 1e-1);
        }
    }
}
