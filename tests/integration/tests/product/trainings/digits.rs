//! A convolutional network learns hand-written digits, and answers through an inference.

use serde_json::json;

use super::{Bench, accuracy_of_predictions, metric};

const MODEL: &str = include_str!("../../../../../examples/models/digits.graphql");
pub const IMAGES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/digits/digits.csv.gz"
);

#[tokio::test(flavor = "multi_thread")]
async fn a_convolutional_network_learns_digits() {
    let bench = Bench::new("digits", MODEL, "UINT8", json!([64])).await;
    let split = [
        "--shuffle",
        "3",
        "--take",
        "1297",
        "--validation",
        "0.1",
        "--test",
        "0.1",
    ];
    let segment = bench.send(IMAGES, &split);
    let ended = bench
        .train(
            &segment,
            json!({
                "epochs": 15, "batchSize": 32, "learningRate": 0.01,
                "optimizer": {"adam": {}}, "labelSmoothing": 0.05,
                "schedule": {"cosine": {"least": 0.01}}, "warmUp": 20,
            }),
            json!({
                "loss": "CROSS_ENTROPY", "learning_rate": 0.01,
                "optimizer": {"type": "ADAM", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7},
                "tuning": {
                    "label_smoothing": 0.05, "warm_up": 20, "schedule": {"type": "COSINE", "least": 0.01},
                },
            }),
        )
        .await;
    // Of 130 records, so within wider bounds than the answers below. PyTorch ends above 0.98 with the same network, and
    // below 0.5 where its convolutions do not learn.
    assert!(metric(&ended, "test_accuracy") >= 0.92, "{ended}");

    // The 500 images that were not sent, by the version that was promoted.
    let answers = bench.answers(IMAGES, &["--shuffle", "3", "--skip", "1297"], 500);
    let accuracy = accuracy_of_predictions(&answers.await, "probabilities");
    assert!(accuracy >= 0.97, "{accuracy}");
}
