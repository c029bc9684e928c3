//! Labels: where they stand in a record, and how they are written.

use serde::{Deserialize, Serialize};

use super::encoding::EncodingReader;
use super::error::LABEL;
use super::framing::Part;
use super::{DecodeError, Encoding, Field, Parts, Texts, product};

/// Where the label of a record stands and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Where it stands.
    pub source: LabelSource,
    /// How it is written in a header or in the key. In a field it is written as the format writes fields.
    #[serde(default)]
    pub encoding: Encoding,
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
    /// In several fields of the value, whose numbers follow each other in the order in which the fields are named.
    Fields {
        /// Which fields.
        fields: Vec<Field>,
    },
}

impl Label {
    /// Where it stands in the value, as JSON Pointers with their shapes; nowhere where it stands elsewhere.
    #[must_use]
    pub fn fields(&self) -> Vec<(&str, &[u32])> {
        match &self.source {
            LabelSource::Field { pointer, shape } => vec![(pointer, shape)],
            LabelSource::Fields { fields } => {
                let fields = fields.iter();
                fields
                    .map(|field| (&*field.pointer, &*field.shape))
                    .collect()
            }
            LabelSource::Header { .. } | LabelSource::Key => Vec::new(),
        }
    }

    pub(super) fn has_texts(&self) -> bool {
        let fields = match (&self.source, &self.encoding) {
            (LabelSource::Fields { fields }, _) => fields,
            (LabelSource::Header { .. } | LabelSource::Key, Encoding::Avro(record)) => {
                &record.fields
            }
            _ => return false,
        };
        fields.iter().any(|field| field.text)
    }

    /// The number of elements of one label.
    #[must_use]
    pub fn elements(&self) -> usize {
        match &self.source {
            LabelSource::Field { .. } | LabelSource::Fields { .. } => {
                let fields = self.fields();
                fields.iter().map(|(_, shape)| product(shape)).sum()
            }
            LabelSource::Header { .. } | LabelSource::Key => self.encoding.elements(),
        }
    }
}

/// Where a label that is wanted stands in the value.
pub(super) fn fields_of(label: Option<&Label>) -> Vec<(&str, &[u32])> {
    label.map(Label::fields).unwrap_or_default()
}

/// Reads labels of headers and keys. One in a field is read with the value.
pub(super) struct LabelReader {
    source: LabelSource,
    encoding: EncodingReader,
}

impl LabelReader {
    pub(super) fn new(label: &Label) -> Self {
        Self {
            source: label.source.clone(),
            encoding: EncodingReader::new(&label.encoding),
        }
    }

    pub(super) fn is_in_value(&self) -> bool {
        matches!(
            self.source,
            LabelSource::Field { .. } | LabelSource::Fields { .. }
        )
    }

    pub(super) fn encoding(&mut self) -> &mut EncodingReader {
        &mut self.encoding
    }

    /// Appends the label.
    pub(super) fn decode(
        &mut self,
        parts: &Parts<'_>,
        labels: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        let (part, bytes) = match &self.source {
            LabelSource::Header { name } => (Part::Header, parts.headers.last(name)),
            LabelSource::Key => (Part::Key, parts.key),
            LabelSource::Field { .. } | LabelSource::Fields { .. } => return Ok(()),
        };
        let Some(bytes) = bytes else {
            return Err(DecodeError::NoLabel {
                place: match &self.source {
                    LabelSource::Header { name } => format!("the header {name:?}"),
                    _ => "the record's key".to_owned(),
                },
            });
        };
        let encoding = &mut self.encoding;
        // No label is a text.
        let texts = &mut Texts::default();
        encoding.decode(LABEL, part, bytes, parts.headers, labels, texts)
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

/// Checks that a label is the probability of each class: that its numbers are at least 0, and together 1 but for rounding.
///
/// # Errors
/// [`DecodeError::Probabilities`], the record's fault.
pub fn check_probabilities(label: &[f32]) -> Result<(), DecodeError> {
    let sum: f64 = label.iter().copied().map(f64::from).sum();
    // Numbers that were rounded to three places, or written in half precision, are meant to be 1.
    let holds = label.iter().all(|number| *number >= 0.0) && (sum - 1.0).abs() < 0.01;
    if holds {
        return Ok(());
    }
    let count = label.len();
    Err(DecodeError::Probabilities { count })
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
