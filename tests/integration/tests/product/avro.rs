//! Avro records train a model and are predicted by it: a schema in the datasource, numbers in fields, the label in
//! another one, the timestamp beside them.

use millrace_harness::{Kafka, Millrace, unique};
use millrace_kafka::{OutRecord, Producer};
use serde_json::{Value, json};

use crate::{connection, end_of_training, infer, points, predictions, read_committed};

const CREATE_DATASOURCE: &str = r#"mutation Create($topic: String!, $schema: String!) {
  createDatasource(input: {
    name: "points", topic: $topic, createTopic: {partitions: 2},
    format: {avro: {writer: {schema: $schema}, fields: [{pointer: "/at/x"}, {pointer: "/at/y"}], missing: NAN}}
    label: {source: {field: {pointer: "/class"}}}
  }) { datasource { format } } }"#;

const START_TRAINING: &str = r#"mutation Start($segment: ID!) {
  startTraining(input: {
    model: "points", segment: $segment, promoteTo: "champion",
    hyperparameters: {epochs: 30, batchSize: 16, learningRate: 0.05, preprocessing: [{fillMissing: {}}]}
  }) { training { id } } }"#;

/// The connection names no registry, which answers in Avro need.
const INFER_IN_AVRO: &str = r#"mutation Infer($output: String!) {
  createInference(input: {
    name: "points", datasource: "points", model: "points", alias: "champion", outputTopic: $output, outputFormat: AVRO
  }) { inference { name } } }"#;

#[tokio::test]
async fn records_train_and_are_predicted() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let topic = unique("records");
    millrace
        .execute(crate::CREATE_MODEL, json!({"name": "points"}))
        .await;
    let schema = json!({"type": "record", "name": "Point", "namespace": "acme", "fields": [
        {"name": "id", "type": ["null", "string"], "default": null},
        {"name": "at", "type": {"type": "record", "name": "At", "fields": [
            {"name": "x", "type": ["null", "double"]}, {"name": "y", "type": "double"},
        ]}},
        {"name": "class", "type": {"type": "enum", "name": "Class", "symbols": ["BELOW", "ABOVE"]}, "default": "BELOW"},
    ]});
    let asked = json!({"topic": topic, "schema": schema.to_string()});
    let made = millrace.execute(CREATE_DATASOURCE, asked).await;
    let made = &made["createDatasource"]["datasource"];
    assert_eq!(made["format"]["writer"]["schema"], schema.to_string());

    // In every twentieth record one of the numbers is missing.
    let rows = points(1_000);
    let with_gaps: Vec<String> = (0..)
        .zip(rows.lines())
        .map(|(index, row)| match (index % 20, row.split_once(',')) {
            (0, Some((_, rest))) => format!(",{rest}"),
            _ => row.to_owned(),
        })
        .collect();
    let file = millrace.file("points.csv", with_gaps.join("\n"));
    let file = file.to_str().unwrap();
    let sent = millrace.command(&["send", "points", file, "--validation", "0.2", "--json"]);
    let sent: Value = serde_json::from_str(&sent).unwrap();
    let started = millrace.execute(START_TRAINING, json!({"segment": sent["id"]}));
    let id = started.await["startTraining"]["training"]["id"].clone();
    let ended = end_of_training(&millrace, id.as_str().unwrap()).await;
    assert_eq!(ended["state"], "SUCCEEDED", "{ended}");

    let (input, output) = (unique("input"), unique("output"));
    let (code, message) = millrace
        .refuse(INFER_IN_AVRO, json!({"output": output}))
        .await;
    assert_eq!(code, "INVALID_INPUT", "{message}");
    assert!(message.contains("schema.registry.url"), "{message}");
    kafka.create_topic(&input, 2, &[]).await;
    let inference = infer(&millrace, &input, &output, 1).await;
    let new: Vec<&str> = rows.lines().take(200).collect();
    let file = millrace.file("new.csv", new.join("\n"));
    let file = file.to_str().unwrap();
    millrace.command(&["send", "points", file, "--topic", &input, "--no-segment"]);
    let producer = Producer::new(&connection(kafka)).unwrap();
    let cut = OutRecord::to(&input).partition(0).value(&[0, 2, 0]);
    producer.send_and_wait(&cut).unwrap().await.unwrap();

    let answers = predictions(kafka, &output, 200).await;
    let inputs = read_committed(&connection(kafka), &input);
    let right = answers.iter().filter(|answer| {
        let source = String::from_utf8(answer.header("millrace-source").unwrap().to_vec()).unwrap();
        let asked = inputs
            .iter()
            .find(|asked| format!("{input}/{}/{}", asked.partition, asked.offset) == source);
        // The class is the last byte of a record: BELOW 0, ABOVE 1, in Avro's numbers 0 and 2.
        let class = asked.unwrap().value.as_ref().unwrap().last() == Some(&2);
        let found: Value = serde_json::from_slice(answer.value.as_deref().unwrap()).unwrap();
        class == (found["outputs"]["probabilities"][1].as_f64().unwrap() > 0.5)
    });
    let right = right.count();
    assert!(right >= 185, "{right} of {}", answers.len());

    let dead = inference["deadLetterTopic"].as_str().unwrap();
    let dead = predictions(kafka, dead, 1).await;
    assert_eq!(dead[0].header("millrace-error").unwrap(), b"avro");
}
