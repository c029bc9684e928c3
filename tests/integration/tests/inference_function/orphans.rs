//! Partitions that nobody holds although the group has settled: how a group comes to it, and how it gets out.

use std::mem::ManuallyDrop;
use std::time::Duration;

use millrace_harness::{Kafka, block_until};
use millrace_kafka::{
    Assigned, BatchLimits, Connection, Error, GroupConsumer, GroupOptions, RebalanceHandler,
    TopicPartition,
};

use crate::answers::assert_each_once;
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

const LOOK: BatchLimits = BatchLimits {
    max_records: 1,
    max_bytes: 1,
    max_wait: Duration::from_millis(100),
};

/// Takes whatever it is given, and is gone before anything is asked of it.
struct Doomed;

impl RebalanceHandler for Doomed {
    fn on_assigned(
        &mut self,
        _consumer: &GroupConsumer,
        _partitions: &[Assigned],
    ) -> Result<Vec<TopicPartition>, Error> {
        Ok(Vec::new())
    }

    fn on_revoking(
        &mut self,
        _consumer: &GroupConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), Error> {
        panic!("it was asked for {partitions:?}, though it looks no more");
    }

    fn on_lost(&mut self, _consumer: &GroupConsumer, _partitions: &[TopicPartition]) {}
}

#[tokio::test]
async fn a_partition_of_a_replica_replaced_between_two_steps_is_found_and_read() {
    let fixture = Fixture::new(Kafka::shared(), 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    // In the place of the first replica stands a member of its name, which takes both partitions.
    let mut options = GroupOptions::new(&fixture.group, &[&fixture.input]);
    options.session_timeout = LIMIT;
    let options = options.instance(&fixture.spec(0, &version).transactional_id);
    let connection = Connection::new(fixture.kafka.client_properties());
    let doomed = ManuallyDrop::new(GroupConsumer::new(&connection, options).unwrap());
    block_until("both partitions", LIMIT, || {
        assert!(doomed.poll_batch(LOOK, &mut Doomed).unwrap().is_empty());
        let held = doomed.assignment().unwrap();
        if held.len() == 2 {
            Ok(())
        } else {
            Err(format!("{held:?}"))
        }
    });

    // The first step: a second replica joins, and the member is to give one of the two up. It never looks again, as if
    // it were killed in that moment; it does not leave either, so that the group waits for its successor.
    let second = fixture.start(1, &fixture.spec(1, &version));
    let orphaned = || {
        let group = fixture.admin.group(&fixture.group).unwrap();
        let is_orphaned =
            group.state == "Stable" && group.members.len() == 2 && group.held.len() == 1;
        if is_orphaned {
            Ok(())
        } else {
            Err(format!("{group:?}"))
        }
    };
    block_until("one of the partitions is nobody's", LIMIT, orphaned);

    // The second step never comes: the successor is given what the member was left with, and the group has settled.
    let first = fixture.start(0, &fixture.spec(0, &version));
    fixture.send(0..200);
    let mut outputs = fixture.outputs();
    outputs.count(200, LIMIT);
    let said = first.lines();
    let is_found = |line: &String| line.contains("nobody reads these partitions");
    assert!(said.iter().any(is_found), "{said:?}");
    fixture.wait_until_done();
    let group = fixture.admin.group(&fixture.group).unwrap();
    assert_eq!(group.held.len(), 2, "{group:?}");
    end(second);
    end(first);
    assert_each_once(&outputs.drain(), &fixture.ends());
}
