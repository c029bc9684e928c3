//! What may happen to a process while it trains: the result is the same.

use std::collections::BTreeMap;

use millrace_artifacts::digest_of;
use millrace_harness::{Kafka, KafkaOptions, Process, onnxruntime, wait_until};
use millrace_onnx::layers::{Activation, Layer, Padding};
use millrace_wire::event::Body;
use millrace_wire::registry::Version;
use millrace_wire::segment::Manifest;
use millrace_wire::training::TrainingSpec;
use uuid::Uuid;

use crate::world::{CLASSES, LIMIT, World};

/// With this many records, [`EPOCHS`] take some seconds: enough for some checkpoints.
const RECORDS: u32 = 4_000;
const EPOCHS: u32 = 200;
/// More epochs than any test waits for.
pub const ENDLESS: u32 = 1_000_000;

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

pub async fn trains(world: &World<'_>, training: Uuid) {
    world
        .wait_for(training, "it trains", |body| match body {
            Body::TrainingEpoch(epoch) if epoch.epoch >= 2 => Some(()),
            _ => None,
        })
        .await;
}

/// The metrics of every epoch that was reported. None was left out, and each has one id and one
/// result, however often it was reported.
pub fn epochs(world: &World<'_>, training: Uuid) -> Vec<BTreeMap<String, f64>> {
    let mut epochs = BTreeMap::new();
    for event in world.events(training) {
        if let Body::TrainingEpoch(epoch) = event.body {
            let fact = (event.id, epoch.metrics);
            let first = epochs.entry(epoch.epoch).or_insert_with(|| fact.clone());
            assert_eq!(*first, fact, "epoch {}", epoch.epoch);
        }
    }
    let numbers: Vec<u32> = epochs.keys().copied().collect();
    assert_eq!(numbers, (1..).take(epochs.len()).collect::<Vec<_>>());
    epochs.into_values().map(|(_, metrics)| metrics).collect()
}

/// Whether the training has succeeded.
pub fn has_succeeded(world: &World<'_>, training: Uuid) -> bool {
    let events = world.events(training);
    events
        .iter()
        .any(|event| matches!(event.body, Body::TrainingSucceeded { .. }))
}

/// Kills the pool in the middle of a training, and starts it again; nothing where the training was
/// too quick for that.
async fn kill_in_the_middle(world: &World<'_>, pool: &mut Process, training: Uuid) -> Option<()> {
    trains(world, training).await;
    let name = format!("checkpoints/{training}");
    let first = world.store.get_object(&name).await.ok()?;
    let advanced = wait_until("a checkpoint, or the end", LIMIT, async || {
        match world.store.get_object(&name).await {
            Ok(bytes) if bytes != first => Ok(true),
            _ if has_succeeded(world, training) => Ok(false),
            _ => Err("the same checkpoint".to_owned()),
        }
    })
    .await;
    if !advanced {
        return None;
    }
    pool.kill();
    *pool = world.pool(0);
    let goes_on = wait_until("it goes on, or has ended", LIMIT, async || {
        let said = "the training goes on from its checkpoint";
        if pool.lines().iter().any(|line| line.contains(said)) {
            return Ok(true);
        }
        if has_succeeded(world, training) {
            return Ok(false);
        }
        Err(pool.lines().join("\n"))
    })
    .await;
    goes_on.then_some(())
}

#[tokio::test]
async fn a_killed_training_ends_as_if_nothing_had_happened() {
    let world = World::new().await;
    ends_as_if_nothing_had_happened(&world, &world.model).await;
}

#[tokio::test]
async fn so_does_a_killed_training_of_convolutions() {
    let world = World::new().await;
    let layers = [
        Layer::Scale {
            factor: 1.0 / 255.0,
        },
        Layer::Reshape {
            shape: vec![1, 4, 4],
        },
        Layer::Conv2d {
            filters: 8,
            kernel: [3, 3],
            stride: [1, 1],
            padding: Padding::Same,
            activation: Activation::Relu,
            bias: true,
        },
        Layer::MaxPooling {
            size: [2, 2],
            stride: [2, 2],
            padding: Padding::Valid,
        },
        Layer::Flatten,
        Layer::Dense {
            units: usize::from(CLASSES),
            activation: Activation::Softmax,
            bias: true,
        },
    ];
    let version = world.version_of(&layers).await;
    ends_as_if_nothing_had_happened(&world, &version).await;
}

async fn ends_as_if_nothing_had_happened(world: &World<'_>, version: &Version) {
    let segment = world.easy_segment(RECORDS);
    let training = |epochs| TrainingSpec {
        version: version.clone(),
        ..world.training(&segment, epochs)
    };
    let mut pool = world.pool(0);
    // As many epochs as it takes on this machine to be killed twice in the middle.
    let mut count = EPOCHS;
    let killed = loop {
        let training = training(count);
        world.start(&training).await;
        let mut kills = 0;
        while kills < 2
            && kill_in_the_middle(world, &mut pool, training.id)
                .await
                .is_some()
        {
            kills += 1;
        }
        if kills == 2 {
            break training;
        }
        count *= 2;
    };
    let found = world.succeeded(killed.id).await;
    assert_eq!(epochs(world, killed.id).len(), count as usize);
    world.has_no_checkpoint(killed.id).await;

    let undisturbed = training(count);
    world.start(&undisturbed).await;
    assert_eq!(world.succeeded(undisturbed.id).await, found);
    world.all_commands_are_done().await;
    drop(pool);
}

