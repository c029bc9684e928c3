//! Documents and Avro records of the cells of a row.

use std::str::FromStr;

use anyhow::{Result, anyhow};
use millrace_wire::record::{
    self, AvroRecord, Field, JsonRecord, Label, MessageWriter, Missing, ProtobufRecord, Written,
};
use serde_json::{Number, Value};

use super::cells::Cells;

/// A document of the numbers in their fields, and of a label that stands in one.
pub(super) fn document(
    cells: &mut Cells<'_>,
    format: &JsonRecord,
    label: Option<&Label>,
) -> Result<Vec<u8>> {
    let fields = format.fields.iter();
    let fields = fields.map(|field| Column {
        pointer: &field.pointer,
        shape: &field.shape,
        in_text: field.in_text,
        text: field.text,
    });
    written(cells, fields, format.missing, label, |fields| {
        Ok(record::document(fields).to_string().into_bytes())
    })
}

/// An Avro record of the numbers in their fields, and of a label that stands in one.
pub(super) fn avro(
    cells: &mut Cells<'_>,
    schema: &str,
    format: &AvroRecord,
    label: Option<&Label>,
) -> Result<Vec<u8>> {
    let row = cells.row();
    let fields = format.fields.iter();
    let fields = fields.map(Column::of);
    written(cells, fields, format.missing, label, |fields| {
        record::avro_record(schema, fields).map_err(|error| anyhow!("row {row}: {error}"))
    })
}

/// A message of the numbers in their fields, and of a label that stands in one.
pub(super) fn message(
    cells: &mut Cells<'_>,
    writer: &MessageWriter,
    format: &ProtobufRecord,
    label: Option<&Label>,
) -> Result<Vec<u8>> {
    let row = cells.row();
    let fields = format.fields.iter();
    let fields = fields.map(Column::of);
    written(cells, fields, format.missing, label, |fields| {
        let message = writer.write(fields);
        message.map_err(|error| anyhow!("row {row}: {error}"))
    })
}

/// A field that cells fill.
struct Column<'f> {
    pointer: &'f str,
    shape: &'f [u32],
    in_text: bool,
    text: bool,
}

impl<'f> Column<'f> {
    fn of(field: &'f Field) -> Self {
        Self {
            pointer: &field.pointer,
            shape: &field.shape,
            in_text: false,
            text: field.text,
        }
    }
}

/// What `write` makes of the fields.
fn written<'f>(
    cells: &mut Cells<'_>,
    fields: impl Iterator<Item = Column<'f>>,
    missing: Missing,
    label: Option<&'f Label>,
    write: impl FnOnce(&[Written<'_>]) -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let mut read = Vec::new();
    for field in fields {
        let values = if field.text {
            vec![text(cells, missing)?]
        } else {
            numbers(cells, field.shape, missing)?
        };
        read.push((field.pointer, field.shape, field.in_text, values));
    }
    let mut label_cells = cells.label();
    for (pointer, shape) in label.map(Label::fields).unwrap_or_default() {
        let numbers = numbers(&mut label_cells, shape, missing)?;
        read.push((pointer, shape, false, numbers));
    }
    let fields = read
        .iter()
        .map(|(pointer, shape, in_text, numbers)| Written {
            pointer,
            shape,
            numbers,
            in_text: *in_text,
        });
    write(&fields.collect::<Vec<_>>())
}

fn numbers(cells: &mut Cells<'_>, shape: &[u32], missing: Missing) -> Result<Vec<Value>> {
    let elements = shape.iter().map(|size| *size as usize).product();
    (0..elements).map(|_| number(cells, missing)).collect()
}

/// The text of a cell; an empty one is `null` where that is allowed.
fn text(cells: &mut Cells<'_>, missing: Missing) -> Result<Value> {
    let (_, text) = cells.take()?;
    Ok(match text {
        "" if missing == Missing::Nan => Value::Null,
        text => Value::from(text),
    })
}

/// What stands in a cell, as it stands there; an empty one is `null` where that is allowed.
fn number(cells: &mut Cells<'_>, missing: Missing) -> Result<Value> {
    let (at, text) = cells.take()?;
    if text.is_empty() && missing == Missing::Nan {
        return Ok(Value::Null);
    }
    let number = Number::from_str(text).ok();
    let number = number.or_else(|| Number::from_f64(text.parse().ok()?));
    number
        .map(Value::Number)
        .ok_or_else(|| anyhow!("{at}: {text:?} is not a number"))
}
