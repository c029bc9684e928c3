//! The idempotent producer: every record is acknowledged by all replicas, once. And one that begins sooner.
//!
//! Invariant: no record is lost silently. A failed delivery reaches whoever
//! waits for it, and otherwise the next [`Producer::flush`].

mod served;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::producer::{
    BaseProducer, DeliveryResult, Producer as _, ProducerContext, PurgeConfig,
};
use rdkafka::statistics::Statistics;

use crate::error::{Step, code_text};
use crate::ffi::{Headers, Native, Report, Topic};
use crate::health::Health;
use crate::iam;
use crate::observer::Observer;
use crate::{Connection, Error, OutRecord};

pub(crate) use served::Served;

/// How long a full queue is given between two tries.
const QUEUE_PAUSE: Duration = Duration::from_millis(1);
/// How long a dropped producer may still take to deliver.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a first answer of the brokers is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Settings that every producer of this crate has.
pub(crate) const PRODUCER_DEFAULTS: &[(&str, &str)] = &[("linger.ms", "5")];
/// Settings on which the promises of every producer rest.
pub(crate) const PRODUCER_FIXED: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    // Java's clients choose partitions this way, see `partition_by_key`.
    ("partitioner", "murmur2_random"),
];

/// Where a record came to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// A record on its way: a future, or [`Delivery::wait`] on a plain thread.
#[must_use = "a delivery that nobody waits for may fail unseen"]
pub struct Delivery {
    receiver: oneshot::Receiver<Result<Delivered, Error>>,
}

impl Delivery {
    /// One of which it is known how it ended.
    pub fn ended(result: Result<Delivered, Error>) -> Self {
        let (sender, receiver) = oneshot::channel();
        // It holds the receiver, so that somebody hears it.
        let _ = sender.send(result);
        Self { receiver }
    }

    /// Blocks until the record is acknowledged or given up.
    pub fn wait(self) -> Result<Delivered, Error> {
        futures::executor::block_on(self)
    }
}

impl Future for Delivery {
    type Output = Result<Delivered, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map(|result| {
            result.unwrap_or_else(|_| {
                Err(Step::new("write").failed("the producer was closed first", true))
            })
        })
    }
}

/// A producer that may be shared between threads.
pub struct Producer {
    writer: Writer,
}

impl Producer {
    /// Makes the producer; the cluster is not contacted yet.
    pub fn new(connection: &Connection) -> Result<Self, Error> {
        Self::with(connection, PRODUCER_FIXED)
    }

    /// Makes one that writes at once, for one record at a time: one that is on its way while another is may come to lie
    /// before it, and one that comes again may lie there twice.
    ///
    /// The idempotent one writes nothing in its first half second: librdkafka asks for its identity when it is made, finds no
    /// broker connected, and asks once more 500 ms later (`rd_kafka_idemp_pid_fsm`).
    pub fn prompt(connection: &Connection) -> Result<Self, Error> {
        let mut fixed = PRODUCER_FIXED.to_vec();
        fixed.push(("enable.idempotence", "false"));
        Self::with(connection, &fixed)
    }

    fn with(connection: &Connection, fixed: &[(&str, &str)]) -> Result<Self, Error> {
        let deliveries = Deliveries::new(Observer::new(connection.health().clone()));
        let client = connection.client(PRODUCER_DEFAULTS, fixed, deliveries)?;
        Ok(Self {
            writer: Writer::new(client)?,
        })
    }

    /// Waits a short time until a broker has answered.
    pub fn connect(&self) {
        self.writer.connect();
    }

    /// Looks for the leaders of a topic's partitions in the background, which the first record would wait for.
    pub fn meet(&self, topic: &str) -> Result<(), Error> {
        self.writer.meet(topic)
    }

    /// Takes a record in, and blocks while the queue is full. A failed delivery
    /// is told by the next [`Producer::flush`].
    pub fn send(&self, record: &OutRecord<'_>) -> Result<(), Error> {
        self.writer.enqueue(record, UNTRACKED)
    }

