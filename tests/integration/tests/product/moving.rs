//! An inference moves from one platform to another under load, and back: at exact offsets, so that no record is passed
//! over, and repeats come only from where records are answered at least once.

use std::collections::BTreeMap;
use std::process::Command;

use millrace_harness::{Kafka, Millrace, unique};
use millrace_kafka::{Admin, Record};
use serde_json::{Value, json};

use crate::load::Load;
use crate::models;
use crate::{LIMIT, connection, read_committed};

const PREPARE: &str = r#"mutation Prepare($topic: String!, $input: String!, $output: String!) {
  createDatasource(input: {
    name: "points", topic: $topic, createTopic: {partitions: 1}, format: {raw: {dtype: UINT8, shape: [4]}}
  }) { datasource { name } }
  createInference(input: {
    name: "points", datasource: "points", model: "points", version: 1, replicas: 2,
    inputTopic: $input, outputTopic: $output, start: {at: EARLIEST}
  }) { inference { name } }
}"#;

const MOVE: &str = r#"mutation Move($platform: String!, $guarantee: Guarantee, $replicas: Int = 1, $lambda: LambdaInput) {
  moveInference(input: {
    name: "points", platform: $platform, guarantee: $guarantee, replicas: $replicas, lambda: $lambda
  }) {
    inference { state platform }
  }
}"#;

const INFERENCE: &str = r#"query Inference { project { inference(name: "points") {
  state message platform guarantee functions { platform state processId }
} } }"#;

/// Asked for alone: while a killed function's transaction is open, Kafka does not say what its group has committed.
const LAG: &str = r#"query Lag { project { inference(name: "points") { lag { lag } } } }"#;

const STOP: &str =
    r#"mutation Stop { stopInference(input: {name: "points"}) { inference { state } } }"#;

const PARTITIONS: i32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn it_moves_to_lambda_and_back_under_load_and_kills() {
    let kafka = Kafka::shared();
    let mut millrace = Millrace::start(kafka, &[]).await;
    let (input, output) = (unique("input"), unique("output"));
    kafka.create_topic(&input, PARTITIONS, &[]).await;
    let load = Load::start(kafka, &input, PARTITIONS);
    let file = millrace.file("model.onnx", models::dense(1));
    millrace.command(&["model", "push", "points", file.to_str().unwrap()]);
    let topics = json!({"topic": unique("points"), "input": input, "output": output});
    millrace.execute(PREPARE, topics).await;
    runs_on(&millrace, "local").await;
    crate::predictions(kafka, &output, 2_000).await;
    refuse(&millrace).await;

    let lambda = json!({"batchSize": 500, "pollers": {"minimum": 1, "maximum": 1}});
    let there = json!({"platform": "lambda-local", "guarantee": "AT_LEAST_ONCE", "lambda": lambda});
    let moved = millrace.execute(MOVE, there.clone()).await;
    assert_eq!(moved["moveInference"]["inference"]["state"], "STOPPING");
    // The API dies on the way.
    millrace.process().kill();
    millrace.start_again().await;
    let found = runs_on(&millrace, "lambda-local").await;
    assert_eq!(found["guarantee"], "AT_LEAST_ONCE");
    let process = millrace
        .wait_for(
            "an environment works",
            LIMIT,
            INFERENCE,
            json!({}),
            |data| process(&data["project"]["inference"]).is_some(),
        )
        .await;
    let process = process_of(&process);
    load.wait_for(load.sent() + 2_000);
    let killed = Command::new("kill")
        .args(["-9", &process.to_string()])
        .status();
    assert!(killed.unwrap().success());
    millrace
        .wait_for(
            "another environment works",
            LIMIT,
            INFERENCE,
            json!({}),
            |data| {
                let inference = &data["project"]["inference"];
                self::process(inference).is_some_and(|other| other != process)
                    && inference["state"] == "RUNNING"
            },
        )
        .await;
    let (code, message) = millrace
        .refuse(
            r#"mutation Scale { scaleInference(input: {name: "points", replicas: 2}) { inference { name } } }"#,
            json!({}),
        )
        .await;
    assert_eq!(code, "INVALID_INPUT", "{message}");
    load.wait_for(load.sent() + 1_000);

    let back = ["inference", "move", "points", "local"];
    let promise = ["--guarantee", "EXACTLY_ONCE", "--replicas", "2"];
    let told = millrace.command(&[&back[..], &promise].concat());
    assert!(
        told.starts_with("points STOPPING on lambda-local"),
        "{told}"
    );
    let found = runs_on(&millrace, "local").await;
    assert_eq!(found["guarantee"], "EXACTLY_ONCE");
    assert_eq!(found["functions"].as_array().unwrap().len(), 2);
    load.wait_for(load.sent() + 1_000);
    load.stop();
    millrace
        .wait_for("nothing is left", LIMIT, LAG, json!({}), |data| {
            let lag = data["project"]["inference"]["lag"].as_array();
            lag.is_some_and(|lag| lag.iter().all(|one| one["lag"] == 0))
        })
        .await;
    check(&read_committed(&connection(kafka), &output), &input, kafka);

    // It has arrived: stopped, it stays.
    millrace.execute(STOP, json!({})).await;
    let found = millrace
        .wait_for("it is stopped", LIMIT, INFERENCE, json!({}), stopped)
        .await;
    assert_eq!(found["project"]["inference"]["platform"], "local");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_stopped_is_elsewhere_when_it_starts_and_one_on_its_way_can_be_stopped() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let (input, output) = (unique("input"), unique("output"));
    kafka.create_topic(&input, PARTITIONS, &[]).await;
    let load = Load::start(kafka, &input, PARTITIONS);
    load.wait_for(5_000);
    load.stop();
    let file = millrace.file("model.onnx", models::dense(1));
    millrace.command(&["model", "push", "points", file.to_str().unwrap()]);
    let topics = json!({"topic": unique("points"), "input": input, "output": output});
    millrace.execute(PREPARE, topics).await;
    runs_on(&millrace, "local").await;
    let there = json!({"platform": "lambda-local", "guarantee": "AT_LEAST_ONCE"});
    // Both in one document, so that nothing comes between them.
    let both = r#"mutation Both($platform: String!, $guarantee: Guarantee) {
      moveInference(input: {name: "points", platform: $platform, guarantee: $guarantee}) { inference { state } }
      stopInference(input: {name: "points"}) { inference { state } }
    }"#;
    millrace.execute(both, there.clone()).await;
    let found = millrace
        .wait_for("it is stopped", LIMIT, INFERENCE, json!({}), stopped)
        .await;
    assert_eq!(
        found["project"]["inference"]["platform"], "local",
        "{found}"
    );

    let moved = millrace.execute(MOVE, there).await;
    let moved = &moved["moveInference"]["inference"];
    assert_eq!(
        (&moved["state"], &moved["platform"]),
        (&json!("STOPPED"), &json!("lambda-local"))
    );
    let start =
        r#"mutation Start { startInference(input: {name: "points"}) { inference { state } } }"#;
    millrace.execute(start, json!({})).await;
    runs_on(&millrace, "lambda-local").await;
    crate::predictions(kafka, &output, 5_000).await;
    millrace.execute(STOP, json!({})).await;
    millrace
        .wait_for("it is stopped", LIMIT, INFERENCE, json!({}), stopped)
        .await;
    check(&read_committed(&connection(kafka), &output), &input, kafka);
    let delete = r#"mutation Delete { deleteInference(input: {name: "points"}) { name } }"#;
    millrace.execute(delete, json!({})).await;
    millrace
        .wait_for("it is gone", LIMIT, INFERENCE, json!({}), |data| {
            data["project"]["inference"].is_null()
        })
        .await;
}

