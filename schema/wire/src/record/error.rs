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
        /// `value`, `label` or a field.
        part: String,
        /// Index in C order.
        index: usize,
        /// The number.
        number: String,
    },
    /// A value that is not JSON.
    #[error("the value is not JSON: {reason}")]
    Json {
        /// What is wrong, and where.
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
    /// Numbers instead of a text.
    #[error("holds no text, in which numbers are expected")]
    NoText,
    /// Arrays of one level that differ in length or in depth.
    #[error("holds arrays of different lengths or depths")]
    Ragged,
    /// Another shape.
    #[error("has the shape {found:?} where {expected:?} is expected")]
    Shape {
        /// The shape expected.
        expected: Vec<u32>,
        /// The shape found.
        found: Vec<usize>,
    },
}

impl DecodeError {
    pub(super) fn number(part: &str, index: usize, number: &dyn ToString) -> Self {
        Self::Number {
            part: part.to_owned(),
            index,
            number: number.to_string(),
        }
    }

    /// A short stable code, for the `millrace-error` header and for metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoValue => "no-value",
            Self::Size { .. } => "size",
            Self::Number { .. } => "number",
            Self::Json { .. } => "json",
            Self::Field { fault, .. } => match fault {
                FieldFault::Missing | FieldFault::Null => "field-missing",
                FieldFault::Twice => "field-twice",
                FieldFault::Type(_) | FieldFault::NoText => "field-type",
                FieldFault::Ragged | FieldFault::Shape { .. } => "field-shape",
            },
            Self::NoLabel { .. } => "no-label",
            Self::LabelText { .. } => "label-text",
            Self::OneHot { .. } => "label-one-hot",
            Self::Class { .. } => "label-class",
        }
    }
}