    /// Takes a record in (blocking only while the queue is full) and gives back
    /// its delivery to wait for.
    pub fn send_and_wait(&self, record: &OutRecord<'_>) -> Result<Delivery, Error> {
        let (id, receiver) = self.writer.client.context().track();
        if let Err(error) = self.writer.enqueue(record, id) {
            self.writer.client.context().lock().waiting.remove(&id);
            return Err(error);
        }
        Ok(Delivery { receiver })
    }

    /// Waits until all records are acknowledged, and fails with the first
    /// delivery that failed since the last call.
    pub fn flush(&self, timeout: Duration) -> Result<(), Error> {
        wait_for_reports(&self.writer.client, timeout)?;
        match self.writer.client.context().take_failed() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Takes back what is not acknowledged yet, as far as it has not been sent, and ends.
    pub fn give_up(self) {
        self.writer
            .client
            .purge(PurgeConfig::default().queue().inflight());
    }

    /// How many records are not acknowledged yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.writer.client.in_flight_count()).unwrap_or(0)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // rdkafka throws away what is still queued when its producer is dropped.
        if let Err(error) = self.flush(DROP_TIMEOUT) {
            tracing::error!(error = %error, "records were lost when a producer was closed");
        }
    }
}

/// The opaque value of records whose delivery nobody waits for.
pub(crate) const UNTRACKED: usize = 0;

/// A client with the topics that it has written to.
pub(crate) struct Writer {
    /// They stand before the client, since they must be dropped before it.
    topics: Mutex<Vec<(String, Topic)>>,
    pub(crate) client: Served,
}

impl Writer {
    pub(crate) fn new(client: BaseProducer<Deliveries>) -> Result<Self, Error> {
        Ok(Self {
            topics: Mutex::default(),
            client: Served::start(client)?,
        })
    }

    /// Hands a record to librdkafka, waiting while its queue is full.
    pub(crate) fn enqueue(&self, record: &OutRecord<'_>, id: usize) -> Result<(), Error> {
        let mut headers = Headers::of(record);
        loop {
            match self.produce(record, &mut headers, id)? {
                Ok(()) => return Ok(()),
                Err(Code::QueueFull) => thread::sleep(QUEUE_PAUSE),
                // A transaction takes nothing more once one of its records has failed, unless the
                // whole producer has.
                Err(Code::State) if self.client.client().fatal_error().is_none() => {
                    return Err(Error::Abortable {
                        step: write_step(record.topic, record.partition).to_string(),
                        reason: "an earlier record of the transaction could not be written"
                            .to_owned(),
                    });
                }
                Err(code) => {
                    let step = write_step(record.topic, record.partition);
                    // A fenced or failed producer says no more than "fatal" here.
                    return Err(match self.client.client().fatal_error() {
                        Some((code, reason)) => step.code(code, &reason),
                        None => step.code(code, &code_text(code)),
                    });
                }
            }
        }
    }

    fn produce(
        &self,
        record: &OutRecord<'_>,
        headers: &mut Option<Headers>,
        id: usize,
    ) -> Result<Result<(), Code>, Error> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let place = self.place(&mut topics, record.topic)?;
        Ok(self.native().produce(&topics[place].1, record, headers, id))
    }

    /// Whether a broker answers within a short time. Why none does, if so, is told by what needs one.
    pub(crate) fn connect(&self) -> bool {
        let client = self.client.client();
        client
            .fetch_metadata(Some("__consumer_offsets"), CONNECT_TIMEOUT)
            .is_ok()
    }

    /// librdkafka asks for a topic's leaders once it knows of the topic.
    pub(crate) fn meet(&self, topic: &str) -> Result<(), Error> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        self.place(&mut topics, topic).map(drop)
    }

    /// The topic's place among those that are known, which it gets here where it has none.
    fn place(&self, topics: &mut Vec<(String, Topic)>, topic: &str) -> Result<usize, Error> {
        if let Some(place) = topics.iter().position(|(name, _)| name == topic) {
            return Ok(place);
        }
        let native = self.native();
        let known = native
            .topic(topic)
            .map_err(|failure| write_step(topic, None).failure(&failure))?;
        topics.push((topic.to_owned(), known));
        Ok(topics.len() - 1)
    }

    fn native(&self) -> Native<'_> {
        Native::of(self.client.client())
    }
}

