//! Members of a group: exact starts, cooperative hand-over, new partitions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_harness::{block_until, unique};
use millrace_kafka::{
    Admin, Assigned, BatchLimits, Error, GroupConsumer, GroupOffset, GroupOptions,
    RebalanceHandler, Record, TopicPartition,
};

use crate::{LIMIT, SHORT, connection, topic, transactional, values, write, write_transaction};

const LIMITS: BatchLimits = BatchLimits {
    max_records: 100,
    max_bytes: 1_000_000,
    max_wait: SHORT,
};

/// Notes what it was told, commits positions when asked to give up.
#[derive(Default)]
struct Handler {
    assigned: Vec<Assigned>,
    revoked: Vec<TopicPartition>,
    lost: Vec<TopicPartition>,
    hold: Vec<i32>,
}

impl RebalanceHandler for Handler {
    fn on_assigned(
        &mut self,
        _consumer: &GroupConsumer,
        partitions: &[Assigned],
    ) -> Result<Vec<TopicPartition>, Error> {
        self.assigned.extend_from_slice(partitions);
        Ok(partitions
            .iter()
            .filter(|part| self.hold.contains(&part.partition))
            .map(|part| TopicPartition::new(&part.topic, part.partition))
            .collect())
    }

    fn on_revoking(
        &mut self,
        consumer: &GroupConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), Error> {
        self.revoked.extend_from_slice(partitions);
        let offsets: Vec<GroupOffset> = consumer
            .positions()?
            .into_iter()
            .filter(|offset| {
                partitions.contains(&TopicPartition::new(&offset.topic, offset.partition))
            })
            .map(|offset| offset.with_metadata("given up"))
            .collect();
        consumer.commit(&offsets)
    }

    fn on_lost(&mut self, _consumer: &GroupConsumer, partitions: &[TopicPartition]) {
        self.lost.extend_from_slice(partitions);
    }
}

fn options(group: &str, topic: &str) -> GroupOptions {
    GroupOptions {
        session_timeout: Duration::from_secs(6),
        metadata_refresh: Duration::from_secs(1),
        ..GroupOptions::new(group, &[topic])
    }
}

/// Polls until `count` records have come.
fn take(consumer: &GroupConsumer, handler: &mut Handler, count: usize) -> Vec<Record> {
    let deadline = Instant::now() + LIMIT;
    let mut records = Vec::new();
    while records.len() < count {
        assert!(
            Instant::now() < deadline,
            "only {records:?} came; assigned {:?}",
            handler.assigned
        );
        for record in consumer.poll_batch(LIMITS, handler).unwrap() {
            records.push(record.to_record());
        }
    }
    records
}

/// Polls once, and says how many records came.
fn poll(consumer: &GroupConsumer, handler: &mut Handler) -> usize {
    consumer.poll_batch(LIMITS, handler).unwrap().len()
}

#[test]
fn a_group_starts_exactly_where_it_was_told() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 2);
    write(&topic, 0, &["a", "b", "c"]);
    write(&topic, 1, &["d", "e"]);
    let group = unique("kafka-test");
    let start = GroupOffset::new(&topic, 0, 2).with_metadata("applied 41");
    admin.commit(&group, &[start]).unwrap();

    let consumer = GroupConsumer::new(&connection(), options(&group, &topic)).unwrap();
    let mut handler = Handler::default();
    let mut records = take(&consumer, &mut handler, 3);
    records.sort_by_key(|record| (record.partition, record.offset));
    // Partition 1 has no commit, as one that was added later: its beginning.
    assert_eq!(values(&records), ["c", "d", "e"]);
    handler.assigned.sort_by_key(|part| part.partition);
    assert_eq!(
        handler.assigned,
        [
            Assigned {
                topic: topic.clone(),
                partition: 0,
                committed: Some(2),
                metadata: "applied 41".into()
            },
            Assigned {
                topic: topic.clone(),
                partition: 1,
                committed: None,
                metadata: String::new()
            }
        ]
    );
    assert!(!admin.group(&group).unwrap().is_empty());
    let told = admin.commit(&group, &[GroupOffset::new(&topic, 0, 0)]);
    assert!(matches!(told, Err(Error::GroupNotEmpty { .. })), "{told:?}");
    let told = admin.delete_group(&group);
    assert!(matches!(told, Err(Error::GroupNotEmpty { .. })), "{told:?}");

    consumer.commit(&consumer.positions().unwrap()).unwrap();
    drop(consumer);
    let mut committed = admin.committed(&group, &topic).unwrap();
    committed.sort();
    assert_eq!(
        committed,
        [
            GroupOffset::new(&topic, 0, 3),
            GroupOffset::new(&topic, 1, 2)
        ]
    );
}

