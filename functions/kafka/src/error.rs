//! The errors of this crate, and how librdkafka's codes become them.
//!
//! Invariant: a variant names the step that failed and what it concerned, so
//! that a caller can tell without reading text whether to wait, to stop, or to
//! ask a person.

use std::fmt;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::ffi::Failure;

/// What went wrong with Kafka.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A property's secret reference names nothing.
    #[error("the Kafka property {property} refers to {reference}, which {reason}")]
    MissingSecret {
        /// The property that holds the reference.
        property: String,
        /// The reference as it was written.
        reference: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A secret stands in a property as itself.
    #[error(
        "{property} is a secret and has to be given by reference: ${{env:NAME}} for an environment variable of Millrace and its functions, ${{file:/path}} for a file, ${{aws-secret:ARN#field}} for a secret of AWS; a schema registry's user and password stand in schema.registry.basic.auth.user.info and not in its address"
    )]
    LiteralSecret {
        /// The property that holds the secret.
        property: String,
    },
    /// A reference stands where nothing is looked up.
    #[error(
        "{property} is no secret and has to be given as it is: ${{env:NAME}} and ${{file:/path}} are looked up in passwords, keys, tokens and PEM texts only"
    )]
    MisplacedReference {
        /// The property that holds the reference.
        property: String,
    },
    /// librdkafka does not take a property.
    #[error("the Kafka property {property} was refused: {reason}")]
    Property {
        /// The refused property.
        property: String,
        /// librdkafka's reason, without any secret.
        reason: String,
    },
    /// A client could not be made from the properties.
    #[error("no Kafka client can be made from the connection's properties: {reason}")]
    Client {
        /// librdkafka's reason.
        reason: String,
    },
    /// No broker answered in time.
    #[error(
        "cannot {step}: no broker can be reached ({reason}); check the bootstrap servers and that the cluster is up, then try again"
    )]
    Unreachable {
        /// The step that failed.
        step: String,
        /// librdkafka's reason.
        reason: String,
    },
    /// The brokers refuse the credentials.
    #[error("cannot {step}: the brokers refuse the connection's credentials ({reason})")]
    Authentication {
        /// The step that failed.
        step: String,
        /// librdkafka's reason.
        reason: String,
    },
    /// The credentials are good, but do not allow the step.
    #[error("cannot {step}: not authorised ({reason}); ask the cluster's owner for the permission")]
    NotAuthorized {
        /// The step that failed.
        step: String,
        /// librdkafka's reason.
        reason: String,
    },
    /// The topic does not exist.
    #[error(
        "the topic {topic} does not exist: check its name and the connection, or make it first"
    )]
    TopicNotFound {
        /// The missing topic.
        topic: String,
    },
    /// The topic exists already.
    #[error("the topic {topic} exists already")]
    TopicExists {
        /// The existing topic.
        topic: String,
    },
    /// The topic has no such partition.
    #[error("the topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The missing partition.
        partition: i32,
    },
    /// A topic of this name exists, but it is not the one that was meant.
    #[error(
        "the topic {topic} was deleted and created again: its id is {found}, not {expected}; a segment of the old one has to be made anew, and an inference to be started with the `start` where it shall begin in the new one"
    )]
    TopicRecreated {
        /// The topic's name.
        topic: String,
        /// The id of the topic that was meant.
        expected: String,
        /// The id of the topic that is there now.
        found: String,
    },
    /// Kafka no longer keeps an offset.
    #[error("offset {offset} of {topic}/{partition} has expired: the topic keeps {low} to {high}")]
    OffsetExpired {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset asked for.
        offset: i64,
        /// The first offset kept.
        low: i64,
        /// The offset after the last one.
        high: i64,
    },
    /// An offset that has not been written yet.
    #[error(
        "offset {offset} of {topic}/{partition} lies in the future: the topic keeps {low} to {high}"
    )]
    OffsetInFuture {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset asked for.
        offset: i64,
        /// The first offset kept.
        low: i64,
        /// The offset after the last one.
        high: i64,
    },
    /// A range that starts before zero, ends before it starts, or is named twice.
    #[error("the range {start} to {end} of {topic}/{partition} is not one: {reason}")]
    InvalidRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The first offset.
        start: i64,
        /// The exclusive end.
        end: i64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A record is larger than the client or the topic allows.
    #[error(
        "cannot {step}: the record is too large ({reason}); see message.max.bytes of the connection and max.message.bytes of the topic"
    )]
    MessageTooLarge {
        /// The step that failed.
        step: String,
        /// librdkafka's reason.
        reason: String,
    },
    /// Another process has taken this one's place; it must end and not retry.
    #[error("cannot {step}: fenced by another process with the same identity ({reason})")]
    Fenced {
        /// The step that failed.
        step: String,
        /// librdkafka's reason.
        reason: String,
    },
    /// The transaction must be aborted, after which the work can be done again.
    #[error("cannot {step}: the transaction must be aborted ({reason})")]
    Abortable {
        /// The step that failed.
        step: String,
        /// librdkafka's reason.
        reason: String,
    },
    /// The brokers know of no open transaction, as where they took none of its records. librdkafka
    /// counts that as fatal: nothing is left to abort, and the work goes on with a new producer.
    #[error("cannot {step}: the brokers know of no open transaction ({reason})")]
    NoTransaction {
        /// The step that failed.
        step: String,
        /// librdkafka's reason.
        reason: String,
    },
    /// The brokers take no topic of this name.
    #[error(
        "the brokers refuse the topic name {topic:?}: it has characters that no topic may have, or a topic is there whose name differs in nothing but `.` and `_`, which Kafka cannot tell apart; choose another name"
    )]
    TopicRefused {
        /// The name.
        topic: String,
    },
    /// The consumer group still has members.
    #[error("cannot {step}: the consumer group {group} still has members")]
    GroupNotEmpty {
        /// The step that failed.
        step: String,
        /// The group.
        group: String,
    },
    /// Anything else, with librdkafka's word on whether a retry can help.
    #[error("cannot {step}: {reason}")]
    Failed {
        /// The step that failed.
        step: String,
        /// librdkafka's reason.
        reason: String,
        /// Whether the same step may succeed later.
        retriable: bool,
    },
}

