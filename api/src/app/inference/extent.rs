//! Which records of its input an inference answers: from words to exact offsets.
//!
//! Invariant: what is settled here is offsets, so it means the same records however late it is read.

use chrono::{DateTime, Utc};
use millrace_entity::inference;
use millrace_entity::segment;
use sea_orm::EntityTrait as _;
use uuid::Uuid;

use super::start::{self, Position, Start};
use crate::app::{App, Cluster, Code, Error, Result, datasource, segment as segments};

/// Which records of its input an inference answers.
#[derive(Debug, Clone)]
pub enum Extent {
    /// All from a place on.
    From(Start),
    /// Those between two places, the second one exclusive.
    Between(Start, Start),
    /// Those of a segment.
    Segment(Uuid),
    /// All from a place on; up to where another inference is, which it never overtakes, until it takes that one's place.
    Behind(Start, Uuid),
}

/// The offsets that an extent means.
#[derive(Debug)]
pub(super) struct Offsets {
    /// Where the inference was asked to begin.
    pub(super) asked: Start,
    /// Where it begins.
    pub(super) start: Vec<Position>,
    /// Where it ends, if it does, in each partition that it reads.
    pub(super) ends: Option<Vec<Position>>,
    /// The file of the pinned segment that holds the records which Kafka has dropped.
    pub(super) pinned: Option<String>,
}

impl Extent {
    /// The segment that is meant, of this project.
    pub(super) async fn segment(
        &self,
        app: &App,
        project_id: Uuid,
    ) -> Result<Option<segment::Model>> {
        match self {
            Self::Segment(id) => segments::find(&app.database, project_id, *id)
                .await
                .map(Some),
            Self::From(_) | Self::Between(..) | Self::Behind(..) => Ok(None),
        }
    }

    /// The inference whose place is taken in the end.
    pub(super) fn takes_over(&self) -> Option<Uuid> {
        match self {
            Self::Behind(_, id) => Some(*id),
            Self::From(_) | Self::Between(..) | Self::Segment(_) => None,
        }
    }

    /// The offsets that it means at this moment in the input of a new inference.
    pub(super) async fn offsets(
        &self,
        app: &App,
        cluster: &Cluster,
        row: &inference::Model,
        now: DateTime<Utc>,
    ) -> Result<Offsets> {
        match self {
            Self::From(asked) => Ok(Offsets {
                start: start::begin(cluster, row, asked, now).await?,
                asked: asked.clone(),
                ends: None,
                pinned: None,
            }),
            Self::Between(asked, end) => {
                let start = start::begin(cluster, row, asked, now).await?;
                let ends = start::resolve(cluster, &row.input_topic, end, now).await?;
                Ok(Offsets {
                    ends: Some(between(&start, ends)?),
                    start,
                    asked: asked.clone(),
                    pinned: None,
                })
            }
            Self::Segment(id) => of_segment(app, cluster, row, *id, now).await,
            Self::Behind(asked, id) => {
                let live = inference::Entity::find_by_id(*id)
                    .one(&app.database)
                    .await?;
                let live = live.ok_or_else(|| Error::internal("nothing to take over"))?;
                let (topic, topic_id) = (live.input_topic.clone(), live.input_topic_id.clone());
                cluster
                    .run(move |admin| admin.check_topic_id(&topic, &topic_id))
                    .await?;
                let reached = reached(cluster, &live).await?;
                let mut start = start::begin(cluster, row, asked, now).await?;
                // What the other one has not answered yet must not be passed over.
                for position in &mut start {
                    let other = reached
                        .iter()
                        .find(|one| one.partition == position.partition);
                    let limit = other.map_or(position.offset, |other| other.offset);
                    position.offset = position.offset.min(limit);
                }
                Ok(Offsets {
                    start,
                    asked: asked.clone(),
                    ends: Some(reached),
                    pinned: None,
                })
            }
        }
    }
}

/// Those of a segment. Where Kafka has dropped records of a pinned one, all of them are taken from its copy: of the topic
/// nothing is read then.
async fn of_segment(
    app: &App,
    cluster: &Cluster,
    row: &inference::Model,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<Offsets> {
    let segment = segments::get(app, id).await?;
    let source = datasource::get(&app.database, segment.datasource_id).await?;
    let pinned = match segments::check_kept(app, &source, &segment).await {
        Err(error) if error.code() == Code::SegmentExpired && segment.pinned_digest.is_some() => {
            segment.pinned_digest.clone()
        }
        kept => kept.map(|()| None)?,
    };
    let topic = row.input_topic.clone();
    let marks = cluster.run(move |admin| admin.watermarks(&topic)).await?;
    let kept = |partition: i32| {
        let mut marks = marks.iter();
        marks
            .find(|mark| mark.partition == partition)
            .map_or(0, |mark| mark.low)
    };
    let place = |partition, offset| Position {
        partition,
        offset,
        metadata: String::new(),
    };
    let ranges = segments::ranges(&segment)?;
    let starts = ranges.iter().map(|one| match pinned {
        None => place(one.partition, one.start),
        Some(_) => place(one.partition, one.end.max(kept(one.partition))),
    });
    let asked = Start::Offsets(starts.collect());
    let ends = ranges.iter().map(|one| place(one.partition, one.end));
    Ok(Offsets {
        start: start::begin(cluster, row, &asked, now).await?,
        asked,
        ends: Some(ends.collect()),
        pinned,
    })
}

/// Where an inference goes on: where it was stopped, or what its group has committed.
///
/// # Errors
/// `ILLEGAL_STATE` where nobody knows, and Kafka's.
pub(in crate::app) async fn reached(
    cluster: &Cluster,
    row: &inference::Model,
) -> Result<Vec<Position>> {
    if let Some(saved) = &row.saved_offsets {
        return serde_json::from_value(saved.clone()).map_err(Error::internal);
    }
    let (group, topic) = (row.group_id.clone(), row.input_topic.clone());
    let committed = cluster
        .run(move |admin| admin.committed(&group, &topic))
        .await?;
    if committed.is_empty() {
        return Err(Error::new(
            Code::IllegalState,
            format!(
                "the group {:?} of the inference {:?} has no committed offset, so nobody knows what it has answered",
                row.group_id, row.name
            ),
        ));
    }
    let place = |one: millrace_kafka::GroupOffset| Position {
        metadata: String::new(),
        ..Position::from(one)
    };
    Ok(committed.into_iter().map(place).collect())
}

/// The ends of those partitions in which anything lies before them.
fn between(start: &[Position], ends: Vec<Position>) -> Result<Vec<Position>> {
    let holds_something = |end: &Position| {
        let mut start = start.iter();
        start.any(|start| start.partition == end.partition && start.offset < end.offset)
    };
    let ends: Vec<Position> = ends.into_iter().filter(holds_something).collect();
    if ends.is_empty() {
        return Err(Error::new(
            Code::InvalidInput,
            "there is nothing between `start` and `end` in any partition of the input",
        ));
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn positions(given: &[(i32, i64)]) -> Vec<Position> {
        let position = |&(partition, offset)| Position {
            partition,
            offset,
            metadata: String::new(),
        };
        given.iter().map(position).collect()
    }

    #[test]
    fn partitions_without_anything_between_are_left_out() {
        let start = positions(&[(0, 5), (1, 7), (2, 9)]);
        let found = between(&start, positions(&[(0, 8), (1, 7), (2, 3), (3, 4)])).unwrap();
        assert_eq!(found, positions(&[(0, 8)]));
        let error = between(&start, positions(&[(0, 5)])).unwrap_err();
        assert_eq!(error.code(), Code::InvalidInput);
    }
}
