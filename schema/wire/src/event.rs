//! Events: what functions report, keyed by the id of the training or inference that they are
//! about. An event's id is the same however often it is sent, so readers recognise repeats.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::progress::Progress;
use crate::samples::Expected;
use crate::{FORMAT, MessageError};

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Layout version.
    pub format: u32,
    /// Identity of the fact; a repeat has the same.
    pub id: Uuid,
    /// When it happened, by the function's clock.
    pub time: DateTime<Utc>,
    /// The training or inference, the record's key.
    pub subject: Uuid,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Body {
    /// A training has read its segment and begins (or goes on) to train.
    TrainingStarted {
        /// Records for the optimizer.
        train: u64,
        /// Records for validation.
        validation: u64,
        /// Records for the final test.
        test: u64,
        /// Records that could not be used.
        bad: u64,
    },
    /// An epoch ended.
    TrainingEpoch(Epoch),
    /// A training goes on, but something is not as it should be. Of one code only the first one counts.
    TrainingWarned {
        /// A short stable code.
        code: String,
        /// What may happen, and what to do against it.
        message: String,
    },
    /// A training waits for something outside, Kafka for instance, and goes on by itself.
    TrainingWaiting {
        /// For what.
        message: String,
    },
    /// A training made a version.
    TrainingSucceeded {
        /// Hex SHA-256 of the ONNX file, its address in the artifact store.
        digest: String,
        /// Its bytes.
        size: u64,
        /// Final metrics by name (`loss`, `accuracy`, `validation_loss`, `test_accuracy`, …).
        metrics: BTreeMap<String, f64>,
        /// What the test part says of each class, where there are classes and a test part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report: Option<ClassReport>,
        /// The version after the last epoch, where the result is that of an earlier one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<LastVersion>,
        /// With what the steps were computed: the processor's instructions and the lowering
        /// (`avx512/fast`). More than one where the training went on on another machine.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        computed_on: Vec<String>,
        /// What the version answered where it was made, if that was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<Expected>,
    },
    /// A training ended without a version.
    TrainingFailed {
        /// A short stable code.
        code: String,
        /// What is wrong, whose fault it is and what to do.
        message: String,
    },
    /// A training was ended by its user.
    TrainingCancelled,
    /// A replica of an inference answers records (again).
    InferenceRunning {
        /// The replica.
        ordinal: u32,
        /// The version that it answers with.
        version: u32,
    },
    /// A replica of an inference does not do what it should, and says why.
    InferenceDegraded {
        /// The replica.
        ordinal: u32,
        /// A short stable code.
        code: String,
        /// What is wrong, whose fault it is and what to do.
        message: String,
    },
    /// A replica's heartbeat.
    InferenceProgress(Progress),
}

/// Metrics of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Which one, from 1.
    pub epoch: u32,
    /// Of how many.
    pub epochs: u32,
    /// Optimizer steps so far.
    pub step: u64,
    /// Records of the training part a second.
    pub records_per_second: f64,
    /// Metrics by name (`loss`, `accuracy`, `validation_loss`, `validation_accuracy`, …).
    pub metrics: BTreeMap<String, f64>,
}

/// What a training had made after its last epoch, where an earlier one was better.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastVersion {
    /// Hex SHA-256 of the ONNX file.
    pub digest: String,
    /// Its bytes.
    pub size: u64,
    /// Metrics of the last epoch by name.
    pub metrics: BTreeMap<String, f64>,
    /// What it answered where it was made, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<Expected>,
}

/// What a part of the records says of each class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// By the index of the class.
    pub classes: Vec<ClassMetrics>,
    /// Records by label (the row) and prediction (the column); empty where there are too many classes.
    pub confusion: Vec<Vec<u64>>,
}

/// How well one class is told from the others. A share of nothing is 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Records with this label.
    pub records: u64,
    /// The share of the predictions of this class that are right.
    pub precision: f64,
    /// The share of the records of this class that are found.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
    /// The area under the ROC curve of this class against the others; left out where there are too
    /// many classes, or records of one kind alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
}

/// Namespace of event ids, a random UUID fixed for ever.
const EVENTS: Uuid = Uuid::from_u128(0x5f0c_9b0e_70a3_4f1c_9d1e_2a6a_7f3b_81c4);

impl Event {
    /// An event in today's format. `distinction` makes its id: two events of one subject with the
    /// same distinction are one fact (`epoch-3`), whoever reports it and however often.
    #[must_use]
    pub fn new(subject: Uuid, distinction: &str, time: DateTime<Utc>, body: Body) -> Self {
        Self {
            format: FORMAT,
            id: Uuid::new_v5(&EVENTS, format!("{subject}/{distinction}").as_bytes()),
            time,
            subject,
            body,
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
        crate::read("event", bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn repeats_have_one_id_and_other_formats_are_refused() {
        let subject = Uuid::from_u128(1);
        let event = |name| Event::new(subject, name, DateTime::UNIX_EPOCH, Body::TrainingCancelled);
        assert_eq!(event("cancelled").id, event("cancelled").id);
        assert_ne!(event("cancelled").id, event("epoch-1").id);

        let json = event("cancelled").to_json();
        assert_eq!(Event::from_json(&json).unwrap(), event("cancelled"));
        let newer = String::from_utf8(json)
            .unwrap()
            .replace("\"format\":1", "\"format\":2");
        assert_eq!(
            Event::from_json(newer.as_bytes()).unwrap_err().to_string(),
            "the event has format 2, which a newer Millrace wrote; this one reads format 1: upgrade it"
        );
        assert!(matches!(
            Event::from_json(b"{}"),
            Err(MessageError::Malformed { .. })
        ));
    }
}
