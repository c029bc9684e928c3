//! Why a training does not go on: by its own fault, by its user's wish, or
//! because this process has to let go of it.

use millrace_artifacts::Error as ArtifactError;
use millrace_kafka::Error as KafkaError;

/// What ends the work on a training before its last epoch.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// It can't succeed.
    Failed(Failure),
    /// Its user no longer wants it.
    Cancelled,
    /// This process ends, or gives the training's partition up: whoever reads the command again goes on.
    Interrupted,
    /// Its turn is over: it has a checkpoint, at which another command goes on.
    Paused,
    /// Another process has begun to run it, and this one writes nothing more of it.
    TakenOver,
}

/// Why a training failed, as it is reported.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Stable, for programs.
    pub code: &'static str,
    /// For people: what is wrong, whose fault it is and what to do.
    pub message: String,
}

impl Failure {
    /// A failure with its code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// What the artifact store said about the file that `what` names.
    pub fn artifact(what: &str, error: &ArtifactError) -> Self {
        let code = match error {
            ArtifactError::NotFound(_) => "artifact-missing",
            ArtifactError::Corrupt { .. } => "artifact-damaged",
            ArtifactError::DiskFull { .. } => "disk-full",
            _ => "artifact-store",
        };
        Self::new(code, format!("{what}: {error}"))
    }

    /// What Kafka said, where waiting does not help.
    pub fn kafka(error: &KafkaError) -> Self {
        let code = match error {
            KafkaError::OffsetExpired { .. } => "segment-expired",
            KafkaError::OffsetInFuture { .. } => "segment-in-future",
            KafkaError::TopicRecreated { .. } => "topic-recreated",
            KafkaError::TopicNotFound { .. } => "topic-missing",
            KafkaError::UnknownPartition { .. } | KafkaError::InvalidRange { .. } => {
                "segment-changed"
            }
            KafkaError::Authentication { .. } => "kafka-authentication",
            KafkaError::NotAuthorized { .. } => "kafka-authorization",
            KafkaError::MissingSecret { .. } | KafkaError::Property { .. } => "kafka-connection",
            _ => "kafka",
        };
        let message = match code {
            "segment-expired" => format!(
                "the segment can't be read any more: {error}; make a new segment of what is there"
            ),
            "segment-in-future" => format!(
                "the segment can't be read: {error}; its topic was not the one that the segment was made from"
            ),
            _ => error.to_string(),
        };
        Self::new(code, message)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
