//! A tree ensemble of scikit-learn with named classes and one input for each column, from its file to
//! its predictions.

use millrace_harness::{Kafka, Millrace, root, unique};
use millrace_kafka::{OutRecord, Producer};
use serde_json::{Value, json};

use crate::{connection, predictions, runs};

const PREPARE: &str = r#"mutation Prepare($topic: String!) {
  createDatasource(input: {name: "flowers", topic: $topic, createTopic: {partitions: 1}, format: {json: {fields: [
    {pointer: "/petal_width"}, {pointer: "/petal_length"}, {pointer: "/sepal_width"}, {pointer: "/sepal_length"}
  ]}}}) { datasource { name } } }"#;

const INFER: &str = r#"mutation Infer($output: String!, $outputs: [OutputChoiceInput!], $format: OutputFormat) {
  createInference(input: {
    name: "points", datasource: "flowers", model: "species", version: 1, outputTopic: $output,
    outputs: $outputs, outputFormat: $format, echoInput: true
  }) { inference { echoInput outputs { name form k classes threshold } } } }"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_ensemble_names_the_best_classes_of_each_document() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let file = root().join("tests/integration/tests/inference_function/ensembles/columns.onnx");
    millrace.command(&["model", "push", "species", file.to_str().unwrap()]);
    let (topic, output) = (unique("flowers"), unique("output"));
    millrace.execute(PREPARE, json!({"topic": topic})).await;

    let refused = [
        (
            json!([{"name": "output_label", "threshold": 0.5}]),
            "JSON",
            "INVALID_INPUT",
            "ARGMAX or TOP_K",
        ),
        (
            json!([{"name": "output_label", "form": "TOP_K", "k": 0}]),
            "JSON",
            "INVALID_INPUT",
            "at least 1 class",
        ),
        (
            json!([{"name": "output_label"}, {"name": "output_label"}]),
            "JSON",
            "INVALID_INPUT",
            "named twice",
        ),
        (json!([]), "KAFKA_ML", "INVALID_INPUT", "take JSON"),
        (json!([]), "RAW", "INVALID_INPUT", "JSON or AVRO"),
        (json!([]), "AVRO", "INVALID_INPUT", "only JSON has a place"),
        (
            json!([{"name": "label"}]),
            "JSON",
            "INCOMPATIBLE",
            r#"its outputs are "output_label", "output_probability""#,
        ),
    ];
    for (outputs, format, code, words) in refused {
        let wanted = json!({"output": output, "outputs": outputs, "format": format});
        let (found, message) = millrace.refuse(INFER, wanted).await;
        assert_eq!(found, code, "{message}");
        assert!(message.contains(words), "{message}");
    }
    let choice = json!({"name": "output_probability", "form": "TOP_K", "k": 2, "classes": [], "threshold": 0.01});
    let wanted =
        json!({"output": output, "outputs": [{"name": "output_label"}, choice], "format": "JSON"});
    let made = millrace.execute(INFER, wanted).await;
    let made = &made["createInference"]["inference"];
    assert_eq!(
        (&made["echoInput"], &made["outputs"][1]),
        (&json!(true), &choice)
    );
    assert_eq!(made["outputs"][0]["form"], "RAW");
    runs(&millrace).await;

    let flower = json!({
        "sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2, "garden": "north"
    });
    let producer = Producer::new(&connection(kafka)).unwrap();
    let value = flower.to_string();
    let record = OutRecord::to(&topic).value(value.as_bytes());
    producer.send_and_wait(&record).unwrap().await.unwrap();
    let answers = predictions(kafka, &output, 1).await;
    let answer: Value = serde_json::from_slice(answers[0].value.as_deref().unwrap()).unwrap();
    assert_eq!(answer["input"], flower);
    assert_eq!(answer["outputs"]["output_label"], "setosa");
    let best = &answer["outputs"]["output_probability"];
    assert_eq!(best[0]["class"], "setosa", "{answer}");
    assert!(best[0]["score"].as_f64().unwrap() > 0.5, "{answer}");
}
