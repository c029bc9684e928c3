//! Trainings that make way for each other, and one that is run twice at once: the result is the same.

use millrace_harness::wait_until;
use millrace_wire::event::Body;
use millrace_wire::training::TrainingSpec;
use uuid::Uuid;

use crate::trouble::{ENDLESS, epochs, has_succeeded, trains};
use crate::world::{LIMIT, World};

/// How long a turn is: much shorter than the trainings.
const SLICE_MS: u64 = 100;
/// Few records, which are read again in each turn, and few epochs to begin with.
const RECORDS: u32 = 1_000;
const EPOCHS: u32 = 20;

/// How often a training has made way for others.
pub fn turns(world: &World<'_>, training: Uuid) -> usize {
    let events = world.events(training);
    let made_way = |body: &Body| matches!(body, Body::TrainingWaiting { message } if message.contains("made way"));
    events.iter().filter(|event| made_way(&event.body)).count()
}

pub async fn makes_way(world: &World<'_>, training: Uuid, times: usize) {
    wait_until("it makes way, or has ended", LIMIT, async || {
        match turns(world, training) {
            count if count >= times || has_succeeded(world, training) => Ok(()),
            count => Err(format!("{count} times")),
        }
    })
    .await;
}

#[tokio::test]
async fn trainings_in_turns_end_as_if_each_had_run_through() {
    let world = World::new().await;
    let segment = world.easy_segment(RECORDS);
    let trainings = |epochs| {
        [21, 22].map(|seed| TrainingSpec {
            seed,
            ..world.training(&segment, epochs)
        })
    };
    // As many epochs as it takes on this machine for each to make way often, and for a kill in between.
    let mut count = EPOCHS;
    let found = loop {
        let pair = trainings(count);
        let mut pool = world.pool_in_turns(SLICE_MS);
        for training in &pair {
            world.start(training).await;
        }
        makes_way(&world, pair[0].id, 2).await;
        pool.kill();
        let _pool = world.pool_in_turns(SLICE_MS);
        let mut found = Vec::new();
        for training in &pair {
            found.push(world.succeeded(training.id).await);
            assert_eq!(epochs(&world, training.id).len(), count as usize);
            world.has_no_checkpoint(training.id).await;
        }
        world.all_commands_are_done().await;
        // The last one of a pair has nobody to make way for once the other has ended.
        if pair.iter().all(|one| turns(&world, one.id) >= 4) {
            break found;
        }
        count *= 2;
    };
    assert_ne!(found[0], found[1]);

    let _pool = world.pool(0);
    for (training, expected) in trainings(count).iter().zip(found) {
        world.start(training).await;
        assert_eq!(world.succeeded(training.id).await, expected);
        assert_eq!(turns(&world, training.id), 0);
    }
}

#[tokio::test]
async fn a_training_that_waits_for_its_turn_can_be_cancelled_and_makes_way_for_short_ones() {
    let world = World::new().await;
    let segment = world.easy_segment(RECORDS);
    let _pool = world.pool_in_turns(SLICE_MS);
    let endless = [0, 1].map(|_| world.training(&segment, ENDLESS));
    for training in &endless {
        world.start(training).await;
    }
    let short = world.training(&segment, 2);
    world.start(&short).await;
    world.succeeded(short.id).await;
    for training in &endless {
        makes_way(&world, training.id, 3).await;
    }
    for training in &endless {
        world.cancel(training.id).await;
        world
            .wait_for(training.id, "it is cancelled", |body| {
                matches!(body, Body::TrainingCancelled).then_some(())
            })
            .await;
        world.has_no_checkpoint(training.id).await;
    }
    world.all_commands_are_done().await;
}

#[tokio::test]
async fn a_training_that_shall_go_on_without_its_checkpoint_fails() {
    let world = World::new().await;
    let segment = world.easy_segment(100);
    let _pool = world.pool(0);
    let training = world.training(&segment, 2);
    world.go_on(&training).await;
    let (code, message) = world.failed(training.id).await;
    assert_eq!(code, "checkpoint-missing");
    assert!(message.contains(&training.id.to_string()), "{message}");
    world.all_commands_are_done().await;
}

/// As when a group has given a process up that goes on all the same.
#[tokio::test]
async fn of_two_processes_that_run_a_training_the_older_one_stops_without_writing() {
    let world = World::new().await;
    let segment = world.easy_segment(RECORDS);
    let training = world.training(&segment, ENDLESS);
    world.start(&training).await;
    let mut older = world.stranger();
    trains(&world, training.id).await;
    world.has_checkpoint(training.id).await;
    let mut younger = world.pool(0);
    younger.wait_for("the training goes on from its checkpoint", LIMIT);
    older.wait_for("another process has taken the training over", LIMIT);
    world.cancel(training.id).await;
    world.has_no_checkpoint(training.id).await;
    world.all_commands_are_done().await;
}
