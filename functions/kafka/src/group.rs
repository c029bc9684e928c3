//! The words of consumer groups: partitions, committed offsets, members, lag.

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::{Offset, TopicPartitionList};

use crate::Error;
use crate::error::Step;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of a topic.
    #[must_use]
    pub fn new(topic: &str, partition: i32) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
        }
    }
}

/// An offset that a group has committed, or is to commit: the next to be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to be read.
    pub offset: i64,
    /// What was noted with the commit.
    pub metadata: String,
}

impl GroupOffset {
    /// An offset without a note.
    #[must_use]
    pub fn new(topic: &str, partition: i32, offset: i64) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
            offset,
            metadata: String::new(),
        }
    }

    /// The same offset with a note.
    #[must_use]
    pub fn with_metadata(mut self, metadata: impl Into<String>) -> Self {
        self.metadata = metadata.into();
        self
    }
}

/// A consumer group's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// The coordinator's word for the group's state: `Stable`, `Empty`, `Dead`
    /// (which is also what a group that does not exist is), …
    pub state: String,
    /// The client ids of its members, static ones by their instance id.
    pub members: Vec<String>,
    /// The partitions that its members hold together.
    pub held: Vec<TopicPartition>,
}

impl GroupState {
    /// Whether nobody reads for this group, so that its offsets may be set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// How far a group is behind in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLag {
    /// The partition.
    pub partition: i32,
    /// What the group has committed, if anything.
    pub committed: Option<i64>,
    /// The last stable offset: what a reader of committed records can reach.
    pub end: i64,
    /// Offsets between the commit (or the partition's beginning) and the end.
    /// Transaction markers count, so an idle group's lag may not be the number
    /// of records.
    pub lag: i64,
}

/// A consumer's membership, by which the broker refuses the offsets of a member
/// that has been replaced.
pub struct GroupMetadata {
    pub(crate) native: ConsumerGroupMetadata,
}

/// librdkafka's list of partitions; names that no topic can have are refused
/// here, since rdkafka panics on them.
pub(crate) fn native_list<'a>(
    step: Step<'_>,
    partitions: impl IntoIterator<Item = (&'a str, i32, Offset)>,
) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::new();
    for (topic, partition, offset) in partitions {
        check_topic(topic)?;
        list.add_partition_offset(topic, partition, offset)
            .map_err(|error| step.topic(topic).partition(partition).kafka(&error))?;
    }
    Ok(list)
}

/// The list of a commit, notes included.
pub(crate) fn native_offsets(
    step: Step<'_>,
    offsets: &[GroupOffset],
) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for offset in offsets {
        check_topic(&offset.topic)?;
        let mut entry = list.add_partition(&offset.topic, offset.partition);
        entry
            .set_offset(Offset::Offset(offset.offset))
            .map_err(|error| {
                step.topic(&offset.topic)
                    .partition(offset.partition)
                    .kafka(&error)
            })?;
        if !offset.metadata.is_empty() {
            entry.set_metadata(&offset.metadata);
        }
    }
    Ok(list)
}

/// A name with a null byte cannot cross into C; Kafka has no such topic.
pub(crate) fn check_topic(topic: &str) -> Result<(), Error> {
    if topic.contains('\0') || topic.is_empty() {
        return Err(Error::TopicNotFound {
            topic: topic.escape_default().to_string(),
        });
    }
    Ok(())
}
