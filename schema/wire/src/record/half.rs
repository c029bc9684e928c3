//! numpy's `float16`: IEEE 754 binary16, which Rust has no stable type for.

/// The number with these bits: every one of them fits float32.
#[must_use]
pub fn from_bits(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let fraction = u32::from(bits) & 0x3ff;
    let bits = match (exponent, fraction) {
        (0, 0) => sign,
        (0, _) => {
            // A subnormal half is a normal float32: its highest bit becomes the hidden one.
            let shift = fraction.leading_zeros() - 21;
            sign | (113 - shift) << 23 | ((fraction << shift) & 0x3ff) << 13
        }
        (0x1f, _) => sign | 0x7f80_0000 | fraction << 13,
        _ => sign | (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(bits)
}

/// The bits of the nearest number, ties to the even one; nothing where it is too large.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "each part is masked to its bits"
)]
pub fn to_bits(number: f32) -> Option<u16> {
    let bits = number.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    if number.is_nan() {
        return Some(sign | 0x7e00);
    }
    if number.is_infinite() {
        return Some(sign | 0x7c00);
    }
    // In units of the smallest subnormal for small numbers, else of the last place.
    let magnitude = number.abs();
    let rounded = if magnitude < from_bits(0x0400) {
        (f64::from(magnitude) * f64::from(1 << 24)).round_ties_even() as u16
    } else {
        let kept = bits & 0x7fff_ffff;
        let is_odd = (kept >> 13) & 1;
        let up = (kept + 0xfff + is_odd) >> 13;
        // The exponents' biases differ by 112.
        u16::try_from(up - (112 << 10)).ok()?
    };
    (rounded < 0x7c00).then_some(sign | rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        for bits in 0..=u16::MAX {
            let number = from_bits(bits);
            if !number.is_nan() {
                assert_eq!(to_bits(number), Some(bits), "{number}");
            }
        }
        assert!(from_bits(0x7e01).is_nan());
        assert_eq!(to_bits(f32::NAN).map(|bits| bits & 0x7fff), Some(0x7e00));
    }

    #[test]
    fn numbers_between_are_rounded_to_the_nearest() {
        let near = |number: f32| to_bits(number).map(from_bits);
        assert_eq!(near(1.0 + 1.0 / 2048.0), Some(1.0), "ties to even");
        assert_eq!(near(1.0 + 3.0 / 2048.0), Some(1.0 + 2.0 / 1024.0));
        assert_eq!(near(65_519.0), Some(65_504.0));
        assert_eq!(near(65_520.0), None);
        assert_eq!(near(2.0_f32.powi(-25)), Some(0.0));
        assert_eq!(near(-2.0_f32.powi(-24)), Some(-(2.0_f32.powi(-24))));
    }
}
