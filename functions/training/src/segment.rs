//! Reads a segment from Kafka: exactly its records, whether Kafka is there all
//! the time or not.

use std::borrow::Cow;
use std::time::Duration;

use millrace_kafka::{Admin, Connection, Range, RangeReader, RecordView};
use millrace_wire::training::TrainingSpec;

use crate::dataset::{Builder, Dataset, Record, Target};
use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::failure::{Failure, Stop};
use crate::patience::Patience;
use crate::rows::Room;

/// Records that are taken in at once.
const BATCH: usize = 1_000;
/// How long one look into Kafka may take.
const WAIT: Duration = Duration::from_millis(100);

/// Reads the segment of `spec`. Records that can't be used go to the dead
/// letters, unless that was done before.
pub fn read(
    spec: &TrainingSpec,
    connection: &Connection,
    target: Target,
    room: &Room,
    with_dead_letters: bool,
    patience: &Patience<'_>,
) -> Result<Dataset, Stop> {
    let mut builder = Builder::new(spec, target, room)?;
    check_topic(spec, connection, patience)?;
    let ranges: Vec<Range> = spec
        .segment
        .partitions
        .iter()
        .map(|range| Range {
            partition: range.partition,
            start: range.start,
            end: range.end,
        })
        .collect();
    let mut reader = patience.until("read the segment", || {
        RangeReader::open(connection, &spec.segment.topic, &ranges)
    })?;
    let mut dead_letters = None;
    while !reader.is_done() {
        patience.check()?;
        let mut bad = Vec::new();
        match reader.next_batch(BATCH, WAIT) {
            Err(error) => patience.wait_after("read the segment", &error, WAIT)?,
            Ok(records) if records.is_empty() => patience.is_silent(|| silence(connection)),
            Ok(records) => {
                patience.is_alive();
                for record in &records {
                    if let Err(error) = add(&mut builder, record)? {
                        bad.push(DeadLetter {
                            record: record.to_record(),
                            error,
                        });
                    }
                }
            }
        }
        if with_dead_letters && !bad.is_empty() {
            if dead_letters.is_none() {
                dead_letters = Some(DeadLetters::new(spec, connection)?);
            }
            if let Some(dead_letters) = &dead_letters {
                dead_letters.write(bad, patience)?;
            }
        }
    }
    Ok(builder.finish()?)
}

/// Checks that the topic is the one that the segment was made from.
fn check_topic(
    spec: &TrainingSpec,
    connection: &Connection,
    patience: &Patience<'_>,
) -> Result<(), Stop> {
    let admin = Admin::new(connection).map_err(|error| Failure::kafka(&error))?;
    let cluster = patience.until("reach the cluster", || admin.cluster_id())?;
    if cluster != spec.segment.cluster_id {
        return Err(Failure::new(
            "cluster-changed",
            format!(
                "the segment lies on the Kafka cluster {}, and the connection leads to {cluster}: \
                 set the connection right",
                spec.segment.cluster_id
            ),
        )
        .into());
    }
    patience.until("look at the topic", || {
        admin.check_topic_id(&spec.segment.topic, &spec.segment.topic_id)
    })
}

fn silence(connection: &Connection) -> String {
    let status = connection.health().status();
    if status.connected {
        return "Kafka gives no further record of the segment; an open transaction may stand inside it"
            .to_owned();
    }
    let reason = status.last_error.as_deref().unwrap_or("no broker answers");
    format!("Kafka is unreachable: {reason}")
}

fn add(
    builder: &mut Builder<'_>,
    record: &RecordView<'_>,
) -> Result<Result<(), millrace_wire::record::DecodeError>, Failure> {
    let headers: Vec<(Cow<'_, str>, Option<&[u8]>)> = record.headers().collect();
    let headers: Vec<(&str, Option<&[u8]>)> = headers
        .iter()
        .map(|(name, value)| (name.as_ref(), *value))
        .collect();
    builder.add(&Record {
        partition: record.partition(),
        offset: record.offset(),
        timestamp_ms: record.timestamp_ms(),
        key: record.key(),
        value: record.value(),
        headers: &headers,
    })
}
