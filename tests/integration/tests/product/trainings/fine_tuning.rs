//! A network that PyTorch trained on the digits 0 to 4 and exported learns all ten, its convolutions frozen.

use std::collections::BTreeMap;

use millrace_harness::{Kafka, Millrace};
use millrace_onnx::Model;
use serde_json::json;

use super::digits::IMAGES;
use super::{Bench, accuracy_of_predictions, metric};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/product/data/digits_0_to_4.onnx"
);

/// The float32 initializers of a model, to the bit.
fn parameters(file: &[u8]) -> BTreeMap<String, Vec<u32>> {
    let model = Model::decode(file.to_vec()).unwrap();
    let initializers = model.graph().initializer.iter();
    initializers
        .filter_map(|tensor| {
            let bits = tensor
                .to_f32()
                .ok()?
                .iter()
                .map(|number| number.to_bits())
                .collect();
            Some((tensor.name().to_owned(), bits))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_pytorch_is_fine_tuned_with_its_lower_layers_frozen() {
    let millrace = Millrace::start(Kafka::shared(), &[]).await;
    millrace.command(&["model", "push", "digits", FILE]);
    let bench = Bench::with_model(millrace, "digits", "UINT8", json!([64])).await;
    let split = [
        "--shuffle",
        "3",
        "--take",
        "700",
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
                "epochs": 20, "batchSize": 32, "learningRate": 0.01, "optimizer": {"nesterov": {}},
                "frozen": ["features.*"], "batchNormalization": "FREEZE", "clipValue": 1.0,
            }),
            json!({
                "optimizer": {"type": "NESTEROV", "momentum": 0.9},
                "tuning": {
                    "frozen": ["features.*"], "batch_normalization": "FREEZE", "clipping": {"VALUE": 1.0},
                },
            }),
        )
        .await;
    assert!(metric(&ended, "test_accuracy") >= 0.9, "{ended}");

    let before = parameters(&std::fs::read(FILE).unwrap());
    let after = parameters(&bench.file(&ended).await);
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    for (name, value) in &before {
        let is_head = name.starts_with("head.");
        assert_eq!(&after[name] != value, is_head, "{name}");
    }

    // Images that were not sent, of all ten digits, by the version that was promoted.
    let answers = bench.answers(IMAGES, &["--shuffle", "3", "--skip", "1297"], 500);
    let accuracy = accuracy_of_predictions(&answers.await, "logits");
    // PyTorch, which trained the rest of it, ends at 0.98.
    assert!(accuracy >= 0.93, "{accuracy}");
}
