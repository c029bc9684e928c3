//! Record formats and labels as inputs. As outputs they are JSON, in the shape that travels.

use async_graphql::{Enum, InputObject, OneofObject};
use millrace_wire::record::{
    self, AvroRecord, AvroWriter, Beside, Composite, Encoding, Field, JsonField, JsonRecord, Label,
    LabelSource, ProtobufRecord, ProtobufWriter, RawArray, RecordFormat, Structure, StructureField,
};

use crate::app::{Code, Error, Result};

/// How records are encoded: exactly one of the formats.
#[derive(OneofObject)]
pub enum RecordFormatInput {
    /// The value is the bytes of one array.
    Raw(RawArrayInput),
    /// The value is the bytes of several arrays, one behind another, as numpy's structured types lay them out.
    Struct(StructureInput),
    /// The value is a JSON document with the numbers in fields.
    Json(JsonRecordInput),
    /// The value is an Avro record with the numbers in fields.
    Avro(AvroRecordInput),
    /// The value is a message of Protocol Buffers with the numbers in fields.
    Protobuf(ProtobufRecordInput),
    /// The value is a PNG or JPEG file.
    Image(ImageInput),
    /// Features stand in the key, in headers or in the timestamp, too.
    Record(Box<CompositeInput>),
}

/// Where the numbers stand in an Avro record.
#[derive(InputObject)]
pub struct AvroRecordInput {
    /// Whose schema the bytes have.
    writer: AvroWriterInput,
    /// The schema at whose names the fields stand, which the writer's is resolved against (as JSON); without it they stand at
    /// the writer's.
    reader_schema: Option<String>,
    /// The fields whose numbers make the record, one after another.
    fields: Vec<FieldInput>,
    /// What is made of fields and numbers that are missing or null.
    #[graphql(default_with = "Missing::Refuse")]
    missing: Missing,
}

/// Where the schema stands with which bytes were written: exactly one of these.
#[derive(OneofObject)]
pub enum AvroWriterInput {
    /// Here, as JSON: all records have this one, and nothing stands in front of them.
    Schema(String),
    /// In the connection's schema registry (`true`), by the id that each record carries.
    Registry(bool),
}

/// Where the numbers stand in a message of Protocol Buffers.
#[derive(InputObject)]
pub struct ProtobufRecordInput {
    /// Whose schema the bytes have.
    writer: ProtobufWriterInput,
    /// The fields whose numbers make the record, one after another, by the names of the message's fields.
    fields: Vec<FieldInput>,
    /// What is made of fields that are not there.
    #[graphql(default_with = "Missing::Refuse")]
    missing: Missing,
}

/// Where the schema stands with which messages were written: exactly one of these.
#[derive(OneofObject)]
pub enum ProtobufWriterInput {
    /// Here: all records have this one, and nothing stands in front of them.
    Schema(ProtobufSchemaInput),
    /// In the connection's schema registry (`true`), by the id and the message indexes that each record carries.
    Registry(bool),
}

/// What is made of a PNG or JPEG file: numbers from 0 to 255.
#[derive(InputObject)]
pub struct ImageInput {
    /// Rows of pixels.
    height: i32,
    /// Pixels of a row.
    width: i32,
    /// What each pixel has.
    #[graphql(default_with = "Channels::Rgb")]
    channels: Channels,
    /// In which order the numbers stand.
    #[graphql(default_with = "ImageLayout::ChannelsFirst")]
    layout: ImageLayout,
    /// What is made of a file of another size.
    #[graphql(default_with = "Resize::Refuse")]
    resize: Resize,
}

/// What a pixel has.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "record::Channels")]
pub enum Channels {
    /// One channel: luminance (ITU-R BT.709 weights of a file with colours).
    Gray,
    /// Red, green, blue. Transparency is dropped.
    Rgb,
    /// Red, green, blue, opacity, which is 255 where the file has none.
    Rgba,
}

/// In which order the numbers of an image stand.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "record::ImageLayout")]
pub enum ImageLayout {
    /// A plane a channel, as PyTorch wants them: channels, height, width.
    ChannelsFirst,
    /// Pixel by pixel, as Keras wants them: height, width, channels.
    ChannelsLast,
}

/// What is made of a file of another size.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "record::Resize")]
pub enum Resize {
    /// The record is refused.
    Refuse,
    /// All of it, whatever becomes of its proportions.
    Stretch,
    /// Its middle, with its proportions: as much as fits the size.
    Crop,
    /// All of it, with its proportions, in the middle of black (transparent) pixels.
    Pad,
}

/// A message of a `.proto` file.
#[derive(InputObject)]
pub struct ProtobufSchemaInput {
    /// The text of the file.
    proto: String,
    /// The full name of the message in it; the first one if left out.
    message: Option<String>,
}

