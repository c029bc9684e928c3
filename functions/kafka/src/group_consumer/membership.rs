//! What a caller says of a member, and what a member tells its caller.

use std::time::Duration;

use super::GroupConsumer;
use crate::{Error, TopicPartition};

/// Who a member is and what it reads.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// The consumer group.
    pub group: String,
    /// The stable name of this member, so that a restart within the session
    /// timeout moves no partition. A second process with it fences the first.
    pub instance: Option<String>,
    /// The topics.
    pub topics: Vec<String>,
    /// After how much silence the member's partitions go to others. Brokers
    /// take no less than 6 s by default.
    pub session_timeout: Duration,
    /// How long the caller may work between two polls.
    pub max_poll_interval: Duration,
    /// How often the topics are looked at for partitions that were added.
    pub metadata_refresh: Duration,
}

impl GroupOptions {
    /// A member of `group` with the usual times: a session of 10 s, 5 minutes
    /// between polls, 10 s between looks at the topics.
    #[must_use]
    pub fn new(group: &str, topics: &[&str]) -> Self {
        Self {
            group: group.to_owned(),
            instance: None,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            session_timeout: Duration::from_secs(10),
            max_poll_interval: Duration::from_mins(5),
            metadata_refresh: Duration::from_secs(10),
        }
    }

    /// The same member with a stable name.
    #[must_use]
    pub fn instance(mut self, instance: &str) -> Self {
        self.instance = Some(instance.to_owned());
        self
    }
}

/// A partition that this member was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The committed offset; without one reading starts at the beginning.
    pub committed: Option<i64>,
    /// What was noted with that commit.
    pub metadata: String,
}

/// What the caller does when partitions come and go. Called from within
/// [`GroupConsumer::poll_batch`], on its thread, with the consumer at hand.
pub trait RebalanceHandler {
    /// Partitions are about to be read. Those that are returned are held back
    /// until [`GroupConsumer::resume`].
    fn on_assigned(
        &mut self,
        consumer: &GroupConsumer,
        partitions: &[Assigned],
    ) -> Result<Vec<TopicPartition>, Error>;

    /// Partitions are about to be given up: the last moment to commit. They are
    /// given up even where this fails.
    fn on_revoking(
        &mut self,
        consumer: &GroupConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), Error>;

    /// Partitions belong to others already: nothing can be committed for them.
    fn on_lost(&mut self, consumer: &GroupConsumer, partitions: &[TopicPartition]);
}

/// The limits of one batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// At most so many records.
    pub max_records: usize,
    /// No further record once keys and values hold so many bytes.
    pub max_bytes: usize,
    /// How long to wait for the first record. What has arrived with it is taken
    /// at once, without waiting for more.
    pub max_wait: Duration,
}
