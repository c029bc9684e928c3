//! Numbers of a document: how they are written, and which float32 they are.
//!
//! One without a fraction and an exponent is an integer, which float32 must hold exactly. Any other is rounded to the nearest
//! float64, as every reader of JSON does it, and from there to the nearest float32.

use super::digits::{leading_digits, with_digits, words};
use super::scan::Scanner;
use crate::record::place::Place;
use crate::record::{DecodeError, cast};

/// So many digits fit 64 bits, whatever they are.
const MOST_DIGITS: usize = 19;
/// The powers of ten that float64 holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// A number as it is written.
pub(super) struct Number<'d> {
    /// All of it.
    pub(super) text: &'d [u8],
    is_negative: bool,
    is_integer: bool,
    /// Its digits without the point, if they are not too many.
    mantissa: u64,
    digits: usize,
    exponent: i32,
}

impl<'d> Scanner<'d> {
    /// Goes behind the number that begins here, if it is one of most: without an exponent, and not too long. It goes nowhere
    /// where [`Self::number`] is needed.
    #[inline]
    pub(super) fn plain_number(&mut self) -> Option<f32> {
        self.short_number().or_else(|| self.longer_number())
    }

    fn longer_number(&mut self) -> Option<f32> {
        let mut scanner = *self;
        let is_negative = scanner.byte() == b'-';
        if is_negative {
            scanner.at += 1;
        }
        let (mut mantissa, mut digits) = (0, 1);
        if let [digit @ b'0'..=b'9', b'.', ..] = &scanner.text[scanner.at..] {
            // What is known of the length needs not be waited for.
            mantissa = u64::from(digit - b'0');
            scanner.at += 1;
        } else {
            digits = scanner.digits(&mut mantissa);
        }
        if digits == 0 || digits > 1 && scanner.text[scanner.at - digits] == b'0' {
            return None;
        }
        let (mut is_integer, mut exponent) = (true, 0);
        if scanner.byte() == b'.' {
            scanner.at += 1;
            let places = scanner.fraction(&mut mantissa);
            if places == 0 {
                return None;
            }
            digits += places;
            (is_integer, exponent) = (false, i32::try_from(places).ok()?.wrapping_neg());
        }
        if digits > MOST_DIGITS || matches!(scanner.byte(), b'e' | b'E') {
            return None;
        }
        let number = if is_integer {
            cast::from_u64(mantissa)?
        } else {
            quick(mantissa, exponent)?
        };
        self.at = scanner.at;
        Some(if is_negative { -number } else { number })
    }

    /// Goes behind the number that begins here.
    pub(super) fn number(&mut self) -> Result<Number<'d>, DecodeError> {
        let start = self.at;
        let is_negative = self.byte() == b'-';
        self.at += usize::from(is_negative);
        let first = self.at;
        let mut mantissa = 0;
        let mut digits = self.digits(&mut mantissa);
        if digits == 0 {
            return Err(self.fault("a digit is expected"));
        }
        if digits > 1 && self.text[first] == b'0' {
            return Err(self.fault("a number that begins with 0 ends"));
        }
        let (mut is_integer, mut exponent) = (true, 0);
        if self.byte() == b'.' {
            self.at += 1;
            let places = self.digits(&mut mantissa);
            if places == 0 {
                return Err(self.fault("a digit is expected"));
            }
            digits += places;
            (is_integer, exponent) = (false, i32::try_from(places).map_or(i32::MIN, |n| -n));
        }
        if let b'e' | b'E' = self.byte() {
            self.at += 1;
            exponent = exponent.saturating_add(self.exponent()?);
            is_integer = false;
        }
        Ok(Number {
            text: &self.text[start..self.at],
            is_negative,
            is_integer,
            mantissa,
            digits,
            exponent,
        })
    }

    /// Goes behind digits, and puts them behind those of the mantissa: how many they are.
    #[inline]
    fn digits(&mut self, mantissa: &mut u64) -> usize {
        let first = self.at;
        while let Some(eight) = self.text[self.at..].first_chunk() {
            let bytes = u64::from_le_bytes(*eight);
            let count = leading_digits(bytes);
            *mantissa = with_digits(*mantissa, bytes, count);
            self.at += count as usize;
            if count < 8 {
                return self.at - first;
            }
        }
        while let digit @ b'0'..=b'9' = self.byte() {
            let digit = u64::from(digit - b'0');
            *mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
            self.at += 1;
        }
        self.at - first
    }

    /// The same for the digits that follow a point, of which there are more.
    #[inline]
    fn fraction(&mut self, mantissa: &mut u64) -> usize {
        let Some([first, second]) = self.text[self.at..].first_chunk::<16>().map(words) else {
            return self.digits(mantissa);
        };
        let count = leading_digits(first);
        let more = if count == 8 {
            leading_digits(second)
        } else {
            0
        };
        *mantissa = with_digits(with_digits(*mantissa, first, count), second, more);
        let places = (count + more) as usize;
        self.at += places;
        if places < 16 {
            return places;
        }
        16 + self.digits(mantissa)
    }

    /// Goes behind what follows an `e`.
    fn exponent(&mut self) -> Result<i32, DecodeError> {
        let sign = self.byte();
        self.at += usize::from(matches!(sign, b'+' | b'-'));
        let first = self.at;
        let mut exponent = 0_i32;
        while let digit @ b'0'..=b'9' = self.byte() {
            exponent = exponent.saturating_mul(10);
            exponent = exponent.saturating_add(i32::from(digit - b'0'));
            self.at += 1;
        }
        if self.at == first {
            return Err(self.fault("a digit is expected"));
        }
        Ok(if sign == b'-' { -exponent } else { exponent })
    }
}

