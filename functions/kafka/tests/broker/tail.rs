//! A tail gives the old, says so, gives the new, and notices new partitions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_harness::unique;
use millrace_kafka::{Admin, Error, Record, Tail, TailEvent};

use crate::{LIMIT, SHORT, connection, topic, transactional, values, write, write_transaction};

/// Records until `CaughtUp`.
fn catch_up(tail: &mut Tail) -> Vec<Record> {
    let deadline = Instant::now() + LIMIT;
    let mut records = Vec::new();
    while Instant::now() < deadline {
        match tail.poll(SHORT).unwrap() {
            TailEvent::Record(record) => records.push(record),
            TailEvent::CaughtUp => return records,
            TailEvent::Idle => {}
        }
    }
    panic!("the tail never caught up; it read {records:?}");
}

/// The next record.
fn next(tail: &mut Tail) -> Record {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        match tail.poll(SHORT).unwrap() {
            TailEvent::Record(record) => return record,
            TailEvent::CaughtUp => panic!("caught up twice"),
            TailEvent::Idle => {}
        }
    }
    panic!("no record came");
}

#[test]
fn a_tail_catches_up_once_and_follows() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 3);
    let producer = transactional(&unique("kafka-test"));
    write(&topic, 0, &["a", "b"]);
    // Ends in markers, and a partition of nothing but an aborted record.
    write_transaction(&producer, &topic, 1, &["c"], true);
    write_transaction(&producer, &topic, 2, &["x"], false);

    let mut tail = Tail::open(&connection(), &topic, &BTreeMap::new()).unwrap();
    let mut old = catch_up(&mut tail);
    old.sort_by_key(|record| (record.partition, record.offset));
    assert_eq!(values(&old), ["a", "b", "c"]);

    write(&topic, 2, &["d"]);
    assert_eq!(values(&[next(&mut tail)]), ["d"]);
    let positions = tail.positions().clone();
    assert_eq!(positions[&0], 2);
    assert_eq!(positions[&2], 3);

    admin.create_partitions(&topic, 4).unwrap();
    write(&topic, 3, &["e"]);
    assert_eq!(values(&[next(&mut tail)]), ["e"]);

    // Another tail goes on where this one stood.
    write(&topic, 0, &["f"]);
    let mut other = Tail::open(&connection(), &topic, &positions).unwrap();
    let mut rest = catch_up(&mut other);
    rest.sort_by_key(|record| (record.partition, record.offset));
    assert_eq!(values(&rest), ["f", "e"]);
}

#[test]
fn an_empty_topic_is_caught_up_at_once() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    let mut tail = Tail::open(&connection(), &topic, &BTreeMap::new()).unwrap();
    assert_eq!(tail.poll(Duration::ZERO), Ok(TailEvent::CaughtUp));
}

#[test]
fn a_tail_cannot_start_where_nothing_is() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    write(&topic, 0, &["a", "b"]);
    let future = Tail::open(&connection(), &topic, &BTreeMap::from([(0, 3)]));
    assert!(matches!(
        future.err(),
        Some(Error::OffsetInFuture {
            offset: 3,
            high: 2,
            ..
        })
    ));
    crate::range::expire(&topic, 0, 1);
    let expired = Tail::open(&connection(), &topic, &BTreeMap::from([(0, 0)]));
    assert!(matches!(
        expired.err(),
        Some(Error::OffsetExpired {
            offset: 0,
            low: 1,
            ..
        })
    ));
}
