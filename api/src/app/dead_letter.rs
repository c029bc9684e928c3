//! Dead letters: records that an inference could not answer. They are read where they lie, and sent
//! back through the inference's own topic, which nobody else reads.
//!
//! Invariant: a dead letter is sent back once, whatever is killed meanwhile. What was sent back
//! stands in the topic that it was sent to, so that is where it is looked up; who sends holds the
//! topic's transactional id, so nobody else sends meanwhile.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use millrace_entity::inference::{self, Desired};
use millrace_kafka::{
    Admin, Connection, OutRecord, Range, RangeReader, Record, RecordView, TransactionalProducer,
    Watermarks,
};
use millrace_wire::header;
use millrace_wire::prediction::Source;

use super::reconciler::Settings;
use super::{App, Code, Error, Result, inference as inferences, project as projects};

/// How long the reading of a topic may stand still.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one step of a transaction may take.
const STEP: Duration = Duration::from_secs(20);
/// Brokers end a transaction that is open for longer.
const TRANSACTION: Duration = Duration::from_mins(1);
/// How much one transaction sends back.
const CHUNK_RECORDS: usize = 1_000;
const CHUNK_BYTES: usize = 8 << 20;
/// What a redriven record does not keep of its dead letter. Its source stays.
const REPLACED: [&str; 7] = [
    header::ERROR,
    header::ERROR_MESSAGE,
    header::MODEL,
    header::VERSION,
    header::ATTEMPT,
    header::DEAD_LETTER,
    header::TIMESTAMP,
];

/// Where a dead letter lies in its topic. Its text is `partition/offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl Place {
    fn of(record: &Record) -> Self {
        Self {
            partition: record.partition,
            offset: record.offset,
        }
    }

    /// Reads `partition/offset`.
    ///
    /// # Errors
    /// `INVALID_INPUT` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let parse = || {
            let (partition, offset) = text.split_once('/')?;
            Some(Self {
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        };
        parse().ok_or_else(|| {
            Error::new(
                Code::InvalidInput,
                format!("{text:?} is not the place of a dead letter; give partition/offset"),
            )
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.partition, self.offset)
    }
}

/// A record that could not be answered.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The record in the topic of dead letters.
    pub record: Record,
    /// Whether it was sent back.
    pub is_redriven: bool,
}

impl DeadLetter {
    /// Where it lies.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::of(&self.record)
    }

    /// A header of Millrace's as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.record.header(name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// How often the record was tried.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        attempt(&self.record)
    }

    /// The time of the record.
    #[must_use]
    pub fn timestamp(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(time_ms(&self.record)?)
    }
}

/// The time of the record that a dead letter holds. Of a replay it stands in a header.
fn time_ms(letter: &Record) -> Option<i64> {
    let told = || {
        let text = std::str::from_utf8(letter.header(header::TIMESTAMP)?).ok()?;
        text.parse().ok()
    };
    told().or(letter.timestamp_ms)
}

fn attempt(record: &Record) -> u32 {
    let told = || {
        let text = std::str::from_utf8(record.header(header::ATTEMPT)?).ok()?;
        text.parse().ok()
    };
    told().unwrap_or(1)
}

/// Which dead letters are meant.
#[derive(Debug, Clone)]
pub enum Selection {
    /// All of them.
    All,
    /// Those with this error.
    Error(String),
    /// These.
    Places(Vec<Place>),
}

impl Selection {
    fn has(&self, record: &Record) -> bool {
        match self {
            Self::All => true,
            Self::Error(code) => record.header(header::ERROR) == Some(code.as_bytes()),
            Self::Places(places) => places.contains(&Place::of(record)),
        }
    }
}

/// A page of dead letters.
#[derive(Debug)]
pub struct Page {
    /// The letters, by partition and offset.
    pub letters: Vec<DeadLetter>,
    /// Whether there are more behind them.
    pub has_more: bool,
}

/// Lists dead letters behind a place, at most `first`: those of an error, and those that were sent
/// back or were not, where that is asked for.
///
/// # Errors
/// Kafka's.
pub async fn list(
    app: &App,
    row: &inference::Model,
    first: usize,
    after: Option<Place>,
    error: Option<String>,
    redriven: Option<bool>,
) -> Result<Page> {
    let selection = error.map_or(Selection::All, Selection::Error);
    let (letters, redrive) = (row.dead_letter_topic.clone(), row.redrive_topic.clone());
    with_connection(app, row, move |connection| {
        let sent = redriven_from(connection, &redrive)?;
        let mut found = Vec::new();
        let mut has_more = false;
        read(
            connection,
            &letters,
            |place| after.is_none_or(|after| place > after),
            |record| {
                let is_redriven = sent.contains(&Place::of(&record));
                if !selection.has(&record) || redriven.is_some_and(|wanted| wanted != is_redriven) {
                    return Ok(ControlFlow::Continue(()));
                }
                if found.len() == first {
                    has_more = true;
                    return Ok(ControlFlow::Break(()));
                }
                found.push(DeadLetter {
                    record,
                    is_redriven,
                });
                Ok(ControlFlow::Continue(()))
            },
        )?;
        Ok(Page {
            letters: found,
            has_more,
        })
    })
    .await
}

