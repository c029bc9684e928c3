//! A network for images of any height and width, as PyTorch exports it, learns digits of the size that the datasource gives, and
//! is as open as before.

use millrace_harness::{Kafka, Millrace};
use millrace_onnx::Model;
use serde_json::json;

use super::digits::IMAGES;
use super::{Bench, accuracy_of_predictions, metric};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/product/data/open.onnx");
const TRAINABLE: &str =
    "{ project { model(name: \"open\") { latestVersion { trainable { possible } } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_network_of_open_sizes_learns_from_records_of_one_shape() {
    let millrace = Millrace::start(Kafka::shared(), &[]).await;
    millrace.command(&["model", "push", "open", FILE]);
    let found = millrace.execute(TRAINABLE, json!({})).await;
    let possible = &found["project"]["model"]["latestVersion"]["trainable"]["possible"];
    assert_eq!(*possible, json!(true));
    let bench = Bench::with_model(millrace, "open", "UINT8", json!([1, 8, 8])).await;
    let split = ["--shuffle", "3", "--take", "1297", "--test", "0.1"];
    let segment = bench.send(IMAGES, &split);
    let parameters =
        json!({"epochs": 25, "batchSize": 32, "learningRate": 0.01, "optimizer": {"adam": {}}});
    let ended = bench.train(&segment, parameters, json!({})).await;
    assert!(metric(&ended, "test_accuracy") >= 0.9, "{ended}");

    let inputs = |file: Vec<u8>| Model::decode(file).unwrap().signature().inputs;
    let trained = inputs(bench.file(&ended).await);
    assert_eq!(trained, inputs(std::fs::read(FILE).unwrap()));
    assert_eq!(trained[0].to_string(), "float32[batch, 1, height, width]");

    let answers = bench.answers(IMAGES, &["--shuffle", "3", "--skip", "1297"], 500);
    let accuracy = accuracy_of_predictions(&answers.await, "digit");
    assert!(accuracy >= 0.9, "{accuracy}");
}
