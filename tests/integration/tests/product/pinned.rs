//! A pinned segment outlives its records in Kafka, and its topic.

use std::collections::BTreeMap;

use millrace_harness::{Kafka, Millrace, unique, wait_until};
use millrace_kafka::{Admin, Record};
use serde_json::{Value, json};

use crate::faults::delete_records_before;
use crate::rescore::{finished, state};
use crate::why::{place, why};
use crate::{LIMIT, by_source, connection, prepare, read_committed, train};

const PIN: &str =
    "mutation Pin($id: ID!) { pinSegment(input: {id: $id}) { segment { pinned pinnedBytes } } }";
const UNPIN: &str = "mutation Unpin($id: ID!) { unpinSegment(input: {id: $id}) { segment { pinned pinnedBytes } } }";

#[tokio::test(flavor = "multi_thread")]
async fn trains_when_kafka_has_dropped_the_records() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let topic = unique("training");
    let segment = prepare(&millrace, &topic, 2, 400).await;
    let from_kafka = train(&millrace, &segment, 2, None).await;
    assert_eq!(from_kafka["state"], "SUCCEEDED", "{from_kafka}");

    let id = json!({"id": segment});
    let pinned = millrace.execute(PIN, id.clone()).await;
    let pinned = &pinned["pinSegment"]["segment"];
    assert_eq!(pinned["pinned"], true);
    // 400 records of eight bytes with a label and an offset.
    assert!(
        pinned["pinnedBytes"].as_i64().unwrap() > 400 * 10,
        "{pinned}"
    );
    assert_eq!(
        millrace.execute(PIN, id.clone()).await["pinSegment"]["segment"],
        *pinned
    );

    let admin = Admin::new(&crate::connection(kafka)).unwrap();
    admin.delete_topics(&[&topic]).unwrap();
    let start = r#"mutation Again($segment: ID!) { startTraining(input: {
        model: "points", version: 1, segment: $segment,
        hyperparameters: {epochs: 2, batchSize: 16, learningRate: 0.05}
    }) { training { id } } }"#;
    let again = millrace.execute(start, json!({"segment": segment})).await;
    let id_again = again["startTraining"]["training"]["id"].as_str().unwrap();
    let again = crate::end_of_training(&millrace, id_again).await;
    assert_eq!(
        again["result"]["digest"], from_kafka["result"]["digest"],
        "{again}"
    );

    let unpinned = millrace.execute(UNPIN, id).await;
    assert_eq!(
        unpinned["unpinSegment"]["segment"],
        json!({"pinned": false, "pinnedBytes": null})
    );
    let (code, message) = millrace.refuse(start, json!({"segment": segment})).await;
    assert_eq!(code, "TOPIC_NOT_FOUND", "{message}");
}

const REPLAY: &str = r#"mutation Replay($name: String!, $segment: ID!, $output: String!, $rate: Int, $replicas: Int) {
  createInference(input: {
    name: $name, datasource: "points", model: "points", version: 1, outputTopic: $output, segment: $segment,
    recordsPerSecond: $rate, replicas: $replicas
  }) { inference { redriveTopic span { recordsPerSecond ends { partition offset } } } } }"#;

/// What tells of a record but its value: its place, its time and its label.
type Told = (String, i64, Vec<u8>);

/// What is to be answered, in the order of each partition.
fn told(topic: &str, records: &[Record]) -> BTreeMap<i32, Vec<Told>> {
    let mut told: BTreeMap<i32, Vec<Told>> = BTreeMap::new();
    for record in records {
        let place = format!("{topic}/{}/{}", record.partition, record.offset);
        let label = record.header("label").unwrap().to_vec();
        let own = told.entry(record.partition).or_default();
        own.push((place, record.timestamp_ms.unwrap(), label));
    }
    told
}

/// What answers say of the records that they answer, in the order of each partition.
fn answered(answers: &[Record]) -> BTreeMap<i32, Vec<Told>> {
    let text = |answer: &Record, name: &str| {
        String::from_utf8(answer.header(name).unwrap().to_vec()).unwrap()
    };
    let mut told: BTreeMap<i32, Vec<Told>> = BTreeMap::new();
    for answer in answers {
        let time = text(answer, "millrace-timestamp").parse().unwrap();
        let label = answer.header("label").unwrap().to_vec();
        let own = told.entry(answer.partition).or_default();
        own.push((text(answer, "millrace-source"), time, label));
    }
    told
}

