//! Eight bytes of a text at once, in a word whose lowest byte is the first one.
//!
//! Invariant: nothing here branches on the bytes, since nobody can foretell how long the next number is.

/// Powers of ten: what as many digits behind a number make of it.
const TENS: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

const ONES: u64 = u64::from_ne_bytes([1; 8]);
/// The highest bit of each byte.
const HIGH: u64 = ONES << 7;

/// The bytes of a text as words.
#[inline]
pub(super) fn words<const BYTES: usize, const WORDS: usize>(bytes: &[u8; BYTES]) -> [u64; WORDS] {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|word| u64::from_le_bytes(words[word]))
}

/// How many bytes, from the first on, lie between these two, which are ASCII.
#[inline]
pub(super) fn leading(word: u64, lowest: u8, highest: u8) -> u32 {
    // Above the highest one a carry reaches a byte's highest bit, below the lowest a borrow does. Bytes behind such a one may be
    // told wrong.
    let above = word.wrapping_add(ONES * u64::from(0x7f - highest));
    let below = word.wrapping_sub(ONES * u64::from(lowest));
    ((above | below) & HIGH).trailing_zeros() / 8
}

/// How many digits there are, from the first byte on.
#[inline]
pub(super) fn leading_digits(word: u64) -> u32 {
    leading(word, b'0', b'9')
}

/// Where the first byte of this kind stands, which is ASCII; 8 where there is none.
#[inline]
pub(super) fn position(word: u64, byte: u8) -> usize {
    let other = word ^ (ONES * u64::from(byte));
    let found = other.wrapping_sub(ONES) & !other & HIGH;
    (found.trailing_zeros() / 8) as usize
}

/// Which of 64 bytes are this one, which is ASCII: a bit each, from the lowest on. Behind a byte that is not ASCII one may be left
/// out.
#[inline]
pub(super) fn each(bytes: &[u8; 64], byte: u8) -> u64 {
    /// Moves the highest bit of each byte into the highest byte, one beside another.
    const GATHER: u64 = 0x0002_0408_1020_4081;
    let words: [u64; 8] = words(bytes);
    let mut others = 0;
    for (place, word) in words.into_iter().enumerate() {
        let other = word ^ (ONES * u64::from(byte));
        let is_other = (other.wrapping_add(ONES * 0x7f) | other) & HIGH;
        others |= (is_other.wrapping_mul(GATHER) >> 56) << (8 * place);
    }
    !others
}

/// What digits stand for; bytes that are none become larger than 9.
#[inline]
pub(super) fn values(word: u64) -> u64 {
    word ^ (ONES * u64::from(b'0'))
}

/// Not 0 where any of these is no [value](values) of a digit.
#[inline]
pub(super) fn no_digits(values: u64) -> u64 {
    (values.wrapping_add(ONES * (0x7f - 9)) | values) & HIGH
}

/// The number that eight [values](values) make.
#[inline]
pub(super) fn number(values: u64) -> u64 {
    // Neighbours make numbers of two digits, these of four, and these of eight: the last two steps in one, with the higher half of
    // the digits in one product and the lower half in the other.
    let twos = values.wrapping_mul(10).wrapping_add(values >> 8);
    let even = (twos & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let odd = (twos >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    even.wrapping_add(odd) >> 32
}

/// A number with so many digits behind it.
#[inline]
pub(super) fn with_digits(before: u64, word: u64, count: u32) -> u64 {
    // What is no digit makes room for zeros in front.
    let values = values(word).unbounded_shl(64 - 8 * count);
    before
        .wrapping_mul(TENS[count as usize])
        .wrapping_add(number(values))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn leading_digits_are_one_number() {
        let of = |text: &[u8; 8]| {
            let word = u64::from_le_bytes(*text);
            let count = leading_digits(word);
            (count, with_digits(0, word, count))
        };
        assert_eq!(with_digits(7, u64::from_le_bytes(*b"123....."), 3), 7_123);
        assert_eq!(of(b"12345678"), (8, 12_345_678));
        assert_eq!(of(b"00000009"), (8, 9));
        assert_eq!(of(b"99999999"), (8, 99_999_999));
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut text = *b"19283746";
                text[place] = byte;
                let text = text.map(char::from);
                let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
                let digits: String = digits.collect();
                let number = digits.parse().unwrap_or(0);
                let bytes = text.map(|char| u8::try_from(char).unwrap());
                assert_eq!(
                    of(&bytes),
                    (u32::try_from(digits.len()).unwrap(), number),
                    "{text:?}"
                );
                let are_digits = no_digits(values(u64::from_le_bytes(bytes))) == 0;
                assert_eq!(are_digits, digits.len() == 8, "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn bytes_are_found(bytes: [u8; 64], byte in 0..0x80_u8, places in prop::collection::vec(0..64_usize, 0..9)) {
            let mut bytes = bytes;
            for place in places {
                bytes[place] = byte;
            }
            let found = each(&bytes, byte);
            for (place, other) in bytes.iter().enumerate() {
                let is_found = found >> place & 1 == 1;
                let is_ascii = bytes[..place].is_ascii();
                let may_be = *other == byte;
                prop_assert!(is_found == may_be || !is_ascii && !is_found, "{:?}", bytes);
            }
            let [first, ..]: [u64; 8] = words(&bytes);
            let expected = bytes[..8].iter().position(|other| *other == byte);
            prop_assert_eq!(position(first, byte), expected.unwrap_or(8));
        }
    }
}
