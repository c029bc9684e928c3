//! JSON: numbers in fields of a document.
//!
//! A field is a number, or nested arrays of one shape; `true` and `false` are 1 and 0. Around the arrays may stand one more of
//! length 1, as of a batch: programs that call a model with one record often keep it. Numbers without a fraction or an
//! exponent are cast as integers, the others as floating-point numbers.

mod document;
mod numbers;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(super) use self::document::JsonReader;
use super::{FormatError, check_shape, product};

/// Most dimensions of one field, the one of a batch included.
const DEPTH: usize = 9;

/// Where the numbers stand in a JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonRecord {
    /// The fields whose numbers make the record, one after another.
    pub fields: Vec<JsonField>,
    /// What is made of fields and numbers that are missing or `null`.
    #[serde(default)]
    pub missing: Missing,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonField {
    /// Where it stands, as a JSON Pointer (RFC 6901): `/reading/temperature`; empty for the document itself.
    pub pointer: String,
    /// Its shape, without the batch dimension; empty for one number.
    #[serde(default)]
    pub shape: Vec<u32>,
    /// The field is a text that holds JSON, as in Kafka-ML's `TELEGRAF_STR_JSON`.
    #[serde(default)]
    pub in_text: bool,
}

/// What is made of a number that is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Missing {
    /// The record is refused.
    #[default]
    Refuse,
    /// NaN, which preprocessing can fill.
    Nan,
}

impl JsonRecord {
    /// The shape of one record: that of the only field, else so many numbers.
    pub(super) fn shape(&self) -> Vec<u32> {
        match self.fields.as_slice() {
            [field] if !field.shape.is_empty() => field.shape.clone(),
            fields => {
                let elements: usize = fields.iter().map(|field| product(&field.shape)).sum();
                vec![u32::try_from(elements).unwrap_or(u32::MAX)]
            }
        }
    }

    pub(super) fn check(&self, label: Option<&str>) -> Result<(), FormatError> {
        for field in &self.fields {
            check_shape(&format!("field {:?}", field.pointer), &field.shape)?;
            if field.shape.len() >= DEPTH {
                return Err(FormatError(format!(
                    "the field {:?} has {} dimensions, and {} are allowed",
                    field.pointer,
                    field.shape.len(),
                    DEPTH - 1
                )));
            }
        }
        check_shape("format", &self.shape())?;
        let mut pointers: Vec<&str> = self.fields.iter().map(|field| &*field.pointer).collect();
        pointers.extend(label);
        for pointer in &pointers {
            check_pointer(pointer)?;
        }
        // One behind another, so that a field stands right before what lies in it.
        let mut paths: Vec<Vec<String>> = pointers.iter().map(|pointer| tokens(pointer)).collect();
        paths.sort();
        for pair in paths.windows(2) {
            if pair[1].starts_with(&pair[0]) {
                return Err(FormatError(format!(
                    "the field \"/{}\" is named twice, or lies in another one",
                    pair[1].join("/")
                )));
            }
        }
        Ok(())
    }
}

/// A field of a document that is written.
pub struct Written<'w> {
    /// Where it goes, as a JSON Pointer.
    pub pointer: &'w str,
    /// Its shape; empty for one number.
    pub shape: &'w [u32],
    /// Its numbers, or `null` where one is missing.
    pub numbers: &'w [Value],
    /// As a text that holds them.
    pub in_text: bool,
}

/// Writes a document with these fields, in objects throughout.
#[must_use]
pub fn document(fields: &[Written<'_>]) -> Value {
    let mut document = Value::Null;
    for field in fields {
        let mut place = &mut document;
        for token in tokens(field.pointer) {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[token];
        }
        let numbers = nested(field.shape, field.numbers);
        *place = if field.in_text {
            Value::String(numbers.to_string())
        } else {
            numbers
        };
    }
    document
}

fn nested(shape: &[u32], numbers: &[Value]) -> Value {
    let Some((_, rest)) = shape.split_first() else {
        return numbers.first().cloned().unwrap_or(Value::Null);
    };
    let items = numbers.chunks(product(rest).max(1));
    Value::Array(items.map(|item| nested(rest, item)).collect())
}

/// The parts of a pointer, in plain text.
fn tokens(pointer: &str) -> Vec<String> {
    let parts = pointer.split('/').skip(1);
    parts
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
        .collect()
}

fn check_pointer(pointer: &str) -> Result<(), FormatError> {
    let wrong = |why: &str| {
        Err(FormatError(format!(
            "{pointer:?} is no JSON Pointer: {why}; the field `a` is \"/a\", the document itself is \"\""
        )))
    };
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return wrong("it does not begin with `/`");
    }
    let escapes = pointer.split('~').skip(1);
    if escapes.clone().any(|rest| !rest.starts_with(['0', '1'])) {
        return wrong("a `~` is written `~0`, and a `/` in a name `~1`");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