/// A field of a record that has a schema.
#[derive(InputObject)]
pub struct FieldInput {
    /// Where it stands, as a JSON Pointer (RFC 6901): `/reading/temperature`; empty for the record itself.
    pointer: String,
    /// Its shape, without the batch dimension; empty for one number.
    #[graphql(default)]
    shape: Vec<i32>,
    /// It is a text, for a model that takes texts; of an Avro enum the symbol. A label has none.
    #[graphql(default)]
    text: bool,
}

/// Several arrays, one behind another without gaps.
#[derive(InputObject)]
pub struct StructureInput {
    /// The arrays in the order of their bytes.
    fields: Vec<StructureFieldInput>,
}

/// One array of several.
#[derive(InputObject)]
pub struct StructureFieldInput {
    /// Its name, by which a label refers to it: `/class` is the field `class`.
    name: String,
    /// Element type, by numpy's names.
    dtype: Dtype,
    /// Its shape; empty for one number.
    #[graphql(default)]
    shape: Vec<i32>,
    /// Byte order of its elements.
    #[graphql(default_with = "ByteOrder::Little")]
    byte_order: ByteOrder,
    /// It is no feature: its bytes are passed over, unless the label stands there.
    #[graphql(default)]
    skip: bool,
}

/// Features from all parts of a record.
#[derive(InputObject)]
pub struct CompositeInput {
    /// How the value is encoded, whose numbers come first; without it the value is not looked at, and may be null.
    value: Option<RecordFormatInput>,
    /// What follows the value's numbers, in this order.
    beside: Vec<BesideInput>,
    /// What is made of a part that is missing: of a null value, a null key, a header that is not there.
    #[graphql(default_with = "Missing::Refuse")]
    missing: Missing,
}

/// A feature that stands beside the value: exactly one of these.
#[derive(OneofObject)]
pub enum BesideInput {
    /// The record's key, written like this.
    Key(EncodingInput),
    /// A header.
    Header(HeaderFeatureInput),
    /// The record's timestamp, in UTC.
    Timestamp(TimeUnit),
}

/// A header that holds numbers.
#[derive(InputObject)]
pub struct HeaderFeatureInput {
    /// Its name; the last header of that name counts.
    name: String,
    /// How it is written; one decimal number in UTF-8 if left out.
    encoding: Option<EncodingInput>,
}

/// What of a timestamp is a feature. Milliseconds since 1970 would not be: float32 cannot hold them.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "record::TimeUnit")]
pub enum TimeUnit {
    /// Days since 1970-01-01, with their fraction (float32 tells about three minutes apart).
    Days,
    /// Hours since midnight, with their fraction: 0 to 24.
    HourOfDay,
    /// 0 for Monday to 6 for Sunday.
    DayOfWeek,
}

/// Where the numbers stand in a JSON document.
#[derive(InputObject)]
pub struct JsonRecordInput {
    /// The fields whose numbers make the record, one after another.
    fields: Vec<JsonFieldInput>,
    /// What is made of fields and numbers that are missing or `null`.
    #[graphql(default_with = "Missing::Refuse")]
    missing: Missing,
    /// Records carry the id of their JSON Schema, as a registry's serialisers write it: it is passed over.
    #[graphql(default)]
    registry: bool,
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
    /// It is a text itself, for a model that takes texts.
    #[graphql(default)]
    text: bool,
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
    #[graphql(name = "FLOAT16")]
    Float16,
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
    encoding: Option<EncodingInput>,
}

/// Where labels stand: exactly one of these.
#[derive(OneofObject)]
pub enum LabelSourceInput {
    /// In the header of this name.
    Header(String),
    /// In the record's key (`true`). Keys decide partitions: labels there skew them.
    Key(bool),
    /// In a field of the value, where the format has fields.
    Field(FieldInput),
    /// In several fields of the value, whose numbers follow each other in this order: labels for several outputs of a model.
    Fields(Vec<FieldInput>),
}

/// How numbers are written in a key or in a header: exactly one of these.
#[derive(OneofObject)]
pub enum EncodingInput {
    /// One decimal number in UTF-8 (`true`).
    Text(bool),
    /// The bytes of one array. As a label: as many numbers as the model gives, which are one-hot where it gives classes.
    Raw(RawArrayInput),
    /// An Avro record with the numbers in fields, as Kafka-ML's producers write labels.
    Avro(AvroRecordInput),
}

