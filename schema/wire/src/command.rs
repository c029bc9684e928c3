//! Commands on the training topic, keyed by the training's id.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::training::TrainingSpec;
use crate::{FORMAT, MessageError};

/// One command to the training pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Layout version.
    pub format: u32,
    /// What to do.
    #[serde(flatten)]
    pub action: Action,
}

/// What a training function shall do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Run the training, from its checkpoint if there is one.
    Start {
        /// The whole training.
        training: Box<TrainingSpec>,
    },
    /// Go on with a training at its checkpoint. A training function says so to itself when it makes way for others.
    Continue {
        /// The whole training.
        training: Box<TrainingSpec>,
    },
    /// End the training, running or not yet begun, without a version.
    Cancel {
        /// The training's id.
        id: Uuid,
    },
}

impl Command {
    /// A command in today's format.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Self {
            format: FORMAT,
            action,
        }
    }

    /// The id of the training that it is about, the record's key.
    #[must_use]
    pub fn training_id(&self) -> Uuid {
        match &self.action {
            Action::Start { training } | Action::Continue { training } => training.id,
            Action::Cancel { id } => *id,
        }
    }

    /// The record's value.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        crate::write(self)
    }

    /// Reads a record's value.
    ///
    /// # Errors
    /// [`MessageError`] for malformed JSON and for another format.
    pub fn from_json(bytes: &[u8]) -> Result<Self, MessageError> {
        crate::read("command", bytes)
    }
}
