//! An inference while everything happens at once: records come in all the time, replicas join and leave,
//! functions and the API are killed, the broker restarts, and the alias moves, in an order that a seed decides. At
//! the end every record has exactly one answer, a prediction or a dead letter.
//!
//! `MILLRACE_SOAK_SECONDS` says how long that goes on, and `MILLRACE_SOAK_SEED` repeats an order that was printed.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "the seed has to be told")]

#[allow(dead_code, reason = "the tests of the function use the others")]
#[path = "inference_function/models.rs"]
mod models;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace_harness::{Kafka, KafkaOptions, Millrace, wait_until};
use millrace_kafka::{
    Admin, Connection, OutRecord, Producer, Range, RangeReader, Record, RecordView, Watermarks,
};
use serde_json::{Value, json};

const PARTITIONS: i32 = 3;
/// How long the slowest wait may take on a loaded machine.
const LIMIT: Duration = Duration::from_mins(5);

const CREATE: &str = r#"mutation {
  setAlias(input: {model: "numbers", alias: "champion", version: 1}) { alias { name } }
  createDatasource(input: {
    name: "numbers", topic: "input", createTopic: {partitions: 3}, format: {raw: {dtype: UINT8, shape: [4]}}
  }) { datasource { name } }
  createInference(input: {
    name: "numbers", datasource: "numbers", model: "numbers", alias: "champion", outputTopic: "output", replicas: 2
  }) { inference { deadLetterTopic } }
}"#;

const INFERENCE: &str = r#"{ project { inference(name: "numbers") {
  state message functions { processId }
} } }"#;

/// What happens, and how often it did.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    FunctionKilled,
    Scaled,
    AliasMoved,
    ApiKilled,
    BrokerRestarted,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_answered_once_whatever_happens() {
    let lasts = Duration::from_secs(variable("MILLRACE_SOAK_SECONDS").unwrap_or(15));
    let seed = variable("MILLRACE_SOAK_SEED").unwrap_or_else(now);
    println!("soak: {} s, MILLRACE_SOAK_SEED={seed}", lasts.as_secs());
    let kafka = Kafka::start(&KafkaOptions::default());
    let connection = Connection::new(kafka.admin_properties());
    let mut millrace = Millrace::start(&kafka, &[]).await;
    for version in [1, 2] {
        let file = millrace.file("model.onnx", models::dense(version));
        millrace.command(&["model", "push", "numbers", file.to_str().unwrap()]);
    }
    let made = millrace.execute(CREATE, json!({})).await;
    let dead_letters = &made["createInference"]["inference"]["deadLetterTopic"];
    let answers = ["output", dead_letters.as_str().unwrap()];

    let is_over = Arc::new(AtomicBool::new(false));
    let sender = thread::spawn({
        let (connection, is_over) = (connection.clone(), Arc::clone(&is_over));
        move || send(&connection, &is_over)
    });
    let happened = disturb(&kafka, &mut millrace, lasts, seed).await;
    is_over.store(true, Ordering::Relaxed);
    tokio::task::spawn_blocking(move || sender.join().unwrap())
        .await
        .unwrap();

    let sent = sources(&connection);
    wait_until("every record has an answer", LIMIT, async || {
        let found = answered(&connection, &answers);
        if found.len() >= sent.len() {
            return Ok(());
        }
        let inference = millrace.execute(INFERENCE, json!({})).await;
        Err(format!("{} of {}; {inference}", found.len(), sent.len()))
    })
    .await;
    // Whatever a replica still holds would come now.
    let stop = r#"mutation { stopInference(input: {name: "numbers"}) { inference { state } } }"#;
    millrace.execute(stop, json!({})).await;
    let is_stopped = |data: &Value| data["project"]["inference"]["state"] == "STOPPED";
    millrace
        .wait_for("the end", LIMIT, INFERENCE, json!({}), is_stopped)
        .await;
    let found = answered(&connection, &answers);
    let repeated: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    let lost: Vec<_> = sent
        .iter()
        .filter(|source| !found.contains_key(*source))
        .collect();
    println!(
        "soak: {} records, {happened:?}, {} lost, {} repeated",
        sent.len(),
        lost.len(),
        repeated.len()
    );
    assert!(
        lost.is_empty() && repeated.is_empty(),
        "lost {lost:?}, repeated {repeated:?}"
    );
    assert_eq!(
        found.len(),
        sent.len(),
        "answers to records that nobody sent"
    );
}