#[test]
fn an_offset_that_kafka_does_not_have_is_never_reset() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 2);
    write(&topic, 0, &["a", "b", "c"]);
    write(&topic, 1, &["d"]);

    let group = unique("kafka-test");
    admin
        .commit(&group, &[GroupOffset::new(&topic, 0, 1_000)])
        .unwrap();
    let told = first_error(&group, &topic);
    assert_eq!(
        told,
        Error::OffsetInFuture {
            topic: topic.clone(),
            partition: 0,
            offset: 1_000,
            low: 0,
            high: 3
        }
    );

    let group = unique("kafka-test");
    admin
        .commit(&group, &[GroupOffset::new(&topic, 0, 1)])
        .unwrap();
    crate::range::expire(&topic, 0, 2);
    let told = first_error(&group, &topic);
    assert_eq!(
        told,
        Error::OffsetExpired {
            topic: topic.clone(),
            partition: 0,
            offset: 1,
            low: 2,
            high: 3
        }
    );
}

fn first_error(group: &str, topic: &str) -> Error {
    let consumer = GroupConsumer::new(&connection(), options(group, topic)).unwrap();
    let mut handler = Handler::default();
    let error = block_until("the error", LIMIT, || {
        match consumer.poll_batch(LIMITS, &mut handler) {
            Ok(batch) => {
                assert!(batch.iter().all(|record| record.partition() == 1));
                Err("no error")
            }
            Err(error) => Ok(error),
        }
    });
    // The other partition goes on, and a seek heals this one.
    consumer.seek(&[GroupOffset::new(topic, 0, 2)]).unwrap();
    let records = block_until("the record after the seek", LIMIT, || {
        let records: Vec<Record> = consumer
            .poll_batch(LIMITS, &mut handler)
            .unwrap()
            .iter()
            .filter(|record| record.partition() == 0)
            .map(millrace_kafka::RecordView::to_record)
            .collect();
        if records.is_empty() {
            Err("none")
        } else {
            Ok(records)
        }
    });
    assert_eq!(values(&records), ["c"]);
    error
}

#[test]
fn a_partition_is_held_back_until_it_is_resumed() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 2);
    write(&topic, 0, &["a"]);
    write(&topic, 1, &["b"]);
    let consumer =
        GroupConsumer::new(&connection(), options(&unique("kafka-test"), &topic)).unwrap();
    let mut handler = Handler {
        hold: vec![0],
        ..Handler::default()
    };
    assert_eq!(values(&take(&consumer, &mut handler, 1)), ["b"]);
    // A later record of the other partition comes, and still none of this one.
    write(&topic, 1, &["c"]);
    assert_eq!(values(&take(&consumer, &mut handler, 1)), ["c"]);
    consumer.resume(&[TopicPartition::new(&topic, 0)]).unwrap();
    assert_eq!(values(&take(&consumer, &mut handler, 1)), ["a"]);

    consumer.pause(&[TopicPartition::new(&topic, 1)]).unwrap();
    write(&topic, 1, &["d"]);
    write(&topic, 0, &["e"]);
    assert_eq!(values(&take(&consumer, &mut handler, 1)), ["e"]);
}

#[test]
fn a_member_stands_apart_until_it_joins() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    write(&topic, 0, &["a"]);
    let group = unique("kafka-test");
    let consumer = GroupConsumer::apart(&connection(), options(&group, &topic)).unwrap();
    let mut handler = Handler::default();
    assert_eq!(poll(&consumer, &mut handler), 0);
    assert!(admin.group(&group).unwrap().is_empty());
    consumer.join().unwrap();
    assert_eq!(values(&take(&consumer, &mut handler, 1)), ["a"]);
    assert!(!admin.group(&group).unwrap().is_empty());
}

#[test]
fn positions_go_past_markers_and_seeks_go_back() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    let producer = transactional(&unique("kafka-test"));
    write_transaction(&producer, &topic, 0, &["a", "b"], true); // 0, 1, marker 2
    write_transaction(&producer, &topic, 0, &["x"], false); // 3, marker 4
    let group = unique("kafka-test");
    admin
        .commit(&group, &[GroupOffset::new(&topic, 0, 1)])
        .unwrap();
    let consumer = GroupConsumer::new(&connection(), options(&group, &topic)).unwrap();
    let mut handler = Handler::default();
    assert_eq!(values(&take(&consumer, &mut handler, 1)), ["b"]);
    block_until("the position past the markers", LIMIT, || {
        assert_eq!(poll(&consumer, &mut handler), 0);
        let positions = consumer.positions().unwrap();
        if positions == [GroupOffset::new(&topic, 0, 5)] {
            Ok(())
        } else {
            Err(format!("{positions:?}"))
        }
    });
    consumer.seek_to_committed().unwrap();
    assert_eq!(
        consumer.positions().unwrap(),
        [GroupOffset::new(&topic, 0, 1)]
    );
    assert_eq!(values(&take(&consumer, &mut handler, 1)), ["b"]);
    consumer.seek(&[GroupOffset::new(&topic, 0, 0)]).unwrap();
    assert_eq!(values(&take(&consumer, &mut handler, 2)), ["a", "b"]);
}