/// Waits until every record has its delivery report, which the producer's own
/// thread serves; rdkafka's flush would sleep 100 ms a round.
pub(crate) fn wait_for_reports(
    client: &BaseProducer<Deliveries>,
    timeout: Duration,
) -> Result<(), Error> {
    let deadline = Instant::now() + timeout;
    loop {
        // A flush of no time tells librdkafka not to linger.
        let flushed = client.flush(Duration::ZERO);
        if flushed.is_ok() || client.in_flight_count() == 0 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Error::Unreachable {
                step: "write all records".to_owned(),
                reason: format!(
                    "{} are not acknowledged after {} ms",
                    client.in_flight_count(),
                    timeout.as_millis()
                ),
            });
        }
        thread::sleep(Duration::from_micros(200));
    }
}

fn write_step(topic: &str, partition: Option<i32>) -> Step<'_> {
    let step = Step::new("write to").topic(topic);
    match partition {
        Some(partition) if partition >= 0 => step.partition(partition),
        _ => step,
    }
}

/// The producers' context: what became of each record.
pub(crate) struct Deliveries {
    observer: Observer,
    next_id: AtomicUsize,
    reports: Mutex<Reports>,
}

#[derive(Default)]
struct Reports {
    waiting: HashMap<usize, oneshot::Sender<Result<Delivered, Error>>>,
    failed: Option<Error>,
}

impl Deliveries {
    pub(crate) fn new(observer: Observer) -> Self {
        Self {
            observer,
            next_id: AtomicUsize::new(UNTRACKED + 1),
            reports: Mutex::default(),
        }
    }

    pub(crate) fn health(&self) -> &Health {
        self.observer.health()
    }

    /// The first delivery that failed since the last call.
    pub(crate) fn take_failed(&self) -> Option<Error> {
        self.lock().failed.take()
    }

    fn track(&self) -> (usize, oneshot::Receiver<Result<Delivered, Error>>) {
        let (sender, receiver) = oneshot::channel();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.lock().waiting.insert(id, sender);
        (id, receiver)
    }

    /// Tells whoever waits for a record what became of it.
    fn report(&self, report: &Report) {
        let id = report.opaque;
        let result = match report.error {
            None => {
                self.observer.health().up();
                if id == UNTRACKED {
                    return;
                }
                Ok(Delivered {
                    partition: report.partition,
                    offset: report.offset,
                })
            }
            // Purged records belong to a transaction that was aborted,
            // or to a producer that is going away: both say so themselves.
            Some(Code::PurgeQueue | Code::PurgeInflight) if id == UNTRACKED => return,
            Some(code) => {
                let partition = match code {
                    Code::UnknownTopicOrPartition | Code::UnknownTopic => None,
                    _ => Some(report.partition),
                };
                let error = KafkaError::MessageProduction(code);
                Err(write_step(&report.topic, partition).kafka(&error))
            }
        };
        let mut reports = self.lock();
        match (reports.waiting.remove(&id), result) {
            // Whoever waited may have gone; the record's fate is then nobody's.
            (Some(sender), result) => drop(sender.send(result)),
            (None, Err(error)) => {
                reports.failed.get_or_insert(error);
            }
            (None, Ok(_)) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Deliveries {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        iam::token(config)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.observer.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.observer.error(error, reason);
    }

    fn stats(&self, _statistics: Statistics) {}

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    /// rdkafka calls it while a producer is dropped, and [`Served`] reports until then.
    fn delivery(&self, result: &DeliveryResult<'_>, id: usize) {
        let (message, error) = match result {
            Ok(message) => (message, None),
            Err((error, message)) => (message, error.rdkafka_error_code()),
        };
        self.report(&Report {
            error,
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            opaque: id,
        });
    }
}
