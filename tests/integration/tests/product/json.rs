//! JSON documents train a model and are predicted by it: numbers in fields, the label in another one, some missing.

use std::collections::BTreeSet;

use millrace_harness::{Kafka, Millrace, unique};
use millrace_kafka::{OutRecord, Producer};
use serde_json::{Value, json};

use crate::{connection, end_of_training, infer, points, predictions, read_committed};

const CREATE_DATASOURCE: &str = r#"mutation Create($topic: String!) {
  createDatasource(input: {
    name: "points", topic: $topic, createTopic: {partitions: 2},
    format: {json: {fields: [{pointer: "/reading/x"}, {pointer: "/reading/y"}], missing: NAN}}
    label: {source: {field: {pointer: "/class"}}}
  }) { datasource { format label } } }"#;

const START_TRAINING: &str = r#"mutation Start($segment: ID!) {
  startTraining(input: {
    model: "points", segment: $segment, promoteTo: "champion",
    hyperparameters: {
      epochs: 30, batchSize: 16, learningRate: 0.05, preprocessing: [{fillMissing: {}}], maxBadRecords: 0.01
    }
  }) { training { id } } }"#;

#[tokio::test]
async fn documents_train_and_are_predicted() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let topic = unique("documents");
    millrace
        .execute(crate::CREATE_MODEL, json!({"name": "points"}))
        .await;
    let made = millrace.execute(CREATE_DATASOURCE, json!({"topic": topic}));
    let made = &made.await["createDatasource"]["datasource"];
    assert_eq!(made["format"]["fields"][1]["pointer"], "/reading/y");
    assert_eq!(made["label"]["source"]["pointer"], "/class");

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
    let written = read_committed(&connection(kafka), &topic);
    let first: Value = serde_json::from_slice(written[0].value.as_deref().unwrap()).unwrap();
    assert!(
        first["reading"]["y"].is_number() && first["class"].is_number(),
        "{first}"
    );

    let started = millrace.execute(START_TRAINING, json!({"segment": sent["id"]}));
    let id = started.await["startTraining"]["training"]["id"].clone();
    let ended = end_of_training(&millrace, id.as_str().unwrap()).await;
    assert_eq!(ended["state"], "SUCCEEDED", "{ended}");

    let (input, output) = (unique("input"), unique("output"));
    kafka.create_topic(&input, 2, &[]).await;
    let inference = infer(&millrace, &input, &output, 1).await;
    let without_labels = rows.lines().map(|row| row.rsplit_once(',').unwrap().0);
    let without_labels: Vec<&str> = without_labels.take(200).collect();
    let file = millrace.file("new.csv", without_labels.join("\n"));
    let file = file.to_str().unwrap();
    millrace.command(&["send", "points", file, "--topic", &input, "--no-segment"]);
    let bad = [
        (r#"{"reading": {"x": 1, "y": "high"}}"#, "field-type"),
        (r#"{"reading": {"x": 1, "y": 16777217}}"#, "number"),
        (r#"{"reading": {"x": 1"#, "json"),
    ];
    let producer = Producer::new(&connection(kafka)).unwrap();
    for (value, _) in bad {
        let record = OutRecord::to(&input).partition(0).value(value.as_bytes());
        producer.send_and_wait(&record).unwrap().await.unwrap();
    }

    let answers = predictions(kafka, &output, 200).await;
    assert_eq!(answers.len(), 200);
    let inputs = read_committed(&connection(kafka), &input);
    let right = answers.iter().filter(|answer| {
        let source = String::from_utf8(answer.header("millrace-source").unwrap().to_vec()).unwrap();
        let asked = inputs
            .iter()
            .find(|asked| format!("{input}/{}/{}", asked.partition, asked.offset) == source);
        let asked: Value =
            serde_json::from_slice(asked.unwrap().value.as_deref().unwrap()).unwrap();
        let number = |name: &str| asked["reading"][name].as_f64().unwrap();
        let found: Value = serde_json::from_slice(answer.value.as_deref().unwrap()).unwrap();
        let of_class_1 = found["outputs"]["probabilities"][1].as_f64().unwrap();
        (number("x") + number("y") > 0.0) == (of_class_1 > 0.5)
    });
    let right = right.count();
    assert!(right >= 185, "{right} of 200");

    let dead = inference["deadLetterTopic"].as_str().unwrap();
    let dead = predictions(kafka, dead, bad.len()).await;
    // They have no keys, so that any partition may hold any of them.
    let codes: BTreeSet<&[u8]> = dead
        .iter()
        .map(|letter| letter.header("millrace-error").unwrap())
        .collect();
    assert_eq!(codes, bad.map(|(_, code)| code.as_bytes()).into());
}