/// Has Kafka drop all that a topic holds.
async fn drop_all(kafka: &Kafka, topic: &str) {
    let marks = Admin::new(&connection(kafka)).unwrap().watermarks(topic);
    for mark in marks.unwrap() {
        delete_records_before(kafka, topic, mark.partition, mark.high).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn is_answered_when_kafka_has_dropped_the_records() {
    let kafka = Kafka::shared();
    let mut millrace = Millrace::start(kafka, &[]).await;
    let (topic, output) = (unique("training"), unique("output"));
    let segment = prepare(&millrace, &topic, 2, 400).await;
    let sent = told(&topic, &read_committed(&connection(kafka), &topic));
    millrace.execute(PIN, json!({"id": segment})).await;
    // Records that are not the segment's.
    let file = millrace.file("later.csv", crate::points(50));
    millrace.command(&["send", "points", file.to_str().unwrap(), "--no-segment"]);
    // Of one partition Kafka keeps what lies behind its first records: that is not answered twice.
    delete_records_before(kafka, &topic, 0, 3).await;

    let wanted = json!({
        "name": "again", "segment": segment, "output": output, "rate": 50, "replicas": 2,
    });
    let made = millrace.execute(REPLAY, wanted).await;
    let span = &made["createInference"]["inference"]["span"];
    assert_eq!(span["recordsPerSecond"], 50, "{made}");
    let ends = span["ends"].as_array().unwrap().iter();
    let ends: i64 = ends.map(|end| end["offset"].as_i64().unwrap()).sum();
    assert_eq!(ends, 400, "those of the segment");
    state(&millrace, "again", "RUNNING").await;
    crate::predictions(kafka, &output, 50).await;
    millrace.process().kill();
    millrace.start_again().await;
    finished(&millrace, "again").await;
    let answers = read_committed(&connection(kafka), &output);
    assert_eq!(answers.len(), 400);
    assert!(
        answered(&answers) == sent,
        "in order, with their times and labels"
    );

    // Where an answer comes from is told by the copy, which outlives the replay's own topic.
    let dropped = answers.iter().find(|answer| {
        let source = answer.header("millrace-source").unwrap();
        source == format!("{topic}/0/0").as_bytes()
    });
    let found = why(&millrace, &place(dropped.unwrap()));
    assert_eq!(found["input"]["place"], found["source"], "{found}");
    assert!(
        matches!(found["again"]["verdict"].as_str(), Some("SAME" | "CLOSE")),
        "{}",
        found["again"]
    );

    millrace.execute(UNPIN, json!({"id": segment})).await;
    let wanted = json!({"name": "no-more", "segment": segment, "output": output, "replicas": 1});
    let (code, message) = millrace.refuse(REPLAY, wanted).await;
    assert_eq!(code, "SEGMENT_EXPIRED", "{message}");
}

/// The API is killed as soon as some of the records are back.
#[tokio::test(flavor = "multi_thread")]
async fn is_brought_back_once_whoever_is_killed() {
    const COUNT: u32 = 25_000;
    let kafka = Kafka::shared();
    let mut millrace = Millrace::start(kafka, &[]).await;
    let (topic, output) = (unique("training"), unique("output"));
    let segment = prepare(&millrace, &topic, 3, COUNT).await;
    millrace.execute(PIN, json!({"id": segment})).await;
    drop_all(kafka, &topic).await;
    let wanted = json!({"name": "again", "segment": segment, "output": output, "replicas": 1});
    let made = millrace.execute(REPLAY, wanted).await;
    let own: Value = made["createInference"]["inference"]["redriveTopic"].clone();
    let own = own.as_str().unwrap();
    let admin = Admin::new(&connection(kafka)).unwrap();
    wait_until("some records are back", LIMIT, async || {
        let marks = admin.watermarks(own).map_err(|error| error.to_string())?;
        let back: i64 = marks.iter().map(|mark| mark.stable).sum();
        if back > 0 {
            Ok(())
        } else {
            Err(back.to_string())
        }
    })
    .await;
    millrace.process().kill();
    millrace.start_again().await;
    finished(&millrace, "again").await;
    let answers = by_source(&read_committed(&connection(kafka), &output));
    assert_eq!(answers.len(), COUNT as usize);
    assert!(answers.values().all(|count| *count == 1));
    assert_eq!(
        read_committed(&connection(kafka), own).len(),
        COUNT as usize
    );
}
