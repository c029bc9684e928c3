//! The crate against a real broker: what librdkafka and Kafka really do.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod admin;
mod group;
mod outage;
mod range;
mod tail;
mod transactions;

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_harness::{Kafka, unique};
use millrace_kafka::{
    Admin, Connection, OutRecord, Producer, Range, RangeReader, Record, TransactionalProducer,
};

/// How long anything may take on a loaded machine.
const LIMIT: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(100);

fn connection() -> Connection {
    Connection::new(Kafka::shared().client_properties())
}

/// A topic of the calling test's own.
fn topic(admin: &Admin, partitions: i32) -> String {
    let name = unique("kafka-test");
    admin
        .create_topic(&name, partitions, 1, &BTreeMap::new())
        .unwrap();
    name
}

/// Writes these values to one partition and waits for their acknowledgement.
fn write(topic: &str, partition: i32, values: &[&str]) {
    let producer = Producer::new(&connection()).unwrap();
    for value in values {
        let record = OutRecord::to(topic)
            .partition(partition)
            .value(value.as_bytes());
        producer.send(&record).unwrap();
    }
    producer.flush(LIMIT).unwrap();
}

fn transactional(id: &str) -> TransactionalProducer {
    let producer = TransactionalProducer::new(&connection(), id, Duration::from_secs(10)).unwrap();
    producer.init(LIMIT).unwrap();
    producer
}

/// Writes values in one transaction, which is then committed or aborted.
fn write_transaction(
    producer: &TransactionalProducer,
    topic: &str,
    partition: i32,
    values: &[&str],
    is_committed: bool,
) {
    producer.begin().unwrap();
    for value in values {
        let record = OutRecord::to(topic)
            .partition(partition)
            .value(value.as_bytes());
        producer.send(&record).unwrap();
    }
    if is_committed {
        producer.commit(LIMIT).unwrap();
    } else {
        // An abort throws away what was not sent yet: send it, so that readers
        // have aborted records to pass over.
        producer.flush(LIMIT).unwrap();
        producer.abort(LIMIT).unwrap();
    }
}

fn range(partition: i32, start: i64, end: i64) -> Range {
    Range {
        partition,
        start,
        end,
    }
}

/// All records of these ranges, by partition and offset.
fn read(topic: &str, ranges: &[Range]) -> Vec<Record> {
    let mut reader = RangeReader::open(&connection(), topic, ranges).unwrap();
    let mut records = Vec::new();
    let deadline = std::time::Instant::now() + LIMIT;
    while !reader.is_done() {
        assert!(
            std::time::Instant::now() < deadline,
            "the ranges never end; read so far: {records:?}"
        );
        for record in reader.next_batch(100, SHORT).unwrap() {
            records.push(record.to_record());
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

fn values(records: &[Record]) -> Vec<&str> {
    records
        .iter()
        .map(|record| std::str::from_utf8(record.value.as_deref().unwrap()).unwrap())
        .collect()
}
