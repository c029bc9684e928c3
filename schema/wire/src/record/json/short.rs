//! Numbers of at most sixteen characters without an exponent, whose ends are known before they are read: most of all there are.
//!
//! Where a number ends says where the next one begins. Commas are found for many bytes at once, so that the processor reads
//! several numbers at a time instead of waiting for the end of each.
//!
//! Invariant: what is no number as JSON has it, or none of these, is left to who reads any.

#![allow(
    clippy::needless_bitwise_bool,
    reason = "one question for several conditions, whose answer the processor foretells"
)]

use super::digits;
use super::scan::Scanner;

/// So many characters, without the sign. Such a number is only read with as many in front of its end.
pub(super) const LONGEST: usize = 16;
/// Integers up to this are exact in float32.
const EXACT: u64 = 1 << 24;
/// The last bytes of sixteen; the tables are as long as no index can pass.
const LAST: [u128; 32] = {
    let mut last = [u128::MAX; 32];
    let mut count = 0;
    while count < LONGEST {
        last[count] = !(u128::MAX >> (8 * count));
        count += 1;
    }
    last
};
/// Powers of ten, which float64 holds exactly.
const POWERS: [f64; LONGEST] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// A number whose first byte and end are known.
#[derive(Clone, Copy)]
struct Token {
    /// Eight bytes from the first digit on.
    head: u64,
    /// Its characters without the sign; anything where there are none.
    length: usize,
    end: usize,
    sign: u32,
}

impl Token {
    /// Nothing at the very end of a text.
    #[inline]
    fn new(text: &[u8], start: usize, end: usize) -> Option<Self> {
        let is_negative = *text.get(start)? == b'-';
        let positive = Self::positive(text, start + usize::from(is_negative), end)?;
        Some(Self {
            sign: u32::from(is_negative) << 31,
            ..positive
        })
    }

    /// The same for one that has no sign.
    #[inline]
    fn positive(text: &[u8], start: usize, end: usize) -> Option<Self> {
        Some(Self {
            head: u64::from_le_bytes(*text.get(start..)?.first_chunk()?),
            length: end.wrapping_sub(start),
            end,
            sign: 0,
        })
    }

    #[inline]
    fn starts_with_zero(self) -> bool {
        self.head & 0xff == u64::from(b'0')
    }

    /// Its number, if it is an integer of at most eight digits that float32 holds.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "integers up to 2^24 are exact, and no shift has more than 64 places"
    )]
    #[inline]
    fn integer(self) -> Option<f32> {
        let room = 8_usize.wrapping_sub(self.length);
        if room > 7 {
            return None;
        }
        let values = digits::values(self.head) << (8 * room);
        let integer = digits::number(values);
        // One question for all of it: the answer is mostly the same.
        let is_canonical = !self.starts_with_zero() | (room == 7);
        if !is_canonical | (digits::no_digits(values) != 0) | (integer > EXACT) {
            return None;
        }
        // By way of 32 bits, which is the shorter one.
        Some(self.signed(integer as i32 as f32))
    }

    /// Its number, if it has a point behind at most seven digits and at least one behind it.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "15 digits are exact in float64, and what it makes of them is rounded as it is meant to"
    )]
    #[inline]
    fn decimal(self, text: &[u8]) -> Option<f32> {
        let whole = digits::position(self.head, b'.');
        let places = self.length.wrapping_sub(1 + whole);
        if (whole > 7) | (places > LONGEST) | (self.length > LONGEST) {
            return None;
        }
        let tail = text.get(..self.end)?.last_chunk::<LONGEST>()?;
        let [low, high] = digits::words(tail).map(digits::values);
        let tail = u128::from(high) << 64 | u128::from(low);
        // The digits before the point move up to those behind it.
        let before = tail & (LAST[self.length & 31] ^ LAST[(places + 1) & 31]);
        let joined = before << 8 | tail & LAST[places & 31];
        let (low, high) = (joined as u64, (joined >> 64) as u64);
        let is_canonical = (whole == 1) | (whole > 1) & !self.starts_with_zero();
        let no_digits = digits::no_digits(low) | digits::no_digits(high);
        if !is_canonical | (no_digits != 0) | (places == 0) {
            return None;
        }
        let mantissa = digits::number(low) * 100_000_000 + digits::number(high);
        // Both are exact, so the quotient is the nearest number.
        Some(self.signed((mantissa as f64 / POWERS[places & 15]) as f32))
    }

    #[inline]
    fn signed(self, number: f32) -> f32 {
        f32::from_bits(number.to_bits() | self.sign)
    }
}

