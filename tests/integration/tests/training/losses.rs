//! Every loss trains on records from Kafka, each with another optimizer and other finer points.

use std::collections::BTreeMap;

use millrace_onnx::layers::{Activation, Layer};
use millrace_wire::event::Body;
use millrace_wire::registry::Version;
use millrace_wire::segment::Manifest;
use millrace_wire::training::{Loss, Optimizer, TrainingSpec};
use millrace_wire::tuning::{Clipping, Plateau, Schedule, Tuning};

use crate::world::{World, easy};

/// Records with one of two labels.
fn segment(world: &World<'_>) -> Manifest {
    for index in 0..400 {
        let (value, label) = easy(index);
        world.write(&value, Some(&(label % 2).to_string()));
    }
    world.segment()
}

/// A model that gives one number.
async fn one_number(world: &World<'_>) -> Version {
    let dense = |units, activation| Layer::Dense {
        units,
        activation,
        bias: true,
    };
    let factor = 1.0 / 255.0;
    let layers = [
        Layer::Scale { factor },
        dense(24, Activation::Relu),
        dense(1, Activation::None),
    ];
    world.version_of(&layers).await
}

/// Runs a training to its end and gives the losses of its epochs.
async fn losses(world: &World<'_>, training: &TrainingSpec) -> Vec<f64> {
    world.start(training).await;
    world.succeeded(training.id).await;
    let events = world.events(training.id);
    let epochs = events.iter().filter_map(|event| match &event.body {
        Body::TrainingEpoch(epoch) => Some(epoch.metrics["loss"]),
        _ => None,
    });
    epochs.collect()
}

/// The final metrics of a training that has succeeded.
fn metrics(world: &World<'_>, training: &TrainingSpec) -> BTreeMap<String, f64> {
    let events = world.events(training.id);
    let found = events.iter().find_map(|event| match &event.body {
        Body::TrainingSucceeded { metrics, .. } => Some(metrics.clone()),
        _ => None,
    });
    found.expect("it has succeeded")
}

#[tokio::test]
async fn every_loss_falls() {
    let world = World::new().await;
    let segment = segment(&world);
    let _pool = world.pool(0);
    let version = one_number(&world).await;
    let choices = [
        (
            Loss::CrossEntropy,
            Optimizer::AdamW {
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
            },
            Tuning {
                class_weights: vec![1.0, 1.5, 1.0, 1.0],
                frozen: vec!["dense_1.bias".to_owned()],
                schedule: Schedule::Cosine { least: 0.1 },
                ..Tuning::default()
            },
        ),
        (
            Loss::BinaryCrossEntropy,
            Optimizer::RmsProp {
                decay: 0.9,
                epsilon: 1e-8,
            },
            Tuning {
                clipping: Some(Clipping::Norm(5.0)),
                warm_up: 5,
                ..Tuning::default()
            },
        ),
        (
            Loss::MeanSquaredError,
            Optimizer::Nesterov { momentum: 0.9 },
            Tuning {
                accumulation: 2,
                weight_decay: Some(0.001),
                ..Tuning::default()
            },
        ),
        (
            Loss::MeanAbsoluteError,
            Optimizer::Lion {
                beta1: 0.9,
                beta2: 0.99,
            },
            Tuning {
                plateau: Some(Plateau {
                    factor: 0.5,
                    patience: 2,
                    min_change: 0.0,
                    least: 0.01,
                }),
                ..Tuning::default()
            },
        ),
        (
            Loss::Huber,
            Optimizer::Adagrad { epsilon: 1e-7 },
            Tuning {
                huber_delta: 0.5,
                clipping: Some(Clipping::Value(1.0)),
                ..Tuning::default()
            },
        ),
    ];
    for (loss, optimizer, tuning) in choices {
        let mut training = world.training(&segment, 8);
        if loss != Loss::CrossEntropy {
            training.version = version.clone();
        }
        training.hyperparameters.learning_rate = match optimizer {
            Optimizer::Nesterov { .. } | Optimizer::Adagrad { .. } => 0.05,
            _ => 0.003,
        };
        training.hyperparameters.loss = loss;
        training.hyperparameters.optimizer = optimizer;
        training.hyperparameters.tuning = tuning;
        let losses = losses(&world, &training).await;
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.7 * first, "{loss:?}: {losses:?}");
        if loss == Loss::BinaryCrossEntropy {
            let metrics = metrics(&world, &training);
            assert!(metrics["test_auc"] > 0.9, "{metrics:?}");
            assert!(metrics["test_accuracy"] > 0.8, "{metrics:?}");
        }
    }
}
