//! A network that PyTorch exported with two inputs and two outputs learns both outputs at once, from records that name what
//! goes where.

use millrace_engine::{Session, SessionOptions, Slice, View};
use millrace_harness::{Kafka, Millrace, onnxruntime, unique};
use serde_json::{Value, json};

use super::{Bench, CREATE_DATASOURCE, START, largest, metric, share};
use crate::end_of_training;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/product/data/two.onnx");
const KINDS: u32 = 4;

/// A kind and a place; the zone of three that the place lies in, and two heights. What they are depends on the kind.
fn rows(from: u32, to: u32) -> Vec<Vec<f64>> {
    let row = |index: u32| {
        // Low-discrepancy sequences: spread evenly, the same in every run.
        let x = (f64::from(index) * 0.754_877_666).fract() * 2.0 - 1.0;
        let y = (f64::from(index) * 0.569_840_291).fract() * 2.0 - 1.0;
        let kind = f64::from(index % KINDS);
        let along = x + 0.3 * (kind - 1.5);
        let zone = f64::from(u8::from(along > y)) + f64::from(u8::from(along > y + 0.6));
        vec![kind, x, y, zone, along * y, x - 0.5 * kind]
    };
    (from..to).map(row).collect()
}

/// The share of zones that a model finds, and the root of the mean squared error of its heights, on a bare ONNX Runtime.
fn quality(file: &[u8], rows: &[Vec<f64>]) -> (f64, f64) {
    millrace_engine::load(&onnxruntime()).unwrap();
    let mut session = Session::from_bytes(file, &SessionOptions::default()).unwrap();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "models take single precision"
    )]
    let places: Vec<f32> = rows
        .iter()
        .flat_map(|row| [row[1] as f32, row[2] as f32])
        .collect();
    #[expect(clippy::cast_possible_truncation, reason = "kinds are 0 to 3")]
    let kinds: Vec<i64> = rows.iter().map(|row| row[0] as i64).collect();
    let inputs = [
        ("place", View::new([rows.len(), 2], Slice::F32(&places))),
        ("kind", View::new([rows.len(), 1], Slice::I64(&kinds))),
    ];
    let outputs = session.run(&inputs).unwrap();
    let zones = outputs.get("zone").unwrap().as_f32().unwrap().to_vec();
    let heights = outputs.get("height").unwrap().as_f32().unwrap().to_vec();
    let found = zones.chunks_exact(3).zip(rows);
    let right = found.filter(|(zone, row)| largest(zone).to_string() == row[3].to_string());
    let wanted = rows.iter().flat_map(|row| &row[4..]);
    let errors = heights.iter().zip(wanted);
    let squares: f64 = errors
        .map(|(found, wanted)| (f64::from(*found) - wanted).powi(2))
        .sum();
    (
        share(right.count(), rows.len()),
        (squares * share(1, heights.len())).sqrt(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_two_inputs_learns_two_outputs() {
    let millrace = Millrace::start(Kafka::shared(), &[]).await;
    millrace.command(&["model", "push", "two", FILE]);
    let source = json!({
        "name": "two",
        "topic": unique("two"),
        "createTopic": {"partitions": 1},
        // By their names, and not in the order of the model's inputs.
        "format": {"json": {"fields": [{"pointer": "/kind"}, {"pointer": "/place", "shape": [2]}]}},
        "label": {"source": {"fields": [{"pointer": "/zone"}, {"pointer": "/height", "shape": [2]}]}},
    });
    millrace
        .execute(CREATE_DATASOURCE, json!({"input": source}))
        .await;
    let bench = Bench {
        millrace,
        name: "two",
    };
    let segment = bench.send_rows(&rows(0, 1_000));
    let goals = json!([
        {"prediction": "zone"},
        {"prediction": "height", "loss": "HUBER", "huberDelta": 0.5, "weight": 4.0},
    ]);
    let ended = bench
        .train(
            &segment,
            json!({
                "epochs": 60, "batchSize": 16, "learningRate": 0.005, "goals": goals, "maxBadRecords": 0.0,
                "preprocessing": [{"standardize": {"columns": [1, 2]}}],
                "earlyStopping": {"monitor": "validation_rmse.height", "patience": 20},
            }),
            json!({"early_stopping": {"monitor": "validation_rmse.height"}}),
        )
        .await;
    assert!(metric(&ended, "test_accuracy.zone") >= 0.9, "{ended}");
    assert!(metric(&ended, "test_rmse.height") <= 0.1, "{ended}");
    let sum = metric(&ended, "test_loss.zone") + 4.0 * metric(&ended, "test_loss.height");
    let loss = metric(&ended, "test_loss");
    assert!((sum - loss).abs() < 1e-4 * loss, "{ended}");

    // Records that were not sent, by arithmetic of the test's own.
    let (accuracy, error) = quality(&bench.file(&ended).await, &rows(5_000, 5_300));
    assert!(accuracy >= 0.93, "{accuracy}: {ended}");
    assert!(error <= 0.08, "{error}: {ended}");

    refuses(&bench, &segment, &goals).await;
}

/// What does not fit is said before anything runs where it can be, and by the training's error where not.
async fn refuses(bench: &Bench, segment: &str, goals: &Value) {
    let start = |goals: Value, more: Value| {
        let mut hyperparameters = json!({"epochs": 1, "goals": goals});
        for (name, value) in more.as_object().unwrap() {
            hyperparameters[name] = value.clone();
        }
        json!({"input": {"model": "two", "version": 1, "segment": segment, "hyperparameters": hyperparameters}})
    };
    let height = json!([{"prediction": "height", "loss": "MEAN_SQUARED_ERROR"}]);
    for (input, reason, words) in [
        (
            start(goals.clone(), json!({"prediction": "zone"})),
            "INVALID_INPUT",
            "stand in each",
        ),
        // A label with more numbers than the only goal has.
        (
            start(height, json!({})),
            "INCOMPATIBLE",
            "for which a label has 2 numbers, and the datasource's labels have 3",
        ),
        (
            start(
                goals.clone(),
                json!({"earlyStopping": {"monitor": "validation_accuracy"}}),
            ),
            "INVALID_INPUT",
            "validation_accuracy.zone",
        ),
    ] {
        let (code, message) = bench.millrace.refuse(START, input).await;
        assert_eq!(code, reason, "{message}");
        assert!(message.contains(words), "{message}");
    }
    // Kinds are integers, which nothing is to be made of.
    let input = start(
        goals.clone(),
        json!({"preprocessing": [{"standardize": {}}]}),
    );
    let started = bench.millrace.execute(START, input).await;
    let id = started["startTraining"]["training"]["id"].as_str().unwrap();
    let failed = end_of_training(&bench.millrace, id).await;
    assert_eq!(failed["error"]["code"], "preprocessing", "{failed}");
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("`kind`: name the columns"), "{failed}");
}
