//! Record formats: how the bytes of a Kafka record become numbers of a model's input, and its label.
//!
//! Casting rules to float32, the type in which models are fed: integers must be exactly
//! representable (beyond ±2²⁴ not every one is), floating-point numbers are rounded to the nearest
//! and must not overflow. A number that does not fit is an error of its record, never silently
//! another number.

use serde::{Deserialize, Serialize};

/// How records of a datasource are encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum RecordFormat {
    /// The value is the bytes of one array.
    Raw(RawArray),
}

/// The bytes of one array in C order, as numpy's `tobytes()` writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawArray {
    /// Element type.
    pub dtype: Dtype,
    /// Shape of one record, without the batch dimension.
    pub shape: Vec<u32>,
    /// Byte order of the elements.
    #[serde(default)]
    pub byte_order: ByteOrder,
}

/// Element types by their numpy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "numpy's names say it")]
pub enum Dtype {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Float32,
    Float64,
}

/// Order of the bytes of one element.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ByteOrder {
    /// Least significant first (the default, as on x86 and Arm).
    #[default]
    Little,
    /// Most significant first.
    Big,
}

/// Where the label of a record stands and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Where it stands.
    pub source: LabelSource,
    /// How it is written.
    pub encoding: LabelEncoding,
}

/// Where a label stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum LabelSource {
    /// In a record header.
    Header {
        /// The header's name; the last one of that name counts.
        name: String,
    },
    /// The record's key, as Kafka-ML's producers do. It skews partitions: avoid it in new topics.
    Key,
}

/// How a label is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum LabelEncoding {
    /// One decimal number in UTF-8.
    Text,
    /// The bytes of one array.
    Raw(RawArray),
}

/// Why a record could not be decoded. The fault is the record's: no retry helps.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// A tombstone where a value is needed.
    #[error("the record has no value")]
    NoValue,
    /// Too short or too long.
    #[error("the {part} has {found} bytes where {expected} are expected")]
    Size {
        /// `value` or `label`.
        part: &'static str,
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A number that float32 cannot hold.
    #[error("element {index} of the {part} is {number}, which float32 cannot hold")]
    Number {
        /// `value` or `label`.
        part: &'static str,
        /// Index in C order.
        index: usize,
        /// The number.
        number: String,
    },
    /// No label where one is needed.
    #[error("the record has no label: {place} is missing")]
    NoLabel {
        /// Where it was looked for.
        place: String,
    },
    /// A label that is not a number.
    #[error("the label {text:?} is not a decimal number")]
    LabelText {
        /// What was found, cut to 40 characters.
        text: String,
    },
    /// Numbers that are no one-hot label.
    #[error("the label's {count} numbers are not one-hot: one of them is 1 and the others are 0")]
    OneHot {
        /// How many they are.
        count: usize,
    },
    /// A class index outside the classes.
    #[error("the label {label} is not one of the classes 0 to {}", classes - 1)]
    Class {
        /// What was found.
        label: f32,
        /// How many classes the model knows.
        classes: u32,
    },
}

impl DecodeError {
    /// A short stable code, for the `millrace-error` header and for metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoValue => "no-value",
            Self::Size { .. } => "size",
            Self::Number { .. } => "number",
            Self::NoLabel { .. } => "no-label",
            Self::LabelText { .. } => "label-text",
            Self::OneHot { .. } => "label-one-hot",
            Self::Class { .. } => "label-class",
        }
    }
}

impl RecordFormat {
    /// The shape of one decoded record, without the batch dimension.
    #[must_use]
    pub fn shape(&self) -> &[u32] {
        match self {
            Self::Raw(array) => &array.shape,
        }
    }

    /// The number of elements of one decoded record.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape().iter().map(|size| *size as usize).product()
    }

    /// Appends one record's numbers to `row`, which is left as it was on an error.
    ///
    /// # Errors
    /// [`DecodeError`], the record's fault.
    pub fn decode(&self, value: Option<&[u8]>, row: &mut Vec<f32>) -> Result<(), DecodeError> {
        let value = value.ok_or(DecodeError::NoValue)?;
        match self {
            Self::Raw(array) => array.decode("value", value, row),
        }
    }
}

