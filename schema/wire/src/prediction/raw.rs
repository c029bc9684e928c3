//! Outputs as the bytes of their arrays, one behind another: what numpy's `tobytes()` writes on most machines.
//!
//! Invariant: each number is the model's own, its least significant byte first.

use super::{Output, Values};

/// Appends the elements of an output. Texts have no such form: a version that gives them is refused when it is loaded.
pub(super) fn encode(output: &Output<'_>, buffer: &mut Vec<u8>) {
    match output.values {
        Values::F32(values) => values
            .iter()
            .for_each(|value| buffer.extend_from_slice(&value.to_le_bytes())),
        Values::F64(values) => values
            .iter()
            .for_each(|value| buffer.extend_from_slice(&value.to_le_bytes())),
        Values::I64(values) => values
            .iter()
            .for_each(|value| buffer.extend_from_slice(&value.to_le_bytes())),
        Values::I32(values) => values
            .iter()
            .for_each(|value| buffer.extend_from_slice(&value.to_le_bytes())),
        Values::U8(values) => buffer.extend_from_slice(values),
        Values::Bool(values) => buffer.extend(values.iter().map(|value| u8::from(*value))),
        Values::Text(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Choice, Encoder, OutputFormat};
    use super::*;

    #[test]
    fn arrays_stand_one_behind_another() {
        let outputs = [
            Output {
                shape: &[2],
                values: Values::F32(&[1.0, -2.5]),
            },
            Output {
                shape: &[],
                values: Values::I64(&[-2]),
            },
            Output {
                shape: &[1, 2],
                values: Values::Bool(&[true, false]),
            },
        ];
        let choices = ["p", "label", "flags"].map(Choice::whole);
        let encoder = Encoder::new(OutputFormat::Raw, "m", 1, &choices, None);
        let mut buffer = Vec::new();
        assert_eq!(encoder.encode("in/1/42", None, outputs, &mut buffer), 0);
        let expected = [
            0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            0,
        ];
        assert_eq!(buffer, expected);
    }
}
