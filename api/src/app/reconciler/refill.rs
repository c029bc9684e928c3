//! Brings the records of a pinned segment back, which Kafka has dropped: into the topic of the replay that is to answer
//! them, from which it takes their sources and times as it takes those of dead letters that come back.
//!
//! Invariant: each record is brought back once, whatever is killed meanwhile. How many there are is noted beside the
//! group's offsets in that topic, in the transaction that brings them; who brings them holds the topic's transactional id.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::TryStreamExt as _;
use millrace_entity::inference::{self, Desired, Model};
use millrace_kafka::{
    Admin, Connection, GroupConsumer, GroupMetadata, GroupOffset, GroupOptions, OutRecord,
    TransactionalProducer,
};
use millrace_wire::header;
use millrace_wire::pinned::{NotRecords, Reader, Record};
use millrace_wire::prediction::Source;
use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait as _;
use tokio::sync::mpsc;

use super::super::{App, Cluster, Error, Result};
use super::groups::redrive_group;
use super::update;

/// Pieces of the file that wait for Kafka.
const WAITING: usize = 4;
/// How often it is asked whether the replay is still wanted.
const LOOK: Duration = Duration::from_secs(1);
/// How long one step of a transaction may take.
const STEP: Duration = Duration::from_secs(20);
/// Brokers end a transaction that is open for longer.
const TRANSACTION: Duration = Duration::from_mins(1);
/// How much one transaction brings back.
const CHUNK_RECORDS: u64 = 10_000;
const CHUNK_BYTES: usize = 8 << 20;
/// What is noted beside the group's offset in the topic's first partition: how many records there are.
const NOTE: &str = "brought-back=";
const MESSAGE: &str =
    "Kafka has dropped its records: they are brought back from the copy of the pinned segment";

/// Brings all records back; false where the replay is not wanted any more.
pub(super) async fn bring_back(
    app: &App,
    cluster: &Cluster,
    row: &Model,
    digest: &str,
) -> Result<bool> {
    if row.message.as_deref() != Some(MESSAGE) {
        update(app, row, |_| {
            Ok(inference::ActiveModel {
                message: Set(Some(MESSAGE.to_owned())),
                ..Default::default()
            })
        })
        .await?;
    }
    // The file stays for as long as it is read, whoever unpins the segment.
    let _guard = app.artifact_guard.read().await;
    let mut file = app.artifacts.reader(digest, None).await?;
    let refill = Refill {
        connection: cluster.connection().clone(),
        source: row.input_topic.clone(),
        topic: row.redrive_topic.clone(),
        group: redrive_group(app, row)?,
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    let writing = tokio::task::spawn_blocking(move || refill.write(receiver));
    let mut looked = Instant::now();
    let mut is_wanted = true;
    while let Some(piece) = file.try_next().await? {
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            let now = inference::Entity::find_by_id(row.id).one(&app.database);
            is_wanted = now
                .await?
                .is_some_and(|row| row.desired == Desired::Running);
        }
        // Where nobody takes it any more, whoever writes says why.
        if !is_wanted || sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    let written = writing.await.map_err(Error::internal)?;
    if is_wanted {
        let count = written?;
        tracing::info!(inference.name = %row.name, records = count, "the records of a pinned segment are brought back");
    }
    Ok(is_wanted)
}

/// From where records are brought back, and for whom.
struct Refill {
    connection: Connection,
    /// The topic that they came from.
    source: String,
    /// The topic that they are brought into.
    topic: String,
    /// The group that reads it.
    group: String,
}

impl Refill {
    /// Writes what is not there yet of a file, and says how many records there are. Blocks.
    fn write(&self, mut file: mpsc::Receiver<Bytes>) -> Result<u64> {
        let damaged = |error: NotRecords| Error::internal(error);
        // Whoever writes fences an earlier one, and ends what it left open; so what the group has committed next tells
        // all that is there.
        let producer = TransactionalProducer::new(&self.connection, &self.topic, TRANSACTION)?;
        producer.init(STEP)?;
        // It never joins: it speaks for a group that has no members yet.
        let options = GroupOptions::new(&self.group, &[self.topic.as_str()]);
        let member = GroupConsumer::apart(&self.connection, options)?;
        let (before, starts) = self.reached()?;
        let mut chunk = Chunk {
            producer: &producer,
            group: member.group_metadata()?,
            starts,
            records: 0,
            bytes: 0,
        };
        let mut reader = Reader::default();
        let mut count = 0;
        while let Some(piece) = file.blocking_recv() {
            reader.push(&piece);
            while let Some(record) = reader.record().map_err(damaged)? {
                count += 1;
                if count > before {
                    chunk.send(&record, self, count)?;
                }
            }
        }
        reader.finish().map_err(damaged)?;
        chunk.commit(count)?;
        Ok(count)
    }

    /// How many records are there, and where the group begins to read the topic.
    fn reached(&self) -> Result<(u64, Vec<GroupOffset>)> {
        let admin = Admin::new(&self.connection)?;
        let committed = admin.committed(&self.group, &self.topic)?;
        let mut notes = committed.iter().map(|offset| offset.metadata.as_str());
        let before = notes.find_map(|note| note.strip_prefix(NOTE)?.parse().ok());
        if let Some(count) = before {
            return Ok((count, committed));
        }
        // A topic that was there before may hold another replay's.
        let marks = admin.watermarks(&self.topic)?;
        let ends = marks
            .iter()
            .map(|mark| GroupOffset::new(&self.topic, mark.partition, mark.high));
        Ok((0, ends.collect()))
    }
}

/// What one transaction brings back.
struct Chunk<'p> {
    producer: &'p TransactionalProducer,
    group: GroupMetadata,
    /// Where the group begins to read, in each partition.
    starts: Vec<GroupOffset>,
    records: u64,
    bytes: usize,
}

impl Chunk<'_> {
    /// Writes a record, which is the one with this number.
    fn send(&mut self, record: &Record, refill: &Refill, number: u64) -> Result<()> {
        if self.records == 0 {
            self.producer.begin()?;
        }
        let source = Source {
            topic: &refill.source,
            partition: record.partition,
            offset: record.offset,
        };
        let partitions = i32::try_from(self.starts.len()).map_err(Error::internal)?;
        let mut out = OutRecord::to(&refill.topic)
            .partition(record.partition % partitions.max(1))
            .header(header::SOURCE, source.to_string().into_bytes());
        // By its old time the topic's retention might take it before it is read.
        if let Some(time) = record.timestamp_ms {
            out = out.header(header::TIMESTAMP, time.to_string().into_bytes());
        }
        out.key = record.key.as_deref();
        out.value = record.value.as_deref();
        let own = record
            .headers
            .iter()
            .filter(|header| !header::is_ours(&header.name));
        out.headers.extend(own.map(|header| {
            let value = header.value.as_deref();
            (header.name.as_str().into(), value.map(Into::into))
        }));
        self.producer.send(&out)?;
        self.records += 1;
        self.bytes += record.value.as_ref().map_or(0, Vec::len);
        if self.records >= CHUNK_RECORDS || self.bytes >= CHUNK_BYTES {
            self.commit(number)?;
        }
        Ok(())
    }

    /// Commits what was written, up to the record of this number.
    fn commit(&mut self, number: u64) -> Result<()> {
        if self.records > 0 {
            let mut offsets = self.starts.clone();
            if let Some(first) = offsets.first_mut() {
                first.metadata = format!("{NOTE}{number}");
            }
            self.producer.send_offsets(&self.group, &offsets, STEP)?;
            self.producer.commit(STEP)?;
        }
        (self.records, self.bytes) = (0, 0);
        Ok(())
    }
}
