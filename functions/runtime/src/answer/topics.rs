//! The topics of an inference: whether its input is still the topic that was meant, how many
//! partitions input and output have, and whether its answers may be written.
//!
//! Invariant: a topic that was deleted and one that was created again are told apart; what a
//! re-created topic holds is never taken for the records that were meant.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use millrace_kafka::{Admin, Connection, Error};
use millrace_wire::function::InferenceSpec;

use super::target::{Target, Targets};
use crate::failure::Failure;
use crate::reachable::note_health;
use crate::status::Status;

/// The codes of what may be wrong with the topics.
const INPUT_MISSING: &str = "input-topic-missing";
const INPUT_RECREATED: &str = "input-topic-recreated";
const REFUSED: &str = "not-authorized";

/// What is known of the topics, as of the last look.
pub(crate) struct Topics {
    input_partitions: AtomicI32,
    is_recreated: AtomicBool,
    /// Whether the cluster says that answers may not be written now.
    is_forbidden: AtomicBool,
    pub(crate) admin: Admin,
    pub(crate) input: String,
    /// Empty until the topic was seen, where the specification does not say which one is meant.
    input_id: OnceLock<String>,
    pub(crate) targets: Targets,
    /// Who must be allowed, in the words of Kafka's access control lists.
    principal: String,
    /// Whether records are compressed on their way.
    compresses: bool,
    connection: Connection,
    status: Status,
}

impl Topics {
    /// Those of an inference, not looked at yet.
    pub(crate) fn of(
        connection: &Connection,
        spec: &InferenceSpec,
        status: &Status,
    ) -> Result<Self, Failure> {
        let login = spec.connection.get("sasl.username");
        Ok(Self {
            input_partitions: AtomicI32::new(0),
            is_recreated: AtomicBool::new(false),
            is_forbidden: AtomicBool::new(false),
            admin: Admin::new(connection)?,
            input: spec.input_topic.clone(),
            input_id: spec
                .input_topic_id
                .clone()
                .map_or_else(OnceLock::new, OnceLock::from),
            targets: Targets::of(spec),
            principal: login.map_or("User:LOGIN".to_owned(), |name| format!("User:{name}")),
            compresses: ["compression.type", "compression.codec"]
                .iter()
                .filter_map(|name| spec.connection.get(*name))
                .any(|codec| codec != "none"),
            connection: connection.clone(),
            status: status.clone(),
        })
    }

    /// Whether the input topic is another one now. It stays so: the right one cannot come back.
    pub(crate) fn is_recreated(&self) -> bool {
        self.is_recreated.load(Ordering::Relaxed)
    }

    /// Whether the cluster says that answers may not be written now, as of the last look.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.is_forbidden.load(Ordering::Relaxed)
    }

    /// The bytes that each topic of answers takes at once.
    pub(crate) fn smallest_limit(&self) -> usize {
        let limits = self.targets.iter().map(Target::limit);
        limits.min().unwrap_or(usize::MAX)
    }

    /// Asks how large a record may be. Where that is not told, brokers refuse what is too large.
    pub(crate) fn look_at_limits(&self) {
        if self.compresses {
            return; // the limits count what is left of a record
        }
        for target in self.targets.iter() {
            match self.admin.describe_topic(&target.topic) {
                Ok(found) => {
                    target.takes(usize::try_from(found.max_message_bytes).unwrap_or(usize::MAX));
                }
                Err(error) => tracing::warn!(%error, "cannot see how large a record may be"),
            }
        }
    }

    /// The partition of a target for a record of this partition of the input.
    pub(crate) fn partition(&self, target: &Target, partition: i32, key: Option<&[u8]>) -> i32 {
        let inputs = self.input_partitions.load(Ordering::Relaxed);
        target.partition(partition, inputs, key)
    }

    /// Looks once, tells the status what it saw, and says whether all is well.
    pub(crate) fn look(&self) -> bool {
        let input = self.look_at_input();
        let found: Vec<Found> = self.targets.iter().map(|one| self.look_at(one)).collect();
        let is_forbidden = found.iter().any(|found| matches!(found, Found::Forbidden));
        self.is_forbidden.store(is_forbidden, Ordering::Relaxed);
        let is_well = input && found.iter().all(|found| matches!(found, Found::Writable));
        if is_well {
            self.status.recovered(REFUSED);
        }
        note_health(&self.connection, &self.status);
        is_well
    }

    /// What the last look found wrong, by its code.
    pub(crate) fn problem(&self) -> Option<(&'static str, String)> {
        let targets = self.targets.iter();
        [INPUT_RECREATED, INPUT_MISSING, REFUSED]
            .into_iter()
            .chain(targets.flat_map(|target| [target.missing, target.forbidden]))
            .find_map(|code| Some((code, self.status.message(code)?)))
    }

    fn look_at_input(&self) -> bool {
        match self.input_partitions_now() {
            Ok(partitions) => {
                self.status.recovered(INPUT_MISSING);
                self.input_partitions.store(partitions, Ordering::Relaxed);
                return true;
            }
            Err(Error::TopicNotFound { topic }) => self.status.degraded(
                INPUT_MISSING,
                format!(
                    "the input topic {topic} does not exist any more (or this inference may no longer see it); nothing can be read until it is back"
                ),
            ),
            Err(error @ Error::TopicRecreated { .. }) => {
                self.is_recreated.store(true, Ordering::Relaxed);
                self.status.degraded(
                    INPUT_RECREATED,
                    format!(
                        "{error}; its records are not those that this inference was made for, so none is read: delete this inference and create one on the new topic"
                    ),
                );
            }
            Err(error) => self.note(&error),
        }
        false
    }

    fn input_partitions_now(&self) -> Result<i32, Error> {
        if let Some(id) = self.input_id.get() {
            return self.admin.partitions_of(&self.input, id);
        }
        let found = self.admin.describe_topic(&self.input)?;
        self.input_id.get_or_init(|| found.id);
        Ok(found.partitions)
    }

    fn look_at(&self, target: &Target) -> Found {
        let Target { topic, purpose, .. } = target;
        let destination = match self.admin.destination(topic) {
            Ok(destination) => destination,
            Err(Error::TopicNotFound { topic }) => {
                self.status.degraded(
                    target.missing,
                    format!(
                        "the {purpose} {topic} does not exist; create it, and the inference goes on by itself"
                    ),
                );
                return Found::Nothing;
            }
            Err(error) => {
                self.note(&error);
                return Found::Nothing;
            }
        };
        self.status.recovered(target.missing);
        // Counts only grow: a record of a new partition may come before the next look.
        target.has_partitions(destination.partitions);
        if destination.may_write == Some(false) {
            let principal = &self.principal;
            self.status.degraded(
                target.forbidden,
                format!(
                    "the {purpose} {topic} may not be written to: {principal} lacks the operation Write on it. Nothing is dropped, and the inference goes on by itself when it is allowed: kafka-acls.sh --add --allow-principal {principal} --operation Write --topic {topic}"
                ),
            );
            return Found::Forbidden;
        }
        self.status.recovered(target.forbidden);
        Found::Writable
    }

    /// Tells the status of what keeps the topics from being looked at, where a person has to know.
    pub(crate) fn note(&self, error: &Error) {
        match error {
            Error::NotAuthorized { .. } | Error::Authentication { .. } => {
                self.status.degraded(REFUSED, error.to_string());
            }
            // What is left passes by itself, or shows where records are read and written.
            other => tracing::debug!(error = %other, "the topics cannot be looked at"),
        }
    }
}

/// What a look at a topic that answers go to found.
enum Found {
    Writable,
    Forbidden,
    Nothing,
}
