//! Trainings of kinds of models that people have, each held to a quality that a wrong gradient would miss: on records
//! that no training saw, by arithmetic of the test's own on a bare ONNX Runtime, or through an inference.

mod breast_cancer;
mod diabetes;
mod digits;
mod fine_tuning;
mod one_hot;
mod open;
mod sequence;
mod several;
mod soft_labels;

use std::fmt::Write as _;

use millrace_engine::{Session, SessionOptions, Slice, View};
use millrace_harness::{Kafka, Millrace, onnxruntime, unique};
use millrace_kafka::Record;
use serde_json::{Value, json};

const CREATE_DATASOURCE: &str = "mutation Create($input: CreateDatasourceInput!) {
  createDatasource(input: $input) { datasource { name } } }";
const START: &str = "mutation Start($input: StartTrainingInput!) {
  startTraining(input: $input) { training { id hyperparameters } } }";

const CREATE_INFERENCE: &str = "mutation Create($input: CreateInferenceInput!) {
  createInference(input: $input) { inference { state } } }";
const INFERENCE: &str = "query Inference($name: String!) {
  project { inference(name: $name) { state message } } }";

/// A Millrace with a model, and a datasource of the model's name.
struct Bench {
    millrace: Millrace,
    name: &'static str,
}

impl Bench {
    /// Starts it and makes the model by an operation and the datasource with records of one array, labels in a header.
    async fn new(name: &'static str, create_model: &str, dtype: &str, shape: Value) -> Self {
        let millrace = Millrace::start(Kafka::shared(), &[]).await;
        millrace.execute(create_model, json!({})).await;
        Self::with_model(millrace, name, dtype, shape).await
    }

    /// The same with a model that is there.
    async fn with_model(millrace: Millrace, name: &'static str, dtype: &str, shape: Value) -> Self {
        let label = json!({"source": {"header": "label"}});
        Self::labelled(millrace, name, dtype, shape, label).await
    }

    /// The same with labels as they are described.
    async fn labelled(
        millrace: Millrace,
        name: &'static str,
        dtype: &str,
        shape: Value,
        label: Value,
    ) -> Self {
        let source = json!({
            "name": name,
            "topic": unique(name),
            // One partition: records have the same places in every run.
            "createTopic": {"partitions": 1},
            "format": {"raw": {"dtype": dtype, "shape": shape}},
            "label": label,
        });
        millrace
            .execute(CREATE_DATASOURCE, json!({"input": source}))
            .await;
        Self { millrace, name }
    }

