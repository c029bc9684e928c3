//! Positions and topics that are not what they were: each fault is told apart and reported, and
//! nothing is ever reset in silence.

use millrace_harness::Kafka;
use millrace_kafka::GroupOffset;
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};

use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

#[tokio::test]
async fn an_expired_offset_is_reported_and_not_reset() {
    let fixture = Fixture::new(Kafka::shared(), 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    fixture.send(0..100);
    let mut delete = TopicPartitionList::new();
    delete
        .add_partition_offset(&fixture.input, 0, Offset::Offset(20))
        .unwrap();
    let deleted = fixture
        .kafka
        .admin()
        .delete_records(&delete, &AdminOptions::new())
        .await
        .unwrap();
    assert_eq!(deleted.count(), 1);
    let process = fixture.start(0, &fixture.spec(0, &version));
    let message = fixture.wait_for_problem("offset-expired");
    assert!(message.contains("offset 0 of"), "{message}");
    assert!(message.contains("20 to 50"), "{message}");
    // The other partition is answered; the one that stands still keeps its offset.
    let mut outputs = fixture.outputs();
    outputs.count(50, LIMIT);
    end(process);
    assert!(outputs.drain().iter().all(|answer| answer.partition == 1));
    let committed = fixture
        .admin
        .committed(&fixture.group, &fixture.input)
        .unwrap();
    let expired = committed.iter().find(|offset| offset.partition == 0);
    assert_eq!(expired.map(|offset| offset.offset), Some(0));
}

#[tokio::test]
async fn an_offset_in_the_future_is_reported() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let future = GroupOffset::new(&fixture.input, 0, 1_000);
    fixture.commit(&[future]);
    fixture.send(0..10);
    let process = fixture.start(0, &fixture.spec(0, &version));
    fixture.wait_for_problem("offset-in-future");
    end(process);
    assert!(fixture.outputs().drain().is_empty());
}

#[tokio::test]
async fn a_group_that_lost_all_offsets_is_reported() {
    let fixture = Fixture::without_start(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    fixture.send(0..10);
    let process = fixture.start(0, &fixture.spec(0, &version));
    fixture.wait_for_problem("offsets-lost");
    end(process);
    assert!(fixture.outputs().drain().is_empty());
}

#[tokio::test]
async fn a_topic_that_was_deleted_and_made_again_is_noticed() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let spec = fixture.spec(0, &version);
    let process = fixture.start(0, &spec);
    fixture.send(0..10);
    let mut outputs = fixture.outputs();
    outputs.count(10, LIMIT);
    fixture.kafka.delete_topic(&fixture.input).await;
    fixture.wait_for_problem("input-topic-missing");
    fixture.kafka.create_topic(&fixture.input, 1, &[]).await;
    let message = fixture.wait_for_problem("input-topic-recreated");
    assert!(
        message.contains(spec.input_topic_id.as_ref().unwrap()),
        "{message}"
    );
    fixture.send(10..40);
    end(process);
    // A new start finds the same, and reads nothing of the new topic either.
    let mut process = fixture.start(0, &spec);
    process.wait_for("input-topic-recreated", LIMIT);
    end(process);
    assert_eq!(outputs.drain().len(), 10);
}

#[tokio::test]
async fn dead_letters_that_cannot_be_written_stall_the_inference() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let mut spec = fixture.spec(0, &version);
    spec.dead_letter_topic = fixture
        .kafka
        .topic_with("narrow", 1, &[("max.message.bytes", "200")])
        .await;
    let record = vec![1; 2_000];
    let too_long = millrace_kafka::OutRecord::to(&fixture.input).value(&record);
    let delivery = fixture.producer.send_and_wait(&too_long).unwrap();
    delivery.wait().unwrap();
    let process = fixture.start(0, &spec);
    let message = fixture.wait_for_problem("not-committed");
    assert!(message.contains("too large"), "{message}");
    let offset = |fixture: &Fixture<'_>| {
        fixture
            .admin
            .committed(&fixture.group, &fixture.input)
            .unwrap()[0]
            .offset
    };
    assert_eq!(offset(&fixture), 0);
    // Once the topic takes it, the inference goes on by itself.
    let config = rdkafka::admin::AlterConfig::new(rdkafka::admin::ResourceSpecifier::Topic(
        &spec.dead_letter_topic,
    ))
    .set("max.message.bytes", "1000000");
    fixture
        .kafka
        .admin()
        .alter_configs([&config], &AdminOptions::new())
        .await
        .unwrap();
    fixture.wait_until_done();
    end(process);
    assert_eq!(offset(&fixture), 1);
}
