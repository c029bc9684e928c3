//! The harness's brokers themselves: what a test of an outage relies on.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::mpsc;
use std::time::Duration;

use millrace_harness::{Kafka, KafkaOptions, unique, wait_until};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

const LIMIT: Duration = Duration::from_secs(30);

/// Hands on what became of each record.
struct Reports(mpsc::Sender<Result<(), KafkaError>>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let result = result
            .as_ref()
            .map(|_| ())
            .map_err(|(error, _)| error.clone());
        self.0.send(result).unwrap();
    }
}

/// Sends one record, and waits for what became of it.
fn send(config: &ClientConfig, topic: &str) -> Result<(), KafkaError> {
    let (sender, reports) = mpsc::channel();
    let producer: BaseProducer<Reports> = config.create_with_context(Reports(sender)).unwrap();
    let record = BaseRecord::<(), str>::to(topic).payload("a record");
    producer.send(record).unwrap();
    producer.flush(LIMIT)?;
    reports.recv().unwrap()
}

fn end_offset(config: &ClientConfig, topic: &str) -> i64 {
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.fetch_watermarks(topic, 0, LIMIT).unwrap().1
}

#[tokio::test]
async fn the_shared_broker_takes_topics_and_records() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("harness", 3).await;
    send(&kafka.config(), &topic).unwrap();
}

#[tokio::test]
async fn a_broker_keeps_port_and_records_through_kill_and_stop() {
    let kafka = Kafka::start(&KafkaOptions::default());
    let topic = kafka.topic("harness", 1).await;
    send(&kafka.config(), &topic).unwrap();

    kafka.kill();
    kafka.start_again();
    send(&kafka.config(), &topic).unwrap();
    kafka.stop();
    kafka.start_again();
    assert_eq!(end_offset(&kafka.config(), &topic), 2);
}

#[tokio::test]
async fn a_secured_broker_allows_only_what_it_was_told_to() {
    let kafka = Kafka::start(&KafkaOptions::default().secured());
    let topic = kafka.topic("harness", 1).await;
    let config: ClientConfig = kafka.client_properties().clone().into_iter().collect();
    let refused = send(&config, &topic).unwrap_err();
    assert_eq!(
        refused.rdkafka_error_code(),
        Some(RDKafkaErrorCode::TopicAuthorizationFailed)
    );

    kafka.allow(&[
        "--operation",
        "Write",
        "--operation",
        "Describe",
        "--topic",
        &topic,
    ]);
    wait_until("the record is taken", LIMIT, async || send(&config, &topic)).await;

    let mut wrong = config.clone();
    wrong.set("sasl.password", unique("wrong"));
    let consumer: BaseConsumer = wrong.create().unwrap();
    assert!(
        consumer
            .fetch_metadata(None, Duration::from_secs(2))
            .is_err()
    );
}
