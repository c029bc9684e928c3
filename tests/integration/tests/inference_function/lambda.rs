//! The function on AWS Lambda: events as Amazon MSK sends them, answered through the Runtime API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_harness::{Kafka, Lambda, Outcome, block_until, unique};
use millrace_kafka::OutRecord;
use millrace_wire::function::{InferenceSpec, Invocations};
use millrace_wire::registry::Version;
use serde_json::{Map, Value, json};

use crate::answers::{Answer, Answers, assert_each_once, contents};
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

/// The event that Lambda makes of records of a topic.
fn event(topic: &str, records: &[Answer]) -> Value {
    let bytes = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
    let mut by_partition = Map::new();
    for record in records {
        let headers: Vec<Value> = record
            .headers
            .iter()
            .map(|(name, value)| {
                let signed = value.as_ref().map(|value| {
                    let signed = value.iter().map(|byte| byte.cast_signed());
                    signed.collect::<Vec<i8>>()
                });
                json!({ name: signed })
            })
            .collect();
        let list = by_partition
            .entry(format!("{topic}-{}", record.partition))
            .or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().push(json!({
            "topic": topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp_ms,
            "timestampType": "CREATE_TIME",
            "key": bytes(&record.key),
            "value": bytes(&record.value),
            "headers": headers,
        }));
    }
    json!({
        "eventSource": "aws:kafka",
        "eventSourceArn": "arn:aws:kafka:eu-central-1:123456789012:cluster/test/1",
        "bootstrapServers": "b-1.test:9098,b-2.test:9098",
        "records": by_partition,
    })
}

/// The event of all that the input holds.
pub fn whole(fixture: &Fixture<'_>) -> Value {
    let records = Answers::of(fixture.kafka, &fixture.input).drain();
    event(&fixture.input, &records)
}

pub fn succeeded() -> Outcome {
    Outcome::Answered(json!({"batchItemFailures": []}))
}

/// Invokes and waits for what becomes of it.
pub fn invoke(lambda: &Lambda, event: &Value) -> Outcome {
    lambda.outcome(&lambda.invoke(event, LIMIT), LIMIT)
}

/// Fails unless an invocation or a start failed for this reason. Returns the sentence.
fn failed(outcome: Outcome, expected: &str) -> String {
    match outcome {
        Outcome::Failed { kind, message } => {
            assert_eq!(kind, expected, "{message}");
            message
        }
        Outcome::Answered(answer) => panic!("it succeeded: {answer}"),
    }
}

