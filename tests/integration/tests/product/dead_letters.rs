//! Dead letters as a queue: looked at, sent back after a fix, and answered once, whatever is killed.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use millrace_harness::{Kafka, Millrace, unique};
use millrace_kafka::{Admin, OutRecord, Producer, Record};
use serde_json::{Value, json};

use crate::models;
use crate::{by_source, connection, predictions, read_committed};

const CREATE: &str = r#"mutation Create($topic: String!, $input: String!, $output: String!) {
  setAlias(input: {model: "points", alias: "champion", version: 1}) { alias { name } }
  createDatasource(input: {
    name: "points", topic: $topic, createTopic: {partitions: 1}, format: {raw: {dtype: UINT8, shape: [4]}}
  }) { datasource { name } }
  createInference(input: {
    name: "points", datasource: "points", model: "points", alias: "champion",
    inputTopic: $input, outputTopic: $output, notFinite: DEAD_LETTER
  }) { inference { deadLetterTopic redriveTopic notFinite batching { runDeadlineMs } } }
}"#;

const LIST: &str = r#"query List($after: String, $redriven: Boolean) { project { inference(name: "points") {
  deadLetters(first: 30, after: $after, error: "not-finite", redriven: $redriven) {
    nodes { place source attempt version error decoded { features } redriven }
    pageInfo { hasNextPage endCursor }
  }
} } }"#;

const REDRIVE: &str = r#"mutation Redrive($select: DeadLetterSelection!) {
  redriveDeadLetters(input: {name: "points", select: $select}) { sent passedOver inference { name } }
}"#;

/// Records that are sent, and how many of them the first version cannot answer: 1 is divided by zero.
const RECORDS: u8 = 250;
const BAD: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_sent_back_after_a_fix_and_answered_once() {
    let kafka = Kafka::shared();
    let mut millrace = Millrace::start(kafka, &[]).await;
    for (name, model) in [("first", models::reciprocal()), ("fixed", models::dense(1))] {
        let file = millrace.file(name, model);
        millrace.command(&["model", "push", "points", file.to_str().unwrap()]);
    }
    let (topic, input, output) = (unique("points"), unique("input"), unique("output"));
    kafka.create_topic(&input, 2, &[]).await;
    let topics = json!({"topic": topic, "input": input, "output": output});
    let made = millrace.execute(CREATE, topics).await;
    let inference = &made["createInference"]["inference"];
    assert_eq!(inference["notFinite"], "DEAD_LETTER");
    assert_eq!(inference["batching"]["runDeadlineMs"], 20_000);
    let dead = inference["deadLetterTopic"].as_str().unwrap();
    crate::runs(&millrace).await;
    send(kafka, &input);
    let good = usize::from(RECORDS) - BAD;
    assert_eq!(predictions(kafka, &output, good).await.len(), good);
    assert_eq!(predictions(kafka, dead, BAD).await.len(), BAD);

    let letters = look(&millrace).await;
    send_one_back(&millrace, kafka, dead, &letters[7]).await;
    let before = inputs(kafka, &input);
    send_all_back(&mut millrace).await;
    predictions(kafka, &output, usize::from(RECORDS)).await;
    crate::runs(&millrace).await;

    // A stopped inference knows where it was among the redriven records, too.
    for (change, state) in [("stopInference", "STOPPED"), ("startInference", "RUNNING")] {
        let operation = format!(
            r#"mutation Change {{ {change}(input: {{name: "points"}}) {{ inference {{ state }} }} }}"#
        );
        millrace.execute(&operation, json!({})).await;
        let is = |data: &Value| data["project"]["inference"]["state"] == state;
        millrace
            .wait_for(state, crate::LIMIT, crate::INFERENCE, json!({}), is)
            .await;
    }
    check_answers(&read_committed(&connection(kafka), &output), &input);
    assert_eq!(
        inputs(kafka, &input),
        before,
        "no other reader of the input sees a record again"
    );
    assert!(all_letters(&millrace, json!(false)).await.is_empty());
}

