//! Watches the topics of an inference: whether its input is still the topic that was meant, how
//! many partitions input and output have, and whether its answers may be written.
//!
//! Invariant: a topic that was deleted and one that was created again are told apart; what a
//! re-created topic holds is never taken for the records that were meant.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use chrono::Utc;
use millrace_kafka::{Admin, Connection, Error};
use millrace_wire::function::{Ends, InferenceSpec};

use super::lag::Lags;
use super::target::{Target, Targets};
use crate::failure::Failure;
use crate::shutdown::Shutdown;
use crate::status::Status;

/// How often the topics are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// The codes of what may be wrong with the topics.
const INPUT_MISSING: &str = "input-topic-missing";
const INPUT_RECREATED: &str = "input-topic-recreated";
const REFUSED: &str = "not-authorized";

/// What is known of the topics; shared with the thread that looks at them.
pub(super) struct Topics {
    input_partitions: AtomicI32,
    is_recreated: AtomicBool,
    /// Whether the cluster says that answers may not be written now.
    is_forbidden: AtomicBool,
    /// Where the input's partitions end, of an inference over a span. They only move on.
    ends: Option<Mutex<BTreeMap<i32, i64>>>,
    /// The consumer group that moves them.
    ahead: Option<String>,
    admin: Admin,
    input: String,
    input_id: String,
    pub(super) targets: Targets,
    /// How far the replica is behind.
    pub(super) lags: Arc<Lags>,
    /// Who must be allowed, in the words of Kafka's access control lists.
    principal: String,
    /// Whether records are compressed on their way.
    compresses: bool,
    connection: Connection,
    status: Status,
    shutdown: Shutdown,
}

impl Topics {
    /// Waits until the topics are there and the input is the right one, and goes on to watch them.
    /// Nothing where the function shall end first.
    pub(super) fn watch(
        connection: &Connection,
        spec: &InferenceSpec,
        status: &Status,
        shutdown: &Shutdown,
    ) -> Result<Option<Arc<Self>>, Failure> {
        let login = spec.connection.get("sasl.username");
        let ends = spec.span.as_ref().map(|span| &span.ends);
        let topics = Arc::new(Self {
            input_partitions: AtomicI32::new(0),
            is_recreated: AtomicBool::new(false),
            is_forbidden: AtomicBool::new(false),
            ends: ends.map(|ends| match ends {
                Ends::At(ends) => {
                    let ends = ends.iter().map(|end| (end.partition, end.offset));
                    Mutex::new(ends.collect())
                }
                Ends::Behind(_) => Mutex::default(),
            }),
            ahead: match ends {
                Some(Ends::Behind(group)) => Some(group.clone()),
                Some(Ends::At(_)) | None => None,
            },
            admin: Admin::new(connection)?,
            input: spec.input_topic.clone(),
            input_id: spec.input_topic_id.clone(),
            targets: Targets::of(spec),
            lags: Arc::new(Lags::of(&spec.input_topic)),
            principal: login.map_or("User:LOGIN".to_owned(), |name| format!("User:{name}")),
            compresses: ["compression.type", "compression.codec"]
                .iter()
                .filter_map(|name| spec.connection.get(*name))
                .any(|codec| codec != "none"),
            connection: connection.clone(),
            status: status.clone(),
            shutdown: shutdown.clone(),
        });
        while !topics.look() {
            if shutdown.wait(INTERVAL) {
                return Ok(None);
            }
        }
        topics.look_at_limits();
        let watched = Arc::clone(&topics);
        thread::Builder::new()
            .name("topics".to_owned())
            .spawn(move || {
                while !watched.shutdown.wait(INTERVAL) {
                    watched.look();
                    watched.measure();
                }
            })
            .map_err(|error| Failure::failed(format!("cannot watch the topics: {error}")))?;
        Ok(Some(topics))
    }

    /// Whether the input topic is another one now. It stays so: the right one cannot come back.
    pub(super) fn is_recreated(&self) -> bool {
        self.is_recreated.load(Ordering::Relaxed)
    }

    /// Whether the cluster says that answers may not be written now, as of the last look.
    pub(super) fn is_forbidden(&self) -> bool {
        self.is_forbidden.load(Ordering::Relaxed)
    }

    /// Where the input's partitions end, as of the last look, of an inference over a span.
    pub(super) fn ends(&self) -> Option<BTreeMap<i32, i64>> {
        let ends = self.ends.as_ref()?;
        Some(ends.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// The bytes that each topic of answers takes at once.
    pub(super) fn smallest_limit(&self) -> usize {
        let limits = self.targets.iter().map(Target::limit);
        limits.min().unwrap_or(usize::MAX)
    }

    /// Asks how large a record may be. Where that is not told, brokers refuse what is too large.
    pub(super) fn look_at_limits(&self) {
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
    pub(super) fn partition(&self, target: &Target, partition: i32, key: Option<&[u8]>) -> i32 {
        let inputs = self.input_partitions.load(Ordering::Relaxed);
        target.partition(partition, inputs, key)
    }

    /// Looks once, tells the status what it saw, and says whether all is well.
    pub(super) fn look(&self) -> bool {
        let input = self.look_at_input();
        self.follow();
        let found: Vec<Found> = self.targets.iter().map(|one| self.look_at(one)).collect();
        let is_forbidden = found.iter().any(|found| matches!(found, Found::Forbidden));
        self.is_forbidden.store(is_forbidden, Ordering::Relaxed);
        let is_well = input && found.iter().all(|found| matches!(found, Found::Writable));
        if is_well {
            self.status.recovered(REFUSED);
        }
        super::note_health(&self.connection, &self.status);
        is_well
    }

    /// Looks how far the replica is behind.
    fn measure(&self) {
        let held = self.lags.partitions();
        match self.admin.stable_ends(&self.input, &held) {
            Ok(mut ends) => {
                if let Some(last) = self.ends() {
                    for (partition, end) in &mut ends {
                        *end = last.get(partition).map_or(0, |last| *last.min(end));
                    }
                }
                self.lags.measured(&ends, Utc::now());
            }
            Err(error) => tracing::debug!(%error, "cannot see how far this replica is behind"),
        }
    }

    fn look_at_input(&self) -> bool {
        match self.admin.partitions_of(&self.input, &self.input_id) {
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
            Err(error) => self.other(&error),
        }
        false
    }

    /// Looks where the group is that is never overtaken. Where it has not been seen yet, nothing is
    /// read; where it cannot be seen now, what it had reached counts.
    fn follow(&self) {
        let (Some(group), Some(ends)) = (&self.ahead, &self.ends) else {
            return;
        };
        match self.admin.committed(group, &self.input) {
            Ok(committed) => {
                let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
                for offset in committed {
                    let end = ends.entry(offset.partition).or_insert(offset.offset);
                    *end = offset.offset.max(*end);
                }
            }
            Err(error) => self.other(&error),
        }
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
                self.other(&error);
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

    fn other(&self, error: &Error) {
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