/// The number from `start` to `end`. Nothing where it needs a closer look.
#[inline]
fn short(text: &[u8], start: usize, end: usize) -> Option<f32> {
    let token = Token::new(text, start, end)?;
    token.decimal(text).or_else(|| token.integer())
}

impl Scanner<'_> {
    /// Goes behind the number that begins here, if it is a short one; else it goes nowhere.
    #[inline]
    pub(super) fn short_number(&mut self) -> Option<f32> {
        // The digits, the point and the sign, and `/` between them.
        let part = |word| digits::leading(word, b'-', b'9');
        let [first, second] = digits::words(self.text.get(self.at..)?.first_chunk::<16>()?);
        let (count, more) = (part(first), part(second));
        let length = if count == 8 { count + more } else { count };
        let end = self.at + length as usize;
        let number = short(self.text, self.at, end)?;
        // More of it could follow sixteen bytes, and an exponent any.
        if length == 16 || matches!(self.text[end], b'e' | b'E') {
            return None;
        }
        self.at = end;
        Some(number)
    }

    /// Goes behind short numbers that have a comma behind each, as many as come and have a place: how many these are.
    pub(super) fn short_numbers(&mut self, to: &mut [f32]) -> usize {
        // Most arrays are all of one or the other.
        let integers = self.series(to, |text, start, end| {
            Token::new(text, start, end)?.integer()
        });
        integers + self.series(&mut to[integers..], short)
    }

    // A function of its own, with all that it needs in registers.
    #[inline(never)]
    fn series(
        &mut self,
        to: &mut [f32],
        read: impl Fn(&[u8], usize, usize) -> Option<f32>,
    ) -> usize {
        let text = self.text;
        let (mut at, mut block, mut count) = (self.at, self.at, 0);
        'all: while let Some(bytes) = text[block..].first_chunk() {
            let mut commas = digits::each(bytes, b',');
            // No such number is as long.
            if commas == 0 {
                break;
            }
            while commas != 0 {
                let comma = block + commas.trailing_zeros() as usize;
                commas &= commas - 1;
                let mut start = at;
                while let b' ' | b'\n' | b'\r' | b'\t' = text[start] {
                    start += 1;
                }
                let (Some(number), Some(place)) = (read(text, start, comma), to.get_mut(count))
                else {
                    break 'all;
                };
                *place = number;
                count += 1;
                at = comma + 1;
            }
            block += 64;
        }
        self.at = at;
        count
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use proptest::prelude::*;

    use super::*;

    /// What it is in the middle of a document: both ways must agree.
    fn read(text: &str) -> Option<f32> {
        let document = format!("[0.0000000000001,{text},0.0000000000001                ]");
        let (start, end) = (17, 17 + text.len());
        let mut scanner = Scanner::new(document.as_bytes());
        scanner.at = start;
        let number = scanner.short_number();
        assert!(number.is_some() || scanner.at == start);
        // It goes as far as a number does, whatever follows.
        let number = number.filter(|_| scanner.at == end);
        let found = short(document.as_bytes(), start, end);
        // The other way knows where it ends, and takes one character more.
        if number.is_some() || text.len() < 16 {
            assert_eq!(number, found, "{text}");
        }
        found
    }

    /// As those read it who have all the time in the world; nothing where JSON has no such number.
    #[allow(clippy::cast_possible_truncation, reason = "rounded, as it is meant")]
    fn expected(text: &str) -> Option<f32> {
        let number: f64 = serde_json::from_str::<serde_json::Value>(text)
            .is_ok()
            .then(|| text.parse().unwrap())?;
        Some(number as f32)
    }

    #[test]
    fn short_numbers_are_those_of_the_standard_library() {
        for text in [
            "0",
            "-0",
            "7",
            "255",
            "-16777216",
            "16777216",
            "0.5",
            "-0.0",
            "10.25",
            "1234567.5",
            "0.00000000000001",
            "99999999.1",
            "0.92837465",
            "3.141592653589793",
        ] {
            let found = read(text);
            let is_long = text.trim_start_matches('-').len() > LONGEST;
            let whole = text.trim_start_matches('-').find('.').unwrap_or(0);
            if is_long || whole > 7 {
                assert_eq!(found, None, "{text}");
            } else {
                let expected = expected(text).map(f32::to_bits);
                assert_eq!(found.map(f32::to_bits), expected, "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_short_number_is_left() {
        for text in [
            "",
            "-",
            "01",
            "00",
            "-01.5",
            "00.5",
            "1.",
            ".5",
            "-.5",
            "1..5",
            "1.5.",
            "1e5",
            "1.5e5",
            "--1",
            "1-",
            "1/2",
            "1.-5",
            "+1",
            "0x1",
            "1 2",
            "16777217",
            "123456789",
            "1.5 ",
            " 1",
            "12345678901234567",
            "12345678x123456",
            "12345678.123456",
            "1.2345678901234567",
            "0.1:",
            "0.\u{e4}1",
            "12\u{b2}",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn numbers_are_those_of_the_standard_library(text in "-?(0|[1-9][0-9]{0,6})(\\.[0-9]{1,8})?") {
            let number = expected(&text).unwrap();
            match read(&text) {
                Some(found) => prop_assert_eq!(found.to_bits(), number.to_bits()),
                None => prop_assert!(!text.contains('.') && number.abs() > 16_777_216.0, "{}", text),
            }
        }

        #[test]
        fn anything_is_a_number_of_the_standard_library_or_left(text in "[-0-9.eE+, /:x]{0,18}") {
            if let Some(found) = read(&text) {
                prop_assert_eq!(Some(found.to_bits()), expected(&text).map(f32::to_bits), "{}", text);
            }
        }

        #[test]
        fn what_lies_between_two_numbers_is_rounded_as_it_is(bits in 0x3a00_0000_u32..0x4a00_0000, places in 1..12_usize, off in -2_i64..=2) {
            let middle = f64::midpoint(f32::from_bits(bits).into(), f32::from_bits(bits + 1).into());
            let near = f64::from_bits(middle.to_bits().wrapping_add_signed(off));
            let text = format!("{near:.places$}");
            if let Some(found) = read(&text) {
                prop_assert_eq!(Some(found), expected(&text), "{}", text);
            } else {
                prop_assert!(text.len() > LONGEST, "{}", text);
            }
        }

        #[test]
        fn series_are_as_long_as_their_numbers(
            items in prop::collection::vec("[ \n]{0,2}-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,9})?", 0..60),
            behind in "[^,]{0,90}",
            room in 0..70_usize,
        ) {
            let mut text = "{\"in front\": [   ".to_owned();
            let start = text.len();
            text.extend(items.iter().map(|item| format!("{item},")));
            text += &behind;
            let mut scanner = Scanner::new(text.as_bytes());
            scanner.at = start;
            let mut row = vec![f32::NAN; room];
            let count = scanner.short_numbers(&mut row);
            prop_assert!(count <= items.len().min(room));
            let taken: usize = items[..count].iter().map(|item| item.len() + 1).sum();
            prop_assert_eq!(scanner.at, start + taken);
            let is_near_end = text.len() - scanner.at < 64 + 20;
            prop_assert!(is_near_end || count == items.len().min(room), "{}", text);
            for (found, item) in row[..count].iter().zip(&items) {
                prop_assert_eq!(Some(*found), expected(item.trim()));
            }
        }
    }
}
