//! JSON: numbers and texts in fields of a document.
//!
//! A field is a number, or nested arrays of one shape; `true` and `false` are 1 and 0. Around the arrays may stand one more of
//! length 1, as of a batch: programs that call a model with one record often keep it. A field that is a text is one text. Numbers without a fraction or an
//! exponent are cast as integers, the others as floating-point numbers.

mod digits;
mod document;
mod members;
mod number;
mod numbers;
mod scan;
mod short;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(super) use self::document::JsonReader;
use super::place::{self, Asked, DEPTH, tokens};
use super::{FormatError, product};

/// Where the numbers stand in a JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonRecord {
    /// The fields whose numbers make the record, one after another.
    pub fields: Vec<JsonField>,
    /// What is made of fields and numbers that are missing or `null`.
    #[serde(default)]
    pub missing: Missing,
    /// Records carry the id of their JSON Schema, as a registry's serialisers write it: it is passed over.
    #[serde(default)]
    pub registry: bool,
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
    /// It is a text itself, for a model that takes texts.
    #[serde(default, skip_serializing_if = "place::is_false")]
    pub text: bool,
}

impl JsonField {
    fn asked(&self) -> Asked<'_> {
        Asked {
            pointer: &self.pointer,
            shape: &self.shape,
            in_text: self.in_text,
            text: self.text,
        }
    }
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
        place::shape_of(self.fields.iter().map(|field| field.shape.as_slice()))
    }

    pub(super) fn check(&self, label: &[(&str, &[u32])]) -> Result<(), FormatError> {
        place::check(self.fields.iter().map(JsonField::asked), label)
    }
}

/// A field of a document that is written.
pub struct Written<'w> {
    /// Where it goes, as a JSON Pointer.
    pub pointer: &'w str,
    /// Its shape; empty for one number.
    pub shape: &'w [u32],
    /// Its numbers, or its text; `null` where one is missing.
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

#[cfg(test)]
mod tests;
