//! Where an inference begins to read: from words to exact offsets, one for each partition.
//!
//! Invariant: an offset is never moved in silence. One that Kafka does not keep, or does not have
//! yet, is an error that a person decides.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use millrace_entity::inference;
use millrace_kafka::{GroupOffset, Watermarks};
use serde::{Deserialize, Serialize};

use super::super::{Cluster, Code, Error, Result};

/// Where a new inference begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At a place that has a name.
    At(Place),
    /// At the first record that is not older than this.
    Time(DateTime<Utc>),
    /// At these offsets; partitions that are not named begin at their first record.
    Offsets(Vec<Position>),
}

/// A place in a topic that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Place {
    /// Behind everything that was there when the inference was made.
    Now,
    /// At the first record that Kafka keeps.
    Earliest,
}

/// A place in one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The partition.
    pub partition: i32,
    /// The next offset to be read.
    pub offset: i64,
    /// What the group noted with its commit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub metadata: String,
}

impl Position {
    /// The position as a group commits it.
    #[must_use]
    pub fn of(&self, topic: &str) -> GroupOffset {
        GroupOffset::new(topic, self.partition, self.offset).with_metadata(self.metadata.clone())
    }
}

impl From<GroupOffset> for Position {
    fn from(committed: GroupOffset) -> Self {
        Self {
            partition: committed.partition,
            offset: committed.offset,
            metadata: committed.metadata,
        }
    }
}

/// Where an inference begins that nobody works for: the offsets that `start` means at this moment, in its input.
///
/// # Errors
/// `IN_USE` where its group has members, `INVALID_INPUT`, and Kafka's own.
pub async fn begin(
    cluster: &Cluster,
    row: &inference::Model,
    start: &Start,
    now: DateTime<Utc>,
) -> Result<Vec<Position>> {
    let group = row.group_id.clone();
    let members = cluster.run(move |admin| admin.group(&group)).await?;
    if !members.is_empty() {
        return Err(Error::new(
            Code::InUse,
            format!(
                "the consumer group {:?} of this inference has members already: end them, or choose another name",
                row.group_id
            ),
        ));
    }
    resolve(cluster, &row.input_topic, start, now).await
}

/// The offsets that a place in a topic means at this moment.
///
/// # Errors
/// `INVALID_INPUT` for a time in the future and for offsets that the topic does not have, and Kafka's own.
pub(super) async fn resolve(
    cluster: &Cluster,
    topic: &str,
    start: &Start,
    now: DateTime<Utc>,
) -> Result<Vec<Position>> {
    if let Start::Time(time) = start
        && *time > now
    {
        return Err(invalid(format!(
            "{time} lies in the future; for this moment give `{{at: NOW}}`"
        )));
    }
    let name = topic.to_owned();
    match start {
        Start::Time(time) => {
            let time = time.timestamp_millis();
            let offsets = cluster
                .run(move |admin| admin.offsets_for_time(&name, time))
                .await?;
            Ok(offsets.into_iter().map(position).collect())
        }
        Start::At(place) => {
            let ends = cluster.run(move |admin| admin.watermarks(&name)).await?;
            let offset = |ends: &Watermarks| match place {
                Place::Now => ends.high,
                Place::Earliest => ends.low,
            };
            Ok(ends
                .iter()
                .map(|ends| position((ends.partition, offset(ends))))
                .collect())
        }
        Start::Offsets(given) => {
            let ends = cluster.run(move |admin| admin.watermarks(&name)).await?;
            named(topic, &ends, given)
        }
    }
}

fn position((partition, offset): (i32, i64)) -> Position {
    Position {
        partition,
        offset,
        metadata: String::new(),
    }
}

/// Offsets for every partition, from those that a person has named.
fn named(topic: &str, ends: &[Watermarks], given: &[Position]) -> Result<Vec<Position>> {
    let mut offsets: BTreeMap<i32, i64> =
        ends.iter().map(|ends| (ends.partition, ends.low)).collect();
    let mut seen = Vec::new();
    for Position {
        partition, offset, ..
    } in given
    {
        if seen.contains(partition) {
            return Err(invalid(format!("partition {partition} is named twice")));
        }
        seen.push(*partition);
        if offsets.insert(*partition, *offset).is_none() {
            return Err(invalid(format!(
                "the topic {topic:?} has no partition {partition}"
            )));
        }
    }
    let positions: Vec<Position> = offsets.into_iter().map(position).collect();
    check(topic, ends, &positions).map_err(|error| invalid(error.to_string()))?;
    Ok(positions)
}

/// Checks that Kafka still has every one of these positions.
///
/// # Errors
/// `ILLEGAL_STATE`, naming the first that it does not have.
pub fn check(topic: &str, ends: &[Watermarks], positions: &[Position]) -> Result<()> {
    for Position {
        partition, offset, ..
    } in positions
    {
        let Some(ends) = ends.iter().find(|ends| ends.partition == *partition) else {
            return Err(gone(format!(
                "the topic {topic:?} has no partition {partition}"
            )));
        };
        if *offset < ends.low || *offset > ends.high {
            return Err(gone(format!(
                "offset {offset} of {topic}/{partition} is not there: Kafka keeps {} to {}",
                ends.low, ends.high
            )));
        }
    }
    Ok(())
}

fn invalid(message: String) -> Error {
    Error::new(Code::InvalidInput, message)
}

fn gone(message: String) -> Error {
    Error::new(Code::IllegalState, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn ends() -> Vec<Watermarks> {
        [(0, 10, 20), (1, 0, 5)]
            .map(|(partition, low, high)| Watermarks {
                partition,
                low,
                stable: high,
                high,
            })
            .to_vec()
    }

    fn positions(given: &[(i32, i64)]) -> Vec<Position> {
        given.iter().copied().map(position).collect()
    }

    #[test]
    fn partitions_that_are_not_named_begin_at_their_first_record() {
        let found = named("t", &ends(), &positions(&[(1, 3)])).unwrap();
        assert_eq!(found, positions(&[(0, 10), (1, 3)]));
        // The end itself is a place to begin at.
        named("t", &ends(), &positions(&[(0, 20)])).unwrap();
    }

    #[test]
    fn offsets_that_the_topic_does_not_have_are_refused() {
        for (given, reason) in [
            (&[(0, 9)][..], "Kafka keeps 10 to 20"),
            (&[(0, 21)], "Kafka keeps 10 to 20"),
            (&[(2, 0)], "no partition 2"),
            (&[(0, 10), (0, 11)], "named twice"),
        ] {
            let error = named("t", &ends(), &positions(given)).unwrap_err();
            assert_eq!(error.code(), Code::InvalidInput);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn starts_are_plain_json() {
        for (start, text) in [
            (Start::At(Place::Now), r#"{"at":"NOW"}"#),
            (
                Start::Offsets(positions(&[(1, 3)])),
                r#"{"offsets":[{"partition":1,"offset":3}]}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&start).unwrap(), text);
            assert_eq!(serde_json::from_str::<Start>(text).unwrap(), start);
        }
    }
}
