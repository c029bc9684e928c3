//! eˣ in float32, and what is made of it, written so that it works on vectors.
//!
//! The methods are Cephes'. `expf`: x = n ln 2 + r with |r| ≤ ½ ln 2, and eˣ = 2ⁿ eʳ, where a polynomial of degree 7 gives eʳ.

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

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent: 1 − 2 / (1 + e²ˣ), and near 0, where that would lose digits, a polynomial (Cephes' `tanhf`).
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let square = x * x;
    let series = -5.704_988_7e-3;
    let series = series * square + 2.063_909e-2;
    let series = series * square - 5.373_971_6e-2;
    let series = series * square + 1.333_144_2e-1;
    let series = series * square - 3.333_328e-1;
    let near = series * square * x + x;
    let far = 1.0 - 2.0 / (1.0 + exp(2.0 * x));
    if x.abs() < 0.625 { near } else { far }
}

#[cfg(test)]
mod tests {
    use super::{exp, sigmoid, tanh};

    #[test]
    fn so_are_the_functions_made_of_it() {
        for step in -9_000_i16..=9_000 {
            let x = f32::from(step) / 1000.0;
            let wide = f64::from(x);
            let expected = [1.0 / (1.0 + (-wide).exp()), wide.tanh()];
            for (found, expected) in [sigmoid(x), tanh(x)].into_iter().zip(expected) {
                let error = (f64::from(found) - expected).abs();
                assert!(error <= 4e-7 * expected.abs(), "{x}: {error:e}");
            }
        }
        assert!(tanh(100.0) >= 1.0 && tanh(-100.0) <= -1.0);
        assert!(sigmoid(100.0) >= 1.0 && sigmoid(-100.0) < 1e-30);
    }

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
