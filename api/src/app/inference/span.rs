//! The span of an inference that ends: the offsets up to which it answers, and what came of it.
//!
//! Invariant: ends never move back.

use chrono::{DateTime, Utc};
use millrace_entity::inference;
use millrace_kafka::{GroupOffset, PartitionLag};
use serde::{Deserialize, Serialize};

use super::super::{Error, Result};
use super::Position;

/// What an inference answers of its input, where that ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Where each partition ends that is read, exclusive. Of an inference that takes another's place: where that one was.
    pub ends: Vec<Position>,
    /// Records a second at most, of all replicas together.
    pub records_per_second: Option<u32>,
    /// Since when it goes there.
    pub since: DateTime<Utc>,
    /// What a person should know about its way.
    pub note: Option<String>,
    /// The file of a pinned segment from which its records are brought back, where Kafka has dropped them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
}

impl Span {
    /// That of a row, if it has one.
    ///
    /// # Errors
    /// `INTERNAL` where the row is malformed.
    pub fn of(row: &inference::Model) -> Result<Option<Self>> {
        let span = row.span.clone().map(serde_json::from_value);
        span.transpose().map_err(Error::internal)
    }

    /// Whether a group that has committed this has answered all of it.
    #[must_use]
    pub fn is_answered(&self, committed: &[GroupOffset]) -> bool {
        self.ends.iter().all(|end| {
            let mut committed = committed.iter();
            committed.any(|one| one.partition == end.partition && one.offset >= end.offset)
        })
    }

    /// How far a group is behind the ends, by how far it is behind those of the topic.
    pub(super) fn lag(&self, of_topic: Vec<PartitionLag>) -> Vec<PartitionLag> {
        let until_end = |lag: PartitionLag| {
            let end = self
                .ends
                .iter()
                .find(|end| end.partition == lag.partition)?;
            let left = lag.committed.map(|committed| end.offset - committed);
            Some(PartitionLag {
                end: end.offset,
                lag: left.unwrap_or(lag.lag).max(0),
                ..lag
            })
        };
        of_topic.into_iter().filter_map(until_end).collect()
    }
}

/// That an inference works in the place of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    /// The name that the other one had.
    pub inference: String,
    /// Where that one stopped, and this one goes on, by partition.
    pub offsets: Vec<Position>,
}

impl Handover {
    /// That of a row, if it has one.
    ///
    /// # Errors
    /// `INTERNAL` where the row is malformed.
    pub fn of(row: &inference::Model) -> Result<Option<Self>> {
        let handover = row.handover.clone().map(serde_json::from_value);
        handover.transpose().map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_answered_when_every_end_is_committed() {
        let end = |partition, offset| Position {
            partition,
            offset,
            metadata: String::new(),
        };
        let span = Span {
            ends: vec![end(0, 5), end(2, 9)],
            records_per_second: None,
            since: DateTime::UNIX_EPOCH,
            note: None,
            pinned: None,
        };
        let at = |partition, offset| GroupOffset::new("in", partition, offset);
        assert!(span.is_answered(&[at(0, 5), at(1, 0), at(2, 10)]));
        assert!(!span.is_answered(&[at(0, 5), at(2, 8)]));
        assert!(!span.is_answered(&[at(0, 5)]), "one that has not begun");
    }
}
