//! What becomes of one record: its partition, key, timestamp and headers, its value, and what
//! happens to records that cannot be answered.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use millrace_harness::Kafka;
use millrace_kafka::{OutRecord, partition_by_key};
use millrace_wire::function::NotFinite;
use millrace_wire::prediction::OutputFormat;
use serde_json::json;

use crate::answers::assert_each_once;
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

/// A minute ago: older than any moment of the test, and too young for the topic's retention.
static TIME_MS: LazyLock<i64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap() - 60_000
});

fn send_one(fixture: &Fixture<'_>, record: &OutRecord<'_>) {
    let delivery = fixture.producer.send_and_wait(record).unwrap();
    delivery.wait().unwrap();
}

#[tokio::test]
async fn an_output_keeps_what_belongs_to_its_record() {
    let fixture = Fixture::new(Kafka::shared(), 3, 3).await;
    let version = fixture.version(7, models::table(10)).await;
    let record = OutRecord::to(&fixture.input)
        .partition(2)
        .timestamp_ms(*TIME_MS)
        .key(b"foobar")
        .value(&[1, 2, 3, 9])
        .header("trace-id", b"abc".as_slice())
        .header("content-type", b"application/octet-stream".as_slice())
        .header("ce_id", b"1".as_slice())
        .header("millrace-version", b"99".as_slice())
        .null_header("empty");
    send_one(&fixture, &record);
    let process = fixture.start(0, &fixture.spec(0, &version));
    let mut outputs = fixture.outputs();
    outputs.count(1, LIMIT);
    let output = &outputs.all[0];
    assert_eq!(output.partition, 2);
    assert_eq!(output.timestamp_ms, Some(*TIME_MS));
    assert_eq!(output.key.as_deref(), Some(b"foobar".as_slice()));
    let source = format!("{}/2/0", fixture.input);
    assert_eq!(
        output.json(),
        json!({"model": "numbers", "version": 7, "source": source,
               "outputs": {"output": [1.0, 2.0, 3.0, 9.0]}})
    );
    let expected: Vec<(String, Option<Vec<u8>>)> = [
        ("trace-id", Some("abc")),
        ("empty", None),
        ("millrace-model", Some("numbers")),
        ("millrace-version", Some("7")),
        ("millrace-source", Some(source.as_str())),
    ]
    .map(|(name, value)| {
        (
            name.to_owned(),
            value.map(|value| value.as_bytes().to_vec()),
        )
    })
    .into();
    assert_eq!(output.headers, expected);
    end(process);
}

#[tokio::test]
async fn keys_decide_where_the_topics_differ_in_partitions() {
    let fixture = Fixture::new(Kafka::shared(), 3, 5).await;
    let version = fixture.version(1, models::dense(1)).await;
    let keys = ["21", "foobar", "a-little-bit-long-string", "abc"];
    for key in keys {
        let record = OutRecord::to(&fixture.input)
            .partition(1)
            .key(key.as_bytes())
            .value(&[1; 4]);
        send_one(&fixture, &record);
    }
    send_one(
        &fixture,
        &OutRecord::to(&fixture.input).partition(2).value(&[1; 4]),
    );
    let process = fixture.start(0, &fixture.spec(0, &version));
    let mut outputs = fixture.outputs();
    outputs.count(5, LIMIT);
    for output in &outputs.all {
        let expected = output
            .key
            .as_deref()
            .map_or(2, |key| partition_by_key(key, 5));
        assert_eq!(output.partition, expected, "{output:?}");
    }
    end(process);
}

