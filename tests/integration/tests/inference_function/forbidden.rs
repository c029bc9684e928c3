//! A function that loses the right to write its answers: it says which one, keeps every position,
//! and goes on by itself when it has the right again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use millrace_harness::{Kafka, KafkaOptions};

use crate::answers::assert_each_once;
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_and_given_back_costs_no_record() {
    let kafka = Kafka::start(&KafkaOptions::default().secured());
    kafka.allow(&[
        "--operation",
        "All",
        "--topic",
        "*",
        "--group",
        "*",
        "--transactional-id",
        "*",
    ]);
    let fixture = Fixture::new(&kafka, 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    let mut process = fixture.start(0, &fixture.spec(0, &version));
    let mut outputs = fixture.outputs();
    fixture.send(0..200);
    outputs.count(200, LIMIT);

    // The dead letters too, where only a record in five needs them.
    let short = millrace_kafka::OutRecord::to(&fixture.input).partition(0);
    for (topic, code) in [
        (&fixture.output, "output-forbidden"),
        (&fixture.dead, "dead-letters-forbidden"),
    ] {
        let write = ["--operation", "Write", "--topic", topic];
        let sent = fixture.ends().values().sum::<i64>();
        let has_enough = AtomicBool::new(false);
        thread::scope(|scope| {
            // Records come all the while, about 5,000 a second.
            let load = scope.spawn(|| {
                while !has_enough.load(Ordering::Relaxed) {
                    for _ in 0..20 {
                        fixture.producer.send(&short.clone().value(b"x")).unwrap();
                    }
                    fixture.send(0..80);
                    thread::sleep(Duration::from_millis(20));
                }
            });
            kafka.forbid(&write);
            let message = fixture.wait_for_problem(code);
            fixture.send(0..80);
            fixture.producer.send(&short.clone().value(b"x")).unwrap();
            has_enough.store(true, Ordering::Relaxed);
            assert!(message.contains(topic), "{message}");
            assert!(message.contains("operation Write"), "{message}");
            assert!(message.contains("User:millrace"), "{message}");
            load.join().unwrap();
            fixture.producer.flush(LIMIT).unwrap();
        });
        let before = committed(&fixture);
        assert!(before < fixture.ends().values().sum::<i64>());
        assert!(before >= sent, "what was answered stays so");
        assert!(process.running(), "it waits, and does not end");
        assert_eq!(committed(&fixture), before, "positions are untouched");
        kafka.forbid_no_more(&write);
        fixture.wait_until_done();
        assert!(process.running());
    }
    end(process);
    let all = [outputs.drain(), fixture.dead_letters().drain()].concat();
    assert_each_once(&all, &fixture.ends());
}

/// How many records the group has committed.
fn committed(fixture: &Fixture<'_>) -> i64 {
    let committed = fixture.admin.committed(&fixture.group, &fixture.input);
    committed.unwrap().iter().map(|one| one.offset).sum()
}
