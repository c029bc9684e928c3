//! Preprocessing is fitted on the training part and becomes part of the version.

use millrace_engine::{Session, SessionOptions, Slice, View};
use millrace_harness::onnxruntime;
use millrace_onnx::layers::{self, Activation, Layer};
use millrace_wire::preprocessing::Preprocessing;
use millrace_wire::record::{ByteOrder, Dtype, RawArray, RecordFormat};
use millrace_wire::registry::Version;
use millrace_wire::segment::Manifest;
use millrace_wire::training::TrainingSpec;

use crate::world::World;

/// Numbers of a record.
const COLUMNS: usize = 4;

/// A record that no model learns from as it is: a number of which only the last digits tell, a category, one that is often
/// missing, and one that says nothing. The label is whether the first is high, turned round in one category.
fn record(index: u32) -> ([f32; COLUMNS], u8) {
    let noise = f32::from(u8::try_from(index.wrapping_mul(2_654_435_761) >> 24).unwrap());
    let is_high = index.is_multiple_of(2);
    let category = index / 2 % 3;
    let side = if is_high { 40.0 } else { -40.0 };
    let missing = if index.is_multiple_of(5) {
        f32::NAN
    } else {
        noise
    };
    let category_value = [10.0, 20.0, 30.0][category as usize];
    let label = u8::from(is_high != (category == 1));
    (
        [
            1e6 + side + noise / 16.0,
            category_value,
            missing,
            noise * 1e4,
        ],
        label,
    )
}

fn segment(world: &World<'_>) -> Manifest {
    for index in 0..1_200 {
        let (row, label) = record(index);
        let value: Vec<u8> = row.iter().flat_map(|number| number.to_le_bytes()).collect();
        world.write(&value, Some(&label.to_string()));
    }
    world.segment()
}

/// A training of a model for so many columns.
async fn training(world: &World<'_>, segment: &Manifest, columns: usize) -> TrainingSpec {
    let dense = |units, activation| Layer::Dense {
        units,
        activation,
        bias: true,
    };
    let layers = [dense(16, Activation::Relu), dense(2, Activation::Softmax)];
    let model = layers::build(&[columns], &layers, 1).unwrap();
    let stored = world.store.put_bytes(model.encode().into()).await.unwrap();
    let mut training = world.training(segment, 30);
    training.version = Version {
        digest: stored.digest,
        size: stored.size,
        ..training.version
    };
    training.format = RecordFormat::Raw(RawArray {
        dtype: Dtype::Float32,
        shape: vec![u32::try_from(COLUMNS).unwrap()],
        byte_order: ByteOrder::Little,
    });
    training.hyperparameters.learning_rate = 0.01;
    training
}

fn fill(columns: &[u32]) -> Preprocessing {
    Preprocessing::FillMissing {
        columns: Some(columns.to_vec()),
        value: None,
    }
}

fn all_steps() -> Vec<Preprocessing> {
    vec![
        fill(&[2]),
        Preprocessing::OneHot { columns: vec![1] },
        Preprocessing::MinMax {
            columns: Some(vec![3]),
        },
        Preprocessing::Standardize { columns: None },
    ]
}

#[tokio::test]
async fn a_version_takes_records_as_they_are_and_trains_on() {
    let world = World::new().await;
    let segment = segment(&world);
    let _pool = world.pool(0);
    let mut first = training(&world, &segment, 6).await;
    first.hyperparameters.tuning.preprocessing = all_steps();
    world.start(&first).await;
    let digest = world.succeeded(first.id).await;
    let file = world.store.get_bytes(&digest).await.unwrap();
    predicts(&file);

    // What was fitted stays when the version is trained further, and is not fitted on top of itself.
    let mut again = training(&world, &segment, 6).await;
    again.version.digest = digest;
    again.hyperparameters.epochs = 2;
    world.start(&again).await;
    let file = world.succeeded(again.id).await;
    predicts(&world.store.get_bytes(&file).await.unwrap());
    let mut twice = training(&world, &segment, 6).await;
    twice.version = again.version;
    twice.hyperparameters.tuning.preprocessing = all_steps();
    world.start(&twice).await;
    let (code, message) = world.failed(twice.id).await;
    assert_eq!(code, "preprocessing");
    assert!(message.contains("stays as it was fitted"), "{message}");
}

#[tokio::test]
async fn preprocessing_that_does_not_fit_is_refused_in_words() {
    let world = World::new().await;
    let segment = segment(&world);
    let _pool = world.pool(0);
    let mut narrow = training(&world, &segment, 5).await;
    narrow.hyperparameters.tuning.preprocessing = all_steps();
    let mut unfilled = training(&world, &segment, 4).await;
    unfilled.hyperparameters.tuning.preprocessing =
        vec![Preprocessing::Standardize { columns: None }];
    for (training, words) in [
        (narrow, ["float32[batch, 5]", "makes [6]"]),
        (unfilled, ["column 2 has", "fillMissing"]),
    ] {
        world.start(&training).await;
        let (code, message) = world.failed(training.id).await;
        assert_eq!(code, "preprocessing");
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
}

/// The file runs on a bare ONNX Runtime and answers records that no training saw.
fn predicts(file: &[u8]) {
    millrace_engine::load(&onnxruntime()).unwrap();
    let mut session = Session::from_bytes(file, &SessionOptions::default()).unwrap();
    let (rows, labels): (Vec<_>, Vec<_>) = (10_000..10_300).map(record).unzip();
    let rows: Vec<f32> = rows.concat();
    let view = View::new([labels.len(), COLUMNS], Slice::F32(&rows));
    let outputs = session.run(&[("input", view)]).unwrap();
    let probabilities = outputs.get("probabilities").unwrap();
    let right = probabilities
        .as_f32()
        .unwrap()
        .chunks_exact(2)
        .zip(&labels)
        .filter(|(row, label)| u8::from(row[1] > row[0]) == **label)
        .count();
    assert!(right >= 290, "{right} of {}", labels.len());
}
