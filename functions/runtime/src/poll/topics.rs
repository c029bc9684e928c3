//! Watches the topics of an inference: whether its input is still the topic that was meant, and how
//! many partitions input and output have.
//!
//! Invariant: a topic that was deleted and one that was created again are told apart; what a
//! re-created topic holds is never taken for the records that were meant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use millrace_kafka::{Admin, Connection, Error, partition_by_key};
use millrace_wire::function::InferenceSpec;

use crate::failure::Failure;
use crate::shutdown::Shutdown;
use crate::status::Status;

/// How often the topics are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// The codes of what may be wrong with the topics.
const INPUT_MISSING: &str = "input-topic-missing";
const INPUT_RECREATED: &str = "input-topic-recreated";
const OUTPUT_MISSING: &str = "output-topic-missing";
const REFUSED: &str = "not-authorized";

/// What is known of the topics; shared with the thread that looks at them.
pub(super) struct Topics {
    input_partitions: AtomicI32,
    output_partitions: AtomicI32,
    is_recreated: AtomicBool,
}

impl Topics {
    /// Waits until both topics are there and the input is the right one, and goes on to watch them.
    /// Nothing where the function shall end first.
    pub(super) fn watch(
        connection: &Connection,
        spec: &InferenceSpec,
        status: &Status,
        shutdown: &Shutdown,
    ) -> Result<Option<Arc<Self>>, Failure> {
        let topics = Arc::new(Self {
            input_partitions: AtomicI32::new(0),
            output_partitions: AtomicI32::new(0),
            is_recreated: AtomicBool::new(false),
        });
        let watcher = Watcher {
            topics: Arc::clone(&topics),
            admin: Admin::new(connection)?,
            input: spec.input_topic.clone(),
            input_id: spec.input_topic_id.clone(),
            output: spec.output_topic.clone(),
            connection: connection.clone(),
            status: status.clone(),
            shutdown: shutdown.clone(),
        };
        while !watcher.look() {
            if shutdown.wait(INTERVAL) {
                return Ok(None);
            }
        }
        thread::Builder::new()
            .name("topics".to_owned())
            .spawn(move || {
                while !watcher.shutdown.wait(INTERVAL) {
                    watcher.look();
                }
            })
            .map_err(|error| Failure::failed(format!("cannot watch the topics: {error}")))?;
        Ok(Some(topics))
    }

    /// Whether the input topic is another one now. It stays so: the right one cannot come back.
    pub(super) fn is_recreated(&self) -> bool {
        self.is_recreated.load(Ordering::Relaxed)
    }

    /// The output partition for a record of this input partition and key: the same number where
    /// both topics have equally many partitions, else the key's, as Java's clients choose it.
    pub(super) fn output_partition(&self, partition: i32, key: Option<&[u8]>) -> i32 {
        let input = self.input_partitions.load(Ordering::Relaxed);
        let output = self.output_partitions.load(Ordering::Relaxed);
        output_partition(partition, key, input, output)
    }
}

fn output_partition(partition: i32, key: Option<&[u8]>, input: i32, output: i32) -> i32 {
    match key {
        _ if input == output => partition,
        Some(key) => partition_by_key(key, output),
        None => partition % output.max(1),
    }
}

struct Watcher {
    topics: Arc<Topics>,
    admin: Admin,
    input: String,
    input_id: String,
    output: String,
    connection: Connection,
    status: Status,
    shutdown: Shutdown,
}

impl Watcher {
    /// Looks once, tells the status what it saw, and says whether all is well.
    fn look(&self) -> bool {
        let input = self
            .admin
            .check_topic_id(&self.input, &self.input_id)
            .and_then(|()| self.admin.partitions(&self.input));
        let output = self.admin.partitions(&self.output);
        let is_well = input.is_ok() && output.is_ok();
        match input {
            Ok(partitions) => {
                self.status.recovered(INPUT_MISSING);
                // Counts only grow: a record of a new partition may come before the next look.
                self.topics
                    .input_partitions
                    .store(partitions, Ordering::Relaxed);
            }
            Err(Error::TopicNotFound { topic }) => self.status.degraded(
                INPUT_MISSING,
                format!(
                    "the input topic {topic} does not exist any more (or this inference may no longer see it); nothing can be read until it is back"
                ),
            ),
            Err(error @ Error::TopicRecreated { .. }) => {
                self.topics.is_recreated.store(true, Ordering::Relaxed);
                self.status.degraded(
                    INPUT_RECREATED,
                    format!(
                        "{error}; its records are not those that this inference was made for, so none is read: delete this inference and create one on the new topic"
                    ),
                );
            }
            Err(error) => self.other(&error),
        }
        match output {
            Ok(partitions) => {
                self.status.recovered(OUTPUT_MISSING);
                self.topics
                    .output_partitions
                    .store(partitions, Ordering::Relaxed);
            }
            Err(Error::TopicNotFound { topic }) => self.status.degraded(
                OUTPUT_MISSING,
                format!("the output topic {topic} does not exist; create it, and the inference goes on by itself"),
            ),
            Err(error) => self.other(&error),
        }
        if is_well {
            self.status.recovered(REFUSED);
        }
        super::note_health(&self.connection, &self.status);
        is_well
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_keep_their_partition_where_they_can() {
        assert_eq!(output_partition(2, Some(b"foobar"), 4, 4), 2);
        assert_eq!(
            output_partition(2, Some(b"foobar"), 4, 7),
            partition_by_key(b"foobar", 7)
        );
        assert_eq!(output_partition(5, None, 6, 4), 1);
    }
}