/// The dead letter at a place, if there is one.
///
/// # Errors
/// Kafka's.
pub async fn find(app: &App, row: &inference::Model, place: Place) -> Result<Option<DeadLetter>> {
    let (letters, redrive) = (row.dead_letter_topic.clone(), row.redrive_topic.clone());
    with_connection(app, row, move |connection| {
        let Some(record) = read_one(connection, &letters, place)? else {
            return Ok(None);
        };
        let is_redriven = redriven_from(connection, &redrive)?.contains(&place);
        Ok(Some(DeadLetter {
            record,
            is_redriven,
        }))
    })
    .await
}

/// What was sent back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Redriven {
    /// Dead letters that were sent back now.
    pub sent: u64,
    /// Those that had been sent back before, and were passed over.
    pub passed_over: u64,
}

/// Sends dead letters back to their inference, each at most once.
///
/// # Errors
/// `NOT_FOUND`, also of a place without a dead letter, before anything is sent; `ILLEGAL_STATE`
/// where the inference does not read redriven records; `IN_USE` where somebody else began to send
/// them back; and Kafka's. What was sent before an error stays so: ask again for the rest.
pub async fn redrive(
    app: &App,
    project: &str,
    name: &str,
    selection: Selection,
) -> Result<(inference::Model, Redriven)> {
    let project = projects::find(&app.database, project).await?;
    let row = inferences::find(&app.database, project.id, name).await?;
    if row.desired == Desired::Deleted || !Settings::of(&row)?.has_redrive {
        let reason = if row.desired == Desired::Deleted {
            "is being deleted"
        } else {
            "does not read redriven records yet: wait until it runs; one from before Millrace could send records back has to be stopped and started once"
        };
        return Err(Error::new(
            Code::IllegalState,
            format!("the inference {name:?} {reason}"),
        ));
    }
    let (letters, redrive) = (row.dead_letter_topic.clone(), row.redrive_topic.clone());
    let redriven = with_connection(app, &row, move |connection| {
        send_back(connection, &letters, &redrive, &selection)
    })
    .await?;
    tracing::info!(
        inference.name = name,
        redriven.sent = redriven.sent,
        redriven.passed_over = redriven.passed_over,
        "dead letters redriven"
    );
    Ok((row, redriven))
}