impl RecordFormatInput {
    /// The format as it travels.
    ///
    /// # Errors
    /// `INVALID_INPUT` for negative sizes.
    pub fn into_format(self) -> Result<RecordFormat> {
        match self {
            Self::Raw(array) => Ok(RecordFormat::Raw(array.into_array()?)),
            Self::Struct(structure) => {
                let fields = structure.fields.into_iter().map(|field| {
                    Ok(StructureField {
                        name: field.name,
                        dtype: field.dtype.into(),
                        shape: into_shape(&field.shape)?,
                        byte_order: field.byte_order.into(),
                        skip: field.skip,
                    })
                });
                Ok(RecordFormat::Struct(Structure {
                    fields: fields.collect::<Result<_>>()?,
                }))
            }
            Self::Avro(record) => Ok(RecordFormat::Avro(record.into_record()?)),
            Self::Protobuf(record) => Ok(RecordFormat::Protobuf(ProtobufRecord {
                writer: match record.writer {
                    ProtobufWriterInput::Schema(schema) => ProtobufWriter::Schema {
                        schema: schema.proto,
                        message: schema.message,
                    },
                    ProtobufWriterInput::Registry(true) => ProtobufWriter::Registry,
                    ProtobufWriterInput::Registry(false) => return Err(only_true("registry")),
                },
                fields: into_fields(record.fields)?,
                missing: record.missing.into(),
            })),
            Self::Image(image) => {
                let size = into_shape(&[image.height, image.width])?;
                Ok(RecordFormat::Image(record::Image {
                    height: size[0],
                    width: size[1],
                    channels: image.channels.into(),
                    layout: image.layout.into(),
                    resize: image.resize.into(),
                }))
            }
            Self::Record(record) => {
                let value = record.value.map(Self::into_format).transpose()?;
                let beside = record.beside.into_iter().map(BesideInput::into_beside);
                Ok(RecordFormat::Record(Composite {
                    value: value.map(Box::new),
                    beside: beside.collect::<Result<_>>()?,
                    missing: record.missing.into(),
                }))
            }
            Self::Json(record) => {
                let fields = record.fields.into_iter().map(|field| {
                    Ok(JsonField {
                        pointer: field.pointer,
                        shape: into_shape(&field.shape)?,
                        in_text: field.in_text,
                        text: field.text,
                    })
                });
                Ok(RecordFormat::Json(JsonRecord {
                    fields: fields.collect::<Result<_>>()?,
                    missing: record.missing.into(),
                    registry: record.registry,
                }))
            }
        }
    }
}

impl AvroRecordInput {
    fn into_record(self) -> Result<AvroRecord> {
        Ok(AvroRecord {
            writer: match self.writer {
                AvroWriterInput::Schema(schema) => AvroWriter::Schema { schema },
                AvroWriterInput::Registry(true) => AvroWriter::Registry,
                AvroWriterInput::Registry(false) => return Err(only_true("registry")),
            },
            reader_schema: self.reader_schema,
            fields: into_fields(self.fields)?,
            missing: self.missing.into(),
        })
    }
}

fn into_fields(fields: Vec<FieldInput>) -> Result<Vec<Field>> {
    let fields = fields.into_iter().map(|field| {
        Ok(Field {
            pointer: field.pointer,
            shape: into_shape(&field.shape)?,
            text: field.text,
        })
    });
    fields.collect()
}

impl BesideInput {
    fn into_beside(self) -> Result<Beside> {
        Ok(match self {
            Self::Key(encoding) => Beside::Key {
                encoding: encoding.into_encoding()?,
            },
            Self::Header(header) => Beside::Header {
                name: header.name,
                encoding: into_encoding(header.encoding)?,
            },
            Self::Timestamp(unit) => Beside::Timestamp { unit: unit.into() },
        })
    }
}

impl EncodingInput {
    fn into_encoding(self) -> Result<Encoding> {
        match self {
            Self::Text(true) => Ok(Encoding::Text),
            Self::Text(false) => Err(only_true("text")),
            Self::Raw(array) => Ok(Encoding::Raw(array.into_array()?)),
            Self::Avro(record) => Ok(Encoding::Avro(record.into_record()?)),
        }
    }
}

fn into_encoding(encoding: Option<EncodingInput>) -> Result<Encoding> {
    encoding.map_or(Ok(Encoding::Text), EncodingInput::into_encoding)
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
            LabelSourceInput::Field(_) | LabelSourceInput::Fields(_) if self.encoding.is_some() => {
                return Err(Error::new(
                    Code::InvalidInput,
                    "a label in a field is written as the format writes fields: leave `encoding` out",
                ));
            }
            LabelSourceInput::Field(field) => LabelSource::Field {
                pointer: field.pointer,
                shape: into_shape(&field.shape)?,
            },
            LabelSourceInput::Fields(fields) => LabelSource::Fields {
                fields: into_fields(fields)?,
            },
        };
        let encoding = into_encoding(self.encoding)?;
        Ok(Label { source, encoding })
    }
}

fn only_true(field: &str) -> Error {
    let message =
        format!("`{field}: false` says nothing; choose another field, or `{field}: true`");
    Error::new(Code::InvalidInput, message)
}
