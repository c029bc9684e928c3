//! Reads a segment: exactly its records, from Kafka, whether it is there all the
//! time or not, or from the copy of a pinned one.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use millrace_artifacts::Store;
use millrace_kafka::{Admin, Connection, Range, RangeReader, RecordView};
use millrace_runtime::{Missing, Schemas};
use millrace_wire::record::{SchemaDocument, SchemaKey};
use millrace_wire::training::TrainingSpec;
use tokio::runtime::Handle;

use crate::dataset::{Builder, Complete, Record, Registry};
use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::failure::{Failure, Stop};
use crate::inputs::Inputs;
use crate::layout::Layout;
use crate::patience::Patience;
use crate::pinned;
use crate::rows::Room;
use crate::targets::Kind;

/// Records that are taken in at once.
const BATCH: usize = 1_000;
/// How long one look into Kafka may take.
const WAIT: Duration = Duration::from_millis(100);
/// The pause before a schema registry that does not answer is asked again.
const WAIT_FOR_SCHEMAS: Duration = Duration::from_secs(1);

/// Where a segment's records may be, and where those go that can't be used.
pub struct Places<'a> {
    /// The cluster.
    pub connection: &'a Connection,
    /// The store, which has pinned segments.
    pub store: &'a Store,
    /// Where the store's calls run.
    pub runtime: &'a Handle,
    /// Where records may lie once they are read.
    pub room: &'a Room,
}

/// What is wanted of the records.
pub struct Wanted<'a> {
    /// Where they stand.
    pub layout: &'a Layout,
    /// What the parts of a label are.
    pub kinds: Vec<Kind>,
    /// What their numbers go into, where the model takes them as they are.
    pub inputs: Option<&'a Inputs>,
    /// Whether those that can't be used go to the dead letters: not where that was done before.
    pub with_dead_letters: bool,
}

/// Reads the segment of `spec`, and hands its blocks on as they are complete.
pub fn read(
    spec: &TrainingSpec,
    places: &Places<'_>,
    wanted: &Wanted<'_>,
    patience: &Patience<'_>,
    complete: Sender<Complete>,
) -> Result<(), Stop> {
    let schemas = Waiting {
        schemas: RefCell::new(
            Schemas::new(places.runtime, &spec.connection)
                .map_err(|error| Failure::new("kafka-connection", error.to_string()))?,
        ),
        patience,
    };
    let mut intake = Intake {
        spec,
        connection: places.connection,
        patience,
        builder: Builder::new(
            spec,
            wanted.layout,
            wanted.kinds.clone(),
            places.room,
            complete,
        )?
        .with_inputs(wanted.inputs)
        .with_schemas(&schemas),
        with_dead_letters: wanted.with_dead_letters,
        bad: Vec::new(),
        dead_letters: None,
    };
    match &spec.segment.pinned {
        Some(digest) => pinned::read(places.store, places.runtime, digest, &mut |records| {
            patience.check()?;
            for record in &records {
                intake.take_pinned(record)?;
            }
            intake.write_bad()
        })?,
        None => read_kafka(&mut intake)?,
    }
    Ok(intake.builder.finish()?)
}

fn read_kafka(intake: &mut Intake<'_>) -> Result<(), Stop> {
    let (connection, patience) = (intake.connection, intake.patience);
    let segment = &intake.spec.segment;
    check_topic(intake.spec, connection, patience)?;
    let ranges: Vec<Range> = segment
        .partitions
        .iter()
        .map(|range| Range {
            partition: range.partition,
            start: range.start,
            end: range.end,
        })
        .collect();
    let mut reader = patience.until("read the segment", || {
        RangeReader::open(connection, &segment.topic, &ranges)
    })?;
    while !reader.is_done() {
        patience.check()?;
        match reader.next_batch(BATCH, WAIT) {
            Err(error) => patience.wait_after("read the segment", &error, WAIT)?,
            Ok(records) if records.is_empty() => patience.is_silent(|| silence(connection)),
            Ok(records) => {
                patience.is_alive();
                for record in &records {
                    intake.take(record)?;
                }
            }
        }
        intake.write_bad()?;
    }
    let_go(reader);
    Ok(())
}

