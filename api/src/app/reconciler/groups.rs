//! The consumer groups of an inference: one for all that it reads, or a second one for redriven records where its
//! platform reads each topic by itself.
//!
//! Invariant: offsets are committed before anything reads, and are never set while anybody reads.

use std::collections::BTreeSet;

use millrace_entity::inference::Model;
use millrace_kafka::{Admin, GroupOffset};

use super::super::inference::{Position, check_positions};
use super::super::{App, Cluster, Error, Result};
use super::inference::platform_of;

/// The group that redriven records are brought by.
pub(super) fn redrive_group(app: &App, row: &Model) -> Result<String> {
    Ok(platform_of(app, row)?.redrive_group(&row.group_id))
}

/// All of them, wherever it may have run before.
pub(super) fn all(app: &App, row: &Model) -> BTreeSet<String> {
    let names = app.platforms.names().into_iter();
    let platforms = names.filter_map(|name| app.platforms.named(name));
    let redrive = platforms.map(|platform| platform.redrive_group(&row.group_id));
    redrive.chain([row.group_id.clone()]).collect()
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

/// What they have committed, of the input and of redriven records.
pub(super) async fn reached(app: &App, row: &Model) -> Result<[Vec<Position>; 2]> {
    let read = [
        (row.group_id.clone(), row.input_topic.clone()),
        (redrive_group(app, row)?, row.redrive_topic.clone()),
    ];
    let cluster = app.cluster(row.connection_id).await?;
    let committed = cluster
        .run(move |admin| {
            let [input, redrive] = read.map(|(group, topic)| admin.committed(&group, &topic));
            Ok([input?, redrive?])
        })
        .await?;
    Ok(committed.map(|offsets| offsets.into_iter().map(Position::from).collect()))
}

/// Commits the saved offsets for the groups, which must have no members. Gives the number of the
/// input's partitions.
pub(super) async fn put(
    app: &App,
    cluster: &Cluster,
    row: &Model,
    redriven: &[Position],
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
    let Some(saved) = &row.saved_offsets else {
        return Ok(partitions);
    };
    let saved: Vec<Position> = serde_json::from_value(saved.clone()).map_err(Error::internal)?;
    check_positions(&row.input_topic, &ends, &saved).map_err(|error| {
        Error::new(
            error.code(),
            format!("{error}; start the inference again with the `start` where it shall go on"),
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
