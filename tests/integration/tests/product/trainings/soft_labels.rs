//! Labels that are the probability of each class.

use millrace_harness::{Kafka, Millrace};
use serde_json::json;

use super::{Bench, START, metric, predict};
use crate::{CREATE_MODEL, end_of_training, points};

/// Of each point's own class; the other one has the rest.
const OWN: f64 = 0.8;

/// Points with the probabilities of both classes instead of a class.
fn rows(count: u32) -> Vec<Vec<f64>> {
    let text = points(count);
    let row = |line: &str| {
        let (point, class) = line.rsplit_once(',').unwrap();
        let cells = point.split(',').map(|cell| cell.parse().unwrap());
        let labels = if class == "0" {
            [OWN, 1.0 - OWN]
        } else {
            [1.0 - OWN, OWN]
        };
        cells.chain(labels).collect()
    };
    text.lines().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_learns_probabilities() {
    let millrace = Millrace::start(Kafka::shared(), &[]).await;
    millrace
        .execute(CREATE_MODEL, json!({"name": "points"}))
        .await;
    let encoding = json!({"raw": {"dtype": "FLOAT32", "shape": [2]}});
    let label = json!({"source": {"header": "label"}, "encoding": encoding});
    let shape = json!([2]);
    let bench = Bench::labelled(millrace, "points", "FLOAT32", shape, label).await;
    let segment = bench.send_rows(&rows(600));
    let hyperparameters = json!({
        "epochs": 40, "batchSize": 16, "learningRate": 0.02, "softLabels": true, "maxBadRecords": 0.0,
    });
    let kept = json!({"tuning": {"soft_labels": true}});
    let ended = bench.train(&segment, hyperparameters.clone(), kept).await;
    assert!(metric(&ended, "test_accuracy") >= 0.9, "{ended}");
    // Whoever gives each point's probabilities as they are loses the entropy of the labels, and nobody loses less.
    let entropy = -(OWN * OWN.ln() + (1.0 - OWN) * (1.0 - OWN).ln());
    let loss = metric(&ended, "test_loss");
    assert!(
        loss > entropy - 1e-6 && loss < entropy + 0.05,
        "{loss} of {entropy}: {ended}"
    );

    // Far from the border a point's probability is its label's, where a model of classes would be sure.
    let file = bench.file(&ended).await;
    let far = [vec![0.7, 0.7, 0.0], vec![-0.7, -0.7, 0.0]];
    for (answer, own) in predict(&file, "probabilities", &far).iter().zip([1, 0]) {
        assert!((f64::from(answer[own]) - OWN).abs() < 0.1, "{answer:?}");
    }

    let mut wrong = rows(40);
    wrong[7][2] = 0.9;
    wrong[7][3] = 0.9;
    let segment = bench.send_rows(&wrong);
    let input = json!({
        "model": "points", "version": 1, "segment": segment, "hyperparameters": hyperparameters,
    });
    let started = bench.millrace.execute(START, json!({"input": input})).await;
    let id = started["startTraining"]["training"]["id"].as_str().unwrap();
    let failed = end_of_training(&bench.millrace, id).await;
    assert_eq!(failed["error"]["code"], "bad-records", "{failed}");
}
