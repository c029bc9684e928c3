//! Record formats: how the bytes of a Kafka record become numbers of a model's input, and its label.
//!
//! Casting rules to float32, the type in which models are fed: integers must be exactly
//! representable (beyond ±2²⁴ not every one is), floating-point numbers are rounded to the nearest
//! and must not overflow. A number that does not fit is an error of its record, never silently
//! another number.

mod avro;
mod cast;
mod composite;
mod encoding;
mod error;
mod framing;
mod glue;
pub mod half;
mod image;
mod inputs;
mod json;
mod label;
mod place;
mod protobuf;
mod raw;
mod schemas;
mod structure;
mod texts;
mod varint;

use serde::{Deserialize, Serialize};

use self::avro::AvroReader;
pub use self::avro::{AvroRecord, AvroWriter, avro_record};
use self::composite::BesideReader;
pub use self::composite::{Beside, Composite, TimeUnit};
pub use self::encoding::Encoding;
pub use self::error::{DecodeError, FieldFault};
use self::framing::Part;
pub use self::framing::{SchemaKey, framed};
pub use self::image::{Channels, Image, ImageLayout, Resize, image_record};
pub use self::inputs::{misplaced, ranges, shapes, starts, texts};
use self::json::JsonReader;
pub use self::json::{JsonField, JsonRecord, Missing, Written, document};
use self::label::LabelReader;
pub use self::label::{Label, LabelSource, check_probabilities, class_index, one_hot_index};
pub use self::place::Field;
use self::protobuf::ProtobufReader;
pub use self::protobuf::{MessageWriter, ProtobufRecord, ProtobufWriter, framed_message};
pub use self::raw::{ByteOrder, Dtype, RawArray};
pub use self::schemas::{Reference, SchemaDocument, SchemaKind};
use self::structure::StructureReader;
pub use self::structure::{Structure, StructureField};
pub use self::texts::Texts;
pub(crate) use self::varint::put_long;

/// Most elements of one record: a record of float64 then has 64 MB, more than Kafka takes.
const LARGEST_RECORD: usize = 8 << 20;