impl RawArray {
    /// The number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().map(|size| *size as usize).product()
    }

    /// The number of bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.elements() * self.dtype.bytes()
    }

    fn decode(
        &self,
        part: &'static str,
        bytes: &[u8],
        row: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        if bytes.len() != self.bytes() {
            return Err(DecodeError::Size {
                part,
                expected: self.bytes(),
                found: bytes.len(),
            });
        }
        let before = row.len();
        let result = self.append(part, bytes, row);
        if result.is_err() {
            row.truncate(before);
        }
        result
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::float_cmp,
        reason = "each cast is checked or exact by the rules in the module's description"
    )]
    fn append(
        &self,
        part: &'static str,
        bytes: &[u8],
        row: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        let order = self.byte_order;
        macro_rules! exact {
            ($type:ty) => {
                row.extend(
                    elements::<{ size_of::<$type>() }>(bytes, order)
                        .map(|b| f32::from(<$type>::from_le_bytes(b))),
                )
            };
        }
        macro_rules! checked {
            ($type:ty, $fits:expr) => {
                for (index, b) in elements::<{ size_of::<$type>() }>(bytes, order).enumerate() {
                    let number = <$type>::from_le_bytes(b);
                    let cast = number as f32;
                    if !$fits(number, cast) {
                        let number = number.to_string();
                        return Err(DecodeError::Number {
                            part,
                            index,
                            number,
                        });
                    }
                    row.push(cast);
                }
            };
        }
        match self.dtype {
            Dtype::Bool => row.extend(bytes.iter().map(|b| f32::from(u8::from(*b != 0)))),
            Dtype::Uint8 => row.extend(bytes.iter().map(|b| f32::from(*b))),
            Dtype::Int8 => exact!(i8),
            Dtype::Int16 => exact!(i16),
            Dtype::Uint16 => exact!(u16),
            Dtype::Float32 => exact!(f32),
            Dtype::Int32 => checked!(i32, |n: i32, c: f32| f64::from(c) == f64::from(n)),
            Dtype::Uint32 => checked!(u32, |n: u32, c: f32| f64::from(c) == f64::from(n)),
            // Widened to i128, in which every float32 that such a cast can give is exact.
            Dtype::Int64 => checked!(i64, |n: i64, c: f32| c as i128 == i128::from(n)),
            Dtype::Uint64 => checked!(u64, |n: u64, c: f32| c as i128 == i128::from(n)),
            Dtype::Float64 => checked!(f64, |n: f64, c: f32| c.is_finite() || !n.is_finite()),
        }
        Ok(())
    }
}

/// The elements of `bytes` as little-endian arrays.
fn elements<const N: usize>(bytes: &[u8], order: ByteOrder) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().map(move |chunk| {
        let mut element = *chunk;
        if order == ByteOrder::Big {
            element.reverse();
        }
        element
    })
}

impl Dtype {
    /// Bytes of one element.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::Int8 | Self::Uint8 => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 | Self::Float32 => 4,
            Self::Int64 | Self::Uint64 | Self::Float64 => 8,
        }
    }
}

impl Label {
    /// Appends one record's label to `labels`. `header` looks up the last header of a name.
    ///
    /// # Errors
    /// [`DecodeError`], the record's fault.
    pub fn decode<'a>(
        &self,
        key: Option<&'a [u8]>,
        header: impl FnOnce(&str) -> Option<&'a [u8]>,
        labels: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        let (bytes, place) = match &self.source {
            LabelSource::Header { name } => (header(name), format!("the header {name:?}")),
            LabelSource::Key => (key, "the record's key".to_owned()),
        };
        let bytes = bytes.ok_or(DecodeError::NoLabel { place })?;
        match &self.encoding {
            LabelEncoding::Raw(array) => array.decode("label", bytes, labels),
            LabelEncoding::Text => {
                labels.push(number(bytes)?);
                Ok(())
            }
        }
    }

    /// The number of elements of one label.
    #[must_use]
    pub fn elements(&self) -> usize {
        match &self.encoding {
            LabelEncoding::Text => 1,
            LabelEncoding::Raw(array) => array.elements(),
        }
    }
}

/// Checks that a label is a class index below `classes` and returns it.
///
/// # Errors
/// [`DecodeError::Class`], the record's fault.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the label is checked to be an integer below a u32"
)]
pub fn class_index(label: f32, classes: u32) -> Result<i64, DecodeError> {
    let inside = label >= 0.0 && label < classes as f32 && label.fract() == 0.0;
    if inside {
        Ok(label as i64)
    } else {
        Err(DecodeError::Class { label, classes })
    }
}

/// The place of the 1 in a one-hot label.
///
/// # Errors
/// [`DecodeError::OneHot`], the record's fault, where the others are not all 0.
pub fn one_hot_index(label: &[f32]) -> Result<i64, DecodeError> {
    let mut found = None;
    for (place, number) in (0..).zip(label) {
        if *number == 0.0 {
            continue;
        }
        if number.to_bits() != 1.0_f32.to_bits() || found.replace(place).is_some() {
            found = None;
            break;
        }
    }
    let count = label.len();
    found.ok_or(DecodeError::OneHot { count })
}

