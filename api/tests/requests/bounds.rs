//! Numbers and addresses that nothing good can come of are refused before anything is made.

use serde_json::{Value, json};

use crate::server::{On, TestApp};

#[tokio::test]
async fn what_kafka_would_refuse_later_is_refused_at_once() {
    let app = TestApp::start(On::Sqlite).await;
    for partitions in [0, -5, 2_000_000_000] {
        let refused = app
            .refused(&format!(
                r#"mutation {{ createDatasource(input: {{
                    name: "d", topic: "t", createTopic: {{partitions: {partitions}}},
                    format: {{raw: {{dtype: UINT8, shape: [1]}}}}
                }}) {{ datasource {{ id }} }} }}"#
            ))
            .await;
        assert!(
            refused.starts_with("INVALID_INPUT: a topic has 1 to"),
            "{refused}"
        );
    }
    let refused = app
        .refused(
            r#"mutation { createInference(input: {
                name: "n", datasource: "d", model: "m", alias: "a", outputTopic: "o", batching: {commitIntervalMs: 10001}
            }) { inference { id } } }"#,
        )
        .await;
    assert!(
        refused.starts_with("INVALID_INPUT: commitIntervalMs is at most 10000"),
        "{refused}"
    );
    let refused = app
        .refused(
            r#"mutation { startTraining(input: {
                model: "m", segment: "s", hyperparameters: {epochs: -1}
            }) { training { id } } }"#,
        )
        .await;
    assert!(
        refused.starts_with("INVALID_INPUT: a whole number is negative or too large for its field"),
        "{refused}"
    );
    assert!(refused.contains("HyperparametersInput"), "{refused}");
    let mutation = "mutation C($input: CreateConnectionInput!) { createConnection(input: $input) { connection { id } } }";
    for input in [
        json!({"name": "c", "bootstrapServers": " "}),
        json!({"name": "c", "bootstrapServers": "a:1", "properties": {"metadata.broker.list": "b:1"}}),
    ] {
        let request = json!({"query": mutation, "variables": {"input": input}});
        let answer = app.request("POST", "/graphql").json(&request).send().await;
        let answer: Value = answer.unwrap().json().await.unwrap();
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "INVALID_INPUT", "{answer}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("`bootstrapServers`"), "{answer}");
    }
}

#[tokio::test]
async fn formats_that_no_record_could_have_are_refused() {
    let app = TestApp::start(On::Sqlite).await;
    let raw = "raw: {dtype: UINT8, shape: [2]}";
    let json = r#"json: {fields: [{pointer: "/x"}]}"#;
    for (format, label, reason) in [
        (
            "raw: {dtype: UINT8, shape: [2, 0]}",
            r#"header: "label""#,
            "INVALID_INPUT: the format's shape [2, 0] must have 1 to",
        ),
        (
            raw,
            r#"field: {pointer: "/y"}"#,
            "INVALID_INPUT: records in the format RAW have no fields",
        ),
        (
            json,
            r#"field: {pointer: "/x"}"#,
            r#"INVALID_INPUT: the field "/x" is named twice"#,
        ),
        (
            json,
            r#"field: {pointer: "y"}"#,
            r#"INVALID_INPUT: "y" is no JSON Pointer"#,
        ),
        (
            json,
            r#"field: {pointer: "/y"}}, encoding: {text: true"#,
            "INVALID_INPUT: a label in a field is written as the format writes fields",
        ),
    ] {
        let refused = app
            .refused(&format!(
                r#"mutation {{ createDatasource(input: {{
                    name: "d", topic: "t", createTopic: {{partitions: 1}},
                    format: {{{format}}}, label: {{source: {{{label}}}}}
                }}) {{ datasource {{ id }} }} }}"#
            ))
            .await;
        assert!(refused.starts_with(reason), "{refused}");
    }
}
