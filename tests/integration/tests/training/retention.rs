//! A training says in time that Kafka may drop its records before it has ended.

use chrono::{TimeDelta, Utc};
use millrace_wire::event::Body;

use crate::world::World;

/// More epochs than fit into an hour on any machine.
const ENDLESS: u32 = u32::MAX;

#[tokio::test]
async fn a_training_that_outlasts_its_records_warns_as_soon_as_its_pace_is_known() {
    let world = World::new().await;
    let mut segment = world.easy_segment(400);
    segment.retained_until = Some(Utc::now() + TimeDelta::hours(1));
    let _pool = world.pool(0);
    let short = world.training(&segment, 2);
    world.start(&short).await;
    world.succeeded(short.id).await;
    assert_eq!(warnings(&world, &short), [] as [String; 0]);

    let long = world.training(&segment, ENDLESS);
    world.start(&long).await;
    let (code, message) = world.warned(long.id).await;
    assert_eq!(code, "retention-short");
    assert!(message.contains("days more"), "{message}");
    assert!(message.contains("retention.ms"), "{message}");
    world.cancel(long.id).await;

    // Kafka has not dropped anything yet, and may.
    segment.retained_until = Some(Utc::now() - TimeDelta::hours(1));
    let late = world.training(&segment, 2);
    world.start(&late).await;
    world.succeeded(late.id).await;
    assert_eq!(warnings(&world, &late), ["retention-ended"]);
    let Body::TrainingWarned { .. } = world.events(late.id)[0].body else {
        panic!("it was not the first word: {:?}", world.events(late.id));
    };
}

fn warnings(world: &World<'_>, training: &millrace_wire::training::TrainingSpec) -> Vec<String> {
    let events = world.events(training.id);
    let codes = events.into_iter().filter_map(|event| match event.body {
        Body::TrainingWarned { code, .. } => Some(code),
        _ => None,
    });
    codes.collect()
}