/// Looks at the dead letters page by page, and at one of them by the command.
async fn look(millrace: &Millrace) -> Vec<Value> {
    let letters = all_letters(millrace, json!(false)).await;
    assert_eq!(letters.len(), BAD);
    let places: BTreeSet<&str> = letters
        .iter()
        .map(|one| one["place"].as_str().unwrap())
        .collect();
    assert_eq!(places.len(), BAD);
    for letter in &letters {
        assert_eq!(
            (&letter["attempt"], &letter["version"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(letter["decoded"]["features"][3], 0.0, "{letter}");
    }
    let place = letters[7]["place"].as_str().unwrap();
    let shown = millrace.command(&["dead-letters", "show", "points", place, "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["key"]["text"], "key");
    let kept = json!({"name": "trace-id", "value": {"length": 3, "base64": "YWJj", "text": "abc"}});
    assert!(
        shown["headers"].as_array().unwrap().contains(&kept),
        "{shown}"
    );
    let listed = millrace.command(&[
        "dead-letters",
        "list",
        "points",
        "--first",
        "5",
        "--waiting",
    ]);
    assert_eq!(listed.lines().count(), 6, "{listed}");
    assert!(listed.contains("there are more: --after"), "{listed}");
    letters
}

/// One that is sent back before the fix is another dead letter, of the same record.
async fn send_one_back(millrace: &Millrace, kafka: &Kafka, dead: &str, letter: &Value) {
    let place = letter["place"].as_str().unwrap();
    let again = json!({"select": {"places": [place]}});
    let done = millrace.execute(REDRIVE, again).await;
    assert_eq!(done["redriveDeadLetters"]["sent"], 1);
    let second = predictions(kafka, dead, BAD + 1).await;
    let second: Vec<&Record> = second
        .iter()
        .filter(|one| header(one, "millrace-attempt") == "2")
        .collect();
    assert_eq!(second.len(), 1);
    assert_eq!(
        header(second[0], "millrace-source"),
        letter["source"].as_str().unwrap()
    );
    assert!(second[0].header("millrace-dead-letter").is_none());
    for (wrong, code) in [
        ("9/1", "NOT_FOUND"),
        ("0/999999", "NOT_FOUND"),
        ("first", "INVALID_INPUT"),
    ] {
        let wrong = json!({"select": {"places": [wrong]}});
        let (found, message) = millrace.refuse(REDRIVE, wrong).await;
        assert_eq!(found, code, "{message}");
    }
}

/// After the fix all are sent back, and everything is killed meanwhile.
async fn send_all_back(millrace: &mut Millrace) {
    let fix = r#"mutation Fix { setAlias(input: {model: "points", alias: "champion", version: 2}) { alias { name } } }"#;
    millrace.execute(fix, json!({})).await;
    let fixed = |data: &Value| data["project"]["inference"]["runningVersion"]["number"] == 2;
    millrace
        .wait_for(
            "the fix is at work",
            crate::LIMIT,
            crate::INFERENCE,
            json!({}),
            fixed,
        )
        .await;
    let done = millrace.command(&["dead-letters", "redrive", "points", "--all", "--json"]);
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(done, json!({"sent": BAD, "passedOver": 1}));
    millrace.process().kill();
    millrace.start_again().await;
    let done = millrace
        .execute(REDRIVE, json!({"select": {"all": true}}))
        .await;
    let done = &done["redriveDeadLetters"];
    assert_eq!(
        (&done["sent"], &done["passedOver"]),
        (&json!(0), &json!(BAD + 1))
    );
}

/// Every record is answered once, those that came back by the fixed version, in the name of the first.
fn check_answers(made: &[Record], input: &str) {
    assert_eq!(
        (made.len(), by_source(made).len()),
        (usize::from(RECORDS), usize::from(RECORDS))
    );
    let own = format!("{input}/");
    assert!(
        by_source(made)
            .keys()
            .all(|source| source.starts_with(&own))
    );
    let redriven: Vec<&Record> = made
        .iter()
        .filter(|one| header(one, "millrace-version") == "2")
        .collect();
    assert_eq!(redriven.len(), BAD);
    for record in redriven {
        assert_eq!(header(record, "trace-id"), "abc");
        assert_eq!(record.key.as_deref(), Some(b"key".as_slice()));
        assert!(record.header("millrace-attempt").is_none());
        let source = header(record, "millrace-source");
        let partition = source.split('/').nth(1).unwrap().parse();
        assert_eq!(
            Ok(record.partition),
            partition,
            "the output is where its record was"
        );
        assert!(
            record.timestamp_ms.unwrap() < now_ms() - 50_000,
            "its time is the record's own"
        );
    }
}

/// Sends the records, every fifth of which holds a zero, with a time of a minute ago.
fn send(kafka: &Kafka, topic: &str) {
    let producer = Producer::new(&connection(kafka)).unwrap();
    for number in 0..RECORDS {
        let last = u8::from(number % 5 != 0);
        let value = [1, 2, number.max(1), last];
        let record = OutRecord::to(topic)
            .partition(i32::from(number % 2))
            .timestamp_ms(now_ms() - 60_000)
            .key(b"key")
            .header("trace-id", b"abc".as_slice());
        producer.send(&record.value(&value)).unwrap();
    }
    producer.flush(crate::LIMIT).unwrap();
}

async fn all_letters(millrace: &Millrace, redriven: Value) -> Vec<Value> {
    let (mut letters, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = millrace
            .execute(LIST, json!({"after": after, "redriven": redriven}))
            .await;
        let page = &page["project"]["inference"]["deadLetters"];
        letters.extend(page["nodes"].as_array().unwrap().clone());
        if page["pageInfo"]["hasNextPage"] == false {
            return letters;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

fn header<'r>(record: &'r Record, name: &str) -> &'r str {
    std::str::from_utf8(record.header(name).unwrap()).unwrap()
}

fn inputs(kafka: &Kafka, topic: &str) -> Vec<i64> {
    let marks = Admin::new(&connection(kafka))
        .unwrap()
        .watermarks(topic)
        .unwrap();
    marks.iter().map(|mark| mark.high).collect()
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}
