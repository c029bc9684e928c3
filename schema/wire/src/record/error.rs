//! What can be wrong with a record.

/// Why a record could not be decoded. The fault is the record's: no retry helps.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// A tombstone where a value is needed.
    #[error("the record has no value")]
    NoValue,
    /// Too short or too long.
    #[error("the {part} has {found} bytes where {expected} are expected")]
    Size {
        /// `value`, `label`, or another part of the record.
        part: String,
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A number that float32 cannot hold.
    #[error("element {index} of the {part} is {number}, which float32 cannot hold")]
    Number {
        /// `value`, `label` or a field.
        part: String,
        /// Index in C order.
        index: usize,
        /// The number.
        number: String,
    },
    /// A number that an input of the model cannot take.
    #[error(
        "{number} is a feature for the model's input {input}, whose type {element} cannot hold it"
    )]
    Input {
        /// The input's name.
        input: String,
        /// The type of its elements.
        element: String,
        /// The number.
        number: f32,
    },
    /// A value that is not JSON.
    #[error("the value is not JSON: {reason}")]
    Json {
        /// What is wrong, and where.
        reason: String,
    },
    /// A value that does not say which schema it has.
    #[error("the {part} does not say which schema it has: {reason}")]
    Framing {
        /// `value`, `key` or a header.
        part: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A schema that the decoder has not been told. Whoever decodes gets it, [tells](super::Decoder::learn) it, and tries again.
    #[error("the schema {0} is not known here")]
    Awaits(super::SchemaKey),
    /// A schema that the registry does not have, or that is none.
    #[error("the schema {schema} cannot be used: {reason}")]
    BadSchema {
        /// Which schema.
        schema: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The writer's schema does not fit what is asked for.
    #[error("the writer's schema {writer} does not fit{}: {reason}", reader.as_ref().map(|reader| format!(" the reader's schema {reader}")).unwrap_or_default())]
    Schema {
        /// What it is called.
        writer: String,
        /// What the reader's is called, where there is one.
        reader: Option<String>,
        /// What does not fit.
        reason: String,
    },
    /// A value that is not Avro of its schema.
    #[error("the bytes are not Avro of their schema: {reason}")]
    Avro {
        /// What is wrong.
        reason: String,
    },
    /// A value that is no message of its type.
    #[error("the bytes are not Protobuf of their schema: {reason}")]
    Protobuf {
        /// What is wrong.
        reason: String,
    },
    /// A value that is no image as it is wanted.
    #[error("the value is no image that can be taken: {reason}")]
    Image {
        /// What is wrong.
        reason: String,
    },
    /// A field without what it should hold.
    #[error("the field {field:?} {fault}")]
    Field {
        /// Its place, as a JSON Pointer.
        field: String,
        /// What is wrong with it.
        fault: FieldFault,
    },
    /// No label where one is needed.
    #[error("the record has no label: {place} is missing")]
    NoLabel {
        /// Where it was looked for.
        place: String,
    },
    /// A text that is not a number.
    #[error("the {part} {text:?} is not a decimal number")]
    Text {
        /// `label`, or another part of the record.
        part: String,
        /// What was found, cut to 40 characters.
        text: String,
    },
    /// A part of the record that is not there, though a feature stands in it.
    #[error("the record has no {part}, in which a feature stands")]
    NoPart {
        /// `key`, `timestamp` or a header.
        part: String,
    },
    /// Numbers that are no one-hot label.
    #[error("the label's {count} numbers are not one-hot: one of them is 1 and the others are 0")]
    OneHot {
        /// How many they are.
        count: usize,
    },
    /// Numbers that are no probabilities of classes.
    #[error(
        "the label's {count} numbers are not probabilities: each is at least 0, and together they are 1"
    )]
    Probabilities {
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

/// What is wrong with one field of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldFault {
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It is there and holds nothing.
    #[error("is null")]
    Null,
    /// It stands in the record twice, and nothing says which one counts.
    #[error("stands there twice")]
    Twice,
    /// Something else than numbers.
    #[error("holds {0} where numbers are expected")]
    Type(&'static str),
    /// Something else than a text that is a feature.
    #[error("holds {0} where a text is expected")]
    NotText(&'static str),
    /// Numbers instead of a text.
    #[error("holds no text, in which numbers are expected")]
    NoText,
    /// Arrays of one level that differ in length or in depth.
    #[error("holds arrays of different lengths or depths")]
    Ragged,
    /// Arrays nested otherwise than the shape says.
    #[error("holds arrays nested {found} deep where the shape {expected:?} is expected")]
    Depth {
        /// The shape expected.
        expected: Vec<u32>,
        /// How deep they are nested.
        found: usize,
    },
    /// An array of another length.
    #[error("holds an array of {found} where {expected} are expected")]
    Length {
        /// How many are expected.
        expected: usize,
        /// How many were there when reading ended.
        found: usize,
    },
    /// Another shape.
    #[error("has the shape {found:?} where {expected:?} is expected")]
    Shape {
        /// The shape expected.
        expected: Vec<u32>,
        /// The shape found.
        found: Vec<usize>,
    },
}

/// What a label is called in errors.
pub(super) const LABEL: &str = "label";

impl DecodeError {
    pub(super) fn number(part: &str, index: usize, number: &dyn ToString) -> Self {
        Self::Number {
            part: part.to_owned(),
            index,
            number: number.to_string(),
        }
    }

    /// The schema that is needed to decode the record, where only that is missing.
    #[must_use]
    pub fn awaits(&self) -> Option<super::SchemaKey> {
        match self {
            Self::Awaits(schema) => Some(*schema),
            _ => None,
        }
    }

    /// A short stable code, for the `millrace-error` header and for metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoValue => "no-value",
            Self::Size { .. } => "size",
            Self::Number { .. } | Self::Input { .. } => "number",
            Self::Json { .. } => "json",
            Self::Framing { .. } => "schema-framing",
            Self::Awaits(_) | Self::BadSchema { .. } => "schema-unknown",
            Self::Schema { .. } => "schema-mismatch",
            Self::Avro { .. } => "avro",
            Self::Protobuf { .. } => "protobuf",
            Self::Image { .. } => "image",
            Self::Field { fault, .. } => match fault {
                FieldFault::Missing | FieldFault::Null => "field-missing",
                FieldFault::Twice => "field-twice",
                FieldFault::Type(_) | FieldFault::NotText(_) | FieldFault::NoText => "field-type",
                FieldFault::Ragged
                | FieldFault::Depth { .. }
                | FieldFault::Length { .. }
                | FieldFault::Shape { .. } => "field-shape",
            },
            Self::NoLabel { .. } => "no-label",
            Self::Text { part, .. } if part == LABEL => "label-text",
            Self::Text { .. } => "text",
            Self::NoPart { .. } => "no-part",
            Self::OneHot { .. } => "label-one-hot",
            Self::Probabilities { .. } => "label-probabilities",
            Self::Class { .. } => "label-class",
        }
    }
}