/// How records of a datasource are encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum RecordFormat {
    /// The value is the bytes of one array.
    Raw(RawArray),
    /// The value is the bytes of several arrays, one behind another.
    Struct(Structure),
    /// The value is a JSON document with the numbers in fields.
    Json(JsonRecord),
    /// The value is an Avro record with the numbers in fields.
    Avro(AvroRecord),
    /// The value is a message of Protocol Buffers with the numbers in fields.
    Protobuf(ProtobufRecord),
    /// The value is a PNG or JPEG file.
    Image(Image),
    /// Features stand in the key, in headers or in the timestamp, too.
    Record(Composite),
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
        let fields = label::fields_of(label);
        if let Self::Record(record) = self {
            record.check(label)?;
        }
        if label.is_some_and(Label::has_texts) {
            return Err(FormatError(
                "a label is numbers: leave `text` out of its fields".to_owned(),
            ));
        }
        self.check_value(&fields)?;
        let elements = u32::try_from(self.elements()).unwrap_or(u32::MAX);
        check_shape("format", &[elements])?;
        match label.map(|label| (&label.source, &label.encoding)) {
            Some((LabelSource::Header { name }, _)) if name.trim().is_empty() => Err(FormatError(
                "label.source.header is empty: name the header in which the label stands"
                    .to_owned(),
            )),
            Some((LabelSource::Field { .. } | LabelSource::Fields { .. }, _)) => {
                if fields.is_empty() {
                    return Err(FormatError(
                        "label.source.fields is empty: name the fields in which labels stand"
                            .to_owned(),
                    ));
                }
                fields
                    .iter()
                    .try_for_each(|(_, shape)| check_shape("label", shape))
            }
            Some((LabelSource::Header { .. } | LabelSource::Key, encoding)) => {
                encoding.check("label")
            }
            None => Ok(()),
        }
    }

    /// Checks how the value is encoded, in which the label may stand in fields.
    fn check_value(&self, label: &[(&str, &[u32])]) -> Result<(), FormatError> {
        match self {
            Self::Raw(_) if !label.is_empty() => Err(no_fields("RAW")),
            Self::Image(_) if !label.is_empty() => Err(no_fields("IMAGE")),
            Self::Image(image) => image.check(),
            Self::Raw(array) => check_shape("format", &array.shape),
            Self::Struct(structure) => structure.check(label),
            Self::Json(record) => record.check(label),
            Self::Avro(record) => record.check(label),
            Self::Protobuf(record) => record.check(label),
            Self::Record(record) => match &record.value {
                Some(value) => value.check_value(label),
                None if label.is_empty() => Ok(()),
                None => Err(FormatError(
                    "the label stands in a field of the value, for which there is no format: set `value`"
                        .to_owned(),
                )),
            },
        }
    }

    /// The shape of one decoded record, without the batch dimension.
    #[must_use]
    pub fn shape(&self) -> Vec<u32> {
        match self {
            Self::Raw(array) => array.shape.clone(),
            Self::Json(record) => record.shape(),
            Self::Avro(record) => record.shape(),
            Self::Protobuf(record) => record.shape(),
            Self::Image(image) => image.shape(),
            Self::Struct(structure) => flat(structure.elements()),
            Self::Record(record) => match (&record.value, record.beside.as_slice()) {
                (Some(value), []) => value.shape(),
                _ => flat(record.elements()),
            },
        }
    }

    /// Whether records carry ids of a schema registry, with or without the label.
    #[must_use]
    pub fn needs_registry(&self, label: Option<&Label>) -> bool {
        let of_value = |format: &Self| match format {
            Self::Avro(record) => record.needs_registry(),
            Self::Protobuf(record) => record.needs_registry(),
            Self::Raw(_) | Self::Struct(_) | Self::Json(_) | Self::Image(_) | Self::Record(_) => {
                false
            }
        };
        let of_format = match self {
            Self::Record(record) => {
                let mut beside = record.beside.iter();
                record.value.as_deref().is_some_and(of_value)
                    || beside.any(|beside| beside.encoding().is_some_and(Encoding::needs_registry))
            }
            format => of_value(format),
        };
        of_format || label.is_some_and(|label| label.encoding.needs_registry())
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
    /// Its time in milliseconds since 1970, where the topic keeps times.
    pub timestamp_ms: Option<i64>,
    /// Its headers.
    pub headers: &'a dyn Headers,
}

/// The headers of a record, which are looked at only where a format asks for one.
pub trait Headers {
    /// The last header of this name, unless it is null.
    fn last(&self, name: &str) -> Option<&[u8]>;
}

impl Headers for &[(&str, Option<&[u8]>)] {
    fn last(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.iter().rev();
        found.find(|(header, _)| *header == name)?.1
    }
}

/// No headers.
impl Headers for () {
    fn last(&self, _: &str) -> Option<&[u8]> {
        None
    }
}

/// Reads records of one format.
pub struct Decoder {
    value: Option<Reader>,
    /// Elements of the value.
    elements: usize,
    beside: Vec<BesideReader>,
    /// What is made of a part that is missing.
    missing: Missing,
    label: Option<LabelReader>,
    texts: Texts,
}

enum Reader {
    Raw(RawArray),
    Struct(StructureReader),
    Json(JsonReader),
    Avro(AvroReader),
    Protobuf(ProtobufReader),
    Image(Image),
}

impl Decoder {
    /// For records of a format that was [checked](RecordFormat::check), and for their labels where they are wanted.
    #[must_use]
    pub fn new(format: &RecordFormat, label: Option<&Label>) -> Self {
        let mut decoder = Self {
            value: None,
            elements: 0,
            beside: Vec::new(),
            missing: Missing::Refuse,
            label: label.map(LabelReader::new),
            texts: Texts::default(),
        };
        let value = match format {
            RecordFormat::Record(record) => {
                decoder.beside = record.beside.iter().map(BesideReader::new).collect();
                decoder.missing = record.missing;
                record.value.as_deref()
            }
            format => Some(format),
        };
        if let Some(value) = value {
            decoder.elements = value.elements();
            decoder.value = Reader::new(value, label);
        }
        decoder
    }

