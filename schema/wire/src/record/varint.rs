//! Numbers of variable length, seven bits a byte with the lowest first, as Avro and Protobuf write them.

/// Appends a number as Avro does: small ones are short, whatever their sign.
#[allow(clippy::cast_possible_truncation, reason = "seven bits at a time")]
pub(crate) fn put_long(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// Takes one off the front that mostly has a single byte, as lengths and tags have; nothing where there is none of at most 64 bits,
/// and then all is left as it was.
#[inline]
pub(super) fn take_short(left: &mut &[u8]) -> Option<u64> {
    if let [byte @ 0..0x80, rest @ ..] = *left {
        *left = rest;
        return Some(u64::from(*byte));
    }
    take_any(left)
}

/// The same for one that has one byte or two, and nobody can foretell which: no branch depends on it.
#[inline]
pub(super) fn take(left: &mut &[u8]) -> Option<u64> {
    if let [low, high, ..] = **left
        && low & high < 0x80
    {
        let has_second = low >> 7;
        let second = u64::from(high & has_second.wrapping_neg());
        *left = &left[1 + usize::from(has_second)..];
        return Some(u64::from(low & 0x7f) | second << 7);
    }
    take_long(left)
}

/// The same for one that is longer, as times are: all of its bytes at once, as far as they are eight.
#[inline(never)]
fn take_long(left: &mut &[u8]) -> Option<u64> {
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let Some(eight) = left.first_chunk() else {
        return take_any(left);
    };
    let word = u64::from_le_bytes(*eight);
    let ends = !word & HIGH;
    if ends == 0 {
        return take_any(left);
    }
    // Nothing behind the first byte that ends a number belongs to it.
    let sevens = word & (ends ^ ends.wrapping_sub(1)) & !HIGH;
    // Neighbours move together: to 14 bits each, to 28, and to 56.
    let halves = sevens & 0x007f_007f_007f_007f | (sevens & 0x7f00_7f00_7f00_7f00) >> 1;
    let quarters = halves & 0x0000_3fff_0000_3fff | (halves & 0x3fff_0000_3fff_0000) >> 2;
    let number = quarters & 0x0fff_ffff | (quarters >> 32) << 28;
    *left = &left[ends.trailing_zeros() as usize / 8 + 1..];
    Some(number)
}

fn take_any(left: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for (place, byte) in left.iter().enumerate().take(10) {
        if place == 9 && *byte > 1 {
            return None;
        }
        number |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            *left = &left[place + 1..];
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
            number >>= 7;
        }
        bytes.push(u8::try_from(number).unwrap_or_default());
        bytes
    }

    #[test]
    fn what_is_none_is_left() {
        for bytes in [
            &[][..],
            &[0x80],
            &[0xff, 0xff],
            &[0x80; 8],
            &[0x80; 10],
            &[0xff; 11],
        ] {
            let mut left = bytes;
            assert_eq!(take(&mut left), None, "{bytes:?}");
            assert_eq!(take_short(&mut left), None, "{bytes:?}");
            assert_eq!(left, bytes);
        }
        let mut most = [[0xff; 9].as_slice(), &[1]].concat();
        assert_eq!(take(&mut most.as_slice()), Some(u64::MAX));
        most[9] = 2;
        assert_eq!(take(&mut most.as_slice()), None);
    }

    proptest! {
        #[test]
        fn numbers_round_trip(number: u64, bits in 0..64_u32, behind in prop::collection::vec(any::<u8>(), 0..12)) {
            let number = number >> bits;
            let bytes = [written(number), behind.clone()].concat();
            for take in [take, take_short] {
                let mut left = bytes.as_slice();
                prop_assert_eq!(take(&mut left), Some(number));
                prop_assert_eq!(left, &behind);
            }
        }
    }
}
