//! Records that come back through the inference's own topic: answered once, in the name of their
//! first source, whatever kills the function.

use std::collections::BTreeMap;

use millrace_harness::Kafka;
use millrace_kafka::OutRecord;

use crate::answers::assert_each_once;
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

#[tokio::test]
async fn a_killed_function_answers_redriven_records_once() {
    let fixture = Fixture::new(Kafka::shared(), 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    let redrive = fixture.kafka.topic("redrive", 2).await;
    let mut spec = fixture.spec(0, &version);
    spec.redrive_topic = Some(redrive.clone());
    // Each record of the input comes back as well, in the name of one that the input had before.
    let mut sent = 0;
    for _ in 0..3 {
        let mut process = fixture.start(0, &spec);
        process.wait_for("partitions assigned", LIMIT);
        fixture.send(sent..sent + 1_000);
        for number in sent..sent + 1_000 {
            let source = format!("{}/{}/{}", fixture.input, number % 2, 100_000 + number / 2);
            let value = number.to_le_bytes();
            let record = OutRecord::to(&redrive)
                .partition(i32::try_from(number % 2).unwrap())
                .header("millrace-source", source.into_bytes())
                .header("millrace-attempt", b"3".as_slice());
            // One in ten is too short once more.
            let length = if number % 10 == 0 { 3 } else { 4 };
            fixture
                .producer
                .send(&record.value(&value[..length]))
                .unwrap();
        }
        process.kill();
        sent += 1_000;
    }
    fixture.producer.flush(LIMIT).unwrap();
    let process = fixture.start(0, &spec);
    fixture.wait_until_done();
    let mut outputs = fixture.outputs();
    outputs.count(3_000 + 2_700, LIMIT);
    fixture.dead_letters().count(300, LIMIT);
    end(process);
    let dead = fixture.dead_letters().drain();
    assert_eq!(dead.len(), 300);
    for letter in &dead {
        assert_eq!(letter.header("millrace-attempt"), Some("3"));
        assert_eq!(letter.header("millrace-error"), Some("size"));
    }
    let (came_back, others): (Vec<_>, Vec<_>) = [outputs.drain(), dead]
        .concat()
        .into_iter()
        .partition(|answer| answer.source().1 >= 100_000);
    assert_each_once(&others, &fixture.ends());
    let mut times = BTreeMap::new();
    for answer in &came_back {
        *times.entry(answer.source()).or_insert(0) += 1;
    }
    assert_eq!(times.len(), 3_000);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}
