//! Moving an alias: the version changes without a restart, without a lost record, and within a
//! partition never back.

use std::collections::BTreeMap;

use millrace_harness::Kafka;
use millrace_kafka::GroupOffset;

use crate::answers::{Answer, assert_each_once};
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

/// Fails unless within every partition versions only grow, in the order of the records.
fn assert_versions_grow(answers: &[Answer]) {
    let mut by_partition: BTreeMap<i32, Vec<(i64, u32)>> = BTreeMap::new();
    for answer in answers {
        let (partition, offset) = answer.source();
        assert_eq!(answer.json()["version"], answer.version());
        by_partition
            .entry(partition)
            .or_default()
            .push((offset, answer.version()));
    }
    for (partition, mut answers) in by_partition {
        answers.sort_unstable();
        let versions: Vec<u32> = answers.iter().map(|(_, version)| *version).collect();
        assert!(versions.is_sorted(), "partition {partition}: {versions:?}");
        assert!(versions.contains(&1) && versions.contains(&2));
    }
}

#[tokio::test]
async fn an_alias_moves_under_load_with_a_rebalance_in_the_middle() {
    let fixture = Fixture::new(Kafka::shared(), 4, 4).await;
    let old = fixture.version(1, models::dense(1)).await;
    let new = fixture.version(2, models::dense(2)).await;
    fixture.point(&old);
    let first = fixture.start(0, &fixture.following(0, &old));
    let mut outputs = fixture.outputs();
    let mut sent = 0;
    let mut load_until = |is_enough: &dyn Fn(&[Answer]) -> bool| {
        loop {
            fixture.send(sent..sent + 200);
            sent += 200;
            outputs.count(sent as usize / 2, LIMIT);
            if is_enough(&outputs.all) {
                return;
            }
        }
    };
    load_until(&|all| all.len() >= 1_000);
    // The second replica joins while the alias moves: partitions and version change together.
    let second = fixture.start(1, &fixture.following(1, &old));
    fixture.point(&new);
    let all_new = |all: &[Answer]| {
        (0..4).all(|partition| {
            all.iter()
                .any(|answer| answer.partition == partition && answer.version() == 2)
        })
    };
    load_until(&all_new);
    let has_joined = |_: &[Answer]| {
        second
            .lines()
            .iter()
            .any(|line| line.contains("partitions assigned") && line.contains(", "))
    };
    load_until(&has_joined);
    end(second);
    load_until(&|_| true);
    fixture.wait_until_done();
    end(first);
    let answers = outputs.drain();
    assert_each_once(&answers, &fixture.ends());
    assert_versions_grow(&answers);
}

#[tokio::test]
async fn a_version_that_does_not_fit_leaves_the_old_one_at_work() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let old = fixture.version(1, models::dense(1)).await;
    let wider = fixture.version(2, models::wider()).await;
    let good = fixture.version(3, models::dense(3)).await;
    fixture.point(&old);
    let process = fixture.start(0, &fixture.following(0, &old));
    let mut outputs = fixture.outputs();
    fixture.send(0..10);
    outputs.count(10, LIMIT);
    fixture.point(&wider);
    let message = fixture.wait_for_problem("version-mismatch");
    assert!(
        message.contains("[?, 5]") && message.contains("[4]"),
        "{message}"
    );
    fixture.send(10..20);
    outputs.count(20, LIMIT);
    assert!(outputs.all.iter().all(|answer| answer.version() == 1));

    let mut missing = good.clone();
    missing.digest = "0".repeat(64);
    fixture.point(&missing);
    fixture.wait_for_problem("version-unavailable");
    fixture.point(&good);
    let mut sent = 20;
    while outputs.all.last().unwrap().version() != 3 {
        fixture.send(sent..sent + 1);
        sent += 1;
        outputs.count(sent as usize, LIMIT);
    }
    end(process);
    assert_each_once(&outputs.drain(), &fixture.ends());
}

#[tokio::test]
async fn a_restart_begins_with_what_the_alias_points_at() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let old = fixture.version(1, models::dense(1)).await;
    let new = fixture.version(2, models::dense(2)).await;
    fixture.point(&old);
    fixture.point(&new);
    let process = fixture.start(0, &fixture.following(0, &old));
    fixture.send(0..10);
    let mut outputs = fixture.outputs();
    outputs.count(10, LIMIT);
    assert!(outputs.all.iter().all(|answer| answer.version() == 2));
    end(process);
}

/// The specification names what the alias points at when it is written: both may be the version that does not fit.
#[tokio::test]
async fn a_replica_that_began_with_what_does_not_fit_takes_what_the_alias_is_moved_to() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let wider = fixture.version(1, models::wider()).await;
    let good = fixture.version(2, models::dense(2)).await;
    fixture.point(&wider);
    let process = fixture.start(0, &fixture.following(0, &wider));
    let message = fixture.wait_for_problem("version-mismatch");
    assert!(message.contains("nothing is answered"), "{message}");
    fixture.send(0..10);
    fixture.point(&good);
    let mut outputs = fixture.outputs();
    outputs.count(10, LIMIT);
    assert!(outputs.all.iter().all(|answer| answer.version() == 2));
    end(process);
}

#[tokio::test]
async fn a_registry_that_was_made_anew_is_reported_with_what_to_do() {
    let fixture = Fixture::without_start(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    // What the partition's last owner had applied is in no registry any more.
    fixture.commit(&[GroupOffset::new(&fixture.input, 0, 0).with_metadata("registry=99")]);
    fixture.point(&version);
    let process = fixture.start(0, &fixture.following(0, &version));
    let message = fixture.wait_for_problem("registry-behind");
    assert!(message.contains("registry entry 99"), "{message}");
    assert!(message.contains("start it again"), "{message}");
    end(process);
}