/// Lets things happen for so long.
async fn disturb(
    kafka: &Kafka,
    millrace: &mut Millrace,
    lasts: Duration,
    seed: u64,
) -> BTreeMap<Event, u32> {
    let mut random = Random(seed);
    let mut happened = BTreeMap::new();
    let begun = Instant::now();
    while begun.elapsed() < lasts {
        tokio::time::sleep(Duration::from_millis(200 + random.below(1_500))).await;
        let event = match random.below(12) {
            0..4 => Event::FunctionKilled,
            4..7 => Event::Scaled,
            7..10 => Event::AliasMoved,
            10 => Event::ApiKilled,
            _ => Event::BrokerRestarted,
        };
        match event {
            Event::FunctionKilled => kill_one(millrace, &mut random).await,
            Event::Scaled => {
                let replicas = 1 + random.below(3);
                let scale = format!(
                    r#"mutation {{ scaleInference(input: {{name: "numbers", replicas: {replicas}}}) {{ inference {{ state }} }} }}"#
                );
                millrace.execute(&scale, json!({})).await;
            }
            Event::AliasMoved => {
                let version = 1 + random.below(2);
                let swap = format!(
                    r#"mutation {{ setAlias(input: {{model: "numbers", alias: "champion", version: {version}}}) {{ alias {{ name }} }} }}"#
                );
                millrace.execute(&swap, json!({})).await;
            }
            Event::ApiKilled => {
                millrace.process().kill();
                millrace.start_again().await;
            }
            Event::BrokerRestarted => {
                kafka.stop();
                kafka.start_again();
            }
        }
        *happened.entry(event).or_default() += 1;
    }
    happened
}

/// Kills one of the inference's functions that run now, if any does.
async fn kill_one(millrace: &Millrace, random: &mut Random) {
    let found = millrace.execute(INFERENCE, json!({})).await;
    let functions = found["project"]["inference"]["functions"]
        .as_array()
        .unwrap();
    let running: Vec<u64> = functions
        .iter()
        .filter_map(|function| function["processId"].as_u64())
        .collect();
    if let Some(place) = random.below(running.len() as u64 + 1).checked_sub(1) {
        let process = running[usize::try_from(place).unwrap()].to_string();
        // It may have ended in this moment.
        let _ = Command::new("kill")
            .args(["-9", &process])
            .status()
            .unwrap();
    }
}

/// Sends some 500 records a second; each hundredth is none of the datasource's.
fn send(connection: &Connection, is_over: &AtomicBool) {
    let producer = Producer::new(connection).unwrap();
    let mut number = 0_u32;
    while !is_over.load(Ordering::Relaxed) {
        for _ in 0..20 {
            let value = number.to_le_bytes();
            let value = if number % 100 == 99 {
                &value[..3]
            } else {
                &value
            };
            let partition = i32::try_from(number).unwrap() % PARTITIONS;
            let record = OutRecord::to("input").partition(partition).value(value);
            producer.send(&record).unwrap();
            number += 1;
        }
        thread::sleep(Duration::from_millis(40));
    }
    producer.flush(LIMIT).unwrap();
}

/// The records of the input, as answers name them.
fn sources(connection: &Connection) -> BTreeSet<String> {
    let records = read_committed(connection, "input");
    let source = |record: &Record| format!("input/{}/{}", record.partition, record.offset);
    records.iter().map(source).collect()
}

/// How many answers each record has.
fn answered(connection: &Connection, topics: &[&str]) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for record in topics
        .iter()
        .flat_map(|topic| read_committed(connection, topic))
    {
        let source = record.header("millrace-source").unwrap().to_vec();
        *counts
            .entry(String::from_utf8(source).unwrap())
            .or_default() += 1;
    }
    counts
}

/// All committed records of a topic.
fn read_committed(connection: &Connection, topic: &str) -> Vec<Record> {
    let marks = Admin::new(connection).unwrap().watermarks(topic).unwrap();
    let ranges: Vec<Range> = marks.iter().map(Watermarks::committed).collect();
    let mut reader = RangeReader::open(connection, topic, &ranges).unwrap();
    let mut records = Vec::new();
    while !reader.is_done() {
        let batch = reader
            .next_batch(10_000, Duration::from_millis(100))
            .unwrap();
        records.extend(batch.iter().map(RecordView::to_record));
    }
    records
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::from(since.subsec_nanos())
}

/// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct Random(u64);

impl Random {
    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
