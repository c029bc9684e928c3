//! Record formats and labels as inputs. As outputs they are JSON, in the shape that travels.

use async_graphql::{Enum, InputObject, OneofObject};
use millrace_wire::record::{self, Label, LabelEncoding, LabelSource, RawArray, RecordFormat};

use crate::app::{Code, Error, Result};

/// How records are encoded: exactly one of the formats.
#[derive(OneofObject)]
pub enum RecordFormatInput {
    /// The value is the bytes of one array.
    Raw(RawArrayInput),
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
    /// How it is written; one decimal number in UTF-8 if left out.
    encoding: Option<LabelEncodingInput>,
}

/// Where labels stand: exactly one of these.
#[derive(OneofObject)]
pub enum LabelSourceInput {
    /// In the header of this name.
    Header(String),
    /// In the record's key (`true`). Keys decide partitions: labels there skew them.
    Key(bool),
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
        }
    }
}

impl RawArrayInput {
    fn into_array(self) -> Result<RawArray> {
        let shape = self.shape.iter().map(|size| u32::try_from(*size));
        Ok(RawArray {
            dtype: self.dtype.into(),
            shape: shape
                .collect::<std::result::Result<_, _>>()
                .map_err(|_| Error::new(Code::InvalidInput, "a shape has no negative sizes"))?,
            byte_order: self.byte_order.into(),
        })
    }
}

impl LabelInput {
    /// The label as it travels.
    ///
    /// # Errors
    /// `INVALID_INPUT` for negative sizes and for a `false` where only `true` means something.
    pub fn into_label(self) -> Result<Label> {
        let source = match self.source {
            LabelSourceInput::Header(name) => LabelSource::Header { name },
            LabelSourceInput::Key(true) => LabelSource::Key,
            LabelSourceInput::Key(false) => return Err(only_true("key")),
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
