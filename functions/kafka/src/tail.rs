//! Follows a whole topic from given offsets, partitions added later included.
//!
//! Invariant: records of one partition come in order and once, and the end that
//! stood when the tail was opened is announced exactly once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::metadata::MetadataTopic;

use crate::admin::{REQUEST_TIMEOUT, watermarks};
use crate::error::Step;
use crate::group::native_list;
use crate::observer::Observer;
use crate::reader::{
    PollError, Prober, assigned_consumer, check_offset, judge_assigned, lost_position, native,
};
use crate::{Connection, Error, Record, RecordView};

/// How often the topic is looked at for partitions that were added.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);
/// How long such a look may take.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(1);

/// What a [`Tail`] has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailEvent {
    /// The next record.
    Record(Record),
    /// All that was in the topic when the tail was opened has been given.
    CaughtUp,
    /// Nothing came in time.
    Idle,
}

/// A reader of all of a topic's committed records, old and new.
pub struct Tail {
    consumer: BaseConsumer<Observer>,
    topic: String,
    /// The next offset of every partition.
    next: BTreeMap<i32, i64>,
    /// The ends that have not been reached yet.
    ends: BTreeMap<i32, i64>,
    is_caught_up: bool,
    has_lost_position: bool,
    next_refresh: Instant,
    prober: Prober,
}

impl Tail {
    /// Opens a topic at `offsets`, the next of each partition; partitions that
    /// are not named are read from their beginning. Fails with
    /// [`Error::OffsetExpired`] or [`Error::OffsetInFuture`] where Kafka does
    /// not have such an offset.
    pub fn open(
        connection: &Connection,
        topic: &str,
        offsets: &BTreeMap<i32, i64>,
    ) -> Result<Self, Error> {
        let consumer = assigned_consumer(connection)?;
        let marks = watermarks(native(&consumer), topic, REQUEST_TIMEOUT)?;
        connection.health().up();
        let mut next = BTreeMap::new();
        let mut ends = BTreeMap::new();
        for mark in &marks {
            let start = offsets.get(&mark.partition).copied().unwrap_or(mark.low);
            check_offset(topic, mark, start)?;
            next.insert(mark.partition, start);
            if start < mark.stable {
                ends.insert(mark.partition, mark.stable);
            }
        }
        let tail = Self {
            consumer,
            topic: topic.to_owned(),
            next,
            ends,
            is_caught_up: false,
            has_lost_position: false,
            next_refresh: Instant::now() + REFRESH_INTERVAL,
            prober: Prober::new(),
        };
        tail.assign()?;
        Ok(tail)
    }

    /// The next offset of each partition: where another tail would go on.
    #[must_use]
    pub fn positions(&self) -> &BTreeMap<i32, i64> {
        &self.next
    }

    /// Waits for a record, at most `timeout`.
    pub fn poll(&mut self, timeout: Duration) -> Result<TailEvent, Error> {
        let deadline = Instant::now() + timeout;
        self.check_positions()?;
        self.refresh()?;
        loop {
            if !self.is_caught_up && self.ends.is_empty() {
                self.is_caught_up = true;
                return Ok(TailEvent::CaughtUp);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.consumer.poll(left) {
                None if left.is_zero() => break,
                None => {}
                Some(Ok(message)) => {
                    self.consumer.context().health().up();
                    let (partition, next) = (message.partition(), message.offset() + 1);
                    let record = RecordView::new(message).to_record();
                    self.advance(partition, next);
                    return Ok(TailEvent::Record(record));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.consumer.context().health().up();
                    self.ends.remove(&partition);
                }
                Some(Err(error)) => {
                    let step = Step::new("follow").topic(&self.topic);
                    match judge_assigned(step, &error, &self.consumer.context().last_reason()) {
                        PollError::Transient => {}
                        PollError::PositionLost => {
                            self.has_lost_position = true;
                            self.check_positions()?;
                        }
                        PollError::Told(error) => return Err(error),
                    }
                }
            }
        }
        let context = self.consumer.context();
        self.prober
            .probe(context.health(), self.consumer.client(), &self.topic);
        Ok(TailEvent::Idle)
    }

    fn advance(&mut self, partition: i32, next: i64) {
        self.next.insert(partition, next);
        if self.ends.get(&partition).is_some_and(|end| next >= *end) {
            self.ends.remove(&partition);
        }
    }

    /// Takes in partitions that were added since, from their beginning.
    fn refresh(&mut self) -> Result<(), Error> {
        if Instant::now() < self.next_refresh {
            return Ok(());
        }
        self.next_refresh = Instant::now() + REFRESH_INTERVAL;
        let Ok(metadata) = self
            .consumer
            .fetch_metadata(Some(&self.topic), REFRESH_TIMEOUT)
        else {
            // Brokers that are away are the health's matter.
            return Ok(());
        };
        self.consumer.context().health().up();
        let known = self.next.len();
        for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
            self.next.entry(partition.id()).or_insert(0);
        }
        if self.next.len() == known {
            return Ok(());
        }
        self.assign()
    }

    fn assign(&self) -> Result<(), Error> {
        let step = Step::new("follow").topic(&self.topic);
        let list = native_list(
            step,
            self.next
                .iter()
                .map(|(partition, next)| (self.topic.as_str(), *partition, Offset::Offset(*next))),
        )?;
        self.consumer
            .assign(&list)
            .map_err(|error| step.kafka(&error))
    }

    fn check_positions(&mut self) -> Result<(), Error> {
        if !self.has_lost_position {
            return Ok(());
        }
        let positions: Vec<(i32, i64)> = self
            .next
            .iter()
            .map(|(partition, next)| (*partition, *next))
            .collect();
        match lost_position(native(&self.consumer), &self.topic, &positions) {
            Ok(None) => {
                self.has_lost_position = false;
                self.assign()
            }
            Err(error) if error.is_retriable() => Ok(()),
            Ok(Some(error)) | Err(error) => Err(error),
        }
    }
}
