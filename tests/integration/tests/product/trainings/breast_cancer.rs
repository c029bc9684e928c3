//! Yes or no on scikit-learn's breast cancer data, judged by the area under the ROC curve.

use serde_json::json;

use super::{Bench, held_out, metric, predict, share};

const MODEL: &str = include_str!("../../../../../examples/models/breast-cancer.graphql");
const DATA: &str = include_str!("../data/breast_cancer.csv");

/// The share of pairs of a yes and a no in which the yes has the larger prediction; ties count half.
fn area(labels: &[f64], predictions: &[Vec<f32>]) -> f64 {
    let of = |wanted: f64| -> Vec<f32> {
        let both = labels.iter().zip(predictions);
        both.filter(|(label, _)| (**label - wanted).abs() < 0.5)
            .map(|(_, found)| found[0])
            .collect()
    };
    let (yes, no) = (of(1.0), of(0.0));
    let mut won = 0.0;
    for high in &yes {
        for low in &no {
            won += match high.total_cmp(low) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    won * share(1, yes.len() * no.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classifier_tells_tumours_apart() {
    let bench = Bench::new("breast-cancer", MODEL, "FLOAT32", json!([30])).await;
    let (sent, kept) = held_out(DATA);
    let segment = bench.send_rows(&sent);
    let ended = bench
        .train(
            &segment,
            json!({
                "epochs": 30, "batchSize": 16, "learningRate": 0.01, "loss": "BINARY_CROSS_ENTROPY",
                "optimizer": {"adamW": {}}, "weightDecay": 0.005, "accumulation": 2,
                "earlyStopping": {"monitor": "validation_auc", "patience": 20, "restoreBest": false},
            }),
            json!({
                "loss": "BINARY_CROSS_ENTROPY",
                "optimizer": {"type": "ADAM_W"},
                "tuning": {"weight_decay": 0.005, "accumulation": 2},
                "early_stopping": {"monitor": "validation_auc", "patience": 20, "restore_best": false},
            }),
        )
        .await;
    assert!(metric(&ended, "test_auc") >= 0.97, "{ended}");

    let file = bench.file(&ended).await;
    let answers = predict(&file, "output", &kept);
    let labels: Vec<f64> = kept.iter().map(|row| *row.last().unwrap()).collect();
    let found = area(&labels, &answers);
    assert!(found >= 0.985, "{found}: {ended}");
    let right = labels.iter().zip(&answers);
    let right = right.filter(|(label, answer)| (**label > 0.5) == (answer[0] > 0.5));
    let accuracy = share(right.count(), kept.len());
    assert!(accuracy >= 0.94, "{accuracy}: {ended}");
}
