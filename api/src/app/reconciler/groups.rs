//! The consumer groups of an inference: one for all that it reads, or a second one for redriven records where its
//! platform reads each topic by itself.
//!
//! Invariant: offsets are committed before anything reads, for every partition that there is, and are never set while
//! anybody reads. So one that is missing later was lost, and nobody begins anywhere else in its place.

use std::collections::BTreeSet;

use millrace_entity::inference::Model;
use millrace_kafka::{Admin, GroupOffset, Watermarks};

use super::super::inference::{Position, check_positions};
use super::super::{App, Cluster, Code, Error, Result};
use super::inference::platform_of;
use crate::platform::redrive_groups;

/// The group that redriven records are brought by.
pub(super) fn redrive_group(app: &App, row: &Model) -> Result<String> {
    Ok(platform_of(app, row)?.redrive_group(&row.group_id))
}

/// All of them, wherever it may have run before: also on a platform that is not configured any more.
pub(super) fn all(row: &Model) -> BTreeSet<String> {
    redrive_groups(&row.group_id).into()
}

/// Whether nobody is a member of any.
pub(super) fn are_empty(
    admin: &Admin,
    groups: &BTreeSet<String>,
) -> std::result::Result<bool, millrace_kafka::Error> {
    for group in groups {
        if !admin.group(group)?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What they have committed, of the input and of redriven records, where nobody reads any more.
///
/// # Errors
/// `IN_USE` where somebody does, and Kafka's.
pub(super) async fn reached(app: &App, row: &Model) -> Result<[Vec<Position>; 2]> {
    let platform = platform_of(app, row)?;
    let read = [
        (row.group_id.clone(), row.input_topic.clone()),
        (
            platform.redrive_group(&row.group_id),
            row.redrive_topic.clone(),
        ),
    ];
    // Millrace's own functions have ended, even where Kafka has not missed them yet. What brings records to others
    // commits by itself.
    let is_pushed = platform.is_pushed();
    let groups = BTreeSet::from([read[0].0.clone(), read[1].0.clone()]);
    let cluster = app.cluster(row.connection_id).await?;
    let committed = cluster
        .run(move |admin| {
            if is_pushed && !are_empty(admin, &groups)? {
                return Ok(None);
            }
            let [input, redrive] = read.map(|(group, topic)| admin.committed(&group, &topic));
            Ok(Some([input?, redrive?]))
        })
        .await?;
    let committed = committed.ok_or_else(|| {
        Error::new(
            Code::InUse,
            format!(
                "the group {:?} still has members, which commit what they have begun; its offsets are saved then",
                row.group_id
            ),
        )
    })?;
    Ok(committed.map(|offsets| offsets.into_iter().map(Position::from).collect()))
}

/// Commits the saved offsets for the groups, which must have no members; partitions behind the first `known` ones, which came
/// since, begin at their first record. Gives the number of the input's partitions.
pub(super) async fn put(
    app: &App,
    cluster: &Cluster,
    row: &Model,
    redriven: &[Position],
    known: i32,
) -> Result<i32> {
    let (topic, id, group, redrive, redrive_group) = (
        row.input_topic.clone(),
        row.input_topic_id.clone(),
        row.group_id.clone(),
        row.redrive_topic.clone(),
        redrive_group(app, row)?,
    );
    let groups = [group.clone(), redrive_group.clone()];
    let (ends, committed) = cluster
        .run(move |admin| {
            admin.check_topic_id(&topic, &id)?;
            let mut committed = admin.committed(&group, &topic)?;
            committed.extend(admin.committed(&redrive_group, &redrive)?);
            Ok((admin.watermarks(&topic)?, committed))
        })
        .await?;
    let partitions = i32::try_from(ends.len()).unwrap_or(i32::MAX);
    let saved: Vec<Position> = match &row.saved_offsets {
        Some(saved) => {
            let saved: Vec<Position> =
                serde_json::from_value(saved.clone()).map_err(Error::internal)?;
            check_positions(&row.input_topic, &ends, &saved).map_err(|error| {
                Error::new(
                    error.code(),
                    format!(
                        "{error}; start the inference again with the `start` where it shall go on"
                    ),
                )
            })?;
            saved
        }
        // The group's own are what counts.
        None => committed
            .iter()
            .filter(|offset| offset.topic == row.input_topic)
            .cloned()
            .map(Position::from)
            .collect(),
    };
    let saved = complete(saved, &ends, known).map_err(|partition| {
        Error::new(
            Code::IllegalState,
            format!(
                "the group {:?} has lost its offset in {}/{partition}, so nobody knows what was answered there; start the inference again with the `start` where it shall go on",
                row.group_id, row.input_topic
            ),
        )
    })?;
    // Without the notes: whoever begins now reads the registry to its end first, and an entry that
    // was noted may be one of a registry that is gone.
    let input = saved.iter().map(|one| (&row.input_topic, one));
    let redriven = redriven.iter().map(|one| (&row.redrive_topic, one));
    let wanted: Vec<GroupOffset> = input
        .chain(redriven)
        .map(|(topic, one)| GroupOffset::new(topic, one.partition, one.offset))
        .collect();
    if wanted.iter().all(|offset| committed.contains(offset)) {
        return Ok(partitions); // where the group still is, even if Kafka has not missed its members yet
    }
    let input = row.input_topic.clone();
    cluster
        .run(move |admin| {
            let [group, redrive_group] = groups;
            if group == redrive_group {
                return admin.commit(&group, &wanted);
            }
            let of_input = |offset: &GroupOffset| offset.topic == input;
            let (wanted, redriven): (Vec<_>, Vec<_>) = wanted.into_iter().partition(of_input);
            admin.commit(&redrive_group, &redriven)?;
            admin.commit(&group, &wanted)
        })
        .await?;
    Ok(partitions)
}

/// These positions, with the beginnings of the partitions behind the first `known` ones; the first of those that has no
/// position is an error.
fn complete(
    mut positions: Vec<Position>,
    ends: &[Watermarks],
    known: i32,
) -> std::result::Result<Vec<Position>, i32> {
    for ends in ends {
        if positions.iter().any(|one| one.partition == ends.partition) {
            continue;
        }
        if ends.partition < known {
            return Err(ends.partition);
        }
        positions.push(Position {
            partition: ends.partition,
            offset: ends.low,
            metadata: String::new(),
        });
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_partition_begins_at_its_first_record_and_a_lost_offset_is_told() {
        let ends = [0, 1, 2].map(|partition| Watermarks {
            partition,
            low: 5,
            stable: 9,
            high: 9,
        });
        let at = |places: &[(i32, i64)]| -> Vec<Position> {
            let position = |&(partition, offset)| Position {
                partition,
                offset,
                metadata: String::new(),
            };
            places.iter().map(position).collect()
        };
        let grown = complete(at(&[(0, 7), (1, 8)]), &ends, 2);
        assert_eq!(grown, Ok(at(&[(0, 7), (1, 8), (2, 5)])));
        assert_eq!(complete(at(&[(0, 7), (2, 8)]), &ends, 3), Err(1));
        assert_eq!(complete(Vec::new(), &ends, 3), Err(0));
    }
}
