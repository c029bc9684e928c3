//! The floor of an inference's Kafka work: a process that copies records to another topic, and does nothing else. It is
//! written with rdkafka alone, so that the product's own layers are measured and not hidden in the floor; its clients are
//! set as the product's are.
//!
//! Invariant: it reads as a member of a group and commits every 100 ms, in transactions or behind what is written, as an
//! inference does.

use std::io::Read as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{ClientConfig, Message as _};

use crate::answer::Answer;

/// Time between commits, as an inference has it by default.
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(30);
/// Pauses as the product's producer makes them: while its queue is full, while records are on their way.
const QUEUE_PAUSE: Duration = Duration::from_millis(1);
const FLUSH_PAUSE: Duration = Duration::from_micros(200);

/// From where to where.
#[derive(Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    pub(crate) bootstrap_servers: String,
    #[arg(long)]
    pub(crate) input: String,
    #[arg(long)]
    pub(crate) output: String,
    #[arg(long)]
    pub(crate) group: String,
    /// Without transactions.
    #[arg(long)]
    at_least_once: bool,
    /// The file of an answer, which is written in place of the value that is read.
    #[arg(long)]
    answer: Option<PathBuf>,
}

/// What is written in place of what is read.
struct Instead {
    answer: Answer,
    headers: OwnedHeaders,
}

type Producer = ThreadedProducer<DefaultProducerContext>;

/// Copies until standard input ends, which tells that the bench is gone.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let consumer = consumer(arguments)?;
    let producer = producer(arguments)?;
    let instead = match &arguments.answer {
        None => None,
        Some(file) => {
            let answer = Answer::read(file)?;
            let headers = answer.headers();
            Some(Instead { answer, headers })
        }
    };
    let is_exact = !arguments.at_least_once;
    let mut begun: Option<Instant> = None;
    loop {
        let left = begun.map_or(COMMIT_INTERVAL, |begun| {
            COMMIT_INTERVAL.saturating_sub(begun.elapsed())
        });
        if let Some(message) = consumer.poll(left) {
            if begun.is_none() {
                if is_exact {
                    producer.begin_transaction()?;
                }
                begun = Some(Instant::now());
            }
            send(&producer, &arguments.output, &message?, instead.as_ref())?;
        }
        if begun.is_some_and(|begun| begun.elapsed() >= COMMIT_INTERVAL) {
            commit(&consumer, &producer, is_exact)?;
            begun = None;
        }
    }
}

fn consumer(arguments: &Arguments) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &arguments.bootstrap_servers)
        .set("group.id", &arguments.group)
        .set("group.instance.id", &arguments.group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "error")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.max.messages.kbytes", "32768")
        .set("queued.min.messages", "10000")
        .create()?;
    consumer.subscribe(&[&arguments.input])?;
    Ok(consumer)
}

fn producer(arguments: &Arguments) -> Result<Producer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &arguments.bootstrap_servers)
        .set("delivery.report.only.error", "true")
        .set("enable.idempotence", "true");
    if arguments.at_least_once {
        return Ok(config.set("linger.ms", "0").create()?);
    }
    let producer: Producer = config
        .set("transactional.id", &arguments.group)
        .set("linger.ms", "5")
        .set("retry.backoff.ms", "5")
        .create()?;
    producer.init_transactions(LIMIT)?;
    Ok(producer)
}

fn send(
    producer: &Producer,
    topic: &str,
    message: &BorrowedMessage<'_>,
    instead: Option<&Instead>,
) -> Result<()> {
    let mut record = BaseRecord::<'_, [u8], [u8]>::to(topic).partition(message.partition());
    record.payload = message.payload();
    record.key = message.key();
    record.timestamp = message.timestamp().to_millis();
    if let Some(instead) = instead {
        record.payload = Some(&instead.answer.value);
        record.headers = Some(instead.headers.clone());
    }
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(Code::QueueFull), refused)) => {
                record = refused;
                thread::sleep(QUEUE_PAUSE);
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

fn commit(consumer: &BaseConsumer, producer: &Producer, is_exact: bool) -> Result<()> {
    // rdkafka's own flush sleeps 100 ms a round, and its commit begins with one.
    while producer.in_flight_count() > 0 {
        let _ = producer.flush(Duration::ZERO);
        thread::sleep(FLUSH_PAUSE);
    }
    if !is_exact {
        return Ok(consumer.commit(&consumer.position()?, CommitMode::Sync)?);
    }
    let Some(member) = consumer.group_metadata() else {
        bail!("the consumer is in no group");
    };
    producer.send_offsets_to_transaction(&consumer.position()?, &member, LIMIT)?;
    producer.commit_transaction(LIMIT)?;
    Ok(())
}