/// The checkpoint is changed so that it seems to come from another machine.
#[tokio::test]
async fn a_training_that_goes_on_on_other_instructions_says_so() {
    let world = World::new().await;
    let segment = world.easy_segment(RECORDS);
    let mut count = EPOCHS;
    let (training, name, bytes) = loop {
        let mut pool = world.pool(0);
        let training = world.training(&segment, count);
        world.start(&training).await;
        trains(&world, training.id).await;
        pool.terminate();
        pool.wait(LIMIT);
        let name = format!("checkpoints/{}", training.id);
        if let Ok(bytes) = world.store.get_object(&name).await {
            break (training, name, bytes);
        }
        count *= 2;
    };
    millrace_engine::load(&onnxruntime()).unwrap();
    let here = millrace_engine::arithmetic();
    let (instructions, lowering) = here.split_once('/').unwrap();
    let there = format!("{}/{lowering}", "z".repeat(instructions.len()));
    let mut bytes = bytes.to_vec();
    let place = bytes
        .windows(here.len())
        .position(|window| window == here.as_bytes())
        .unwrap();
    bytes[place..][..here.len()].copy_from_slice(there.as_bytes());
    let content = bytes.len() - 32;
    let digest = digest_of(&bytes[..content]);
    for (byte, digits) in bytes[content..].iter_mut().zip(digest.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap();
    }
    world.store.put_object(&name, bytes.into()).await.unwrap();

    let mut pool = world.pool(0);
    pool.wait_for("the training goes on on other instructions", LIMIT);
    let found = world
        .wait_for(training.id, "it succeeds", |body| match body {
            Body::TrainingSucceeded { computed_on, .. } => Some(computed_on.clone()),
            _ => None,
        })
        .await;
    assert_eq!(found, [there, here]);
}

#[tokio::test]
async fn a_training_moves_to_a_member_that_joins() {
    let world = World::new().await;
    let segment = world.easy_segment(RECORDS);
    let _first = world.pool(0);
    // The new member takes one of the two partitions: whichever it is, a training runs there, however
    // long Kafka takes to tell the first member of the second.
    let trainings = [0, 1].map(|_| world.training(&segment, ENDLESS));
    for (partition, training) in (0..).zip(&trainings) {
        world.start_on(partition, training).await;
    }
    for training in &trainings {
        trains(&world, training.id).await;
        has_advanced(&world, training.id).await;
    }
    let mut second = world.pool(1);
    let said = second.wait_for("the training goes on from its checkpoint", LIMIT);
    let moved = trainings
        .iter()
        .find(|training| said.contains(&training.id.to_string()))
        .expect("one of the two");
    let before = epochs(&world, moved.id).len();
    wait_until("both trainings go on", LIMIT, async || {
        let reported = trainings
            .each_ref()
            .map(|training| epochs(&world, training.id).len());
        if reported.iter().all(|&count| count > before + 2) {
            Ok(())
        } else {
            Err(format!("{reported:?} epochs, {before} at the move"))
        }
    })
    .await;
    // They are the same training but for their ids, so each epoch came out the same.
    let [one, other] = trainings
        .each_ref()
        .map(|training| epochs(&world, training.id));
    let shared = one.len().min(other.len());
    assert_eq!(one[..shared], other[..shared]);
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
    assert_eq!(epochs(&world, training.id).len(), EPOCHS as usize);

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

#[tokio::test]
async fn a_training_that_takes_its_process_down_each_time_fails_and_the_next_one_runs() {
    let kafka = Kafka::start(&KafkaOptions::default());
    let world = World::apart(Kafka::shared(), &kafka).await;
    let segment = world.easy_segment(100);
    let training = world.training(&segment, 2);
    // Without the broker of its records it gets nowhere.
    kafka.kill();
    world.start(&training).await;
    // An end in order does not count.
    let mut pool = world.pool(0);
    pool.wait_for("an attempt begins", LIMIT);
    pool.terminate();
    pool.wait(LIMIT);
    for _ in 0..5 {
        let mut pool = world.pool(0);
        pool.wait_for("an attempt begins", LIMIT);
        pool.kill();
    }
    let pool = world.pool(0);
    let (code, message) = world.failed(training.id).await;
    assert_eq!(code, "crashed");
    assert!(
        message.contains("5 times before its first step"),
        "{message}"
    );

    kafka.start_again();
    let next = world.training(&segment, 2);
    world.start(&next).await;
    world.succeeded(next.id).await;
    kafka.kill();
    drop(pool);
}

#[tokio::test]
async fn commands_that_kafka_lost_are_passed_over_and_none_is_done_twice() {
    let world = World::new().await;
    let segment = world.easy_segment(100);
    let done = world.training(&segment, 2);
    world.start(&done).await;
    // The group has done more than the topic holds: its last commands are lost.
    world.set_offset(100);
    let mut pool = world.pool(0);
    pool.wait_for("going on at offset 1", LIMIT);
    let next = world.training(&segment, 2);
    world.start(&next).await;
    world.succeeded(next.id).await;
    assert_eq!(world.events(done.id), []);
    world.all_commands_are_done().await;
    drop(pool);
}
