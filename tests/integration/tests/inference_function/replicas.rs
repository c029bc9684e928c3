//! Several replicas: partitions move between them without a record lost or answered twice.

use millrace_harness::Kafka;
use millrace_kafka::{Connection, OutRecord, Producer};

use crate::answers::assert_each_once;
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

#[tokio::test]
async fn a_second_replica_joins_and_leaves_under_load() {
    let fixture = Fixture::new(Kafka::shared(), 4, 4).await;
    let version = fixture.version(1, models::dense(1)).await;
    let first = fixture.start(0, &fixture.spec(0, &version));
    let mut outputs = fixture.outputs();
    let mut sent = 0;
    // A load that goes on for as long as the condition does not hold.
    let mut load_until = |count: usize, done: &mut dyn FnMut() -> bool| {
        let target = sent + u32::try_from(count).unwrap();
        while sent < target || !done() {
            fixture.send(sent..sent + 200);
            sent += 200;
            outputs.count(sent as usize / 2, LIMIT);
        }
    };
    load_until(1_000, &mut || true);
    let mut second = fixture.start(1, &fixture.spec(1, &version));
    let assigned = |lines: Vec<String>| {
        lines
            .iter()
            .any(|line| line.contains("partitions assigned") && line.contains(", "))
    };
    load_until(1_000, &mut || assigned(second.lines()));
    second.terminate();
    load_until(1_000, &mut || !second.running());
    let status = second.wait(LIMIT);
    assert!(status.success());
    // It has left, so nothing waits for the end of its session.
    let members = fixture.admin.group(&fixture.group).unwrap().members;
    assert_eq!(members, [format!("{}-0", fixture.group)]);
    fixture.wait_until_done();
    end(first);
    let group = fixture.admin.group(&fixture.group).unwrap();
    assert!(group.is_empty(), "{group:?}");
    assert_each_once(&outputs.drain(), &fixture.ends());
}

#[tokio::test]
async fn a_partition_that_is_added_later_is_read_from_its_beginning() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let process = fixture.start(0, &fixture.spec(0, &version));
    fixture.send(0..5);
    let mut outputs = fixture.outputs();
    outputs.count(5, LIMIT);
    fixture.admin.create_partitions(&fixture.input, 2).unwrap();
    let record = OutRecord::to(&fixture.input).partition(1).value(&[1; 4]);
    // A producer that knows the topic from before would refuse the partition.
    let producer = Producer::new(&Connection::new(fixture.kafka.client_properties())).unwrap();
    producer.send_and_wait(&record).unwrap().wait().unwrap();
    outputs.count(6, LIMIT);
    fixture.wait_until_done();
    end(process);
    assert_each_once(&outputs.drain(), &fixture.ends());
}

#[tokio::test]
async fn a_second_process_with_the_same_identity_fences_the_first() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let spec = fixture.spec(0, &version);
    let mut first = fixture.start(0, &spec);
    fixture.send(0..10);
    let mut outputs = fixture.outputs();
    outputs.count(10, LIMIT);
    let second = fixture.start(0, &spec);
    fixture.send(10..20);
    let status = first.wait(LIMIT);
    assert_eq!(status.code(), Some(3));
    fixture.wait_until_done();
    end(second);
    assert_each_once(&outputs.drain(), &fixture.ends());
}
