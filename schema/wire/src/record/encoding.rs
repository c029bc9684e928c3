//! How numbers are written in a key or in a header.

use serde::{Deserialize, Serialize};

use super::avro::{AvroReader, AvroRecord};
use super::framing::Part;
use super::{
    DecodeError, FormatError, Headers, RawArray, SchemaDocument, SchemaKey, Texts, check_shape,
};

/// How numbers are written outside of a value: in a key or in a header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum Encoding {
    /// One decimal number in UTF-8.
    #[default]
    Text,
    /// The bytes of one array.
    Raw(RawArray),
    /// An Avro record with the numbers in fields.
    Avro(AvroRecord),
}

impl Encoding {
    /// How many numbers there are.
    #[must_use]
    pub fn elements(&self) -> usize {
        match self {
            Self::Text => 1,
            Self::Raw(array) => array.elements(),
            Self::Avro(record) => record.elements(),
        }
    }

    pub(super) fn needs_registry(&self) -> bool {
        match self {
            Self::Avro(record) => record.needs_registry(),
            Self::Text | Self::Raw(_) => false,
        }
    }

    pub(super) fn check(&self, part: &str) -> Result<(), FormatError> {
        match self {
            Self::Text => Ok(()),
            Self::Raw(array) => check_shape(part, &array.shape),
            Self::Avro(record) => record.check(&[]),
        }
    }
}

/// Reads numbers that are written outside of a value.
pub(super) enum EncodingReader {
    Text,
    Raw(RawArray),
    Avro(Box<AvroReader>),
}

impl EncodingReader {
    pub(super) fn new(encoding: &Encoding) -> Self {
        match encoding {
            Encoding::Text => Self::Text,
            Encoding::Raw(array) => Self::Raw(array.clone()),
            Encoding::Avro(record) => Self::Avro(Box::new(AvroReader::new(record, None))),
        }
    }

    pub(super) fn learn(&mut self, key: SchemaKey, document: &SchemaDocument) {
        if let Self::Avro(reader) = self {
            reader.learn(key, document);
        }
    }

    /// Appends the numbers of a part of a record, which errors call `name`.
    pub(super) fn decode(
        &mut self,
        name: &str,
        part: Part,
        bytes: &[u8],
        headers: &dyn Headers,
        to: &mut Vec<f32>,
        texts: &mut Texts,
    ) -> Result<(), DecodeError> {
        match self {
            Self::Text => {
                to.push(number(name, bytes)?);
                Ok(())
            }
            Self::Raw(array) => array.decode(name, bytes, to),
            Self::Avro(reader) => reader.read(part, bytes, headers, to, &mut Vec::new(), texts),
        }
    }
}

fn number(part: &str, bytes: &[u8]) -> Result<f32, DecodeError> {
    let text = String::from_utf8_lossy(bytes);
    match text.trim().parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(DecodeError::Text {
            part: part.to_owned(),
            text: text.chars().take(40).collect(),
        }),
    }
}