/// Closes a client on a thread of its own: it waits a tenth of a second for threads of its own, and nobody has to wait for it.
fn let_go(client: impl Send + 'static) {
    // Without a thread it is closed here.
    let closing = thread::Builder::new().name("close".to_owned());
    closing.spawn(move || drop(client)).ok();
}

/// Takes records in, wherever they come from.
struct Intake<'a> {
    spec: &'a TrainingSpec,
    connection: &'a Connection,
    patience: &'a Patience<'a>,
    builder: Builder<'a>,
    with_dead_letters: bool,
    /// Records that can't be used, on their way to the dead letters.
    bad: Vec<DeadLetter>,
    dead_letters: Option<DeadLetters>,
}

impl Intake<'_> {
    fn take(&mut self, record: &RecordView<'_>) -> Result<(), Stop> {
        let headers: Vec<(Cow<'_, str>, Option<&[u8]>)> = record.headers().collect();
        let headers: Vec<(&str, Option<&[u8]>)> = headers
            .iter()
            .map(|(name, value)| (name.as_ref(), *value))
            .collect();
        let seen = Record {
            partition: record.partition(),
            offset: record.offset(),
            timestamp_ms: record.timestamp_ms(),
            key: record.key(),
            value: record.value(),
            headers: &headers,
        };
        self.add(&seen, || record.to_record())
    }

    fn take_pinned(&mut self, record: &millrace_wire::pinned::Record) -> Result<(), Stop> {
        let headers: Vec<(&str, Option<&[u8]>)> = record
            .headers
            .iter()
            .map(|header| (header.name.as_str(), header.value.as_deref()))
            .collect();
        let seen = Record {
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        let topic = &self.spec.segment.topic;
        self.add(&seen, || millrace_kafka::Record {
            topic: topic.clone(),
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record
                .headers
                .iter()
                .map(|header| (header.name.clone(), header.value.clone()))
                .collect(),
        })
    }

    /// Takes a record in, or keeps a copy of it for the dead letters.
    fn add(
        &mut self,
        record: &Record<'_>,
        copy: impl FnOnce() -> millrace_kafka::Record,
    ) -> Result<(), Stop> {
        if let Err(error) = self.builder.add(record)?
            && self.with_dead_letters
        {
            let record = copy();
            self.bad.push(DeadLetter { record, error });
        }
        Ok(())
    }

    fn write_bad(&mut self) -> Result<(), Stop> {
        if self.bad.is_empty() {
            return Ok(());
        }
        let bad = std::mem::take(&mut self.bad);
        let dead_letters = match self.dead_letters.take() {
            Some(dead_letters) => dead_letters,
            None => DeadLetters::new(self.spec, self.connection)?,
        };
        dead_letters.write(bad, self.patience)?;
        self.dead_letters = Some(dead_letters);
        Ok(())
    }
}

/// Schemas for which the training waits as long as it takes.
struct Waiting<'a> {
    schemas: RefCell<Schemas>,
    patience: &'a Patience<'a>,
}

impl Registry for Waiting<'_> {
    fn get(&self, key: SchemaKey) -> Result<Result<Arc<SchemaDocument>, String>, Stop> {
        loop {
            self.patience.check()?;
            match self.schemas.borrow_mut().get(key) {
                Ok(document) => {
                    self.patience.is_alive();
                    return Ok(Ok(document));
                }
                Err(Missing::Unknown(reason)) => return Ok(Err(reason)),
                Err(Missing::Unavailable(reason)) => {
                    self.patience.is_silent(|| reason);
                    self.patience.pause(WAIT_FOR_SCHEMAS)?;
                }
            }
        }
    }
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
    })?;
    let_go(admin);
    Ok(())
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
