//! PROTOBUF: numbers in fields of a message, whose `.proto` file stands in the format or in a registry.
//!
//! A message type is compiled once against the fields that are wanted; reading makes no message.

mod compile;
mod key;
mod read;
mod write;

use protox::prost_reflect::MessageDescriptor;
use serde::{Deserialize, Serialize};

use self::compile::{Program, parse};
use self::read::State;
pub use self::write::MessageWriter;
use super::framing::{self, Part, SchemaKey};
use super::label::fields_of;
use super::place::{self, Field, Layout};
use super::schemas::{Known, SchemaDocument, SchemaKind};
use super::{DecodeError, FormatError, Headers, Label, Missing, Texts, varint};

/// Where the numbers stand in a message of Protocol Buffers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProtobufRecord {
    /// Whose schema the bytes have.
    pub writer: ProtobufWriter,
    /// The fields whose numbers make the record, one after another, by the names of the message's fields.
    pub fields: Vec<Field>,
    /// What is made of fields that are not there.
    #[serde(default)]
    pub missing: Missing,
}

/// Where the schema stands with which messages were written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum ProtobufWriter {
    /// Here: all records have this one, and nothing stands in front of them.
    Schema {
        /// The text of a `.proto` file.
        schema: String,
        /// The full name of the message in it; the first one where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// In the connection's schema registry, by the id and the message's place in its file that each record carries.
    Registry,
}

impl ProtobufRecord {
    pub(super) fn needs_registry(&self) -> bool {
        self.writer == ProtobufWriter::Registry
    }

    /// The shape of one record: that of the only field, else so many numbers.
    pub(super) fn shape(&self) -> Vec<u32> {
        place::shape_of(self.fields.iter().map(|field| field.shape.as_slice()))
    }

    pub(super) fn check(&self, label: &[(&str, &[u32])]) -> Result<(), FormatError> {
        place::check(self.fields.iter().map(Field::asked), label)?;
        let ProtobufWriter::Schema { schema, message } = &self.writer else {
            return Ok(());
        };
        let layout = self.layout(label);
        let program = of_text(schema, message.as_deref(), &layout);
        program
            .map(|_| ())
            .map_err(|reason| FormatError(format!("the schema does not serve: {reason}")))
    }

    fn layout(&self, label: &[(&str, &[u32])]) -> Layout {
        Layout::new(self.fields.iter().map(Field::asked), label, self.missing)
    }
}

/// The program for a message of a file.
fn of_text(schema: &str, message: Option<&str>, layout: &Layout) -> Result<Program, String> {
    compile::compile(&find(schema, message)?, layout)
}

/// A message of a file, by its full name; the first one without a name.
fn find(schema: &str, message: Option<&str>) -> Result<MessageDescriptor, String> {
    let messages = parse(schema, &[])?;
    let found = match message {
        None => messages.first().cloned(),
        Some(name) => messages
            .first()
            .and_then(|first| first.parent_pool().get_message_by_name(name)),
    };
    found.ok_or_else(|| match message {
        None => "it has no message".to_owned(),
        Some(name) => format!("it has no message {name}; give the name with its package"),
    })
}

/// Reads the records of one format.
pub(super) struct ProtobufReader {
    layout: Layout,
    programs: Programs,
    state: State,
}

enum Programs {
    One(Box<Result<Program, DecodeError>>),
    Registry(Known<Messages>),
}

/// The messages of a file of the registry, and the programs for those that came.
struct Messages {
    /// Those among which the first index of a record counts.
    roots: Vec<MessageDescriptor>,
    programs: Vec<(Vec<u32>, Result<Program, String>)>,
}

impl ProtobufReader {
    pub(super) fn new(record: &ProtobufRecord, label: Option<&Label>) -> Self {
        let layout = record.layout(&fields_of(label));
        let programs = match &record.writer {
            ProtobufWriter::Schema { schema, message } => {
                let program = of_text(schema, message.as_deref(), &layout);
                let program = program.map_err(|reason| DecodeError::BadSchema {
                    schema: "of the format".to_owned(),
                    reason,
                });
                Programs::One(Box::new(program))
            }
            ProtobufWriter::Registry => Programs::Registry(Known::default()),
        };
        Self {
            state: State::default(),
            layout,
            programs,
        }
    }

    /// Takes in a schema that was asked for.
    pub(super) fn learn(&mut self, key: SchemaKey, document: &SchemaDocument) {
        let Programs::Registry(known) = &mut self.programs else {
            return;
        };
        let roots = document
            .expect(SchemaKind::Protobuf)
            .and_then(|()| parse(&document.text, &document.references));
        let roots = roots.map(|roots| match key {
            SchemaKey::Glue(_) => by_name(roots),
            SchemaKey::Id(_) | SchemaKey::Guid(_) => roots,
        });
        known.insert(
            key,
            roots.map(|roots| Messages {
                roots,
                programs: Vec::new(),
            }),
        );
    }

