//! A chain through the API: what is handed on, what a replay of it needs, and the topic between its links.

use std::fmt::Write as _;

use millrace_harness::{Kafka, Millrace, unique};
use millrace_kafka::Admin;
use serde_json::{Value, json};

use crate::models;
use crate::{LIMIT, by_source, connection, predictions};

const PREPARE: &str = r#"mutation Prepare($topic: String!, $output: String!, $handOn: HandOnInput!) {
  createDatasource(input: {
    name: "points", topic: $topic, createTopic: {partitions: 2}, format: {raw: {dtype: UINT8, shape: [4]}}
  }) { datasource { name } }
  createInference(input: {
    name: "points", datasource: "points", model: "points", version: 1, outputTopic: $output, handOn: $handOn,
    start: {at: EARLIEST}
  }) { inference { handOn { topic output below } } }
}"#;

const NEXT: &str = r#"mutation Next($input: String!, $output: String!) { createInference(input: {
  name: "next", datasource: "points", model: "points", version: 2, inputTopic: $input, outputTopic: $output,
  start: {at: EARLIEST}
}) { inference { name } } }"#;

const REPLAY: &str = r#"mutation Replay($output: String!, $handOn: String) { replayInference(input: {
  inference: "points", name: "again", outputTopic: $output, handOnTopic: $handOn, recordsPerSecond: 25
}) { inference { handOn { topic } } } }"#;

const ACTIVITY: &str = r"query Activity($name: String!) { project { inference(name: $name) {
  predicted handedOn errors { code records } lag { partition lag seconds }
  activity { recordsPerSecond batchRecords { count sum } stages { stage seconds { count mean median p99 } } }
} } }";

/// Whether all that was done is told, and that nothing is left.
fn is_told(data: &Value) -> bool {
    let told = &data["project"]["inference"];
    let stages = told["activity"]["stages"].as_array().unwrap();
    let ran = stages.iter().find(|one| one["stage"] == "RUN");
    let lag = told["lag"].as_array().unwrap();
    (&told["predicted"], &told["handedOn"]) == (&json!(50), &json!(200))
        && told["errors"] == json!([])
        && told["activity"]["recordsPerSecond"].as_f64() > Some(0.0)
        && told["activity"]["batchRecords"]["sum"].as_f64() >= Some(250.0)
        && ran.is_some_and(|run| run["seconds"]["p99"].as_f64() > Some(0.0))
        && lag.len() == 2
        && lag
            .iter()
            .all(|one| one["lag"] == 0 && one["seconds"] == 0.0)
}

/// Whether it is told that something is left, and for how long.
fn is_behind(data: &Value) -> bool {
    let lag = data["project"]["inference"]["lag"].as_array();
    lag.is_some_and(|lag| {
        lag.iter()
            .any(|one| one["lag"].as_i64() > Some(0) && one["seconds"].as_f64() > Some(0.0))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_made_replayed_and_taken_apart() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    for (name, model) in [("table", models::table(256)), ("dense", models::dense(2))] {
        let file = millrace.file(name, model);
        millrace.command(&["model", "push", "points", file.to_str().unwrap()]);
    }
    let (topic, output, between) = (unique("points"), unique("output"), unique("between"));
    let wrong = [
        (
            json!({"topic": between, "output": "sureness", "below": 9}),
            "INCOMPATIBLE",
        ),
        (
            json!({"topic": output, "output": "output", "below": 9}),
            "INVALID_INPUT",
        ),
        (
            json!({"topic": "__own", "output": "output", "below": 9}),
            "INVALID_INPUT",
        ),
    ];
    let hand_on = json!({"topic": between, "output": "output", "below": 200.0});
    let wanted = json!({"topic": topic, "output": output, "handOn": hand_on});
    let made = millrace.execute(PREPARE, wanted.clone()).await;
    assert_eq!(made["createInference"]["inference"]["handOn"], hand_on);
    for (hand_on, code) in wrong {
        let create = r#"mutation Wrong($output: String!, $handOn: HandOnInput!) { createInference(input: {
          name: "wrong", datasource: "points", model: "points", version: 1, outputTopic: $output, handOn: $handOn
        }) { inference { name } } }"#;
        let wrong = json!({"output": output, "handOn": hand_on});
        let (found, message) = millrace.refuse(create, wrong).await;
        assert_eq!(found, code, "{message}");
    }
    crate::runs(&millrace).await;
    millrace
        .execute(NEXT, json!({"input": between, "output": output}))
        .await;
    let rows = (0..250).fold(String::new(), |mut text, number| {
        writeln!(text, "{number},0,0,0").unwrap();
        text
    });
    let file = millrace.file("rows.csv", rows);
    let send = ["send", "points", file.to_str().unwrap(), "--no-segment"];
    millrace.command(&send);
    // Fifty are sure; the others come by the next one, which writes to the same topic.
    let made = predictions(kafka, &output, 250).await;
    assert_eq!(by_source(&made).len(), 250);
    let by_next = made
        .iter()
        .filter(|one| one.header("millrace-origin").is_some());
    assert_eq!(by_next.count(), 200);

    let activity = json!({"name": "points"});
    millrace
        .wait_for("its work is told", LIMIT, ACTIVITY, activity, is_told)
        .await;

    let again = unique("again");
    let (code, message) = millrace.refuse(REPLAY, json!({"output": again})).await;
    assert_eq!(code, "INVALID_INPUT");
    assert!(message.contains("`handOnTopic`"), "{message}");
    let apart = unique("apart");
    let wanted = json!({"output": again, "handOn": apart});
    let made = millrace.execute(REPLAY, wanted).await;
    let replay = &made["replayInference"]["inference"];
    assert_eq!(replay["handOn"]["topic"], apart.as_str());
    let behind = json!({"name": "again"});
    millrace
        .wait_for("it is behind", LIMIT, ACTIVITY, behind, is_behind)
        .await;
    let state = r#"query State { project { inference(name: "again") { state } } }"#;
    let is_finished = |data: &Value| data["project"]["inference"]["state"] == "FINISHED";
    millrace
        .wait_for("the replay ends", LIMIT, state, json!({}), is_finished)
        .await;
    assert_eq!(predictions(kafka, &again, 50).await.len(), 50);
    assert_eq!(predictions(kafka, &apart, 200).await.len(), 200);

    // The topic between the two was made for the first one, and stays for the second.
    let delete = r#"mutation Delete { deleteInference(input: {name: "points"}) { name } }"#;
    millrace.execute(delete, json!({})).await;
    let gone = r#"query Gone { project { inference(name: "points") { state } } }"#;
    let is_gone = |data: &Value| data["project"]["inference"].is_null();
    millrace
        .wait_for("it is gone", LIMIT, gone, json!({}), is_gone)
        .await;
    let admin = Admin::new(&connection(kafka)).unwrap();
    assert_eq!(admin.partitions(&between).unwrap(), 2);
}
