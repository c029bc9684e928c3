//! eˣ in float32, written so that it works on vectors.
//!
//! The method is Cephes' `expf`: x = n ln 2 + r with |r| ≤ ½ ln 2, and eˣ = 2ⁿ eʳ, where a polynomial of degree 7 gives eʳ.

/// Above this the result is no float32, below its negative about 0.
const LARGEST: f32 = 88.0;
/// ln 2 in two parts, the first so short that its product with n is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Adding it leaves the nearest whole number in the lowest bits: 1.5 · 2²³.
const ROUNDING: f32 = 12_582_912.0;

/// eˣ, to about 2 units in the last place; beyond ±88 it stays what it is there.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = x.clamp(-LARGEST, LARGEST);
    let shifted = x * std::f32::consts::LOG2_E + ROUNDING;
    let whole = shifted - ROUNDING;
    let rest = x - whole * LN_2_HIGH - whole * LN_2_LOW;
    let series = 1.987_569_1e-4;
    let series = series * rest + 1.398_2e-3;
    let series = series * rest + 8.333_452e-3;
    let series = series * rest + 4.166_579_6e-2;
    let series = series * rest + 1.666_666_5e-1;
    let series = series * rest + 0.5;
    let power = series * rest * rest + rest + 1.0;
    // The lowest bits of `shifted` are n: moved into the exponent they make 2ⁿ.
    let exponent = shifted.to_bits().wrapping_shl(23).wrapping_add(0x3f80_0000);
    power * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn it_is_the_exponential() {
        for step in -8_700_i16..=8_700 {
            let x = f32::from(step) / 100.0;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 3e-7, "{x}: {error:e}");
        }
        assert!(exp(-1000.0) < 1e-37);
        assert!(exp(1000.0) > 1e38);
    }
}