fn send_back(
    connection: &Connection,
    letters: &str,
    redrive: &str,
    selection: &Selection,
) -> Result<Redriven> {
    if let Selection::Places(places) = selection {
        for place in places {
            if read_one(connection, letters, *place)?.is_none() {
                return Err(Error::new(
                    Code::NotFound,
                    format!("there is no dead letter at {place} of {letters}"),
                ));
            }
        }
    }
    let partitions = Admin::new(connection)?.partitions(redrive)?;
    // Whoever sends fences an earlier one, and ends what it left open; so what is read of the
    // topic next is all that was ever sent.
    let producer = TransactionalProducer::new(connection, redrive, TRANSACTION)?;
    producer.init(STEP)?;
    let sent = redriven_from(connection, redrive)?;
    let mut redriven = Redriven::default();
    let mut chunk = Chunk {
        producer: &producer,
        records: 0,
        bytes: 0,
    };
    let wanted = |place: Place| match selection {
        Selection::Places(places) => places.contains(&place),
        Selection::All | Selection::Error(_) => true,
    };
    read(connection, letters, wanted, |record| {
        if !selection.has(&record) {
            return Ok(ControlFlow::Continue(()));
        }
        if sent.contains(&Place::of(&record)) {
            redriven.passed_over += 1;
            return Ok(ControlFlow::Continue(()));
        }
        chunk.send(&record, redrive, partitions)?;
        redriven.sent += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    chunk.commit()?;
    Ok(redriven)
}

/// What one transaction sends back.
struct Chunk<'p> {
    producer: &'p TransactionalProducer,
    records: usize,
    bytes: usize,
}

impl Chunk<'_> {
    fn send(&mut self, letter: &Record, topic: &str, partitions: i32) -> Result<()> {
        if self.records == 0 {
            self.producer.begin()?;
        }
        let source = letter
            .header(header::SOURCE)
            .and_then(|source| Source::parse(std::str::from_utf8(source).ok()?));
        let mut record = OutRecord::to(topic)
            .header(
                header::ATTEMPT,
                (attempt(letter) + 1).to_string().into_bytes(),
            )
            .header(
                header::DEAD_LETTER,
                Place::of(letter).to_string().into_bytes(),
            );
        // By its old time the topic's retention might take it before it is read.
        if let Some(time) = time_ms(letter) {
            record = record.header(header::TIMESTAMP, time.to_string().into_bytes());
        }
        record.partition = source.map(|source| source.partition % partitions.max(1));
        record.key = letter.key.as_deref();
        record.value = letter.value.as_deref();
        let kept = letter
            .headers
            .iter()
            .filter(|(name, _)| !REPLACED.contains(&name.as_str()));
        record
            .headers
            .extend(kept.map(|(name, value)| (name.into(), value.as_deref().map(Into::into))));
        self.producer.send(&record)?;
        self.records += 1;
        self.bytes += letter.value.as_ref().map_or(0, Vec::len);
        if self.records >= CHUNK_RECORDS || self.bytes >= CHUNK_BYTES {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        if self.records > 0 {
            self.producer.commit(STEP)?;
        }
        (self.records, self.bytes) = (0, 0);
        Ok(())
    }
}

/// The dead letters that were sent back, as the topic that they were sent to tells.
fn redriven_from(connection: &Connection, topic: &str) -> Result<BTreeSet<Place>> {
    let mut places = BTreeSet::new();
    let result = read(
        connection,
        topic,
        |_| true,
        |record| {
            let place = record.header(header::DEAD_LETTER);
            let place = place.and_then(|place| std::str::from_utf8(place).ok());
            places.extend(place.and_then(|place| Place::parse(place).ok()));
            Ok(ControlFlow::Continue(()))
        },
    );
    match result {
        // It is made when the inference starts.
        Err(error) if error.code() == Code::TopicNotFound => Ok(places),
        Err(error) => Err(error),
        Ok(()) => Ok(places),
    }
}

/// The record at a place, if there is one that is committed.
fn read_one(connection: &Connection, topic: &str, place: Place) -> Result<Option<Record>> {
    let mut found = None;
    read(
        connection,
        topic,
        |other| other == place,
        |record| {
            found = Some(record);
            Ok(ControlFlow::Break(()))
        },
    )?;
    Ok(found)
}

/// Reads a topic's committed records, partition after partition: those at places that `wanted`
/// accepts, which lie side by side, until `each` has enough.
pub(super) fn read(
    connection: &Connection,
    topic: &str,
    wanted: impl Fn(Place) -> bool,
    mut each: impl FnMut(Record) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let marks = Admin::new(connection)?.watermarks(topic)?;
    for Range {
        partition,
        start,
        end,
    } in marks.iter().map(Watermarks::committed)
    {
        let is_wanted = |offset: &i64| {
            wanted(Place {
                partition,
                offset: *offset,
            })
        };
        let Some(start) = (start..end).find(is_wanted) else {
            continue;
        };
        let range = Range {
            partition,
            start,
            end,
        };
        let mut reader = RangeReader::open(connection, topic, &[range])?;
        let mut heard = Instant::now();
        while !reader.is_done() {
            let batch = reader.next_batch(CHUNK_RECORDS, Duration::from_millis(100))?;
            if !batch.is_empty() {
                heard = Instant::now();
            }
            for record in batch.iter().filter(|record| is_wanted(&record.offset())) {
                if each(RecordView::to_record(record))?.is_break() {
                    return Ok(());
                }
            }
            if heard.elapsed() > PATIENCE {
                return Err(Error::new(
                    Code::KafkaUnreachable,
                    format!(
                        "nothing of {topic} came for {} s; try again",
                        PATIENCE.as_secs()
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// Works with the connection of an inference on a thread where that may block, in its turn.
async fn with_connection<T: Send + 'static>(
    app: &App,
    row: &inference::Model,
    work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
) -> Result<T> {
    let cluster = app.cluster(row.connection_id).await?;
    let connection = cluster.connection().clone();
    app.scans.run(move || work(&connection)).await?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn places_read_back() {
        let place = Place {
            partition: 2,
            offset: 17,
        };
        assert_eq!(Place::parse(&place.to_string()).unwrap(), place);
        for text in ["", "2", "2/x", "a/1", "2/1/0"] {
            let error = Place::parse(text).unwrap_err();
            assert_eq!(error.code(), Code::InvalidInput, "{text}");
        }
    }
}