impl Error {
    /// Whether the same step may succeed later without anybody's doing.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::GroupNotEmpty { .. }
                | Self::Failed {
                    retriable: true,
                    ..
                }
        )
    }

    /// Whether another process has taken this one's place.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }

    /// Whether the open transaction must be aborted before anything else.
    #[must_use]
    pub fn is_abortable(&self) -> bool {
        matches!(self, Self::Abortable { .. })
    }
}

/// The step that is under way and what it concerns: the front half of an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    doing: &'a str,
    topic: Option<&'a str>,
    partition: Option<i32>,
    group: Option<&'a str>,
}

impl<'a> Step<'a> {
    pub(crate) const fn new(doing: &'a str) -> Self {
        Self {
            doing,
            topic: None,
            partition: None,
            group: None,
        }
    }

    pub(crate) const fn topic(mut self, topic: &'a str) -> Self {
        self.topic = Some(topic);
        self
    }

    pub(crate) const fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    pub(crate) const fn group(mut self, group: &'a str) -> Self {
        self.group = Some(group);
        self
    }

    /// The error of this step for one of rdkafka's.
    pub(crate) fn kafka(self, error: &KafkaError) -> Error {
        match error {
            KafkaError::AdminOp(code) => self.code(*code, &code_text(*code)),
            KafkaError::Transaction(inner) => self.failure(&Failure {
                code: inner.code(),
                reason: inner.string(),
                is_fatal: inner.is_fatal(),
                is_retriable: inner.is_retriable(),
                is_abortable: inner.txn_requires_abort(),
            }),
            KafkaError::ClientCreation(reason) => Error::Client {
                reason: reason.clone(),
            },
            other => {
                if let Some(code) = other.rdkafka_error_code() {
                    return self.code(code, &code_text(code));
                }
                let reason = other.to_string();
                let is_retriable = reason.contains("Timed out");
                self.failed(&reason, is_retriable)
            }
        }
    }

    /// The error of this step for a transaction's or an admin call's failure.
    pub(crate) fn failure(self, failure: &Failure) -> Error {
        if is_fencing(failure.code) {
            return Error::Fenced {
                step: self.to_string(),
                reason: failure.reason.clone(),
            };
        }
        if failure.is_abortable {
            let (step, reason) = (self.to_string(), failure.reason.clone());
            // The right to write must come back before the work can be done again.
            return match failure.code {
                Code::TopicAuthorizationFailed => Error::NotAuthorized { step, reason },
                _ => Error::Abortable { step, reason },
            };
        }
        if failure.is_fatal && failure.code == Code::InvalidTransactionalState {
            return Error::NoTransaction {
                step: self.to_string(),
                reason: failure.reason.clone(),
            };
        }
        if failure.is_fatal {
            return self.failed(&failure.reason, false);
        }
        match self.code(failure.code, &failure.reason) {
            Error::Failed { step, reason, .. } if failure.is_retriable => Error::Failed {
                step,
                reason,
                retriable: true,
            },
            error => error,
        }
    }