#[tokio::test]
async fn the_answers_of_a_cold_start_keep_their_order() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let spec = fixture.pushed(&version);
    // More than are written before the producer has its identity.
    fixture.send(0..3_000);
    let event = whole(&fixture);
    let lambda = Lambda::start();
    let process = fixture.start_on(&lambda, &spec, Invocations::default());
    assert_eq!(invoke(&lambda, &event), succeeded());
    end(process);
    let mut outputs = fixture.outputs().drain();
    outputs.sort_by_key(|answer| answer.offset);
    let sources: Vec<i64> = outputs.iter().map(|answer| answer.source().1).collect();
    assert_eq!(sources, (0..3_000).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_killed_function_answers_the_event_again_under_the_same_sources() {
    let fixture = Fixture::new(Kafka::shared(), 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    let spec = fixture.pushed(&version);
    fixture.send(0..5_000);
    let event = whole(&fixture);
    let lambda = Lambda::start();
    // Killed when everything is written and Lambda has not heard of it, the latest that can be.
    lambda.hold_answers();
    let mut process = fixture.start_on(&lambda, &spec, Invocations::default());
    lambda.invoke(&event, LIMIT);
    lambda.wait_for_held(LIMIT);
    process.kill();
    let first = fixture.outputs().drain();
    assert_each_once(&first, &fixture.ends());
    lambda.take_answers();
    // Killed as soon as the first answers are there, so most likely in the middle of writing them.
    let mut outputs = fixture.outputs();
    let mut process = fixture.start_on(&lambda, &spec, Invocations::default());
    lambda.invoke(&event, LIMIT);
    outputs.count(first.len() + 1, LIMIT);
    process.kill();
    let process = fixture.start_on(&lambda, &spec, Invocations::default());
    assert_eq!(invoke(&lambda, &event), succeeded());
    end(process);
    let mut all = contents(outputs.drain());
    assert!(all.len() > 2 * first.len(), "{}", all.len());
    // Repeats are the same in everything but their offset.
    all.dedup();
    assert_eq!(all, contents(first));
}

#[tokio::test]
async fn an_invocation_fails_whole_while_answers_cannot_be_written() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let spec = InferenceSpec {
        output_topic: unique("later"),
        ..fixture.pushed(&version)
    };
    fixture.send(0..10);
    let event = whole(&fixture);
    let lambda = Lambda::start();
    let process = fixture.start_on(&lambda, &spec, Invocations::default());
    let message = failed(invoke(&lambda, &event), "Millrace.output-topic-missing");
    assert!(message.contains(&spec.output_topic), "{message}");
    fixture.wait_for_problem("output-topic-missing");
    let settings: [(&str, &str); 0] = [];
    fixture
        .kafka
        .create_topic(&spec.output_topic, 1, &settings)
        .await;
    assert_eq!(invoke(&lambda, &event), succeeded());
    let outputs = Answers::of(fixture.kafka, &spec.output_topic).drain();
    assert_each_once(&outputs, &fixture.ends());
    end(process);
}

#[tokio::test]
async fn records_whose_answers_are_not_acknowledged_come_again_alone_where_lambda_is_told() {
    let fixture = Fixture::new(Kafka::shared(), 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    // No dead letter is so small: the broker refuses it.
    let narrow = [("max.message.bytes", "100")];
    let spec = InferenceSpec {
        dead_letter_topic: fixture.kafka.topic_with("narrow", 1, &narrow).await,
        ..fixture.pushed(&version)
    };
    fixture.send(0..4);
    let short = OutRecord::to(&fixture.input).partition(1).value(&[1]);
    fixture.producer.send(&short).unwrap();
    fixture.producer.flush(LIMIT).unwrap();
    fixture.send(4..6);
    let event = whole(&fixture);
    let lambda = Lambda::start();
    let process = fixture.start_on(&lambda, &spec, Invocations { partial: true });
    let partition = format!("{}-1", fixture.input);
    let expected = json!({"batchItemFailures": [
        {"itemIdentifier": {"partition": partition, "offset": 2}}
    ]});
    assert_eq!(invoke(&lambda, &event), Outcome::Answered(expected));
    end(process);
    let process = fixture.start_on(&lambda, &spec, Invocations::default());
    let message = failed(invoke(&lambda, &event), "Millrace.not-written");
    assert!(message.contains("1 of 7 answers"), "{message}");
    end(process);
    let mut outputs = contents(fixture.outputs().drain());
    assert_eq!(outputs.len(), 12);
    outputs.dedup();
    assert_eq!(outputs.len(), 6, "the same once more");
}

#[tokio::test]
async fn an_alias_is_followed_through_its_object() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let old = fixture.version(1, models::dense(1)).await;
    let new = fixture.version(2, models::dense(2)).await;
    let wider = fixture.version(3, models::wider()).await;
    let last = fixture.version(4, models::dense(4)).await;
    let spec = InferenceSpec {
        alias: Some("champion".to_owned()),
        ..fixture.pushed(&old)
    };
    fixture.send(0..1);
    let event = whole(&fixture);
    let lambda = Lambda::start();
    let mut outputs = fixture.outputs();
    let mut answered = 0;
    let mut version = || {
        assert_eq!(invoke(&lambda, &event), succeeded());
        answered += 1;
        outputs.count(answered, LIMIT);
        outputs.all[answered - 1].version()
    };
    // An alias that was never moved since pointers are written has none.
    let mut process = fixture.start_on(&lambda, &spec, Invocations::default());
    assert_eq!(version(), 1);
    fixture.point_object(5, &new).await;
    let mut until = |number: u32| {
        block_until("the version answers", LIMIT, || match version() {
            found if found == number => Ok(()),
            found => Err(found),
        });
    };
    until(2);
    fixture.point_object(4, &old).await;
    block_until("the older move is seen", LIMIT, || {
        until(2);
        let lines = process.lines();
        let is_seen = |line: &String| line.contains("older move");
        lines.iter().any(is_seen).then_some(()).ok_or("not yet")
    });
    until(2);
    fixture.point_object(6, &wider).await;
    block_until("the misfit is seen", LIMIT, || {
        until(2);
        let lines = process.lines();
        let is_seen = |line: &String| line.contains("version-mismatch");
        lines.iter().any(is_seen).then_some(()).ok_or("not yet")
    });
    fixture.point_object(7, &last).await;
    until(4);
    process.kill();
    // A new environment begins with what the alias points at.
    let process = fixture.start_on(&lambda, &spec, Invocations::default());
    assert_eq!(version(), 4);
    end(process);
}

/// The version of the function's creation may be months old: a new environment that cannot learn or load what the alias
/// points at must not answer with it, beside others that answer with the newest one.
#[tokio::test]
async fn a_start_never_falls_back_behind_the_alias() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let old = fixture.version(1, models::dense(1)).await;
    let missing = Version {
        version: 2,
        digest: "0".repeat(64),
        ..old.clone()
    };
    let wider = fixture.version(3, models::wider()).await;
    let spec = InferenceSpec {
        alias: Some("champion".to_owned()),
        ..fixture.pushed(&old)
    };
    let start = |words: &str| {
        let lambda = Lambda::start();
        let mut process = fixture.start_on(&lambda, &spec, Invocations::default());
        let message = failed(lambda.init_error(LIMIT), "Millrace.failed");
        assert!(message.contains(words), "{message}");
        assert_eq!(process.wait(LIMIT).code(), Some(1));
    };
    fixture.point_object(5, &missing).await;
    start("version 2 of the model numbers cannot be read");
    fixture.point_object(6, &wider).await;
    start("version 3 of the model numbers does not fit");
    fixture.bar_object();
    start("the alias cannot be followed");
    fixture.wait_for_problem("registry-unreachable");
}

