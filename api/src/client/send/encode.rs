//! A row of text becomes the bytes of a record, by the datasource's format. A number that does
//! not fit its type is an error that names the row and the column.

mod cells;
mod fields;

use anyhow::{Context as _, Result, bail};
use millrace_wire::record::{
    AvroWriter, Beside, Composite, Encoding, Label, LabelSource, MessageWriter, Missing,
    ProtobufRecord, ProtobufWriter, RecordFormat, SchemaKey, Structure, framed, framed_message,
    image_record,
};

use self::cells::Cells;
use super::rows::Row;

/// A schema of the registry with which records are written.
pub struct Registered {
    /// Its id.
    pub id: SchemaKey,
    /// What it says, unless the format reads its records without it.
    pub text: Option<String>,
    /// The message of Protobuf in it; the first one without.
    pub message: Option<String>,
}

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

/// Encodes rows in one format.
pub struct Encoder<'f> {
    format: &'f RecordFormat,
    label: Option<&'f Label>,
    registered: Option<&'f Registered>,
    /// What writes messages, where the values are some.
    messages: Option<MessageWriter>,
}

impl<'f> Encoder<'f> {
    /// For a datasource's format and label, and for the schema that its records name, if they do.
    pub fn new(
        format: &'f RecordFormat,
        label: Option<&'f Label>,
        registered: Option<&'f Registered>,
    ) -> Result<Self> {
        let value = match format {
            RecordFormat::Record(record) => record.value.as_deref(),
            format => Some(format),
        };
        let names_schema = match value {
            Some(RecordFormat::Json(record)) => record.registry,
            Some(RecordFormat::Avro(record)) => record.writer == AvroWriter::Registry,
            Some(RecordFormat::Protobuf(record)) => record.writer == ProtobufWriter::Registry,
            _ => false,
        };
        match registered {
            None if names_schema => bail!(
                "the datasource's records name their schema in the registry: say which one it is by `--schema-id`"
            ),
            Some(_) if !names_schema => {
                bail!("the datasource's records name no schema: leave `--schema-id` out")
            }
            _ => {}
        }
        let messages = match value {
            Some(RecordFormat::Protobuf(record)) => Some(message_writer(record, registered)?),
            _ => None,
        };
        Ok(Self {
            format,
            label,
            registered,
            messages,
        })
    }

    /// Encodes one row: as many cells as the record has elements, then perhaps those of the label.
    pub fn row(&self, row: &Row<'_>) -> Result<Encoded> {
        let Self { format, label, .. } = *self;
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
            RecordFormat::Record(record) => {
                self.composite(&mut cells, record, label, &mut encoded)?;
            }
            format => encoded.value = Some(self.value(&mut cells, format, label)?),
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

    fn value(
        &self,
        cells: &mut Cells<'_>,
        format: &RecordFormat,
        label: Option<&Label>,
    ) -> Result<Vec<u8>> {
        match format {
            RecordFormat::Raw(array) => cells.array(array),
            RecordFormat::Struct(fields) => structure(cells, fields, label),
            RecordFormat::Json(record) => Ok(self.frame(fields::document(cells, record, label)?)),
            RecordFormat::Avro(record) => {
                let schema = match &record.writer {
                    AvroWriter::Schema { schema } => schema.as_str(),
                    AvroWriter::Registry => text(self.registered)?,
                };
                Ok(self.frame(fields::avro(cells, schema, record, label)?))
            }
            RecordFormat::Protobuf(record) => {
                let writer = self
                    .messages
                    .as_ref()
                    .context("messages of Protobuf cannot stand there")?;
                let message = fields::message(cells, writer, record, label)?;
                Ok(match self.registered {
                    Some(Registered { id, .. }) => {
                        framed_message(*id, &writer.indexes(*id), &message)
                    }
                    None => message,
                })
            }
            RecordFormat::Image(image) => {
                let numbers = cells.bytes(format.elements())?;
                Ok(image_record(image, &numbers)?)
            }
            RecordFormat::Record(_) => bail!("a format of a record cannot stand in another one"),
        }
    }

    /// Puts the id of the schema in front, where records name it.
    fn frame(&self, bytes: Vec<u8>) -> Vec<u8> {
        match self.registered {
            Some(registered) => framed(registered.id, &bytes),
            None => bytes,
        }
    }

    fn composite(
        &self,
        cells: &mut Cells<'_>,
        record: &Composite,
        label: Option<&Label>,
        encoded: &mut Encoded,
    ) -> Result<()> {
        if let Some(format) = &record.value {
            encoded.value = Some(self.value(cells, format, label)?);
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
}

/// What writes the messages of a format.
fn message_writer(
    record: &ProtobufRecord,
    registered: Option<&Registered>,
) -> Result<MessageWriter> {
    let (schema, message) = match &record.writer {
        ProtobufWriter::Schema { schema, message } => (schema.as_str(), message.as_deref()),
        ProtobufWriter::Registry => (
            text(registered)?,
            registered.and_then(|registered| registered.message.as_deref()),
        ),
    };
    MessageWriter::new(schema, message).context("the schema does not serve")
}

/// What the schema of the registry says.
fn text(registered: Option<&Registered>) -> Result<&str> {
    registered
        .and_then(|registered| registered.text.as_deref())
        .context("records of this format are written by their schema: give the file that holds it by `--schema`")
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

#[cfg(test)]
mod tests;