#[tokio::test]
async fn records_that_cannot_be_answered_go_to_the_dead_letters_alone() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(3, models::table(100)).await;
    let good = |number: u8| vec![number; 4];
    for number in 0..30_u8 {
        let value = match number {
            // Too short; behind the end of the model's table.
            7 => vec![1, 2, 3],
            11 | 12 => vec![0, 0, 0, 200],
            _ => good(number),
        };
        let record = OutRecord::to(&fixture.input)
            .timestamp_ms(*TIME_MS)
            .key(b"key")
            .header("content-type", b"text/plain".as_slice())
            .header("millrace-error", b"old".as_slice());
        send_one(&fixture, &record.value(&value));
    }
    send_one(&fixture, &OutRecord::to(&fixture.input).key(b"tombstone"));
    let process = fixture.start(0, &fixture.spec(0, &version));
    fixture.wait_until_done();
    end(process);
    let outputs = fixture.outputs().drain();
    let mut dead = fixture.dead_letters().drain();
    dead.sort_by_key(crate::answers::Answer::source);
    let found: Vec<(i64, &str)> = dead
        .iter()
        .map(|letter| (letter.source().1, letter.header("millrace-error").unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            (7, "size"),
            (11, "predict"),
            (12, "predict"),
            (30, "no-value")
        ]
    );
    let letter = &dead[0];
    assert_eq!(letter.key.as_deref(), Some(b"key".as_slice()));
    assert_eq!(letter.value.as_deref(), Some([1, 2, 3].as_slice()));
    assert_eq!(letter.timestamp_ms, Some(*TIME_MS));
    assert_eq!(letter.header("content-type"), Some("text/plain"));
    assert_eq!(letter.header("millrace-model"), Some("numbers"));
    assert_eq!(letter.header("millrace-attempt"), Some("1"));
    assert_eq!(letter.version(), 3);
    assert_eq!(
        letter.header("millrace-error-message"),
        Some("the value has 3 bytes where 4 are expected")
    );
    assert_eq!(dead[3].value, None);
    for output in &outputs {
        let number = f64::from(u8::try_from(output.source().1).unwrap());
        assert_eq!(
            output.json()["outputs"]["output"],
            json!([number, number, number, number])
        );
    }
    let all = [outputs, dead].concat();
    assert_each_once(&all, &fixture.ends());
}

#[tokio::test]
async fn kafka_ml_consumers_get_their_format_and_infinities_are_null() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::reciprocal()).await;
    let mut spec = fixture.spec(0, &version);
    spec.output_format = OutputFormat::KafkaMl;
    send_one(
        &fixture,
        &OutRecord::to(&fixture.input).value(&[1, 2, 4, 0]),
    );
    let process = fixture.start(0, &spec);
    let mut outputs = fixture.outputs();
    outputs.count(1, LIMIT);
    assert_eq!(
        outputs.all[0].json(),
        json!({"values": [1.0, 0.5, 0.25, null]})
    );
    end(process);
}

#[tokio::test]
async fn outputs_that_are_not_finite_go_to_the_dead_letters_where_asked() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::reciprocal()).await;
    let mut spec = fixture.spec(0, &version);
    spec.not_finite = NotFinite::DeadLetter;
    for value in [[1, 2, 4, 0], [1, 2, 4, 5], [0, 0, 0, 0], [5, 5, 5, 5]] {
        send_one(&fixture, &OutRecord::to(&fixture.input).value(&value));
    }
    let process = fixture.start(0, &spec);
    fixture.wait_until_done();
    end(process);
    let dead = fixture.dead_letters().drain();
    let sources: Vec<i64> = dead.iter().map(|letter| letter.source().1).collect();
    assert_eq!(sources, [0, 2]);
    assert_eq!(dead[0].header("millrace-error"), Some("not-finite"));
    assert_eq!(
        dead[0].header("millrace-error-message"),
        Some("the model's output output holds inf")
    );
    let all = [fixture.outputs().drain(), dead].concat();
    assert_each_once(&all, &fixture.ends());
}

#[tokio::test]
async fn an_output_that_its_topic_does_not_take_is_a_dead_letter() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let mut spec = fixture.spec(0, &version);
    let limit = [("max.message.bytes", "2000")];
    spec.output_topic = fixture.kafka.topic_with("narrow", 1, &limit).await;
    let long = vec![b'k'; 3_000];
    let record = OutRecord::to(&fixture.input).value(&[1; 4]);
    send_one(&fixture, &record.clone().key(&long));
    // Many small ones at once, which must not be sent as one batch that is too large.
    fixture.send(0..500);
    let process = fixture.start(0, &spec);
    fixture.wait_until_done();
    end(process);
    let dead = fixture.dead_letters().drain();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].header("millrace-error"), Some("too-large"));
    let message = dead[0].header("millrace-error-message").unwrap();
    assert!(message.contains(&spec.output_topic), "{message}");
    assert!(message.contains("at most 2000"), "{message}");
    assert_eq!(dead[0].key.as_deref(), Some(long.as_slice()));
    let outputs = crate::answers::Answers::of(fixture.kafka, &spec.output_topic).drain();
    assert_each_once(&[outputs, dead].concat(), &fixture.ends());
}
