//! The training function on a real Kafka, with commands as the API would send them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod losses;
mod preprocessing;
mod push;
mod refusals;
mod retention;
mod trouble;
mod turns;
mod world;

use millrace_engine::{Session, SessionOptions, Slice, View};
use millrace_harness::onnxruntime;
use millrace_wire::event::Body;
use millrace_wire::training::EarlyStopping;

use crate::world::{CLASSES, LIMIT, WIDTH, World, easy};

#[tokio::test]
async fn a_training_makes_a_version_that_predicts() {
    let world = World::new().await;
    let segment = world.easy_segment(400);
    let _pool = world.pool(0);
    let training = world.training(&segment, 12);
    world.start(&training).await;
    let digest = world.succeeded(training.id).await;

    let events = world.events(training.id);
    assert_eq!(
        events[0].body,
        Body::TrainingStarted {
            train: 320,
            validation: 40,
            test: 40,
            bad: 0,
        }
    );
    for (number, event) in (1..).zip(&events[1..13]) {
        let Body::TrainingEpoch(epoch) = &event.body else {
            panic!("{event:?}");
        };
        assert_eq!((epoch.epoch, epoch.epochs), (number, 12));
        assert_eq!(epoch.step, u64::from(number) * 10);
        assert!(epoch.records_per_second > 0.0);
        let names: Vec<_> = epoch.metrics.keys().collect();
        let expected = [
            "accuracy",
            "loss",
            "validation_accuracy",
            "validation_auc_macro",
            "validation_f1_macro",
            "validation_f1_micro",
            "validation_loss",
            "validation_precision_macro",
            "validation_precision_micro",
            "validation_recall_macro",
            "validation_recall_micro",
            "validation_top_3_accuracy",
        ];
        assert_eq!(names, expected);
    }
    let Body::TrainingSucceeded {
        size,
        metrics,
        report: Some(report),
        last: None,
        computed_on,
        ..
    } = &events[13].body
    else {
        panic!("{:?}", events[13]);
    };
    millrace_engine::load(&onnxruntime()).unwrap();
    assert_eq!(*computed_on, [millrace_engine::arithmetic()]);
    assert!(computed_on[0].ends_with("/fast"), "{computed_on:?}");
    assert_eq!(report.classes.len(), usize::from(CLASSES));
    let right: u64 = (0..usize::from(CLASSES))
        .map(|class| report.confusion[class][class])
        .sum();
    let all: u64 = report.confusion.iter().flatten().sum();
    #[expect(clippy::cast_precision_loss, reason = "a few records")]
    let accuracy = right as f64 / all as f64;
    assert!((accuracy - metrics["test_accuracy"]).abs() < 1e-12);
    assert_eq!(events.len(), 14);
    assert!(metrics["test_accuracy"] >= 0.95, "{metrics:?}");
    assert!(metrics["validation_accuracy"] >= 0.95, "{metrics:?}");
    assert!(metrics["test_loss"] < 0.7, "{metrics:?}");

    let file = world.store.get_bytes(&digest).await.unwrap();
    assert_eq!(file.len() as u64, *size);
    predicts(&file);
    world.all_commands_are_done().await;
    world.has_no_checkpoint(training.id).await;
}

/// The file runs on a bare ONNX Runtime and answers records that no training saw.
fn predicts(file: &[u8]) {
    let mut session = Session::from_bytes(file, &SessionOptions::default()).unwrap();
    let (rows, labels): (Vec<_>, Vec<_>) = (10_000..10_100).map(easy).unzip();
    let rows: Vec<f32> = rows.concat().into_iter().map(f32::from).collect();
    let view = View::new([100, usize::from(WIDTH)], Slice::F32(&rows));
    let outputs = session.run(&[("input", view)]).unwrap();
    let probabilities = outputs.get("probabilities").unwrap();
    let right = probabilities
        .as_f32()
        .unwrap()
        .chunks_exact(usize::from(CLASSES))
        .zip(labels)
        .filter(|(row, label)| {
            let best = row.iter().copied().fold(f32::MIN, f32::max);
            row[usize::from(*label)].to_bits() == best.to_bits()
        })
        .count();
    assert!(right >= 95, "{right} of 100");
}

#[tokio::test]
async fn the_same_seed_makes_the_same_bytes_and_another_does_not() {
    let world = World::new().await;
    let segment = world.easy_segment(200);
    let _pool = world.pool(0);
    let mut digests = Vec::new();
    for seed in [5, 5, 6] {
        let mut training = world.training(&segment, 3);
        training.seed = seed;
        world.start(&training).await;
        digests.push(world.succeeded(training.id).await);
    }
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], digests[2]);
}