fn number(bytes: &[u8]) -> Result<f32, DecodeError> {
    let text = String::from_utf8_lossy(bytes);
    match text.trim().parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(DecodeError::LabelText {
            text: text.chars().take(40).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use proptest::prelude::*;

    fn raw(dtype: Dtype, shape: &[u32], byte_order: ByteOrder) -> RecordFormat {
        RecordFormat::Raw(RawArray {
            dtype,
            shape: shape.to_vec(),
            byte_order,
        })
    }

    #[test]
    fn the_format_is_plain_json() {
        let text = r#"{"type":"RAW","dtype":"uint8","shape":[64]}"#;
        let format: RecordFormat = serde_json::from_str(text).unwrap();
        assert_eq!(format, raw(Dtype::Uint8, &[64], ByteOrder::Little));
        assert!(
            serde_json::from_str::<RecordFormat>(
                r#"{"type":"RAW","dtype":"uint8","shape":[64],"x":1}"#
            )
            .is_err()
        );
    }

    #[test]
    fn wrong_sizes_and_tombstones_are_the_records_fault() {
        let format = raw(Dtype::Int16, &[2, 2], ByteOrder::Little);
        let mut row = vec![7.0];
        let error = format.decode(Some(&[0; 7]), &mut row).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the value has 7 bytes where 8 are expected"
        );
        assert_eq!(
            format.decode(None, &mut row).unwrap_err(),
            DecodeError::NoValue
        );
        assert_eq!(row, [7.0]);
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        let mut row = Vec::new();
        let big = (1_i64 << 24) + 1;
        let bytes = [5_i64.to_le_bytes(), big.to_le_bytes()].concat();
        let error = raw(Dtype::Int64, &[2], ByteOrder::Little)
            .decode(Some(&bytes), &mut row)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "element 1 of the value is 16777217, which float32 cannot hold"
        );
        assert!(row.is_empty());
        for odd in [u64::MAX, i64::MAX as u64] {
            assert!(
                raw(Dtype::Uint64, &[1], ByteOrder::Little)
                    .decode(Some(&odd.to_le_bytes()), &mut row)
                    .is_err()
            );
        }
        assert!(
            raw(Dtype::Float64, &[1], ByteOrder::Little)
                .decode(Some(&1e300_f64.to_le_bytes()), &mut row)
                .is_err()
        );
        raw(Dtype::Float64, &[1], ByteOrder::Little)
            .decode(Some(&f64::NAN.to_le_bytes()), &mut row)
            .unwrap();
        assert!(row[0].is_nan());
    }

    #[test]
    fn labels_come_from_headers_and_keys() {
        let label = Label {
            source: LabelSource::Header {
                name: "label".into(),
            },
            encoding: LabelEncoding::Text,
        };
        let mut labels = Vec::new();
        label
            .decode(
                None,
                |name| (name == "label").then_some(b"7".as_slice()),
                &mut labels,
            )
            .unwrap();
        assert_eq!(labels, [7.0]);
        let missing = label.decode(None, |_| None, &mut labels).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "the record has no label: the header \"label\" is missing"
        );
        let text = label
            .decode(None, |_| Some(b"seven".as_slice()), &mut labels)
            .unwrap_err();
        assert_eq!(text.code(), "label-text");
        assert_eq!(class_index(9.0, 10).unwrap(), 9);
        for wrong in [10.0, -1.0, 0.5, f32::NAN] {
            assert!(class_index(wrong, 10).is_err(), "{wrong}");
        }
        assert_eq!(one_hot_index(&[0.0, 0.0, 1.0]).unwrap(), 2);
        for wrong in [
            [0.0, 0.0, 0.0],
            [1.0, 0.0, 1.0],
            [0.5, 0.5, 0.0],
            [0.0, f32::NAN, 1.0],
            [1.0, 0.0, 2.0],
        ] {
            let error = one_hot_index(&wrong).unwrap_err();
            assert_eq!(error.code(), "label-one-hot", "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn float32_round_trips_in_both_byte_orders(numbers in prop::collection::vec(any::<f32>(), 1..20)) {
            let shape = [u32::try_from(numbers.len()).unwrap()];
            let little: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            let big: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
            for (bytes, order) in [(little, ByteOrder::Little), (big, ByteOrder::Big)] {
                let mut row = Vec::new();
                raw(Dtype::Float32, &shape, order).decode(Some(&bytes), &mut row).unwrap();
                let same = row.iter().zip(&numbers).all(|(a, b)| a.to_bits() == b.to_bits());
                prop_assert!(same);
            }
        }

        #[test]
        fn integers_are_exact_or_refused(number: i64) {
            let mut row = Vec::new();
            let decoded = raw(Dtype::Int64, &[1], ByteOrder::Big).decode(Some(&number.to_be_bytes()), &mut row);
            #[allow(clippy::cast_possible_truncation, reason = "exact where it is compared")]
            if decoded.is_ok() {
                prop_assert_eq!(row[0] as i128, i128::from(number));
            } else {
                prop_assert!(row.is_empty());
                prop_assert!(number.unsigned_abs() > 1 << 24);
            }
        }
    }
}