    /// Sends a file by `millrace send` with further arguments and returns the segment's id.
    fn send(&self, file: &str, arguments: &[&str]) -> String {
        let arguments = [&["send", self.name, file, "--json"], arguments].concat();
        let sent: Value = serde_json::from_str(&self.millrace.command(&arguments)).unwrap();
        sent["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Sends rows of numbers, the label last, with a tenth of them for validation and a tenth for the test.
    fn send_rows(&self, rows: &[Vec<f64>]) -> String {
        let mut text = String::new();
        for row in rows {
            let cells: Vec<String> = row.iter().map(f64::to_string).collect();
            writeln!(text, "{}", cells.join(",")).unwrap();
        }
        let file = self.millrace.file("rows.csv", text);
        let split = ["--validation", "0.1", "--test", "0.1"];
        self.send(file.to_str().unwrap(), &split)
    }

    /// Trains with these hyper-parameters until it has succeeded and is the champion; what was kept of them must be
    /// `kept`. Gives the training.
    async fn train(&self, segment: &str, hyperparameters: Value, kept: Value) -> Value {
        let input = json!({
            "model": self.name,
            "segment": segment,
            "hyperparameters": hyperparameters,
            "seed": 7,
            "promoteTo": "champion",
        });
        let started = self.millrace.execute(START, json!({"input": input})).await;
        let training = &started["startTraining"]["training"];
        contains(&training["hyperparameters"], &kept);
        let ended = crate::end_of_training(&self.millrace, training["id"].as_str().unwrap()).await;
        assert_eq!(ended["state"], "SUCCEEDED", "{ended}");
        assert_eq!(ended["result"]["aliases"], json!(["champion"]));
        ended
    }

    /// What the champion answers to rows of a file that `millrace send` sends with these arguments: all that it predicted, once
    /// there are so many.
    async fn answers(&self, file: &str, arguments: &[&str], count: usize) -> Vec<Record> {
        let kafka = Kafka::shared();
        let (from, to) = (unique("input"), unique("output"));
        kafka.create_topic(&from, 2, &[]).await;
        let inference = json!({
            "name": self.name, "datasource": self.name, "model": self.name, "alias": "champion",
            "inputTopic": from, "outputTopic": to,
        });
        let input = json!({"input": inference});
        self.millrace.execute(CREATE_INFERENCE, input).await;
        let is_running = |data: &Value| data["project"]["inference"]["state"] == "RUNNING";
        let name = json!({"name": self.name});
        self.millrace
            .wait_for(
                "the inference runs",
                crate::LIMIT,
                INFERENCE,
                name,
                is_running,
            )
            .await;
        let arguments = [&["--topic", &from, "--no-segment"], arguments].concat();
        self.send(file, &arguments);
        crate::predictions(kafka, &to, count).await
    }

    /// The file of a training's result.
    async fn file(&self, training: &Value) -> Vec<u8> {
        let digest = training["result"]["digest"].as_str().unwrap();
        let url = format!("{}/artifacts/{digest}", self.millrace.url());
        let answer = reqwest::get(url).await.unwrap().error_for_status();
        answer.unwrap().bytes().await.unwrap().to_vec()
    }
}

/// Every member of `expected` stands in `found`.
fn contains(found: &Value, expected: &Value) {
    match expected {
        Value::Object(members) => {
            for (name, value) in members {
                contains(&found[name], value);
            }
        }
        _ => assert_eq!(found, expected),
    }
}

/// A metric of the version that a training made.
fn metric(training: &Value, name: &str) -> f64 {
    let metrics = &training["result"]["metrics"];
    let found = metrics[name].as_f64();
    found.unwrap_or_else(|| panic!("{name} is not one of {metrics}"))
}

/// Rows of a CSV file, every fifth of which is kept from trainings: those to send, and those kept.
fn held_out(text: &str) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let parse = |line: &str| line.split(',').map(|cell| cell.parse().unwrap()).collect();
    let rows: Vec<Vec<f64>> = text.lines().map(parse).collect();
    let (kept, sent): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .enumerate()
        .partition(|(index, _)| index % 5 == 0);
    let rows = |part: Vec<(usize, Vec<f64>)>| part.into_iter().map(|(_, row)| row).collect();
    (rows(sent), rows(kept))
}

/// What a model gives for rows, without their last column, on a bare ONNX Runtime: one list a row.
fn predict(file: &[u8], output: &str, rows: &[Vec<f64>]) -> Vec<Vec<f32>> {
    millrace_engine::load(&onnxruntime()).unwrap();
    let mut session = Session::from_bytes(file, &SessionOptions::default()).unwrap();
    let features = rows[0].len() - 1;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "models take single precision"
    )]
    let flat: Vec<f32> = rows
        .iter()
        .flat_map(|row| row[..features].iter().map(|number| *number as f32))
        .collect();
    let view = View::new([rows.len(), features], Slice::F32(&flat));
    let outputs = session.run(&[("input", view)]).unwrap();
    let found = outputs.get(output).unwrap().as_f32().unwrap().to_vec();
    let width = found.len() / rows.len();
    found.chunks_exact(width).map(<[f32]>::to_vec).collect()
}

/// The place of the largest number.
fn largest(numbers: &[f32]) -> usize {
    let places = 0..numbers.len();
    places
        .max_by(|a, b| numbers[*a].total_cmp(&numbers[*b]))
        .unwrap()
}

/// The share of predictions, read from a topic, whose largest number stands at their label's place.
fn accuracy_of_predictions(records: &[Record], output: &str) -> f64 {
    let right = records.iter().filter(|record| {
        let value: Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
        let numbers: Vec<f32> = serde_json::from_value(value["outputs"][output].clone()).unwrap();
        let label = record.header("label").unwrap();
        largest(&numbers).to_string().as_bytes() == label
    });
    share(right.count(), records.len())
}

#[expect(clippy::cast_precision_loss, reason = "a few records")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
