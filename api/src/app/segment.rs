//! Segments: exact sets of records, read once when they are made, so that their count and digest
//! are facts and not promises.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use millrace_entity::{datasource, segment, training, version};
use millrace_kafka as kafka;
use millrace_wire::name;
use millrace_wire::segment::{Manifest, Range, SegmentDigest};
use millrace_wire::split::Split;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _,
};
use uuid::Uuid;

use super::{App, Code, Error, Result, datasource as datasources, project};

/// Records of one read, and how long it waits for the first.
const BATCH: usize = 2_000;
const WAIT: Duration = Duration::from_millis(200);
/// How long a reader goes on without any record before it gives up: brokers that are away.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a segment is made of.
#[derive(Debug)]
pub struct NewSegment {
    /// The project's name.
    pub project: String,
    /// The datasource's name.
    pub datasource: String,
    /// A name for people.
    pub name: Option<String>,
    /// Which records.
    pub selection: Selection,
    /// How they are split.
    pub split: Split,
}

/// Which records of the topic.
#[derive(Debug)]
pub enum Selection {
    /// These offsets, ends exclusive.
    Offsets(Vec<kafka::Range>),
    /// All partitions, by the records' timestamps: from (inclusive) to (exclusive; none: now).
    Time {
        /// Inclusive.
        from: DateTime<Utc>,
        /// Exclusive.
        to: Option<DateTime<Utc>>,
    },
}

/// What reading the ranges found.
pub(super) struct Found {
    ranges: Vec<Range>,
    count: u64,
    pub(super) digest: String,
    oldest_ms: Option<i64>,
}

/// Reads the records and keeps the manifest.
///
/// # Errors
/// `ALREADY_EXISTS`, `TOPIC_COMPACTED`, `SEGMENT_EXPIRED`, `SEGMENT_IN_FUTURE`, `SEGMENT_EMPTY`, `INVALID_INPUT` for
/// a split that leaves a part empty, and those of Kafka.
pub async fn create(app: &App, new: NewSegment) -> Result<segment::Model> {
    if let Some(name) = &new.name {
        name::check(name)?;
    }
    let project = project::find(&app.database, &new.project).await?;
    let source = datasources::find(&app.database, project.id, &new.datasource).await?;
    let cluster = app.cluster(source.connection_id).await?;
    let topic = source.topic.clone();
    let description = {
        let topic = topic.clone();
        cluster
            .run(move |admin| admin.describe_topic(&topic))
            .await?
    };
    if description.is_compacted() {
        return Err(Error::new(
            Code::TopicCompacted,
            format!(
                "the topic {topic} is compacted: its records disappear one by one, so a segment of it would not stay what it is; copy what you need to a topic with cleanup.policy=delete"
            ),
        ));
    }
    let cluster_id = cluster.run(kafka::Admin::cluster_id).await?;
    let ranges = match new.selection {
        Selection::Offsets(ranges) => ranges,
        Selection::Time { from, to } => {
            let topic = topic.clone();
            cluster
                .run(move |admin| {
                    let starts = admin.offsets_for_time(&topic, from.timestamp_millis())?;
                    let ends = match to {
                        Some(to) => admin.offsets_for_time(&topic, to.timestamp_millis())?,
                        None => admin
                            .watermarks(&topic)?
                            .iter()
                            .map(|mark| (mark.partition, mark.stable))
                            .collect(),
                    };
                    Ok(spans(&starts, &ends))
                })
                .await?
        }
    };
    let found = {
        let connection = cluster.connection().clone();
        let topic = topic.clone();
        app.scans
            .run(move || read(&connection, &topic, ranges, &mut |_| true))
            .await??
    };
    if found.count == 0 {
        return Err(Error::new(
            Code::SegmentEmpty,
            format!("these offsets of the topic {topic} hold no committed record"),
        ));
    }
    let (train, validation, test) = new
        .split
        .sizes(found.count)
        .map_err(|error| Error::new(Code::InvalidInput, error.to_string()))?;
    let row = segment::Model {
        id: app.new_id(),
        project_id: project.id,
        datasource_id: source.id,
        name: new.name,
        cluster_id,
        topic_id: description.id,
        topic,
        partitions: serde_json::to_value(&found.ranges).map_err(Error::internal)?,
        count: found.count.cast_signed(),
        digest: found.digest,
        split: serde_json::to_value(new.split).map_err(Error::internal)?,
        train_count: train.cast_signed(),
        validation_count: validation.cast_signed(),
        test_count: test.cast_signed(),
        retained_until: retained_until(description.retention_ms, found.oldest_ms),
        pinned_digest: None,
        pinned_bytes: None,
        created_at: app.now(),
    };
    let transaction = app.begin().await?;
    if let Some(name) = &row.name {
        let others = segment::Entity::find()
            .filter(segment::Column::DatasourceId.eq(row.datasource_id))
            .filter(segment::Column::Name.eq(name));
        if others.count(&transaction).await? > 0 {
            return Err(Error::new(
                Code::AlreadyExists,
                format!("the datasource {} has a segment {name}", new.datasource),
            ));
        }
    }
    let row = row.into_active_model().insert(&transaction).await?;
    transaction.commit().await?;
    Ok(row)
}

