//! Numbers of variable length, as Avro and Protobuf write and read them.

/// Writes one.
pub(crate) fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
}

/// Reads one: the straightforward loop.
#[inline]
pub(crate) fn varint(left: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for place in 0..10 {
        let (byte, rest) = left.split_first()?;
        *left = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Bytes with their length before them.
#[inline]
pub(crate) fn length_prefixed<'b>(left: &mut &'b [u8], length: u64) -> Option<&'b [u8]> {
    let (bytes, rest) = left.split_at_checked(usize::try_from(length).ok()?)?;
    *left = rest;
    Some(bytes)
}

/// So many bytes.
#[inline]
pub(crate) fn chunk<const N: usize>(left: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, rest) = left.split_first_chunk::<N>()?;
    *left = rest;
    Some(*chunk)
}

/// A floating-point number that must not be too large.
#[allow(
    clippy::cast_possible_truncation,
    reason = "it is rounded, and checked"
)]
#[inline]
pub(crate) fn narrowed(number: f64) -> Option<f32> {
    let narrow = number as f32;
    (narrow.is_finite() || !number.is_finite()).then_some(narrow)
}

/// An integer that must be held exactly.
#[inline]
pub(crate) fn exact(number: i64) -> Option<f32> {
    (number.unsigned_abs() <= 1 << 24).then_some(number as f32)
}
