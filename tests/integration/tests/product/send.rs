//! Rows that are sent in any format come back as the numbers that they were.

use millrace_harness::{Kafka, Millrace, unique};
use serde_json::{Value, json};

use crate::{models, predictions};

const CREATE: &str = r#"mutation Create($name: String!, $topic: String!, $output: String!, $format: RecordFormatInput!) {
  createDatasource(input: {name: $name, topic: $topic, createTopic: {partitions: 1}, format: $format}) { datasource { name } }
  createInference(input: {
    name: $name, datasource: $name, model: "same", version: 1, outputTopic: $output, start: {at: EARLIEST}
  }) { inference { name } }
}"#;

const PROTO: &str = r#"syntax = "proto3";
message Reading { At at = 1; bytes more = 2; message At { int32 x = 1; double y = 2; } }"#;

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_sent_as_messages_images_and_documents_of_a_schema() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    // It gives back the numbers that it takes.
    let model = millrace.file("same", models::table(256));
    millrace.command(&["model", "push", "same", model.to_str().unwrap()]);
    let rows = millrace.file("rows.csv", "0,1,2,3\n255,7,0,200\n");
    let (two, four) = (json!([2]), json!([4]));
    let message =
        json!([{"pointer": "/at/x"}, {"pointer": "/at/y"}, {"pointer": "/more", "shape": two}]);
    for (name, format, more) in [
        (
            "message",
            json!({"protobuf": {"writer": {"schema": {"proto": PROTO}}, "fields": message}}),
            [].as_slice(),
        ),
        (
            "image",
            json!({"image": {"height": 2, "width": 2, "channels": "GRAY"}}),
            &[],
        ),
        (
            "document",
            json!({"json": {"registry": true, "fields": [{"pointer": "/row", "shape": four}]}}),
            &["--schema-id", "12"],
        ),
    ] {
        let (topic, output) = (unique(name), unique("output"));
        let wanted = json!({"name": name, "topic": topic, "output": output, "format": format});
        millrace.execute(CREATE, wanted).await;
        let send = ["send", name, rows.to_str().unwrap(), "--no-segment"];
        millrace.command(&[&send[..], more].concat());
        let answers = predictions(kafka, &output, 2).await;
        let mut found: Vec<Value> = answers
            .iter()
            .map(|answer| {
                let value = answer.value.as_deref().unwrap();
                let answer: Value = serde_json::from_slice(value).unwrap();
                answer["outputs"]["output"].clone()
            })
            .collect();
        found.sort_by_key(|row| row[0].as_f64().map(f64::to_bits));
        let expected = [json!([0.0, 1.0, 2.0, 3.0]), json!([255.0, 7.0, 0.0, 200.0])];
        assert_eq!(found, expected, "{name}");
    }
}
