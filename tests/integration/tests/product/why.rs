//! Any answer leads back to its input, its version, the training and its segment, and is given again.

use millrace_harness::{Kafka, Millrace, unique};
use millrace_kafka::{OutRecord, Producer, Record};
use serde_json::{Value, json};

use crate::faults::delete_records_before;
use crate::{connection, models, predictions, read_committed};

pub(crate) fn place(record: &Record) -> String {
    format!("{}/{}/{}", record.topic, record.partition, record.offset)
}

pub(crate) fn why(millrace: &Millrace, record: &str) -> Value {
    let output = millrace.call(&["why", record, "--json"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let why: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    let is_different = why["again"]["verdict"] == "DIFFERENT";
    assert_eq!(output.status.success(), !is_different, "{why}");
    why
}

fn send(kafka: &Kafka, topic: &str, value: &[u8]) {
    let producer = Producer::new(&connection(kafka)).unwrap();
    let record = OutRecord::to(topic)
        .key(b"key")
        .header("trace-id", b"abc".as_slice())
        .value(value);
    producer.send(&record).unwrap();
    producer.flush(crate::LIMIT).unwrap();
}

/// Writes an answer of its own beside another one: with its headers, but for these, and another value.
fn forge(kafka: &Kafka, answer: &Record, replaced: (&str, &str), value: &[u8]) {
    let producer = Producer::new(&connection(kafka)).unwrap();
    let mut record = OutRecord::to(&answer.topic).partition(0).value(value);
    for (name, found) in &answer.headers {
        let value = if name == replaced.0 {
            replaced.1.as_bytes().to_vec()
        } else {
            found.clone().unwrap()
        };
        record = record.header(name.clone(), value);
    }
    producer.send(&record).unwrap();
    producer.flush(crate::LIMIT).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_leads_back_to_what_it_was_made_of() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let segment = crate::prepare(&millrace, &unique("training"), 1, 60).await;
    let training = crate::start_training(&millrace, &segment, 2, Some("champion")).await;
    crate::end_of_training(&millrace, &training).await;
    let (input, output) = (unique("input"), unique("output"));
    kafka.create_topic(&input, 1, &[]).await;
    let made = crate::infer(&millrace, &input, &output, 1).await;
    let dead = made["deadLetterTopic"].as_str().unwrap();
    let point = [0.25_f32.to_le_bytes(), (-0.5_f32).to_le_bytes()].concat();
    send(kafka, &input, &point);
    let answer = predictions(kafka, &output, 1).await.remove(0);
    let answer_place = place(&answer);

    let found = why(&millrace, &answer_place);
    assert_eq!(found["record"]["place"], answer_place);
    assert_eq!(found["source"], format!("{input}/0/0"));
    assert_eq!(found["input"]["place"], found["source"]);
    assert_eq!(found["input"]["key"]["text"], "key");
    assert_eq!(found["input"]["value"]["length"], 8);
    assert_eq!(found["decoded"]["features"], json!([0.25, -0.5]));
    assert_eq!(found["version"]["number"], 2);
    assert_eq!(found["version"]["aliases"], json!(["champion"]));
    assert_eq!(found["version"]["training"]["id"], training);
    assert_eq!(found["version"]["training"]["hyperparameters"]["epochs"], 2);
    assert_eq!(found["version"]["segment"]["id"], segment);
    assert_eq!(found["version"]["segment"]["count"], 60);
    assert_eq!(found["version"]["parent"]["number"], 1);
    assert_eq!(found["inference"]["name"], "points");
    // It was answered alone, and is so again.
    assert_eq!(found["again"]["verdict"], "SAME", "{}", found["again"]);
    assert_eq!(
        found["again"]["value"]["text"].as_str().unwrap().as_bytes(),
        answer.value.as_deref().unwrap()
    );
    let text = millrace.command(&["why", &answer_place]);
    for words in [
        "again     same: it is the same, bit for bit",
        "version   points version 2 (champion)",
        "parent    points version 1",
        "features [0.25,-0.5]",
        &training,
        &segment,
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let short = millrace.command(&["why", &answer_place, "--no-rerun"]);
    assert!(!short.contains("again"), "{short}");

    send(kafka, &input, b"short");
    let letter = predictions(kafka, dead, 1).await.remove(0);
    let found = why(&millrace, &place(&letter));
    assert_eq!(found["refusal"]["code"], "size");
    assert_eq!(found["again"]["verdict"], "SAME", "{}", found["again"]);
    assert_eq!(
        found["again"]["refusal"]["message"],
        found["refusal"]["message"]
    );

    ask_what_is_wrong(&millrace, kafka, &answer).await;
    ask_what_is_gone(&millrace, kafka, &input, &answer, &letter).await;
}

async fn ask_what_is_wrong(millrace: &Millrace, kafka: &Kafka, answer: &Record) {
    let output = &answer.topic;
    for (behind, code, words) in [
        ("", "INVALID_INPUT", "topic/partition/offset"),
        ("-none/0/0", "TOPIC_NOT_FOUND", "-none"),
        ("/9/0", "TOPIC_NOT_FOUND", "no partition 9"),
        ("/0/900", "SEGMENT_IN_FUTURE", "lies in the future"),
        // Where the transaction of the answer ends.
        ("/0/1", "NOT_FOUND", "the end of a transaction"),
    ] {
        let refused = millrace.failing_command(&["why", &format!("{output}{behind}")]);
        assert!(
            refused.contains(code) && refused.contains(words),
            "{refused}"
        );
    }
    let plain = unique("plain");
    kafka.create_topic(&plain, 1, &[]).await;
    send(kafka, &plain, b"somebody's");
    let refused = millrace.failing_command(&["why", &format!("{plain}/0/0")]);
    assert!(
        refused.contains("has not the headers millrace-source"),
        "{refused}"
    );

    // Values that this version never gave, and versions that are no more.
    let value = String::from_utf8(answer.value.clone().unwrap()).unwrap();
    let mut other: Value = serde_json::from_str(&value).unwrap();
    other["outputs"]["probabilities"] = json!([0.5, 0.5]);
    forge(kafka, answer, ("", ""), other.to_string().as_bytes());
    forge(kafka, answer, ("millrace-version", "7"), b"{}");
    forge(kafka, answer, ("millrace-model", "gone"), b"{}");
    let all = predictions(kafka, output, 4).await;
    let found = why(millrace, &place(&all[1]));
    assert_eq!(found["again"]["verdict"], "DIFFERENT", "{found}");
    let message = found["again"]["message"].as_str().unwrap();
    assert!(
        message.contains("at /outputs/probabilities/0 it was 0.5"),
        "{message}"
    );
    for (record, words) in [
        (&all[2], "version 7 of the model \"points\" was deleted"),
        (&all[3], "the model \"gone\" was deleted"),
    ] {
        let found = why(millrace, &place(record));
        assert_eq!(found["versionError"]["code"], "NOT_FOUND", "{found}");
        let message = found["versionError"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
        assert_eq!(found["again"]["verdict"], "IMPOSSIBLE");
        assert_eq!(
            found["input"]["place"], found["source"],
            "the input is told nevertheless"
        );
    }
}

async fn ask_what_is_gone(
    millrace: &Millrace,
    kafka: &Kafka,
    input: &str,
    answer: &Record,
    letter: &Record,
) {
    delete_records_before(kafka, input, 0, 2).await;
    let found = why(millrace, &place(answer));
    assert_eq!(found["inputError"]["code"], "SEGMENT_EXPIRED", "{found}");
    assert_eq!(found["again"]["verdict"], "IMPOSSIBLE");
    assert_eq!(found["version"]["parent"]["number"], 1);
    let text = millrace.command(&["why", &place(answer)]);
    assert!(text.contains("has expired"), "{text}");
    // Its dead letter keeps the record.
    let found = why(millrace, &place(letter));
    assert_eq!(found["input"]["place"], place(letter), "{found}");
    assert_eq!(found["again"]["verdict"], "SAME", "{}", found["again"]);
}

const CREATE: &str = r#"mutation Create($input: String!, $output: String!) {
  setAlias(input: {model: "points", alias: "champion", version: 1}) { alias { name } }
  createDatasource(input: {
    name: "points", topic: $input, createTopic: {partitions: 1}, format: {raw: {dtype: UINT8, shape: [4]}}
  }) { datasource { name } }
  createInference(input: {
    name: "points", datasource: "points", model: "points", alias: "champion", outputTopic: $output, notFinite: DEAD_LETTER
  }) { inference { redriveTopic } }
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_dead_letter_leads_back_to_its_first_source() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    for (name, model) in [("first", models::reciprocal()), ("fixed", models::dense(1))] {
        let file = millrace.file(name, model);
        millrace.command(&["model", "push", "points", file.to_str().unwrap()]);
    }
    let (input, output) = (unique("input"), unique("output"));
    let made = millrace
        .execute(CREATE, json!({"input": input, "output": output}))
        .await;
    let redrive = made["createInference"]["inference"]["redriveTopic"].clone();
    let redrive = redrive.as_str().unwrap();
    crate::runs(&millrace).await;
    send(kafka, &input, &[1, 2, 3, 0]);
    let fix = r#"mutation Fix { setAlias(input: {model: "points", alias: "champion", version: 2}) { alias { name } } }"#;
    let has_letter = |text: &str| text.lines().count() == 1;
    millrace_harness::wait_until("a dead letter", crate::LIMIT, async || {
        let listed = millrace.command(&["dead-letters", "list", "points"]);
        if has_letter(&listed) {
            Ok(())
        } else {
            Err(listed)
        }
    })
    .await;
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
    millrace.command(&["dead-letters", "redrive", "points", "--all"]);
    let answer = predictions(kafka, &output, 1).await.remove(0);

    let found = why(&millrace, &place(&answer));
    assert_eq!(found["source"], format!("{input}/0/0"));
    assert_eq!(found["input"]["place"], found["source"]);
    assert_eq!(found["version"]["number"], 2);
    assert_eq!(found["again"]["verdict"], "SAME", "{}", found["again"]);
    assert!(found["version"]["training"].is_null() && found["version"]["parent"].is_null());

    // What was sent back still has it where the input does not.
    delete_records_before(kafka, &input, 0, 1).await;
    let sent_back = read_committed(&connection(kafka), redrive).remove(0);
    let found = why(&millrace, &place(&answer));
    assert_eq!(found["input"]["place"], place(&sent_back), "{found}");
    assert_eq!(found["input"]["key"]["text"], "key");
    assert_eq!(found["again"]["verdict"], "SAME", "{}", found["again"]);
    let refused = millrace.failing_command(&["why", &place(&sent_back)]);
    assert!(refused.contains("on its way back"), "{refused}");
    assert!(refused.contains(&format!("{input}/0/0")), "{refused}");
}