/// No change is large enough to count, so the first epoch is the best, and the training ends once its
/// patience is over: what it makes is what trainings of just that many epochs make.
#[tokio::test]
async fn a_training_ends_early_and_keeps_its_best_epoch() {
    let world = World::new().await;
    let segment = world.easy_segment(300);
    let _pool = world.pool(0);
    let mut digests = Vec::new();
    for epochs in [1, 3] {
        let training = world.training(&segment, epochs);
        world.start(&training).await;
        digests.push(world.succeeded(training.id).await);
    }
    for restore_best in [true, false] {
        let mut training = world.training(&segment, 50);
        training.hyperparameters.early_stopping = Some(EarlyStopping {
            monitor: "validation_loss".to_owned(),
            patience: 2,
            min_change: 1e6,
            restore_best,
        });
        world.start(&training).await;
        let found = world
            .wait_for(training.id, "it succeeds", |body| match body {
                Body::TrainingSucceeded { digest, last, .. } => {
                    let last = last.as_ref().map(|last| last.digest.clone());
                    Some((digest.clone(), last))
                }
                _ => None,
            })
            .await;
        let [first, third] = digests.clone().try_into().unwrap();
        let expected = if restore_best {
            (first, Some(third))
        } else {
            (third, None)
        };
        assert_eq!(found, expected);
    }
    let mut wrong = world.training(&segment, 2);
    wrong.hyperparameters.early_stopping = Some(EarlyStopping {
        monitor: "validation_beauty".to_owned(),
        patience: 1,
        min_change: 0.0,
        restore_best: true,
    });
    world.start(&wrong).await;
    let (code, message) = world.failed(wrong.id).await;
    assert_eq!(code, "monitor");
    assert!(message.contains("validation_loss"), "{message}");
}

#[tokio::test]
async fn records_in_a_scratch_file_make_the_same_bytes() {
    let world = World::new().await;
    let segment = world.easy_segment(500);
    let mut digests = Vec::new();
    for memory_bytes in [0, 1 << 20] {
        let mut pool = world.pool_with(0, memory_bytes);
        let training = world.training(&segment, 3);
        world.start(&training).await;
        digests.push(world.succeeded(training.id).await);
        let went_to_a_file = pool
            .lines()
            .iter()
            .any(|line| line.contains("the rows go to a scratch file"));
        assert_eq!(went_to_a_file, memory_bytes == 0);
        pool.kill();
    }
    assert_eq!(digests[0], digests[1]);
}

/// Records of several blocks, of which the first are learned from while the last are read: how many steps that are depends on
/// how fast they come, and nothing else does.
#[tokio::test]
async fn what_is_learned_while_records_come_makes_the_same_bytes() {
    let world = World::new().await;
    let segment = world.easy_segment(40_000);
    let mut digests = Vec::new();
    for memory_bytes in [0, 1 << 30] {
        let mut pool = world.pool_with(0, memory_bytes);
        let training = world.training(&segment, 2);
        world.start(&training).await;
        digests.push(world.succeeded(training.id).await);
        pool.kill();
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_cancelled_training_ends_at_once_and_the_next_one_runs() {
    let world = World::new().await;
    let segment = world.easy_segment(400);
    let _pool = world.pool(0);
    let endless = world.training(&segment, 1_000_000);
    let waiting = world.training(&segment, 1_000_000);
    let next = world.training(&segment, 2);
    world.start(&endless).await;
    world.start(&waiting).await;
    world
        .wait_for(endless.id, "it trains", |body| match body {
            Body::TrainingEpoch(epoch) if epoch.epoch >= 3 => Some(()),
            _ => None,
        })
        .await;
    world.has_checkpoint(endless.id).await;
    world.cancel(waiting.id).await;
    world.cancel(endless.id).await;
    world.start(&next).await;
    for cancelled in [endless.id, waiting.id] {
        world
            .wait_for(cancelled, "it is cancelled", |body| {
                matches!(body, Body::TrainingCancelled).then_some(())
            })
            .await;
        world.has_no_checkpoint(cancelled).await;
    }
    world.succeeded(next.id).await;
    assert!(world.events(waiting.id).len() == 1, "it never began");
    world.all_commands_are_done().await;
}

#[tokio::test]
async fn a_member_ends_in_order_and_its_training_goes_on() {
    let world = World::new().await;
    let segment = world.easy_segment(200);
    let mut pool = world.pool(0);
    let training = world.training(&segment, 1_000_000);
    world.start(&training).await;
    world
        .wait_for(training.id, "it trains", |body| {
            matches!(body, Body::TrainingEpoch(_)).then_some(())
        })
        .await;
    pool.terminate();
    assert!(pool.wait(LIMIT).success());
    world.has_checkpoint(training.id).await;

    let mut pool = world.pool(0);
    pool.wait_for("the training goes on from its checkpoint", LIMIT);
    world.cancel(training.id).await;
    world
        .wait_for(training.id, "it is cancelled", |body| {
            matches!(body, Body::TrainingCancelled).then_some(())
        })
        .await;
}
