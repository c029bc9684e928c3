//! Record formats and labels as inputs. As outputs they are JSON, in the shape that travels.

use async_graphql::{Enum, InputObject, OneofObject};
use millrace_wire::record::{
    self, JsonField, JsonRecord, Label, LabelEncoding, LabelSource, RawArray, RecordFormat,
};

use crate::app::{Code, Error, Result};

/// How records are encoded: exactly one of the formats.
#[derive(OneofObject)]
pub enum RecordFormatInput {
    /// The value is the bytes of one array.
    Raw(RawArrayInput),
    /// The value is a JSON document with the numbers in fields.
    Json(JsonRecordInput),
}

/// Where the numbers stand in a JSON document.
#[derive(InputObject)]
pub struct JsonRecordInput {
    /// The fields whose numbers make the record, one after another.
    fields: Vec<JsonFieldInput>,
    /// What is made of fields and numbers that are missing or `null`.
    #[graphql(default_with = "Missing::Refuse")]
    missing: Missing,
}

/// A field: a number, or nested arrays of one shape. Around these may stand one more of length 1, as of a batch.
#[derive(InputObject)]
pub struct JsonFieldInput {
    /// Where it stands, as a JSON Pointer (RFC 6901): `/reading/temperature`; empty for the document itself.
    pointer: String,
    /// Its shape, without the batch dimension; empty for one number.
    #[graphql(default)]
    shape: Vec<i32>,
    /// The field is a text that holds JSON, as in Kafka-ML's `TELEGRAF_STR_JSON`.
    #[graphql(default)]
    in_text: bool,
}

/// What is made of a number that is missing.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "record::Missing")]
pub enum Missing {
    /// The record is refused.
    Refuse,
    /// NaN, which preprocessing can fill.
    Nan,
}

/// The bytes of one array in C order, as numpy's `tobytes()` writes them.
#[derive(InputObject)]
pub struct RawArrayInput {
    /// Element type, by numpy's names.
    dtype: Dtype,
    /// Shape of one record, without the batch dimension.
    shape: Vec<i32>,
    /// Byte order of the elements.
    #[graphql(default_with = "ByteOrder::Little")]
    byte_order: ByteOrder,
}

/// Element types by their numpy names.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "record::Dtype")]
#[allow(missing_docs, reason = "numpy's names say it")]
pub enum Dtype {
    Bool,
    #[graphql(name = "INT8")]
    Int8,
    #[graphql(name = "INT16")]
    Int16,
    #[graphql(name = "INT32")]
    Int32,
    #[graphql(name = "INT64")]
    Int64,
    #[graphql(name = "UINT8")]
    Uint8,
    #[graphql(name = "UINT16")]
    Uint16,
    #[graphql(name = "UINT32")]
    Uint32,
    #[graphql(name = "UINT64")]
    Uint64,
    #[graphql(name = "FLOAT32")]
    Float32,
    #[graphql(name = "FLOAT64")]
    Float64,
}

/// Order of the bytes of one element.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "record::ByteOrder")]
pub enum ByteOrder {
    /// Least significant first, as on x86 and Arm.
    Little,
    /// Most significant first.
    Big,
}

/// Where the label of a record stands and how it is written.
#[derive(InputObject)]
pub struct LabelInput {
    /// Where it stands.
    source: LabelSourceInput,
    /// How it is written in a header or in the key; one decimal number in UTF-8 if left out. A field is written as the format
    /// writes fields.
    encoding: Option<LabelEncodingInput>,
}

/// Where labels stand: exactly one of these.
#[derive(OneofObject)]
pub enum LabelSourceInput {
    /// In the header of this name.
    Header(String),
    /// In the record's key (`true`). Keys decide partitions: labels there skew them.
    Key(bool),
    /// In a field of the value, where the format has fields.
    Field(LabelFieldInput),
}

/// A field that holds the label.
#[derive(InputObject)]
pub struct LabelFieldInput {
    /// Where it stands, as a JSON Pointer (RFC 6901).
    pointer: String,
    /// Its shape; empty for one number.
    #[graphql(default)]
    shape: Vec<i32>,
}

/// How labels are written: exactly one of these.
#[derive(OneofObject)]
pub enum LabelEncodingInput {
    /// One decimal number in UTF-8 (`true`).
    Text(bool),
    /// The bytes of one array: as many numbers as the model gives, which are one-hot where it gives classes.
    Raw(RawArrayInput),
}

impl RecordFormatInput {
    /// The format as it travels.
    ///
    /// # Errors
    /// `INVALID_INPUT` for negative sizes.
    pub fn into_format(self) -> Result<RecordFormat> {
        match self {
            Self::Raw(array) => Ok(RecordFormat::Raw(array.into_array()?)),
            Self::Json(record) => {
                let fields = record.fields.into_iter().map(|field| {
                    Ok(JsonField {
                        pointer: field.pointer,
                        shape: into_shape(&field.shape)?,
                        in_text: field.in_text,
                    })
                });
                Ok(RecordFormat::Json(JsonRecord {
                    fields: fields.collect::<Result<_>>()?,
                    missing: record.missing.into(),
                }))
            }
        }
    }
}

fn into_shape(shape: &[i32]) -> Result<Vec<u32>> {
    let sizes = shape.iter().map(|size| u32::try_from(*size));
    sizes
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| Error::new(Code::InvalidInput, "a shape has no negative sizes"))
}

impl RawArrayInput {
    fn into_array(self) -> Result<RawArray> {
        Ok(RawArray {
            dtype: self.dtype.into(),
            shape: into_shape(&self.shape)?,
            byte_order: self.byte_order.into(),
        })
    }
}

impl LabelInput {
    /// The label as it travels.
    ///
    /// # Errors
    /// `INVALID_INPUT` for negative sizes, for a `false` where only `true` means something, and for a field that is to be
    /// written otherwise than the format does.
    pub fn into_label(self) -> Result<Label> {
        let source = match self.source {
            LabelSourceInput::Header(name) => LabelSource::Header { name },
            LabelSourceInput::Key(true) => LabelSource::Key,
            LabelSourceInput::Key(false) => return Err(only_true("key")),
            LabelSourceInput::Field(_) if self.encoding.is_some() => {
                return Err(Error::new(
                    Code::InvalidInput,
                    "a label in a field is written as the format writes fields: leave `encoding` out",
                ));
            }
            LabelSourceInput::Field(field) => LabelSource::Field {
                pointer: field.pointer,
                shape: into_shape(&field.shape)?,
            },
        };
        let encoding = match self.encoding {
            None | Some(LabelEncodingInput::Text(true)) => LabelEncoding::Text,
            Some(LabelEncodingInput::Text(false)) => return Err(only_true("text")),
            Some(LabelEncodingInput::Raw(array)) => LabelEncoding::Raw(array.into_array()?),
        };
        Ok(Label { source, encoding })
    }
}

fn only_true(field: &str) -> Error {
    let message =
        format!("`{field}: false` says nothing; choose another field, or `{field}: true`");
    Error::new(Code::InvalidInput, message)
}