#[test]
fn partitions_that_are_added_are_picked_up_from_their_beginning() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    write(&topic, 0, &["a"]);
    let consumer =
        GroupConsumer::new(&connection(), options(&unique("kafka-test"), &topic)).unwrap();
    let mut handler = Handler::default();
    assert_eq!(values(&take(&consumer, &mut handler, 1)), ["a"]);
    admin.create_partitions(&topic, 2).unwrap();
    write(&topic, 1, &["b"]);
    assert_eq!(values(&take(&consumer, &mut handler, 1)), ["b"]);
    assert_eq!(consumer.assignment().unwrap().len(), 2);
    assert!(handler.revoked.is_empty());
}

#[test]
fn partitions_move_without_loss_or_repetition() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 4);
    for partition in 0..4 {
        write(&topic, partition, &["1", "2", "3"]);
    }
    let group = unique("kafka-test");
    let member = |instance: &str| {
        GroupConsumer::new(&connection(), options(&group, &topic).instance(instance)).unwrap()
    };
    let first = member("replica-0");
    let mut first_handler = Handler::default();
    assert_eq!(take(&first, &mut first_handler, 12).len(), 12);

    let second = member("replica-1");
    let mut second_handler = Handler::default();
    block_until("two partitions each", LIMIT, || {
        assert_eq!(poll(&first, &mut first_handler), 0);
        assert_eq!(poll(&second, &mut second_handler), 0);
        let held = (first.assignment().unwrap(), second.assignment().unwrap());
        if (held.0.len(), held.1.len()) == (2, 2) {
            Ok(())
        } else {
            Err(format!("{held:?}"))
        }
    });
    // Only what moved was given up, and its commit came first, note included.
    assert_eq!(first_handler.revoked.len(), 2);
    assert_eq!(second_handler.assigned.len(), 2);
    for part in &second_handler.assigned {
        assert_eq!(
            (part.committed, part.metadata.as_str()),
            (Some(3), "given up")
        );
    }
    let described = admin.group(&group).unwrap();
    assert_eq!(described.members.len(), 2);
    let mut held = described.held;
    held.sort_unstable_by_key(|held| held.partition);
    let all: Vec<_> = (0..4)
        .map(|partition| TopicPartition::new(&topic, partition))
        .collect();
    assert_eq!(held, all);

    for partition in 0..4 {
        write(&topic, partition, &["4"]);
    }
    let mut read: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    block_until("the four new records", LIMIT, || {
        for (consumer, handler) in [(&first, &mut first_handler), (&second, &mut second_handler)] {
            for record in consumer.poll_batch(LIMITS, handler).unwrap() {
                read.entry(record.partition())
                    .or_default()
                    .push(record.offset());
            }
        }
        if read.len() == 4 {
            Ok(())
        } else {
            Err(format!("{read:?}"))
        }
    });
    assert!(read.values().all(|offsets| offsets == &[3]), "{read:?}");

    // A static member that restarts in time moves nothing.
    let before = second.assignment().unwrap();
    second.commit(&second.positions().unwrap()).unwrap();
    drop(second);
    let second = member("replica-1");
    let mut second_handler = Handler::default();
    block_until("the old partitions", LIMIT, || {
        assert_eq!(poll(&first, &mut first_handler), 0);
        assert_eq!(poll(&second, &mut second_handler), 0);
        let held = second.assignment().unwrap();
        if held == before {
            Ok(())
        } else {
            Err(format!("{held:?}"))
        }
    });
    assert_eq!(first_handler.revoked.len(), 2);
    assert!(first_handler.lost.is_empty());
}

#[test]
fn a_second_member_of_the_same_name_fences_the_first() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    write(&topic, 0, &["a"]);
    let group = unique("kafka-test");
    let member = || {
        GroupConsumer::new(&connection(), options(&group, &topic).instance("replica-0")).unwrap()
    };
    let old = member();
    let mut old_handler = Handler::default();
    take(&old, &mut old_handler, 1);
    let new = member();
    let mut new_handler = Handler::default();
    take(&new, &mut new_handler, 1);
    let error = block_until("the fence", LIMIT, || {
        match old.poll_batch(LIMITS, &mut old_handler) {
            Err(error) => Ok(error),
            Ok(_) => Err("no error"),
        }
    });
    assert!(error.is_fenced(), "{error}");
}

#[test]
fn a_topic_that_is_not_there_is_told() {
    let consumer = GroupConsumer::new(
        &connection(),
        options(&unique("kafka-test"), "no-such-topic"),
    )
    .unwrap();
    let mut handler = Handler::default();
    let error = block_until("the error", LIMIT, || {
        match consumer.poll_batch(LIMITS, &mut handler) {
            Err(error) => Ok(error),
            Ok(_) => Err("no error"),
        }
    });
    assert_eq!(
        error,
        Error::TopicNotFound {
            topic: "no-such-topic".into()
        }
    );
}
