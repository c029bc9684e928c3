//! Casting to float32 by the rules of [`super`]: exact for integers, rounded for floating-point numbers, `None` where the
//! number does not fit.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "each cast is checked"
)]

/// All integers up to this are exact.
const EXACT: u64 = 1 << 24;

// Larger ones are widened to i128, in which every float32 that such a cast can give is exact.

#[inline]
pub(super) fn from_i64(number: i64) -> Option<f32> {
    let cast = number as f32;
    (number.unsigned_abs() <= EXACT || cast as i128 == i128::from(number)).then_some(cast)
}

#[inline]
pub(super) fn from_u64(number: u64) -> Option<f32> {
    let cast = number as f32;
    (number <= EXACT || cast as i128 == i128::from(number)).then_some(cast)
}

#[inline]
pub(super) fn from_f64(number: f64) -> Option<f32> {
    let cast = number as f32;
    (cast.is_finite() || !number.is_finite()).then_some(cast)
}
