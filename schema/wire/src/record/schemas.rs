//! Schemas as a registry gives them, and what was made of those that are known.

use super::{DecodeError, SchemaKey};

/// A schema of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaDocument {
    /// What language it is written in.
    pub kind: SchemaKind,
    /// The schema itself.
    pub text: String,
    /// The schemas that it uses, each behind those that it uses itself.
    pub references: Vec<Reference>,
}

/// A schema that another one uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// What it is called where it is used: for Protobuf its file.
    pub name: String,
    /// The schema itself.
    pub text: String,
}

/// What language a schema is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaKind {
    /// Avro.
    Avro,
    /// JSON Schema.
    Json,
    /// Protocol Buffers.
    Protobuf,
}

impl SchemaDocument {
    /// Whether it is in the language that the format wants.
    pub(super) fn expect(&self, kind: SchemaKind) -> Result<(), String> {
        if self.kind == kind {
            return Ok(());
        }
        Err(format!(
            "it is a schema of {}, and the datasource's format is {}",
            self.kind.name(),
            kind.name()
        ))
    }
}

impl SchemaKind {
    fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
    }
}

/// What was made of each schema that is known, or why nothing could be.
pub(super) struct Known<T> {
    programs: Vec<(SchemaKey, Result<T, String>)>,
    /// Where the last one was found: most records have the schema of the one before.
    last: usize,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self {
            programs: Vec::new(),
            last: 0,
        }
    }
}

impl<T> Known<T> {
    pub(super) fn insert(&mut self, key: SchemaKey, program: Result<T, String>) {
        self.programs.retain(|(known, _)| *known != key);
        self.programs.push((key, program));
    }

    pub(super) fn get(&mut self, key: SchemaKey) -> Result<&T, DecodeError> {
        self.get_mut(key).map(|program| &*program)
    }

    pub(super) fn get_mut(&mut self, key: SchemaKey) -> Result<&mut T, DecodeError> {
        if self
            .programs
            .get(self.last)
            .is_none_or(|(known, _)| *known != key)
        {
            let found = self.programs.iter().position(|(known, _)| *known == key);
            self.last = found.ok_or(DecodeError::Awaits(key))?;
        }
        let (_, program) = &mut self.programs[self.last];
        program.as_mut().map_err(|reason| DecodeError::BadSchema {
            schema: key.to_string(),
            reason: reason.clone(),
        })
    }
}
