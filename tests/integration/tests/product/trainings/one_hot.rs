//! One-hot labels are another way to write classes: the same records make the same version.

use millrace_harness::{Kafka, Millrace, unique};
use serde_json::{Value, json};

use super::{CREATE_DATASOURCE, START, metric};
use crate::{CREATE_MODEL, end_of_training, points};

/// Asks for a training of the model on a datasource of its own with labels as they are described.
async fn input(millrace: &Millrace, name: &str, encoding: Value, rows: &str) -> Value {
    let source = json!({
        "name": name,
        "topic": unique(name),
        // One partition: records have the same places under both labels.
        "createTopic": {"partitions": 1},
        "format": {"raw": {"dtype": "FLOAT32", "shape": [2]}},
        "label": {"source": {"header": "label"}, "encoding": encoding},
    });
    let source = json!({"input": source});
    millrace.execute(CREATE_DATASOURCE, source).await;
    let file = millrace.file(&format!("{name}.csv"), rows);
    let file = file.to_str().unwrap();
    let sent = millrace.command(&["send", name, file, "--test", "0.2", "--json"]);
    let segment: Value = serde_json::from_str(&sent).unwrap();
    let hyperparameters = json!({
        "epochs": 20, "batchSize": 16, "learningRate": 0.05, "maxBadRecords": 0.0,
    });
    let input = json!({
        "model": "points", "version": 1, "segment": segment["id"], "hyperparameters": hyperparameters,
    });
    json!({"input": input})
}

/// The training that was asked for, once it has ended.
async fn train(millrace: &Millrace, name: &str, encoding: Value, rows: &str) -> Value {
    let input = input(millrace, name, encoding, rows).await;
    let started = millrace.execute(START, input).await;
    let id = started["startTraining"]["training"]["id"].as_str().unwrap();
    end_of_training(millrace, id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hot_labels_make_the_same_version_as_class_numbers() {
    let millrace = Millrace::start(Kafka::shared(), &[]).await;
    let model = json!({"name": "points"});
    millrace.execute(CREATE_MODEL, model).await;
    let numbers = points(300);
    let one_hot: String = numbers
        .lines()
        .map(|line| match line.rsplit_once(',').unwrap() {
            (row, "0") => format!("{row},1,0\n"),
            (row, _) => format!("{row},0,1\n"),
        })
        .collect();
    let by_number = train(&millrace, "numbers", json!({"text": true}), &numbers).await;
    let array = |size: u32| json!({"raw": {"dtype": "UINT8", "shape": [size]}});
    let by_place = train(&millrace, "one-hot", array(2), &one_hot).await;
    assert!(metric(&by_number, "test_accuracy") > 0.9, "{by_number}");
    assert_eq!(by_place["state"], "SUCCEEDED", "{by_place}");
    assert_eq!(by_place["result"]["digest"], by_number["result"]["digest"]);

    // A label that is not one-hot is its record's fault, one of another size the datasource's.
    let two = one_hot.replacen(",1,0\n", ",1,1\n", 1);
    let failed = train(&millrace, "two", array(2), &two).await;
    assert_eq!(failed["error"]["code"], "bad-records", "{failed}");
    let three = one_hot.replace('\n', ",0\n");
    let input = input(&millrace, "three", array(3), &three).await;
    let (code, message) = millrace.refuse(START, input).await;
    assert_eq!(code, "INCOMPATIBLE", "{message}");
    assert!(
        message.contains("a label has one class, or 2 numbers"),
        "{message}"
    );
}