#[tokio::test]
async fn a_start_that_fails_is_told() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let missing = Version {
        digest: "0".repeat(64),
        ..version.clone()
    };
    let cases = [
        (
            fixture.pushed(&missing),
            "failed",
            1,
            "version 1 of the model numbers cannot be read",
        ),
        (
            fixture.spec(0, &version),
            "specification",
            2,
            "exactly once",
        ),
    ];
    for (spec, kind, code, words) in cases {
        let lambda = Lambda::start();
        let mut process = fixture.start_on(&lambda, &spec, Invocations::default());
        let message = failed(lambda.init_error(LIMIT), &format!("Millrace.{kind}"));
        assert!(message.contains(words), "{message}");
        assert_eq!(process.wait(LIMIT).code(), Some(code));
    }
    fixture.wait_for_problem("version-unavailable");
}

#[tokio::test]
async fn an_event_of_something_else_fails_and_the_next_is_answered() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    fixture.send(0..3);
    let event = whole(&fixture);
    let lambda = Lambda::start();
    let spec = fixture.pushed(&version);
    let process = fixture.start_on(&lambda, &spec, Invocations::default());
    let message = failed(
        invoke(&lambda, &json!({"not": "kafka"})),
        "Millrace.unexpected-event",
    );
    assert!(message.contains("aws:kafka"), "{message}");
    let mut foreign = event.clone();
    foreign["records"] = json!({"other-0": [{"topic": "other", "partition": 0, "offset": 0}]});
    let message = failed(invoke(&lambda, &foreign), "Millrace.unexpected-event");
    assert!(message.contains("the topic other"), "{message}");
    assert_eq!(invoke(&lambda, &event), succeeded());
    assert_each_once(&fixture.outputs().drain(), &fixture.ends());
    end(process);
}