    /// The error of this step for one of librdkafka's codes.
    pub(crate) fn code(self, code: Code, reason: &str) -> Error {
        let reason = reason.to_owned();
        let step = self.to_string();
        if is_fencing(code) {
            return Error::Fenced { step, reason };
        }
        match code {
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownTopicId => {
                match (self.topic, self.partition) {
                    (Some(topic), None) => Error::TopicNotFound {
                        topic: topic.to_owned(),
                    },
                    // Kafka has one code for both; the caller named a partition
                    // only where it knows the topic.
                    (Some(topic), Some(partition)) => Error::UnknownPartition {
                        topic: topic.to_owned(),
                        partition,
                    },
                    (None, _) => self.failed(&reason, false),
                }
            }
            Code::UnknownPartition => Error::UnknownPartition {
                topic: self.topic.unwrap_or_default().to_owned(),
                partition: self.partition.unwrap_or(-1),
            },
            Code::TopicAlreadyExists => Error::TopicExists {
                topic: self.topic.unwrap_or_default().to_owned(),
            },
            Code::InvalidTopic => Error::TopicRefused {
                topic: self.topic.unwrap_or_default().to_owned(),
            },
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed => Error::NotAuthorized { step, reason },
            Code::Authentication | Code::SSL | Code::SaslAuthenticationFailed => {
                Error::Authentication { step, reason }
            }
            Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
                Error::MessageTooLarge { step, reason }
            }
            Code::NonEmptyGroup | Code::GroupSubscribedToTopic => Error::GroupNotEmpty {
                step,
                group: self.group.unwrap_or_default().to_owned(),
            },
            Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::MessageTimedOut
            | Code::NetworkException => Error::Unreachable { step, reason },
            code => self.failed(&reason, is_transient(code)),
        }
    }

    pub(crate) fn failed(self, reason: &str, retriable: bool) -> Error {
        Error::Failed {
            step: self.to_string(),
            reason: reason.to_owned(),
            retriable,
        }
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.doing)?;
        match (self.topic, self.partition) {
            (Some(topic), Some(partition)) => write!(formatter, " {topic}/{partition}")?,
            (Some(topic), None) => write!(formatter, " {topic}")?,
            (None, _) => {}
        }
        if let Some(group) = self.group {
            write!(formatter, " of group {group}")?;
        }
        Ok(())
    }
}

/// librdkafka's sentence for a code.
pub(crate) fn code_text(code: Code) -> String {
    code.to_string()
}

/// Codes that say that a newer process holds this one's identity.
fn is_fencing(code: Code) -> bool {
    matches!(
        code,
        Code::Fenced
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::FencedInstanceId
            | Code::TransactionCoordinatorFenced
    )
}

/// Codes that librdkafka or the broker gets over by itself: a reader that meets
/// one goes on polling.
pub(crate) fn is_transient(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::WaitingForCoordinator
            | Code::WaitCache
            | Code::InProgress
            | Code::PreviousInProgress
            | Code::NodeUpdate
            | Code::BrokerDestroy
            | Code::DestroyBroker
            | Code::Retry
            | Code::Outdated
            | Code::QueueFull
            | Code::PollExceeded
            | Code::RequestTimedOut
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::MemberIdRequired
            | Code::RebalanceInProgress
            | Code::NotController
            | Code::ConcurrentTransactions
            | Code::KafkaStorageError
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::UnstableOffsetCommit
            | Code::ThrottlingQuotaExceeded
            | Code::FetchSessionIdNotFound
            | Code::InvalidFetchSessionEpoch
            | Code::StaleBrokerEpoch
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_what_callers_tell_apart() {
        let step = Step::new("read").topic("t");
        assert_eq!(
            step.code(Code::UnknownTopicOrPartition, "x"),
            Error::TopicNotFound { topic: "t".into() }
        );
        assert_eq!(
            step.partition(3).code(Code::UnknownTopicOrPartition, "x"),
            Error::UnknownPartition {
                topic: "t".into(),
                partition: 3
            }
        );
        assert!(step.code(Code::ProducerFenced, "x").is_fenced());
        assert!(step.code(Code::AllBrokersDown, "x").is_retriable());
        assert!(step.code(Code::NotLeaderForPartition, "x").is_retriable());
        assert!(!step.code(Code::InvalidConfig, "x").is_retriable());
        assert!(matches!(
            step.code(Code::TopicAuthorizationFailed, "x"),
            Error::NotAuthorized { .. }
        ));
    }

    #[test]
    fn an_error_names_step_topic_and_partition() {
        let error = Step::new("read")
            .topic("orders")
            .partition(2)
            .code(Code::InvalidConfig, "no");
        assert_eq!(error.to_string(), "cannot read orders/2: no");
    }

    #[test]
    fn fencing_wins_over_abort_and_fatal() {
        let failure = Failure {
            code: Code::Fenced,
            reason: "newer".into(),
            is_fatal: true,
            is_retriable: false,
            is_abortable: true,
        };
        assert!(Step::new("commit").failure(&failure).is_fenced());
        let failure = Failure {
            code: Code::MessageTimedOut,
            is_fatal: false,
            ..failure
        };
        assert!(Step::new("commit").failure(&failure).is_abortable());
    }
}
