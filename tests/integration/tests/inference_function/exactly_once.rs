//! One answer a record for readers of committed records, whatever kills the function.

use millrace_harness::Kafka;
use millrace_wire::function::Guarantee;

use crate::answers::assert_each_once;
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

/// How many records come between two kills.
const RECORDS: u32 = 10_000;

#[tokio::test]
async fn a_killed_function_answers_each_record_once() {
    let fixture = Fixture::new(Kafka::shared(), 4, 4).await;
    let version = fixture.version(1, models::dense(1)).await;
    let spec = fixture.spec(0, &version);
    let mut outputs = fixture.outputs();
    let mut sent = 0;
    let mut interrupted = 0;
    for _ in 0..3 {
        let mut process = fixture.start(0, &spec);
        fixture.send(sent..sent + 100);
        outputs.count(sent as usize + 100, LIMIT);
        // Killed while records come in, so in the middle of its work however quick it is.
        fixture.send(sent + 100..sent + RECORDS);
        process.kill();
        interrupted += usize::from(!fixture.is_done());
        sent += RECORDS;
    }
    assert!(interrupted > 0, "no kill came before the work was done");
    let process = fixture.start(0, &spec);
    fixture.wait_until_done();
    end(process);
    let answers = outputs.drain();
    assert_each_once(&answers, &fixture.ends());
    let order: Vec<(i32, i64)> = answers
        .iter()
        .filter(|answer| answer.partition == 0)
        .map(|answer| (answer.partition, answer.source().1))
        .collect();
    assert!(order.is_sorted(), "answers keep their records' order");
}

#[tokio::test]
async fn at_least_once_loses_nothing_when_it_is_killed() {
    let fixture = Fixture::new(Kafka::shared(), 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    let mut spec = fixture.spec(0, &version);
    spec.guarantee = Guarantee::AtLeastOnce;
    fixture.send(0..5_000);
    let mut outputs = fixture.outputs();
    let mut process = fixture.start(0, &spec);
    outputs.count(300, LIMIT);
    process.kill();
    let process = fixture.start(0, &spec);
    fixture.wait_until_done();
    end(process);
    let mut answers = outputs.drain();
    answers.sort_by_key(crate::answers::Answer::source);
    answers.dedup_by_key(|answer| answer.source());
    assert_each_once(&answers, &fixture.ends());
}

#[tokio::test]
async fn positions_move_past_transaction_markers() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let first = fixture.start(0, &fixture.spec(0, &version));
    fixture.send(0..10);
    // A second inference reads what the first one wrote in transactions: each of its lags must
    // reach zero, though the last offset is a marker that no reader sees.
    let second = Fixture::without_start(Kafka::shared(), 1, 1).await;
    let version = second.version(1, models::dense(1)).await;
    let mut spec = second.spec(0, &version);
    spec.input_topic.clone_from(&fixture.output);
    let other = fixture.admin.describe_topic(&fixture.output).unwrap().id;
    spec.input_topic_id = Some(other);
    let start = millrace_kafka::GroupOffset::new(&fixture.output, 0, 0);
    second.commit(&[start]);
    let reader = second.start(0, &spec);
    // The outputs of the first are no records of four bytes: all become dead letters.
    second.dead_letters().count(10, LIMIT);
    let chained = Fixture {
        input: fixture.output.clone(),
        ..second
    };
    chained.wait_until_done();
    end(first);
    end(reader);
}
