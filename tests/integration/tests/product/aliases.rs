//! Aliases beside the inferences that follow them.

use std::fs;
use std::time::Duration;

use millrace_harness::{Kafka, Millrace, unique, wait_until};
use serde_json::{Value, json};

use crate::{CREATE_DATASOURCE, CREATE_MODEL};

const SET: &str = r#"mutation { setAlias(input: {model: "points", alias: "champion", version: 1}) {
  alias { name } } }"#;

const REMOVE: &str =
    r#"mutation { removeAlias(input: {model: "points", alias: "champion"}) { name } }"#;

const FOLLOW: &str = r#"mutation Follow($name: String!, $input: String!, $output: String!) {
  createInference(input: {
    name: $name, datasource: "points", model: "points", alias: "champion", inputTopic: $input, outputTopic: $output
  }) { inference { state } } }"#;

const DELETE: &str =
    r"mutation Delete($name: String!) { deleteInference(input: {name: $name}) { name } }";

/// Whoever comes first wins, and the other one hears why: no inference follows an alias that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_removed_or_followed_and_never_both() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let (topic, output) = (unique("points"), unique("output"));
    millrace
        .execute(CREATE_MODEL, json!({"name": "points"}))
        .await;
    let datasource = json!({"name": "points", "topic": topic, "partitions": 1});
    millrace.execute(CREATE_DATASOURCE, datasource).await;
    for round in 0..8_u64 {
        millrace.execute(SET, json!({})).await;
        let name = format!("points-{round}");
        let follow = json!({"name": name, "input": topic, "output": output});
        let remove = async {
            // At another moment of the inference's making in each round.
            tokio::time::sleep(Duration::from_millis(6 * round)).await;
            millrace.answer(REMOVE, json!({})).await
        };
        let (followed, removed) = tokio::join!(millrace.answer(FOLLOW, follow), remove);
        let code = |answer: &Value| answer["errors"][0]["extensions"]["code"].clone();
        match (code(&followed), code(&removed)) {
            (Value::Null, removed) => {
                assert_eq!(removed, "IN_USE");
                millrace.execute(DELETE, json!({"name": name})).await;
            }
            (followed, removed) => {
                assert_eq!((followed, removed), (json!("NOT_FOUND"), Value::Null));
            }
        }
    }
}

const LIMIT: Duration = Duration::from_mins(1);

/// Functions that hold no consumer of the registry topic look there.
#[tokio::test(flavor = "multi_thread")]
async fn an_alias_stands_as_an_object_in_the_artifact_store() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let object = millrace
        .folder()
        .join("artifacts/aliases/default/points/champion");
    millrace
        .execute(CREATE_MODEL, json!({"name": "points"}))
        .await;
    for round in 0..2 {
        millrace.execute(SET, json!({})).await;
        let pointer = wait_until("the object is there", LIMIT, async || {
            fs::read(&object).map_err(|error| format!("round {round}: {error}"))
        })
        .await;
        let pointer: Value = serde_json::from_slice(&pointer).unwrap();
        assert_eq!(pointer["alias"], "champion");
        assert_eq!(pointer["version"], 1);
        assert!(pointer["moved_at_us"].is_i64(), "{pointer}");
        millrace.execute(REMOVE, json!({})).await;
        wait_until("the object is gone", LIMIT, async || {
            if object.exists() {
                Err("it is there")
            } else {
                Ok(())
            }
        })
        .await;
    }
}