    /// Appends the numbers of a value.
    pub(super) fn read(
        &mut self,
        value: &[u8],
        headers: &dyn Headers,
        row: &mut Vec<f32>,
        labels: &mut Vec<f32>,
        texts: &mut Texts,
    ) -> Result<(), DecodeError> {
        let Self {
            layout,
            programs,
            state,
        } = self;
        let framed;
        let (program, bytes) = match programs {
            Programs::One(program) => match &**program {
                Ok(program) => (program, value),
                Err(error) => return Err(error.clone()),
            },
            Programs::Registry(known) => {
                framed = framing::unframe(Part::Value, value, headers)?;
                let (indexes, rest) = match framed.schema {
                    SchemaKey::Glue(_) => message_index(&framed.rest)?,
                    SchemaKey::Id(_) | SchemaKey::Guid(_) => message_indexes(&framed.rest)?,
                };
                let program = known.get_mut(framed.schema)?.program(&indexes, layout);
                let program = program.map_err(|reason| DecodeError::Schema {
                    writer: framed.schema.to_string(),
                    reader: None,
                    reason: reason.clone(),
                })?;
                (program, framed.bytes.unwrap_or(rest))
            }
        };
        layout.append(row, labels, |to| {
            read::read(program, layout, state, bytes, to, texts)
        })
    }
}

impl Messages {
    fn program(&mut self, indexes: &[u32], layout: &Layout) -> Result<&Program, &String> {
        let known = self.programs.iter();
        let known = known.clone().position(|(known, _)| known == indexes);
        let place = known.unwrap_or_else(|| {
            let message = at(&self.roots, indexes);
            let program = message
                .ok_or_else(|| format!("it has no message with the indexes {indexes:?}"))
                .and_then(|message| compile::compile(&message, layout));
            self.programs.push((indexes.to_vec(), program));
            self.programs.len() - 1
        });
        self.programs[place].1.as_ref()
    }
}

/// The message that lies so: the first index among the file's, each further one among those in the message before.
fn at(roots: &[MessageDescriptor], indexes: &[u32]) -> Option<MessageDescriptor> {
    let (first, rest) = indexes.split_first()?;
    let mut message = roots.get(*first as usize)?.clone();
    for index in rest {
        let inner = message.child_messages().nth(*index as usize);
        message = inner?;
    }
    Some(message)
}

/// All messages of a file, those within others too, as AWS's registry counts them: by their full names.
fn by_name(roots: Vec<MessageDescriptor>) -> Vec<MessageDescriptor> {
    let (mut all, mut next) = (roots, 0);
    while let Some(message) = all.get(next) {
        let inner: Vec<MessageDescriptor> = message.child_messages().collect();
        all.extend(inner);
        next += 1;
    }
    all.sort_by(|one, other| one.full_name().cmp(other.full_name()));
    all
}

/// Reads which message of its file follows, in AWS's way: its index among all of them.
fn message_index(bytes: &[u8]) -> Result<(Vec<u32>, &[u8]), DecodeError> {
    let mut left = bytes;
    let index = varint::take(&mut left).and_then(|index| u32::try_from(index).ok());
    let index = index.ok_or_else(|| DecodeError::Framing {
        part: "value".to_owned(),
        reason: "the message's index behind the id of the schema's version is no number".to_owned(),
    })?;
    Ok((vec![index], left))
}

/// Reads which message of its file follows: how many indexes, then the indexes, all of variable length and zigzag. A single
/// 0 stands for the first message.
fn message_indexes(bytes: &[u8]) -> Result<(Vec<u32>, &[u8]), DecodeError> {
    let cut = || DecodeError::Framing {
        part: "value".to_owned(),
        reason: "the message indexes behind the schema's id are no numbers".to_owned(),
    };
    let mut left = bytes;
    let mut next = || -> Option<u32> {
        let number = varint::take(&mut left)?;
        // Zigzag: no index is negative.
        let is_positive = number & 1 == 0;
        is_positive.then(|| u32::try_from(number >> 1).ok())?
    };
    let count = next().ok_or_else(cut)?;
    // Messages do not lie deeper in each other than bytes follow.
    let mut indexes = Vec::new();
    for _ in 0..count {
        indexes.push(next().ok_or_else(cut)?);
    }
    if indexes.is_empty() {
        indexes.push(0);
    }
    Ok((indexes, left))
}

/// What a registry's serialiser puts in front of a message: its schema's id, and the place of a message in its file, as
/// [`MessageWriter::indexes`] has it.
#[must_use]
pub fn framed_message(schema: impl Into<SchemaKey>, indexes: &[u32], message: &[u8]) -> Vec<u8> {
    let schema = schema.into();
    let mut bytes = super::framed(schema, &[]);
    let mut push = |mut rest: usize| {
        while rest >= 0x80 {
            bytes.push(u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80);
            rest >>= 7;
        }
        bytes.push(u8::try_from(rest).unwrap_or_default());
    };
    match schema {
        SchemaKey::Glue(_) => indexes.iter().for_each(|index| push(*index as usize)),
        SchemaKey::Id(_) | SchemaKey::Guid(_) => {
            // Zigzag, as whoever might be negative.
            let numbers = if indexes == [0] { &[] } else { indexes };
            push(numbers.len() << 1);
            for index in numbers {
                push((*index as usize) << 1);
            }
        }
    }
    bytes.extend_from_slice(message);
    bytes
}

#[cfg(test)]
mod tests;
