//! Record formats: how the bytes of a Kafka record become numbers of a model's input, and its label.
//!
//! Casting rules to float32, the type in which models are fed: integers must be exactly
//! representable (beyond ±2²⁴ not every one is), floating-point numbers are rounded to the nearest
//! and must not overflow. A number that does not fit is an error of its record, never silently
//! another number.

mod cast;
mod error;
mod json;
mod label;
mod raw;

use serde::{Deserialize, Serialize};

pub use self::error::{DecodeError, FieldFault};
use self::json::JsonReader;
pub use self::json::{JsonField, JsonRecord, Missing, Written, document};
pub use self::label::{Label, LabelEncoding, LabelSource, class_index, one_hot_index};
pub use self::raw::{ByteOrder, Dtype, RawArray};

/// Most elements of one record: a record of float64 then has 64 MB, more than Kafka takes.
const LARGEST_RECORD: usize = 8 << 20;

/// How records of a datasource are encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum RecordFormat {
    /// The value is the bytes of one array.
    Raw(RawArray),
    /// The value is a JSON document with the numbers in fields.
    Json(JsonRecord),
}

/// A format that no record could have, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(String);

impl RecordFormat {
    /// Checks the format, and the label that its records carry.
    ///
    /// # Errors
    /// [`FormatError`] for shapes without elements or with too many, and for fields that cannot be.
    pub fn check(&self, label: Option<&Label>) -> Result<(), FormatError> {
        let field = label.and_then(|label| match &label.source {
            LabelSource::Field { pointer, shape } => Some((pointer, shape)),
            LabelSource::Header { .. } | LabelSource::Key => None,
        });
        match self {
            Self::Raw(_) if field.is_some() => {
                return Err(FormatError(
                    "records in the format RAW have no fields: their label stands in a header or in the key"
                        .to_owned(),
                ));
            }
            Self::Raw(array) => check_shape("format", &array.shape)?,
            Self::Json(record) => record.check(field.map(|(pointer, _)| pointer.as_str()))?,
        }
        match label.map(|label| (&label.source, &label.encoding)) {
            Some((LabelSource::Header { name }, _)) if name.trim().is_empty() => Err(FormatError(
                "label.source.header is empty: name the header in which the label stands"
                    .to_owned(),
            )),
            Some((LabelSource::Field { shape, .. }, _)) => check_shape("label", shape),
            Some((_, LabelEncoding::Raw(array))) => check_shape("label", &array.shape),
            Some((_, LabelEncoding::Text)) | None => Ok(()),
        }
    }

    /// The shape of one decoded record, without the batch dimension.
    #[must_use]
    pub fn shape(&self) -> Vec<u32> {
        match self {
            Self::Raw(array) => array.shape.clone(),
            Self::Json(record) => record.shape(),
        }
    }

    /// The number of elements of one decoded record.
    #[must_use]
    pub fn elements(&self) -> usize {
        product(&self.shape())
    }
}

/// The parts of a record that hold its numbers.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers in order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

impl<'a> Parts<'a> {
    /// The last header of a name.
    fn header(&self, name: &str) -> Option<&'a [u8]> {
        let mut found = self.headers.iter().rev();
        found.find(|(header, _)| *header == name)?.1
    }
}

/// Reads records of one format.
pub struct Decoder {
    format: Reader,
    label: Option<Label>,
}

enum Reader {
    Raw(RawArray),
    Json(JsonReader),
}

impl Decoder {
    /// For records of a format that was [checked](RecordFormat::check), and for their labels where they are wanted.
    #[must_use]
    pub fn new(format: &RecordFormat, label: Option<&Label>) -> Self {
        Self {
            format: match format {
                RecordFormat::Raw(array) => Reader::Raw(array.clone()),
                RecordFormat::Json(record) => Reader::Json(JsonReader::new(record, label)),
            },
            label: label.cloned(),
        }
    }

    /// Appends one record's numbers to `row`, and those of its label to `labels`, where one is wanted. Both are left as they
    /// were on an error.
    ///
    /// # Errors
    /// [`DecodeError`], the record's fault.
    pub fn decode(
        &mut self,
        parts: &Parts<'_>,
        row: &mut Vec<f32>,
        labels: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        let before = (row.len(), labels.len());
        let result = self.append(parts, row, labels);
        if result.is_err() {
            row.truncate(before.0);
            labels.truncate(before.1);
        }
        result
    }

    fn append(
        &mut self,
        parts: &Parts<'_>,
        row: &mut Vec<f32>,
        labels: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        let value = parts.value.ok_or(DecodeError::NoValue)?;
        match &mut self.format {
            Reader::Raw(array) => array.decode("value", value, row)?,
            Reader::Json(reader) => reader.read(value, row, labels)?,
        }
        match &self.label {
            Some(label) => label.decode(parts, labels),
            None => Ok(()),
        }
    }
}

fn check_shape(what: &str, shape: &[u32]) -> Result<(), FormatError> {
    let elements = shape
        .iter()
        .try_fold(1_usize, |product, size| product.checked_mul(*size as usize));
    match elements {
        Some(1..=LARGEST_RECORD) => Ok(()),
        _ => Err(FormatError(format!(
            "the {what}'s shape {shape:?} must have 1 to {LARGEST_RECORD} elements"
        ))),
    }
}

fn product(shape: &[u32]) -> usize {
    shape.iter().map(|size| *size as usize).product()
}

#[cfg(test)]
mod tests;
