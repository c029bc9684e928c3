//! A chain: records of which a model is not sure go on to the next one as they came, each once, whatever is killed.

use chrono::{TimeDelta, Utc};
use millrace_harness::Kafka;
use millrace_kafka::{GroupOffset, OutRecord};
use millrace_wire::event::Body;
use millrace_wire::function::{HandOn, InferenceSpec};
use millrace_wire::progress::Progress;

use crate::answers::{Answer, Answers, assert_each_once};
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

/// As sure of a record as the highest of its four bytes.
const SURE: f64 = 100.0;

fn is_sure(number: u32) -> bool {
    number
        .to_le_bytes()
        .iter()
        .any(|byte| f64::from(*byte) >= SURE)
}

fn hands_on(spec: InferenceSpec, topic: &str, output: &str) -> InferenceSpec {
    let hand_on = HandOn {
        topic: topic.to_owned(),
        output: output.to_owned(),
        below: SURE,
    };
    InferenceSpec {
        hand_on: Some(hand_on),
        ..spec
    }
}

#[tokio::test]
async fn what_a_model_is_not_sure_of_is_answered_by_the_next_one_once() {
    let kafka = Kafka::shared();
    let first = Fixture::new(kafka, 2, 2).await;
    let next = Fixture {
        input: kafka.topic("next", 2).await,
        ..Fixture::without_start(kafka, 2, 2).await
    };
    let start = [0, 1].map(|partition| GroupOffset::new(&next.input, partition, 0));
    next.commit(&start);
    let version = first.version(3, models::table(256)).await;
    let second = next.version(1, models::dense(1)).await;
    let spec = hands_on(first.spec(0, &version), &next.input, "output");
    let follower = next.start(0, &next.spec(0, &second));
    let mut outputs = first.outputs();
    let mut sent = 0_u32;
    // Not too long ago: by their time Kafka's retention takes records.
    let time_ms = (Utc::now() - TimeDelta::hours(1)).timestamp_millis();
    for _ in 0..2 {
        let mut process = first.start(0, &spec);
        for number in sent..sent + 3_000 {
            let record = OutRecord::to(&first.input)
                .partition(i32::try_from(number % 2).unwrap())
                .key(b"key")
                .header("trace-id", b"abc".as_slice())
                .header("content-type", b"bytes".as_slice())
                .timestamp_ms(time_ms);
            let value = number.to_le_bytes();
            first.producer.send(&record.value(&value)).unwrap();
        }
        first.producer.flush(LIMIT).unwrap();
        outputs.until("some of them are answered", LIMIT, |all| {
            all.len() > sent as usize / 2
        });
        process.kill();
        sent += 3_000;
    }
    let process = first.start(0, &spec);
    first.wait_until_done();
    end(process);
    let answered = outputs.drain();
    // Behind the last transaction's markers: up to there the next one has no lag before it has read all.
    let handed_on = Answers::of(kafka, &next.input).drain();
    next.wait_until_done();
    end(follower);

    let both: Vec<Answer> = [answered.clone(), handed_on.clone()].concat();
    assert_each_once(&both, &first.ends());
    for (answers, expected) in [(&answered, true), (&handed_on, false)] {
        let expected: Vec<u32> = (0..sent).filter(|one| is_sure(*one) == expected).collect();
        let mut found: Vec<u32> = answers.iter().map(number).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
    for record in &handed_on {
        let value: [u8; 4] = record.value.as_deref().unwrap().try_into().unwrap();
        assert_eq!(u32::from_le_bytes(value), number(record));
        assert_eq!(record.key.as_deref(), Some(b"key".as_slice()));
        assert_eq!(record.timestamp_ms, Some(time_ms));
        assert_eq!(record.header("trace-id"), Some("abc"));
        assert_eq!(record.header("content-type"), Some("bytes"));
        assert_eq!(record.version(), 3);
        assert_eq!(record.partition, record.source().0);
    }
    let ends = next.admin.committed(&next.group, &next.input).unwrap();
    assert_eq!(ends.len(), 2, "{ends:?}");
    // Each by its own source, and by the one with which the chain began.
    let mut origins: Vec<String> = next.outputs().drain().iter().map(origin).collect();
    let mut begun: Vec<String> = handed_on.iter().map(origin).collect();
    let sources = handed_on
        .iter()
        .map(|one| one.header("millrace-source").unwrap());
    assert!(sources.eq(begun.iter()), "it began with the record itself");
    origins.sort_unstable();
    begun.sort_unstable();
    assert_eq!(origins, begun);
}

/// The number of the record that an answer belongs to.
fn number(answer: &Answer) -> u32 {
    let (partition, offset) = answer.source();
    u32::try_from(offset * 2 + i64::from(partition)).unwrap()
}

fn origin(answer: &Answer) -> String {
    answer.header("millrace-origin").unwrap().to_owned()
}

#[tokio::test]
async fn a_version_without_the_output_that_says_how_sure_it_is_is_named() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::table(256)).await;
    let next = fixture.kafka.topic("next", 1).await;
    let spec = hands_on(fixture.spec(0, &version), &next, "sureness");
    let process = fixture.start(0, &spec);
    let message = fixture.wait_for_problem("version-mismatch");
    assert!(message.contains("no output sureness"), "{message}");
    assert!(message.contains("its outputs are output"), "{message}");
    end(process);
}

#[tokio::test]
async fn a_topic_that_is_missing_is_waited_for() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::table(256)).await;
    let next = millrace_harness::unique("next");
    let spec = hands_on(fixture.spec(0, &version), &next, "output");
    let process = fixture.start(0, &spec);
    let message = fixture.wait_for_problem("hand-on-topic-missing");
    assert!(message.contains(&next), "{message}");
    fixture.send(0..150);
    fixture.kafka.create_topic(&next, 1, &[]).await;
    fixture.wait_until_done();
    end(process);
    fixture.wait_for_event("what it did", |body| {
        matches!(
            body,
            Body::InferenceProgress(Progress {
                predicted: 50,
                handed_on: 100,
                dead_lettered: 0,
                ..
            })
        )
    });
    let handed_on = Answers::of(fixture.kafka, &next).drain();
    assert_eq!(handed_on.len(), 100);
}