impl Number<'_> {
    /// It is one of the numbers of a field, and does not fit.
    #[cold]
    pub(super) fn refused(&self, field: &Place, index: usize) -> DecodeError {
        let text = String::from_utf8_lossy(self.text);
        field.number(index, &text.chars().take(40).collect::<String>())
    }

    /// Nothing where float32 cannot hold it.
    pub(super) fn to_f32(&self) -> Option<f32> {
        let known = if self.digits > MOST_DIGITS {
            None
        } else if self.is_integer {
            Some(cast::from_u64(self.mantissa)?)
        } else {
            quick(self.mantissa, self.exponent)
        };
        let number = match known {
            Some(number) => number,
            None => self.slow()?,
        };
        Some(if self.is_negative { -number } else { number })
    }

    /// Any number, without the sign.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "each cast is checked, or rounds as it is meant to"
    )]
    #[cold]
    fn slow(&self) -> Option<f32> {
        let text = std::str::from_utf8(self.text).ok()?;
        let text = text.trim_start_matches('-');
        let number = if self.is_integer {
            // Wider integers are no float32.
            let integer = text.parse::<u128>().ok()?;
            let number = integer as f32;
            (number as u128 == integer).then_some(number)?
        } else {
            text.parse::<f64>().ok()? as f32
        };
        number.is_finite().then_some(number)
    }
}

/// So many times ten to so many, where that takes no more than one multiplication or division.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "what rounding twice may have changed is left to the slow way"
)]
#[inline]
fn quick(mantissa: u64, exponent: i32) -> Option<f32> {
    /// What float64 has of a number halfway between two of float32, beyond float32's bits.
    const HALF: u64 = 1 << 28;
    let power = POWERS.get(exponent.unsigned_abs() as usize)?;
    let number = if exponent < 0 {
        mantissa as f64 / power
    } else {
        mantissa as f64 * power
    };
    // Both operands are exact, so the result is the nearest number.
    let is_nearest = mantissa <= 1 << 53;
    // It is one or two off at most, which matters only between two numbers of float32.
    let is_normal = (f64::from(f32::MIN_POSITIVE)..f64::from(f32::MAX)).contains(&number);
    let rest = number.to_bits() & (2 * HALF - 1);
    let is_clear = is_normal && rest.abs_diff(HALF) > 4;
    let number = number as f32;
    ((is_nearest || is_clear) && number.is_finite()).then_some(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<f32> {
        let mut scanner = Scanner::new(text.as_bytes());
        let plain = scanner.plain_number();
        assert_eq!(scanner.at, if plain.is_some() { text.len() } else { 0 });
        let mut scanner = Scanner::new(text.as_bytes());
        let number = scanner.number().unwrap();
        assert_eq!(number.text, text.as_bytes());
        let number = number.to_f32();
        assert!(plain.is_none() || plain == number, "{plain:?}, {number:?}");
        number
    }

    /// As those read it who have all the time in the world.
    #[allow(clippy::cast_possible_truncation, reason = "rounded, as it is meant")]
    fn rounded(text: &str) -> Option<f32> {
        let number = text.parse::<f64>().unwrap() as f32;
        number.is_finite().then_some(number)
    }

    #[test]
    fn integers_are_exact_however_long_they_are() {
        for (text, number) in [
            ("0", Some(0.0)),
            ("-16777216", Some(-16_777_216.0)),
            ("16777217", None),
            ("36893488147419103232", Some(36_893_488_147_419_103_232.0)),
            ("36893488147419103233", None),
            ("340282346638528859811704183484516925440", Some(f32::MAX)),
            ("340282366920938463463374607431768211455", None),
            ("1000000000000000000000000000000000000000000", None),
        ] {
            assert_eq!(read(text), number, "{text}");
        }
        assert_eq!(read("-0").map(f32::to_bits), Some((-0.0_f32).to_bits()));
    }

    #[test]
    fn what_lies_between_two_numbers_is_rounded_once() {
        for text in [
            "1.00000005960464477539062",
            "1.000000059604644775390625",
            "1.00000005960464477539063",
            "1.0000000596046448",
            "7.0064923216240853e-46",
            "7.0064923216240854e-46",
            "1.4e-45",
            "1e-400",
            "3.4028235677973366e38",
            "3.4028235677973367e38",
            "1e39",
            "1e400",
            "0e999999999999",
            "0.00000000000000000000000000000000000001",
        ] {
            assert_eq!(read(text), rounded(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["-", "01", "-00", "1.", ".5", "1.e5", "1e", "1e+", "+1"] {
            let mut scanner = Scanner::new(text.as_bytes());
            let plain = scanner.plain_number();
            assert!(plain.is_none() || scanner.at < text.len(), "{text}");
            let mut scanner = Scanner::new(text.as_bytes());
            assert!(scanner.number().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_the_standard_library(
            text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20}([eE][+-]?[0-9]{1,2})?|[eE][+-]?[0-9]{1,2})"
        ) {
            prop_assert_eq!(read(&text), rounded(&text));
        }

        #[test]
        fn every_float64_is_read(number: f64) {
            prop_assume!(number.is_finite());
            let text = format!("{number:e}");
            prop_assume!(text.contains(['.', 'e']));
            prop_assert_eq!(read(&text), rounded(&text));
        }

        #[test]
        fn numbers_near_a_boundary_are_read(bits in 0x0080_0000_u32..0x7f7f_ffff, off in -4_i64..=4) {
            let lower = f64::from(f32::from_bits(bits));
            let upper = f64::from(f32::from_bits(bits + 1));
            let middle = f64::midpoint(lower, upper);
            let near = f64::from_bits(middle.to_bits().wrapping_add_signed(off));
            let text = format!("{near:e}");
            prop_assume!(text.contains(['.', 'e']));
            prop_assert_eq!(read(&text), rounded(&text));
        }
    }
}
