//! Pinned segments: their records are copied into the artifact store, from which trainings take them when Kafka has long
//! dropped them.
//!
//! A copy is only kept where its records have the segment's digest.

use std::io;

use bytes::Bytes;
use millrace_entity::segment;
use millrace_kafka as kafka;
use millrace_wire::pinned::{Header, MAGIC, Record};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, IntoActiveModel as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use super::{App, Code, Error, Result, datasource as datasources, segment as segments};

/// Bytes that go to the store at once.
const PIECE: usize = 1 << 20;
/// Pieces that wait for the store.
const WAITING: usize = 4;

/// Copies a segment's records into the artifact store. One that is pinned already stays as it is.
///
/// # Errors
/// `NOT_FOUND`, `SEGMENT_EXPIRED`, those of Kafka and of the store.
pub async fn pin(app: &App, id: Uuid) -> Result<segment::Model> {
    let row = segments::get(app, id).await?;
    if row.pinned_digest.is_some() {
        return Ok(row);
    }
    let source = datasources::get(&app.database, row.datasource_id).await?;
    segments::check_retained(app, &source, &row).await?;
    // The file is nobody's until the row names it.
    let _guard = app.artifact_guard.read().await;
    let (sender, receiver) = mpsc::channel(WAITING);
    let connection = app
        .cluster(source.connection_id)
        .await?
        .connection()
        .clone();
    let (topic, ranges) = (row.topic.clone(), segments::ranges(&row)?);
    let scan = app
        .scans
        .run(move || copy(&connection, &topic, &ranges, &sender));
    let store = app
        .artifacts
        .put(ReceiverStream::new(receiver), None, u64::MAX);
    let (found, stored) = tokio::join!(scan, store);
    let found = found??;
    let stored = stored?;
    if found != row.digest {
        return Err(Error::new(
            Code::SegmentExpired,
            format!(
                "the topic {} no longer holds the segment's records as they were; make a new segment",
                row.topic
            ),
        ));
    }
    let mut change = row.into_active_model();
    change.pinned_digest = Set(Some(stored.digest));
    change.pinned_bytes = Set(Some(stored.size.cast_signed()));
    Ok(change.update(&app.database).await?)
}

/// Gives the copy up. Kafka's records are left, as long as it keeps them.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn unpin(app: &App, id: Uuid) -> Result<segment::Model> {
    let mut change = segments::get(app, id).await?.into_active_model();
    change.pinned_digest = Set(None);
    change.pinned_bytes = Set(None);
    Ok(change.update(&app.database).await?)
}

/// Reads the records and sends them on in pieces; returns their digest. Blocks.
fn copy(
    connection: &kafka::Connection,
    topic: &str,
    ranges: &[millrace_wire::segment::Range],
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> Result<String> {
    let ranges = ranges
        .iter()
        .map(|range| kafka::Range {
            partition: range.partition,
            start: range.start,
            end: range.end,
        })
        .collect();
    let mut piece = MAGIC.to_vec();
    let read = segments::read(connection, topic, ranges, &mut |record| {
        to_pinned(record).append_to(&mut piece);
        if piece.len() < PIECE {
            return true;
        }
        sender
            .blocking_send(Ok(std::mem::take(&mut piece).into()))
            .is_ok()
    });
    // Without this word the store would take what has come for the whole.
    let last = match &read {
        Ok(_) => Ok(piece.into()),
        Err(error) => Err(io::Error::other(error.to_string())),
    };
    // Where the store listens no more, it says why.
    drop(sender.blocking_send(last));
    read.map(|found| found.digest)
}

fn to_pinned(record: &kafka::RecordView<'_>) -> Record {
    Record {
        partition: record.partition(),
        offset: record.offset(),
        timestamp_ms: record.timestamp_ms(),
        key: record.key().map(<[u8]>::to_vec),
        value: record.value().map(<[u8]>::to_vec),
        headers: record
            .headers()
            .map(|(name, value)| Header {
                name: name.into_owned(),
                value: value.map(<[u8]>::to_vec),
            })
            .collect(),
    }
}
