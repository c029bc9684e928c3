//! The product as a whole, by its public interface only: `millrace up` as a process, GraphQL over
//! HTTP, the `millrace` command, and Kafka consumers of our own.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod aliases;
mod avro;
mod browser;
mod bucket;
mod chain;
mod command;
mod dead_letters;
mod ensembles;
mod faults;
mod job;
mod json;
mod lambda;
mod load;
mod moving;
mod outage;
mod pinned;
mod rescore;
mod restart;
mod retention;
mod samples;
mod secured;
mod segments;
mod send;
mod shared_topics;
mod start;
mod trainings;
mod turns;
#[cfg(target_os = "linux")]
mod upload;
mod why;

#[allow(dead_code, reason = "the tests of the function use the others")]
#[path = "../inference_function/models.rs"]
mod models;

#[path = "../inference_function/npz.rs"]
mod npz;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use millrace_harness::{Kafka, Millrace};
use millrace_kafka::{Admin, Connection, Range, RangeReader, Record, RecordView, Watermarks};
use serde_json::{Value, json};

/// How long the slowest step may take on a loaded machine.
const LIMIT: Duration = Duration::from_mins(2);

/// A model of two inputs and two classes, described as layers.
const CREATE_MODEL: &str = r"mutation Create($name: String!) { createModel(input: {
  name: $name, inputShape: [2], seed: 1, layers: [
    {dense: {units: 8, activation: TANH}}, {dense: {units: 2, activation: SOFTMAX}}]
}) { model { id } version { number } } }";

/// Two float32 a record, the label in a header.
const CREATE_DATASOURCE: &str = r#"mutation Create($name: String!, $topic: String!, $partitions: Int) {
  createDatasource(input: {
    name: $name, topic: $topic, createTopic: {partitions: $partitions},
    format: {raw: {dtype: FLOAT32, shape: [2]}}, label: {source: {header: "label"}}
  }) { datasource { name } } }"#;

const START_TRAINING: &str = r#"mutation Start($segment: ID!, $epochs: Int!, $promote: String) {
  startTraining(input: {
    model: "points", segment: $segment, promoteTo: $promote,
    hyperparameters: {epochs: $epochs, batchSize: 16, learningRate: 0.05}
  }) { training { id state } } }"#;

const TRAINING: &str = r"query Training($id: ID!) { node(id: $id) { ... on Training {
  state message error { code message } result { number digest metrics computedOn aliases } epochs { epoch loss accuracy validationLoss }
} } }";

const CREATE_INFERENCE: &str = r#"mutation Create($input: String!, $output: String!, $replicas: Int!) {
  createInference(input: {
    name: "points", datasource: "points", model: "points", alias: "champion",
    inputTopic: $input, outputTopic: $output, replicas: $replicas
  }) { inference { state guarantee consumerGroup deadLetterTopic readersMustUse } } }"#;

const INFERENCE: &str = r#"query Inference { project { inference(name: "points") {
  state message runningVersion { number } lag { partition lag }
} } }"#;

/// Points of two classes that a line divides, as CSV with the class as the last column.
fn points(count: u32) -> String {
    (0..count).fold(String::new(), |mut text, index| {
        // Two low-discrepancy sequences: spread evenly, the same in every run.
        let x = (f64::from(index) * 0.754_877_666).fract() * 2.0 - 1.0;
        let y = (f64::from(index) * 0.569_840_291).fract() * 2.0 - 1.0;
        let class = u8::from(x + y > 0.0);
        writeln!(text, "{x:.6},{y:.6},{class}").unwrap();
        text
    })
}

/// Makes model and datasource `points` and sends so many points; returns the segment's id.
async fn prepare(millrace: &Millrace, topic: &str, partitions: i32, count: u32) -> String {
    millrace
        .execute(CREATE_MODEL, json!({"name": "points"}))
        .await;
    let source = json!({"name": "points", "topic": topic, "partitions": partitions});
    millrace.execute(CREATE_DATASOURCE, source).await;
    let file = millrace.file("points.csv", points(count));
    let file = file.to_str().unwrap();
    let sent = millrace.command(&["send", "points", file, "--validation", "0.2", "--json"]);
    let segment: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(segment["count"], count);
    segment["id"].as_str().unwrap().to_owned()
}

/// Starts a training and waits for its end; returns the training.
async fn train(millrace: &Millrace, segment: &str, epochs: u32, promote: Option<&str>) -> Value {
    let id = start_training(millrace, segment, epochs, promote).await;
    end_of_training(millrace, &id).await
}

async fn start_training(
    millrace: &Millrace,
    segment: &str,
    epochs: u32,
    promote: Option<&str>,
) -> String {
    let variables = json!({"segment": segment, "epochs": epochs, "promote": promote});
    let started = millrace.execute(START_TRAINING, variables).await;
    started["startTraining"]["training"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn end_of_training(millrace: &Millrace, id: &str) -> Value {
    let ended = |data: &Value| {
        matches!(
            data["node"]["state"].as_str(),
            Some("SUCCEEDED" | "FAILED" | "CANCELLED")
        )
    };
    let variables = json!({"id": id});
    let mut data = millrace
        .wait_for("the training ends", LIMIT, TRAINING, variables, ended)
        .await;
    data["node"].take()
}

/// Starts the inference `points` and waits until it runs.
async fn infer(millrace: &Millrace, input: &str, output: &str, replicas: u32) -> Value {
    let topics = json!({"input": input, "output": output, "replicas": replicas});
    let mut made = millrace.execute(CREATE_INFERENCE, topics).await;
    runs(millrace).await;
    made["createInference"]["inference"].take()
}

async fn runs(millrace: &Millrace) {
    let is_running =
        |data: &Value| data["project"]["inference"]["state"].as_str() == Some("RUNNING");
    millrace
        .wait_for(
            "the inference runs",
            LIMIT,
            INFERENCE,
            json!({}),
            is_running,
        )
        .await;
}

/// A connection with the rights to do everything.
fn connection(kafka: &Kafka) -> Connection {
    Connection::new(kafka.admin_properties())
}

/// All committed records of a topic.
fn read_committed(connection: &Connection, topic: &str) -> Vec<Record> {
    let marks = Admin::new(connection).unwrap().watermarks(topic).unwrap();
    let ranges: Vec<Range> = marks.iter().map(Watermarks::committed).collect();
    let mut reader = RangeReader::open(connection, topic, &ranges).unwrap();
    let mut records = Vec::new();
    while !reader.is_done() {
        let batch = reader
            .next_batch(1_000, Duration::from_millis(100))
            .unwrap();
        records.extend(batch.iter().map(RecordView::to_record));
    }
    records
}

/// How many predictions each source has.
fn by_source(predictions: &[Record]) -> BTreeMap<String, usize> {
    predictions
        .iter()
        .fold(BTreeMap::new(), |mut counts, record| {
            let source = record.header("millrace-source").unwrap();
            let source = String::from_utf8(source.to_vec()).unwrap();
            *counts.entry(source).or_default() += 1;
            counts
        })
}

/// Waits until the output topic has so many committed records.
async fn predictions(kafka: &Kafka, topic: &str, count: usize) -> Vec<Record> {
    let (connection, topic) = (connection(kafka), topic.to_owned());
    tokio::task::spawn_blocking(move || {
        millrace_harness::block_until("all predictions", LIMIT, || {
            let records = read_committed(&connection, &topic);
            if records.len() >= count {
                Ok(records)
            } else {
                Err(records.len())
            }
        })
    })
    .await
    .unwrap()
}