/// The manifest of a row, as functions get it.
///
/// # Errors
/// Internal, if the row is not what [`create`] wrote.
pub fn manifest(row: &segment::Model) -> Result<Manifest> {
    Ok(Manifest {
        id: row.id,
        cluster_id: row.cluster_id.clone(),
        topic_id: row.topic_id.clone(),
        topic: row.topic.clone(),
        partitions: ranges(row)?,
        count: row.count.cast_unsigned(),
        digest: row.digest.clone(),
        split: split(row)?,
        pinned: row.pinned_digest.clone(),
        retained_until: row.retained_until,
    })
}

/// The ranges of a row.
///
/// # Errors
/// Internal, if the row is not what [`create`] wrote.
pub fn ranges(row: &segment::Model) -> Result<Vec<Range>> {
    serde_json::from_value(row.partitions.clone()).map_err(Error::internal)
}

/// The split of a row.
///
/// # Errors
/// Internal, if the row is not what [`create`] wrote.
pub fn split(row: &segment::Model) -> Result<Split> {
    serde_json::from_value(row.split.clone()).map_err(Error::internal)
}

/// A segment of a project by its id.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn find(
    database: &impl ConnectionTrait,
    project_id: Uuid,
    id: Uuid,
) -> Result<segment::Model> {
    segment::Entity::find_by_id(id)
        .filter(segment::Column::ProjectId.eq(project_id))
        .one(database)
        .await?
        .ok_or_else(|| Error::new(Code::NotFound, "there is no such segment in this project"))
}

/// A segment by its id alone.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn get(app: &App, id: Uuid) -> Result<segment::Model> {
    segment::Entity::find_by_id(id)
        .one(&app.database)
        .await?
        .ok_or_else(|| Error::new(Code::NotFound, "there is no such segment"))
}

/// Deletes a segment's manifest; its records are Kafka's.
///
/// # Errors
/// `NOT_FOUND`; `IN_USE` while trainings or versions refer to it.
pub async fn delete(app: &App, id: Uuid) -> Result<()> {
    let row = get(app, id).await?;
    let trainings = training::Entity::find()
        .filter(training::Column::SegmentId.eq(id))
        .count(&app.database)
        .await?;
    let versions = version::Entity::find()
        .filter(version::Column::SegmentId.eq(id))
        .count(&app.database)
        .await?;
    if trainings + versions > 0 {
        return Err(Error::new(
            Code::InUse,
            format!(
                "the segment is the origin of {trainings} trainings and {versions} versions, whose lineage would be lost"
            ),
        ));
    }
    row.into_active_model().delete(&app.database).await?;
    Ok(())
}

/// Checks that a segment's records are still there, before a training is begun on them: a copy, or Kafka's.
///
/// # Errors
/// `SEGMENT_EXPIRED`, `INCOMPATIBLE` where the topic was created again, and those of Kafka.
pub async fn check_retained(
    app: &App,
    source: &datasource::Model,
    row: &segment::Model,
) -> Result<()> {
    if row.pinned_digest.is_some() {
        return Ok(());
    }
    check_kept(app, source, row).await
}

