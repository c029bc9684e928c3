//! AVRO: numbers in fields of a binary record, whose schema stands in the format or in a registry.
//!
//! A writer's schema is compiled once against the fields that are wanted; reading makes no value of anything.

mod compile;
mod cursor;
mod program;
mod read;
mod schema;
mod write;

use serde::{Deserialize, Serialize};

use self::program::{Program, Step};
use self::schema::Schema;
pub use self::write::avro_record;
use super::framing::{self, Part, SchemaKey};
use super::label::fields_of;
use super::place::{self, Field, Layout};
use super::schemas::{Known, SchemaDocument, SchemaKind};
use super::{DecodeError, FormatError, Headers, Label, Missing, Texts};

/// Where the numbers stand in an Avro record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvroRecord {
    /// Whose schema the bytes have.
    pub writer: AvroWriter,
    /// The schema at whose names the fields stand, which the writer's is resolved against; without it they stand at the
    /// writer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader_schema: Option<String>,
    /// The fields whose numbers make the record, one after another.
    pub fields: Vec<Field>,
    /// What is made of fields and numbers that are missing or null.
    #[serde(default)]
    pub missing: Missing,
}

/// Where the schema stands with which bytes were written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum AvroWriter {
    /// Here: all records have this one, and nothing stands in front of them.
    Schema {
        /// As JSON.
        schema: String,
    },
    /// In the connection's schema registry, by the id that each record carries.
    Registry,
}

impl AvroRecord {
    /// The shape of one record: that of the only field, else so many numbers.
    pub(super) fn shape(&self) -> Vec<u32> {
        place::shape_of(self.fields.iter().map(|field| field.shape.as_slice()))
    }

    pub(super) fn needs_registry(&self) -> bool {
        self.writer == AvroWriter::Registry
    }

    /// How many numbers a record has.
    pub(super) fn elements(&self) -> usize {
        super::product(&self.shape())
    }

    pub(super) fn check(&self, label: &[(&str, &[u32])]) -> Result<(), FormatError> {
        place::check(self.fields.iter().map(Field::asked), label)?;
        let layout = self.layout(label);
        let reader = self.reader_schema.as_deref();
        let reader = reader.map(|text| parse("the reader's schema", text));
        let reader = reader.transpose()?;
        let program = match (&self.writer, &reader) {
            (AvroWriter::Schema { schema }, reader) => {
                let writer = parse("the schema", schema)?;
                compile::compile(writer.name(), &writer, reader.as_ref(), &layout)
            }
            // What it does not have itself, no writer can give it.
            (AvroWriter::Registry, Some(reader)) => {
                compile::compile(reader.name(), reader, None, &layout)
            }
            (AvroWriter::Registry, None) => return Ok(()),
        };
        for step in &program.steps {
            let error = match step {
                Step::Break(reason) => program.broken(reason),
                Step::Fault { field, fault } => layout.places[*field].fault(fault.clone()),
                Step::Absent { fields, fault } => {
                    let field = &layout.places[fields[0]].pointer;
                    let fault = fault.clone();
                    let field = field.clone();
                    DecodeError::Field { field, fault }
                }
                _ => continue,
            };
            return Err(FormatError(format!(
                "{error}, in every record of the schema {}",
                program.writer
            )));
        }
        Ok(())
    }

    fn layout(&self, label: &[(&str, &[u32])]) -> Layout {
        Layout::new(self.fields.iter().map(Field::asked), label, self.missing)
    }
}

fn parse(what: &str, text: &str) -> Result<Schema, FormatError> {
    Schema::parse(text, &[]).map_err(|reason| FormatError(format!("{what} is not Avro: {reason}")))
}

/// Reads the records of one format.
pub(super) struct AvroReader {
    layout: Layout,
    reader: Option<Schema>,
    programs: Programs,
}

enum Programs {
    /// One for all records; or why there is none.
    One(Box<Result<Program, DecodeError>>),
    /// One for each schema of the registry.
    Registry(Known<Program>),
}

impl AvroReader {
    pub(super) fn new(record: &AvroRecord, label: Option<&Label>) -> Self {
        let layout = record.layout(&fields_of(label));
        let bad = |schema: &str, reason| DecodeError::BadSchema {
            schema: schema.to_owned(),
            reason,
        };
        let reader = record.reader_schema.as_deref();
        let reader = reader.map(|text| Schema::parse(text, &[]));
        let (reader, fault) = match reader.transpose() {
            Ok(reader) => (reader, None),
            Err(reason) => (None, Some(bad("of the reader", reason))),
        };
        let programs = match (&record.writer, fault) {
            (_, Some(fault)) => Programs::One(Box::new(Err(fault))),
            (AvroWriter::Schema { schema }, None) => {
                let writer = Schema::parse(schema, &[]);
                let program = writer
                    .map(|writer| {
                        compile::compile(writer.name(), &writer, reader.as_ref(), &layout)
                    })
                    .map_err(|reason| bad("of the format", reason));
                Programs::One(Box::new(program))
            }
            (AvroWriter::Registry, None) => Programs::Registry(Known::default()),
        };
        Self {
            layout,
            reader,
            programs,
        }
    }

    /// Takes in a schema that was asked for.
    pub(super) fn learn(&mut self, key: SchemaKey, document: &SchemaDocument) {
        let Programs::Registry(known) = &mut self.programs else {
            return;
        };
        let program = document.expect(SchemaKind::Avro).and_then(|()| {
            let writer = Schema::parse(&document.text, &document.references)
                .map_err(|reason| format!("it is not Avro: {reason}"))?;
            let name = format!("{key} ({})", writer.name());
            Ok(compile::compile(
                name,
                &writer,
                self.reader.as_ref(),
                &self.layout,
            ))
        });
        known.insert(key, program);
    }

    /// Appends the numbers of a part of a record.
    pub(super) fn read(
        &mut self,
        part: Part,
        bytes: &[u8],
        headers: &dyn Headers,
        row: &mut Vec<f32>,
        labels: &mut Vec<f32>,
        texts: &mut Texts,
    ) -> Result<(), DecodeError> {
        let framed;
        let (program, bytes) = match &mut self.programs {
            Programs::One(program) => match &**program {
                Ok(program) => (program, bytes),
                Err(error) => return Err(error.clone()),
            },
            Programs::Registry(known) => {
                let (key, bytes) = framing::unframe(part, bytes, headers)?.plain();
                framed = bytes;
                (known.get(key)?, &*framed)
            }
        };
        self.layout.append(row, labels, |to| {
            read::read(program, &self.layout, bytes, to, texts)
        })
    }
}

#[cfg(test)]
mod tests;
