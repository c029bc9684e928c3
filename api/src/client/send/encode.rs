//! A row of text becomes the bytes of a record, by the datasource's format. A number that does
//! not fit its type is an error that names the row and the column.

mod cells;
mod fields;

use anyhow::{Result, bail};
use millrace_wire::record::{
    Beside, Composite, Encoding, Label, LabelSource, Missing, RecordFormat, Structure,
};

use self::cells::Cells;
use super::rows::Row;

/// A record's bytes.
#[derive(Default)]
pub struct Encoded {
    /// The key, where something stands in it.
    pub key: Option<Vec<u8>>,
    /// The value, unless nothing is said about it.
    pub value: Option<Vec<u8>>,
    /// The headers in which something stands.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Encodes one row: as many cells as the record has elements, then perhaps those of the label.
pub fn row(row: &Row<'_>, format: &RecordFormat, label: Option<&Label>) -> Result<Encoded> {
    let elements = columns(format);
    let label = match (row.cells.len().checked_sub(elements), label) {
        (Some(0), _) => None,
        (Some(more), Some(label)) if more == label.elements() => Some(label),
        _ => bail!(
            "row {} has {} columns; the datasource's records have {elements} elements{}",
            row.number,
            row.cells.len(),
            match label.map(Label::elements) {
                None => String::new(),
                Some(1) => ", which a label may follow".to_owned(),
                Some(more) => format!(", which the {more} of a label may follow"),
            }
        ),
    };
    let mut cells = Cells::new(row, elements);
    let mut encoded = Encoded::default();
    match format {
        RecordFormat::Record(record) => composite(&mut cells, record, label, &mut encoded)?,
        format => encoded.value = Some(value(&mut cells, format, label)?),
    }
    let Some(label) = label else {
        return Ok(encoded);
    };
    match &label.source {
        LabelSource::Header { name } => {
            let bytes = cells.label().encoding(&label.encoding)?;
            encoded.headers.push((name.clone(), bytes));
        }
        LabelSource::Key => encoded.key = Some(cells.label().encoding(&label.encoding)?),
        // It stands in the value.
        LabelSource::Field { .. } | LabelSource::Fields { .. } => {}
    }
    Ok(encoded)
}

/// How many columns a record has: a timestamp has none, since records get the present one.
fn columns(format: &RecordFormat) -> usize {
    let times = match format {
        RecordFormat::Record(record) => {
            let beside = record.beside.iter();
            beside
                .filter(|beside| matches!(beside, Beside::Timestamp { .. }))
                .count()
        }
        _ => 0,
    };
    format.elements() - times
}

fn value(cells: &mut Cells<'_>, format: &RecordFormat, label: Option<&Label>) -> Result<Vec<u8>> {
    match format {
        RecordFormat::Raw(array) => cells.array(array),
        RecordFormat::Struct(fields) => structure(cells, fields, label),
        RecordFormat::Json(record) => fields::document(cells, record, label),
        RecordFormat::Avro(record) => fields::avro(cells, record, label),
        RecordFormat::Protobuf(_) => {
            bail!("rows cannot be sent as messages of Protobuf: send them with your own producer")
        }
        RecordFormat::Image(_) => {
            bail!("rows cannot be sent as images: send them with your own producer")
        }
        RecordFormat::Record(_) => bail!("a format of a record cannot stand in another one"),
    }
}

/// What is no feature is 0.
fn structure(
    cells: &mut Cells<'_>,
    structure: &Structure,
    label: Option<&Label>,
) -> Result<Vec<u8>> {
    // The label's cells follow each other as its fields are named, wherever their bytes stand.
    let mut label_cells = cells.label();
    let mut labels = Vec::new();
    for (pointer, _) in label.map(Label::fields).unwrap_or_default() {
        let mut fields = structure.fields.iter();
        if let Some(field) = fields.find(|field| field.is_at(pointer)) {
            labels.push((&field.name, label_cells.array(&field.array())?));
        }
    }
    let mut bytes = Vec::new();
    for field in &structure.fields {
        let array = field.array();
        if let Some((_, label)) = labels.iter().find(|(name, _)| *name == &field.name) {
            bytes.extend(label);
        } else if field.skip {
            bytes.resize(bytes.len() + array.bytes(), 0);
        } else {
            bytes.extend(cells.array(&array)?);
        }
    }
    Ok(bytes)
}

fn composite(
    cells: &mut Cells<'_>,
    record: &Composite,
    label: Option<&Label>,
    encoded: &mut Encoded,
) -> Result<()> {
    if let Some(format) = &record.value {
        encoded.value = Some(value(cells, format, label)?);
    }
    let mut part = |encoding: &Encoding| {
        if record.missing == Missing::Nan && cells.pass_empty(encoding.elements())? {
            return Ok(None);
        }
        cells.encoding(encoding).map(Some)
    };
    for beside in &record.beside {
        match beside {
            Beside::Key { encoding } => encoded.key = part(encoding)?,
            Beside::Header { name, encoding } => {
                if let Some(bytes) = part(encoding)? {
                    encoded.headers.push((name.clone(), bytes));
                }
            }
            Beside::Timestamp { .. } => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
