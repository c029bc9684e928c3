//! What may happen to a process while it trains: the result is the same.

use millrace_harness::{Kafka, KafkaOptions, wait_until};
use millrace_wire::event::Body;
use millrace_wire::segment::Manifest;
use millrace_wire::training::TrainingSpec;
use uuid::Uuid;

use crate::world::{LIMIT, World};

/// With this many records, [`EPOCHS`] take some seconds: enough for some checkpoints.
const RECORDS: u32 = 4_000;
const EPOCHS: u32 = 200;

fn long(world: &World<'_>, segment: &Manifest) -> TrainingSpec {
    world.training(segment, EPOCHS)
}

/// Waits for a checkpoint that is not the first one, which is written before the first step.
async fn has_advanced(world: &World<'_>, training: Uuid) {
    world.has_checkpoint(training).await;
    let name = format!("checkpoints/{training}");
    let first = world.store.get_object(&name).await.unwrap();
    wait_until("the checkpoint advances", LIMIT, async || {
        match world.store.get_object(&name).await {
            Ok(bytes) if bytes != first => Ok(()),
            Ok(_) => Err("the same one".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

async fn trains(world: &World<'_>, training: Uuid) {
    world
        .wait_for(training, "it trains", |body| match body {
            Body::TrainingEpoch(epoch) if epoch.epoch >= 2 => Some(()),
            _ => None,
        })
        .await;
}

/// Every epoch was reported under its own id, whatever was reported twice.
fn epochs_are_whole(world: &World<'_>, training: Uuid) {
    let mut epochs: Vec<(u32, Uuid)> = world
        .events(training)
        .iter()
        .filter_map(|event| match &event.body {
            Body::TrainingEpoch(epoch) => Some((epoch.epoch, event.id)),
            _ => None,
        })
        .collect();
    epochs.sort_unstable();
    epochs.dedup();
    let numbers: Vec<u32> = epochs.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=EPOCHS).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_killed_training_ends_as_if_nothing_had_happened() {
    let world = World::new().await;
    let segment = world.easy_segment(RECORDS);
    let undisturbed = long(&world, &segment);
    let mut pool = world.pool(0);
    world.start(&undisturbed).await;
    let expected = world.succeeded(undisturbed.id).await;

    let killed = long(&world, &segment);
    world.start(&killed).await;
    for _ in 0..2 {
        trains(&world, killed.id).await;
        has_advanced(&world, killed.id).await;
        pool.kill();
        pool = world.pool(0);
        pool.wait_for("the training goes on from its checkpoint", LIMIT);
    }
    assert_eq!(world.succeeded(killed.id).await, expected);
    epochs_are_whole(&world, killed.id);
    world.has_no_checkpoint(killed.id).await;
    world.all_commands_are_done().await;
    drop(pool);
}

#[tokio::test]
async fn a_training_moves_to_a_member_that_joins() {
    let world = World::new().await;
    let segment = world.easy_segment(RECORDS);
    let _first = world.pool(0);
    // The new member takes one of the two partitions: whichever it is, a training runs there.
    let trainings = [0, 1].map(|_| long(&world, &segment));
    for (partition, training) in (0..).zip(&trainings) {
        world.start_on(partition, training).await;
    }
    for training in &trainings {
        trains(&world, training.id).await;
        has_advanced(&world, training.id).await;
    }
    let mut second = world.pool(1);
    second.wait_for("the training goes on from its checkpoint", LIMIT);
    let mut digests = Vec::new();
    for training in &trainings {
        digests.push(world.succeeded(training.id).await);
        epochs_are_whole(&world, training.id);
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_training_outlives_its_broker() {
    let kafka = Kafka::start(&KafkaOptions::default());
    let world = World::apart(&kafka, &kafka).await;
    let segment = world.easy_segment(RECORDS);
    let mut pool = world.pool(0);
    let undisturbed = long(&world, &segment);
    world.start(&undisturbed).await;
    let expected = world.succeeded(undisturbed.id).await;

    let training = long(&world, &segment);
    world.start(&training).await;
    trains(&world, training.id).await;
    kafka.kill();
    assert!(pool.running());
    kafka.start_again();
    assert_eq!(world.succeeded(training.id).await, expected);
    epochs_are_whole(&world, training.id);

    let next = world.training(&segment, 2);
    world.start(&next).await;
    world.succeeded(next.id).await;
    assert!(pool.running());
    kafka.kill();
}

#[tokio::test]
async fn a_training_waits_for_the_broker_of_its_segment() {
    let kafka = Kafka::start(&KafkaOptions::default());
    let world = World::apart(Kafka::shared(), &kafka).await;
    let segment = world.easy_segment(100);
    let pool = world.pool(0);
    kafka.kill();
    let training = world.training(&segment, 2);
    world.start(&training).await;
    let message = world
        .wait_for(training.id, "it waits", |body| match body {
            Body::TrainingWaiting { message } => Some(message.clone()),
            _ => None,
        })
        .await;
    assert!(message.contains("no broker can be reached"), "{message}");
    kafka.start_again();
    world.succeeded(training.id).await;
    kafka.kill();
    drop(pool);
}
