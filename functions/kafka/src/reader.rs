//! What the readers without a group share: one consumer, its settings, and what
//! its errors mean.
//!
//! Invariant: such a reader never joins a group and never commits.

use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::admin::{Watermarks, watermarks};
use crate::error::{Step, is_transient};
use crate::ffi::Native;
use crate::health::Health;
use crate::observer::Observer;
use crate::{Connection, Error};

/// Settings of every consumer, unless the connection says otherwise.
pub(crate) const CONSUMER_DEFAULTS: &[(&str, &str)] = &[
    // A fast reader otherwise stops for a second each time its queue is full.
    ("fetch.queue.backoff.ms", "5"),
    // A request for the first partition whose start is known waits at the broker for this long where that is empty, and the
    // others wait with it: half a second of every start.
    ("fetch.wait.max.ms", "100"),
];

/// Settings on which the promises of every consumer rest.
pub(crate) const CONSUMER_FIXED: &[(&str, &str)] = &[
    ("isolation.level", "read_committed"),
    ("auto.offset.reset", "error"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
];

/// How often a silent client asks whether its brokers are back.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// How long such a question may take.
const PROBE_TIMEOUT: Duration = Duration::from_millis(200);

/// How long a question between two polls may take: callers want to be able to
/// stop meanwhile, and it is asked again.
pub(crate) const BETWEEN_POLLS: Duration = Duration::from_secs(2);

/// What an error of a poll asks for.
pub(crate) enum PollError {
    /// Nothing: librdkafka gets over it.
    Transient,
    /// A look at which partition's position Kafka no longer has.
    PositionLost,
    /// To be told.
    Told(Error),
}

/// Makes a consumer that is assigned its partitions by hand.
pub(crate) fn assigned_consumer(connection: &Connection) -> Result<BaseConsumer<Observer>, Error> {
    let mut defaults = CONSUMER_DEFAULTS.to_vec();
    // Whoever reads without a group keeps what it reads: a large queue before that is memory taken twice.
    defaults.push(("queued.max.messages.kbytes", "4096"));
    // librdkafka wants a name of a group even where none is joined.
    defaults.push(("group.id", "millrace.reader"));
    let mut fixed = CONSUMER_FIXED.to_vec();
    fixed.push(("enable.partition.eof", "true"));
    connection.client(
        &defaults,
        &fixed,
        Observer::new(connection.health().clone()),
    )
}

/// Judges an error that a poll returned; `reason` is librdkafka's sentence.
pub(crate) fn judge(step: Step<'_>, error: &KafkaError, reason: &str) -> PollError {
    let is_fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
    match error.rdkafka_error_code() {
        Some(Code::AutoOffsetReset | Code::LogTruncation | Code::OffsetOutOfRange) => {
            PollError::PositionLost
        }
        Some(code) if is_transient(code) && !is_fatal => PollError::Transient,
        Some(code) => PollError::Told(step.code(code, reason)),
        None => PollError::Told(step.kafka(error)),
    }
}

/// As [`judge`], for a reader that joins no group: librdkafka looks for its
/// group's coordinator all the same, and it needs no right to that.
pub(crate) fn judge_assigned(step: Step<'_>, error: &KafkaError, reason: &str) -> PollError {
    if error.rdkafka_error_code() == Some(Code::GroupAuthorizationFailed) {
        return PollError::Transient;
    }
    judge(step, error, reason)
}

/// The error for positions of a topic of which Kafka no longer has one.
pub(crate) fn lost_position(
    native: Native<'_>,
    topic: &str,
    positions: &[(i32, i64)],
) -> Result<Option<Error>, Error> {
    let marks = watermarks(native, topic, BETWEEN_POLLS)?;
    Ok(positions
        .iter()
        .find_map(|(partition, offset)| match find(&marks, *partition) {
            Some(mark) => check_offset(topic, mark, *offset).err(),
            None => Some(Error::UnknownPartition {
                topic: topic.to_owned(),
                partition: *partition,
            }),
        }))
}

/// Fails unless `offset` may be read or waited for.
pub(crate) fn check_offset(topic: &str, mark: &Watermarks, offset: i64) -> Result<(), Error> {
    let topic = topic.to_owned();
    let Watermarks {
        partition,
        low,
        high,
        ..
    } = *mark;
    if offset < low {
        Err(Error::OffsetExpired {
            topic,
            partition,
            offset,
            low,
            high,
        })
    } else if offset > high {
        Err(Error::OffsetInFuture {
            topic,
            partition,
            offset,
            low,
            high,
        })
    } else {
        Ok(())
    }
}

pub(crate) fn find(marks: &[Watermarks], partition: i32) -> Option<&Watermarks> {
    marks.iter().find(|mark| mark.partition == partition)
}

/// Finds out whether brokers are back while nothing arrives: librdkafka says
/// when the last one goes, and nothing when one returns.
pub(crate) struct Prober {
    next: Instant,
}

impl Prober {
    pub(crate) fn new() -> Self {
        Self {
            next: Instant::now(),
        }
    }

    pub(crate) fn probe<C: ClientContext>(
        &mut self,
        health: &Health,
        client: &Client<C>,
        topic: &str,
    ) {
        if health.is_connected() || Instant::now() < self.next {
            return;
        }
        if client.fetch_metadata(Some(topic), PROBE_TIMEOUT).is_ok() {
            health.up();
        }
        self.next = Instant::now() + PROBE_INTERVAL;
    }
}

/// A consumer's native client.
pub(crate) fn native<C: rdkafka::consumer::ConsumerContext>(
    consumer: &BaseConsumer<C>,
) -> Native<'_> {
    Native::of(consumer.client())
}
