//! A trial: a version is run once, beside all inferences, by a process of the inference function that ends with its
//! answer. One message goes in, one comes out, each a line of JSON.

use serde::{Deserialize, Serialize};

use crate::function::InferenceSpec;
use crate::pinned::Record;
use crate::registry::Version;
use crate::samples::Expected;
use crate::{FORMAT, MessageError};

/// The argument by which the function's program makes a trial.
pub const ARGUMENT: &str = "try";

/// What is tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Layout version.
    pub format: u32,
    /// URL of the artifact store.
    pub artifacts: String,
    /// What is to be done.
    #[serde(flatten)]
    pub work: Work,
}

/// What a trial does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "kebab-case")]
pub enum Work {
    /// Whether an ONNX file gives what samples expect of it.
    Samples {
        /// Hex SHA-256 of the ONNX file.
        digest: String,
        /// The samples; how many there are is not known yet.
        samples: Expected,
    },
    /// What a version answers a record, as an inference would.
    Record {
        /// The inference; its alias is not followed.
        spec: Box<InferenceSpec>,
        /// The version.
        version: Version,
        /// The record that the answer names as its source.
        source: String,
        /// The record, as [`Bytes::of`] makes it.
        record: Bytes,
    },
}

/// What a trial showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The file gives what so many samples expect of it.
    Agrees {
        /// How many there are.
        count: u64,
    },
    /// It does not, or the samples do not fit it.
    Differs {
        /// What differs, as a sentence.
        message: String,
    },
    /// The record is answered by this value.
    Answered {
        /// The output's value.
        value: Bytes,
    },
    /// The record would be handed on to the next model.
    HandedOn,
    /// The record would go to the dead letters.
    Refused {
        /// A short stable code.
        code: String,
        /// What is wrong, as a sentence.
        message: String,
    },
    /// It could not be tried.
    Failed {
        /// Why, as a sentence.
        message: String,
    },
}

/// Bytes in a message: their hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(String);

impl Bytes {
    /// Bytes as they travel.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(hex::encode(bytes))
    }

    /// A record as it travels.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        Self::new(&prost::Message::encode_to_vec(record))
    }

    /// The bytes; nothing where these are no digits.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        hex::decode(&self.0).ok()
    }

    /// The record; nothing where these are not the bytes of one.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        prost::Message::decode(self.bytes()?.as_slice()).ok()
    }
}

impl Trial {
    /// A trial in today's format.
    #[must_use]
    pub fn new(artifacts: String, work: Work) -> Self {
        Self {
            format: FORMAT,
            artifacts,
            work,
        }
    }

    /// Its line.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        crate::write(self)
    }

    /// Reads its line.
    ///
    /// # Errors
    /// [`MessageError`] for malformed JSON and for another format.
    pub fn from_json(bytes: &[u8]) -> Result<Self, MessageError> {
        crate::read("trial", bytes)
    }
}

impl Outcome {
    /// Its line. It has no format: whoever makes a trial starts the program that answers.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        crate::write(self)
    }

    /// Reads its line.
    ///
    /// # Errors
    /// [`MessageError`] for malformed JSON.
    pub fn from_json(bytes: &[u8]) -> Result<Self, MessageError> {
        serde_json::from_slice(bytes).map_err(|source| MessageError::Malformed {
            message: "outcome of a trial",
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::samples::Tolerance;

    #[test]
    fn trials_and_their_outcomes_are_single_lines_that_read_back() {
        let samples = Expected {
            digest: "d".into(),
            size: 1,
            count: 0,
            tolerance: Tolerance::default(),
        };
        let digest = "m".into();
        let trial = Trial::new("file:///a".into(), Work::Samples { digest, samples });
        let line = trial.to_json();
        assert!(!line.contains(&b'\n'));
        assert_eq!(Trial::from_json(&line).unwrap(), trial);
        let outcome = Outcome::Differs {
            message: "two\nlines".into(),
        };
        let line = outcome.to_json();
        assert!(!line.contains(&b'\n'));
        assert_eq!(Outcome::from_json(&line).unwrap(), outcome);

        let record = Record {
            partition: 1,
            offset: 2,
            timestamp_ms: Some(3),
            key: None,
            value: Some(vec![0, 255]),
            headers: Vec::new(),
        };
        assert_eq!(Bytes::of(&record).record(), Some(record));
        assert_eq!(Bytes::new(&[0, 255]).bytes(), Some(vec![0, 255]));
    }
}
