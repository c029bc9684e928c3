//! The registry topic: which version each alias points at. The API alone writes it; functions
//! that follow an alias read it, or the object beside it that holds the same pointer.

use serde::{Deserialize, Serialize};

use crate::samples::Expected;
use crate::signature::Signature;
use crate::{FORMAT, MessageError};

/// What an alias points at. A tombstone under the same key means that the alias was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// Layout version.
    pub format: u32,
    /// The project's name.
    pub project: String,
    /// The model's name.
    pub model: String,
    /// The alias.
    pub alias: String,
    /// When the alias was moved, in microseconds since 1970; later than every move before. Records may be written twice
    /// after a crash, in their order: one that is older than another before it is such a repeat. A time and no count, so
    /// that the moves of a database that was made anew, or restored, come after those that the topic has.
    #[serde(alias = "moves")]
    pub moved_at_us: i64,
    /// The version.
    #[serde(flatten)]
    pub version: Version,
}

/// A version as functions need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number within the model.
    pub version: u32,
    /// Hex SHA-256 of the ONNX file, its address in the artifact store.
    pub digest: String,
    /// Bytes of the ONNX file.
    pub size: u64,
    /// Inputs and outputs.
    pub signature: Signature,
    /// What it has to answer on a function's own machine before it takes traffic, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<Expected>,
}

/// The key of an alias's record.
#[must_use]
pub fn key(project: &str, model: &str, alias: &str) -> String {
    format!("{project}/{model}@{alias}")
}

/// The object of the artifact store that holds the same pointer as the alias's newest record, by that record's key: for
/// functions that hold no consumer of their own.
#[must_use]
pub fn object(key: &str) -> String {
    format!("aliases/{}", key.replace('@', "/"))
}

impl Pointer {
    /// A pointer in today's format.
    #[must_use]
    pub fn new(
        project: &str,
        model: &str,
        alias: &str,
        moved_at_us: i64,
        version: Version,
    ) -> Self {
        Self {
            format: FORMAT,
            project: project.to_owned(),
            model: model.to_owned(),
            alias: alias.to_owned(),
            moved_at_us,
            version,
        }
    }

    /// Its record's key.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.project, &self.model, &self.alias)
    }

    /// Its record's value.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        crate::write(self)
    }

    /// Reads a record's value.
    ///
    /// # Errors
    /// [`MessageError`] for malformed JSON and for another format.
    pub fn from_json(bytes: &[u8]) -> Result<Self, MessageError> {
        crate::read("registry", bytes)
    }
}
