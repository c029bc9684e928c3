//! Bytes as numbers of single precision.

use super::instructions::{self, Task};

/// Writes each byte as a number. Of the longer one the end stays as it is.
pub fn widen(bytes: &[u8], numbers: &mut [f32]) {
    instructions::run(Widen { bytes, numbers });
}

struct Widen<'a> {
    bytes: &'a [u8],
    numbers: &'a mut [f32],
}

impl Task for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (number, byte) in self.numbers.iter_mut().zip(self.bytes) {
            *number = f32::from(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::widen;

    #[test]
    fn every_byte_is_its_number() {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        for length in [0, 1, 31, 256] {
            let mut numbers = vec![-1.0; 256];
            widen(&bytes[..length], &mut numbers);
            for (place, number) in numbers.iter().enumerate() {
                let expected = match u8::try_from(place) {
                    Ok(byte) if place < length => f32::from(byte),
                    _ => -1.0,
                };
                assert_eq!(number.to_bits(), expected.to_bits(), "{place} of {length}");
            }
        }
    }
}