    /// Appends one record's numbers to `row`, and those of its label to `labels`, where one is wanted. Both are left as they
    /// were on an error.
    ///
    /// # Errors
    /// [`DecodeError`], the record's fault; except where it [awaits](DecodeError::awaits) a schema, which is nobody's:
    /// with that schema [learned](Self::learn) the record can be decoded.
    pub fn decode(
        &mut self,
        parts: &Parts<'_>,
        row: &mut Vec<f32>,
        labels: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        let before = (row.len(), labels.len(), self.texts.len());
        let result = self.append(parts, row, labels);
        if result.is_err() {
            row.truncate(before.0);
            labels.truncate(before.1);
            self.texts.truncate(before.2);
        }
        result
    }

    /// The texts of the records that were decoded since they were [cleared](Self::clear_texts), for which numbers stand in
    /// the rows.
    #[must_use]
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Forgets the texts: their rows are of no use any more.
    pub fn clear_texts(&mut self) {
        self.texts.clear();
    }

    /// Takes in a schema of the registry that a record awaits.
    pub fn learn(&mut self, key: SchemaKey, document: &SchemaDocument) {
        match &mut self.value {
            Some(Reader::Avro(reader)) => reader.learn(key, document),
            Some(Reader::Protobuf(reader)) => reader.learn(key, document),
            Some(Reader::Raw(_) | Reader::Struct(_) | Reader::Json(_) | Reader::Image(_))
            | None => {}
        }
        let beside = self.beside.iter_mut().filter_map(BesideReader::encoding);
        let label = self.label.iter_mut().map(LabelReader::encoding);
        for encoding in beside.chain(label) {
            encoding.learn(key, document);
        }
    }

    fn append(
        &mut self,
        parts: &Parts<'_>,
        row: &mut Vec<f32>,
        labels: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        let is_label_in_value = self.label.as_ref().is_some_and(LabelReader::is_in_value);
        if let Some(reader) = &mut self.value {
            match parts.value {
                Some(value) => {
                    reader.read(value, parts.headers, row, labels, &mut self.texts)?;
                }
                // Its numbers are missing; a label is never made up.
                None if self.missing == Missing::Nan && !is_label_in_value => {
                    row.resize(row.len() + self.elements, f32::NAN);
                }
                None => return Err(DecodeError::NoValue),
            }
        }
        for beside in &mut self.beside {
            beside.decode(parts, self.missing, row, &mut self.texts)?;
        }
        match &mut self.label {
            Some(label) => label.decode(parts, labels),
            None => Ok(()),
        }
    }
}

impl Reader {
    /// Nothing for a format of more than a value.
    fn new(format: &RecordFormat, label: Option<&Label>) -> Option<Self> {
        Some(match format {
            RecordFormat::Raw(array) => Self::Raw(array.clone()),
            RecordFormat::Struct(structure) => Self::Struct(StructureReader::new(structure, label)),
            RecordFormat::Json(record) => Self::Json(JsonReader::new(record, label)),
            RecordFormat::Avro(record) => Self::Avro(AvroReader::new(record, label)),
            RecordFormat::Protobuf(record) => Self::Protobuf(ProtobufReader::new(record, label)),
            RecordFormat::Image(image) => Self::Image(image.clone()),
            RecordFormat::Record(_) => return None,
        })
    }

    fn read(
        &mut self,
        value: &[u8],
        headers: &dyn Headers,
        row: &mut Vec<f32>,
        labels: &mut Vec<f32>,
        texts: &mut Texts,
    ) -> Result<(), DecodeError> {
        match self {
            Self::Raw(array) => array.decode("value", value, row),
            Self::Struct(reader) => reader.read(value, row, labels),
            Self::Json(reader) => reader.read(value, headers, row, labels, texts),
            Self::Protobuf(reader) => reader.read(value, headers, row, labels, texts),
            Self::Image(image) => image.decode(value, row),
            Self::Avro(reader) => reader.read(Part::Value, value, headers, row, labels, texts),
        }
    }
}

fn no_fields(format: &str) -> FormatError {
    FormatError(format!(
        "records in the format {format} have no fields: their label stands in a header or in the key"
    ))
}

/// The shape of so many numbers.
fn flat(elements: usize) -> Vec<u32> {
    vec![u32::try_from(elements).unwrap_or(u32::MAX)]
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
