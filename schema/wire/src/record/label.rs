//! Labels: where they stand in a record, and how they are written.

use serde::{Deserialize, Serialize};

use super::{DecodeError, Parts, RawArray, product};

/// Where the label of a record stands and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Where it stands.
    pub source: LabelSource,
    /// How it is written in a header or in the key. In a field it is written as the format writes fields.
    #[serde(default)]
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
    /// In a field of the value, where the format has fields.
    Field {
        /// Which field, as a JSON Pointer (RFC 6901).
        pointer: String,
        /// Its shape; empty for one number.
        #[serde(default)]
        shape: Vec<u32>,
    },
}

/// How a label is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum LabelEncoding {
    /// One decimal number in UTF-8.
    #[default]
    Text,
    /// The bytes of one array.
    Raw(RawArray),
}

impl Label {
    /// Appends the label of a header or of the key to `labels`. One in a field is read with the value.
    pub(super) fn decode(
        &self,
        parts: &Parts<'_>,
        labels: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        let (bytes, place) = match &self.source {
            LabelSource::Header { name } => (parts.header(name), format!("the header {name:?}")),
            LabelSource::Key => (parts.key, "the record's key".to_owned()),
            LabelSource::Field { .. } => return Ok(()),
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
        match (&self.source, &self.encoding) {
            (LabelSource::Field { shape, .. }, _) => product(shape),
            (_, LabelEncoding::Text) => 1,
            (_, LabelEncoding::Raw(array)) => array.elements(),
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