fn stopped(data: &Value) -> bool {
    data["project"]["inference"]["state"] == "STOPPED"
}

async fn refuse(millrace: &Millrace) {
    let to = |platform: &str, guarantee, replicas| json!({"platform": platform, "guarantee": guarantee, "replicas": replicas});
    for (wrong, expected, words) in [
        (
            to("moon", Value::Null, 1),
            "NOT_FOUND",
            "no platform \"moon\"",
        ),
        (
            to("lambda-local", Value::Null, 1),
            "INVALID_INPUT",
            "AT_LEAST_ONCE",
        ),
        (
            to("lambda-local", json!("AT_LEAST_ONCE"), 2),
            "INVALID_INPUT",
            "decides by itself",
        ),
        (to("local", Value::Null, 0), "INVALID_INPUT", "replicas"),
        (
            json!({"platform": "lambda-local", "guarantee": "AT_LEAST_ONCE", "lambda": {"onFailure": "kafka://lost"}}),
            "INVALID_INPUT",
            "lambda.onFailure without pollers",
        ),
        (
            json!({"platform": "local", "lambda": {"batchSize": 7}}),
            "INVALID_INPUT",
            "leave it out",
        ),
    ] {
        let (code, message) = millrace.refuse(MOVE, wrong.clone()).await;
        assert_eq!(code, expected, "{wrong}: {message}");
        assert!(message.contains(words), "{wrong}: {message}");
    }
}

/// Waits until it runs there, and nowhere else.
async fn runs_on(millrace: &Millrace, platform: &str) -> Value {
    let runs = |data: &Value| {
        let inference = &data["project"]["inference"];
        let mut functions = inference["functions"].as_array().into_iter().flatten();
        inference["state"] == "RUNNING"
            && inference["platform"] == platform
            && functions.all(|function| function["platform"] == platform)
    };
    let what = format!("it runs on {platform}");
    let mut data = millrace
        .wait_for(&what, LIMIT, INFERENCE, json!({}), runs)
        .await;
    data["project"]["inference"].take()
}

fn process(inference: &Value) -> Option<u64> {
    inference["functions"].as_array()?.first()?["processId"].as_u64()
}

fn process_of(data: &Value) -> u64 {
    process(&data["project"]["inference"]).unwrap()
}

/// Fails unless every record was answered, and the first answers of each partition stand in its order.
fn check(answers: &[Record], input: &str, kafka: &Kafka) {
    let marks = Admin::new(&connection(kafka))
        .unwrap()
        .watermarks(input)
        .unwrap();
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for answer in answers {
        let source = std::str::from_utf8(answer.header("millrace-source").unwrap()).unwrap();
        let offset: i64 = source.rsplit('/').next().unwrap().parse().unwrap();
        let next = next.entry(answer.partition).or_default();
        assert!(offset <= *next, "{source} comes before {next}");
        *next = (*next).max(offset + 1);
    }
    for mark in marks {
        assert_eq!(
            next[&mark.partition], mark.high,
            "partition {}",
            mark.partition
        );
    }
}