/// Checks that Kafka still keeps a segment's records, in the topic that it was made of.
///
/// # Errors
/// `SEGMENT_EXPIRED`, `INCOMPATIBLE` where the topic was created again, and those of Kafka.
pub async fn check_kept(app: &App, source: &datasource::Model, row: &segment::Model) -> Result<()> {
    let cluster = app.cluster(source.connection_id).await?;
    let (topic, topic_id) = (row.topic.clone(), row.topic_id.clone());
    let watermarks = cluster
        .run(move |admin| {
            admin.check_topic_id(&topic, &topic_id)?;
            admin.watermarks(&topic)
        })
        .await?;
    let lows: BTreeMap<i32, i64> = watermarks
        .iter()
        .map(|mark| (mark.partition, mark.low))
        .collect();
    for range in ranges(row)? {
        let low = lows.get(&range.partition).copied().unwrap_or(0);
        if range.count > 0 && range.start < low {
            return Err(Error::new(
                Code::SegmentExpired,
                format!(
                    "the segment begins at offset {} of {}/{}, but Kafka's retention has removed all before {low}; make a new segment",
                    range.start, row.topic, range.partition
                ),
            ));
        }
    }
    Ok(())
}

/// Ranges from start to end where both are known and there is anything between them.
fn spans(starts: &BTreeMap<i32, i64>, ends: &BTreeMap<i32, i64>) -> Vec<kafka::Range> {
    starts
        .iter()
        .filter_map(|(partition, start)| {
            let end = *ends.get(partition)?;
            (*start < end).then_some(kafka::Range {
                partition: *partition,
                start: *start,
                end,
            })
        })
        .collect()
}

/// Reads all ranges once and shows each record, until `show` has seen enough. Blocks.
pub(super) fn read(
    connection: &kafka::Connection,
    topic: &str,
    mut ranges: Vec<kafka::Range>,
    show: &mut dyn FnMut(&kafka::RecordView<'_>) -> bool,
) -> Result<Found> {
    ranges.sort_by_key(|range| range.partition);
    let mut reader = kafka::RangeReader::open(connection, topic, &ranges)?;
    let mut digest = SegmentDigest::new();
    let mut oldest_ms: Option<i64> = None;
    let mut last_record = std::time::Instant::now();
    while !reader.is_done() {
        let batch = reader.next_batch(BATCH, WAIT)?;
        if !batch.is_empty() {
            last_record = std::time::Instant::now();
        } else if last_record.elapsed() > PATIENCE {
            return Err(Error::new(
                Code::KafkaUnreachable,
                format!(
                    "no record of {topic} came within {} s; try again",
                    PATIENCE.as_secs()
                ),
            ));
        }
        for record in &batch {
            let timestamp = record.timestamp_ms();
            oldest_ms = oldest_ms.into_iter().chain(timestamp).min();
            digest.add(
                record.partition(),
                record.offset(),
                timestamp,
                record.key(),
                record.value(),
                record.headers(),
            );
            if !show(record) {
                return Err(Error::internal(
                    "nobody wants the segment's records any more",
                ));
            }
        }
    }
    let ranges: Vec<Range> = ranges
        .iter()
        .map(|range| Range {
            partition: range.partition,
            start: range.start,
            end: range.end,
            count: digest.count(range.partition),
        })
        .collect();
    Ok(Found {
        count: ranges.iter().map(|range| range.count).sum(),
        ranges,
        digest: digest.finish(),
        oldest_ms,
    })
}

/// The earliest moment at which retention by time may take a record: its age is counted from its
/// timestamp. `None` where the topic keeps records for ever.
fn retained_until(retention_ms: i64, oldest_ms: Option<i64>) -> Option<DateTime<Utc>> {
    let oldest_ms = oldest_ms.filter(|_| retention_ms >= 0)?;
    DateTime::from_timestamp_millis(oldest_ms.checked_add(retention_ms)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_spans_are_left_out() {
        let starts = BTreeMap::from([(0, 5), (1, 7), (2, 1)]);
        let ends = BTreeMap::from([(0, 9), (1, 7)]);
        let range = kafka::Range {
            partition: 0,
            start: 5,
            end: 9,
        };
        assert_eq!(spans(&starts, &ends), [range]);
    }

    #[test]
    fn retention_counts_from_the_oldest_record() {
        assert_eq!(retained_until(-1, Some(5)), None);
        assert_eq!(
            retained_until(1_000, Some(5)),
            DateTime::from_timestamp_millis(1_005)
        );
        assert_eq!(retained_until(i64::MAX, Some(5)), None);
    }
}
