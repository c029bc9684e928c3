//! Transactions: all or nothing for readers of committed records, and fences.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_harness::{block_until, unique};
use millrace_kafka::{
    Admin, Assigned, BatchLimits, Error, GroupConsumer, GroupOffset, GroupOptions, OutRecord,
    RebalanceHandler, Tail, TailEvent, TopicPartition, TransactionalProducer,
};

use crate::{LIMIT, SHORT, connection, range, read, topic, transactional, values, write};

struct Nothing;

impl RebalanceHandler for Nothing {
    fn on_assigned(
        &mut self,
        _: &GroupConsumer,
        _: &[Assigned],
    ) -> Result<Vec<TopicPartition>, Error> {
        Ok(Vec::new())
    }

    fn on_revoking(&mut self, _: &GroupConsumer, _: &[TopicPartition]) -> Result<(), Error> {
        Ok(())
    }

    fn on_lost(&mut self, _: &GroupConsumer, _: &[TopicPartition]) {}
}

#[test]
fn records_and_offsets_become_visible_together_or_never() {
    let admin = Admin::new(&connection()).unwrap();
    let input = topic(&admin, 1);
    let output = topic(&admin, 1);
    write(&input, 0, &["a", "b", "c"]);
    let group = unique("kafka-test");
    let producer = transactional(&unique("kafka-test"));
    let consumer = GroupConsumer::new(
        &connection(),
        GroupOptions::new(&group, &[&input]).instance("replica-0"),
    )
    .unwrap();
    let limits = BatchLimits {
        max_records: 3,
        max_bytes: usize::MAX,
        max_wait: SHORT,
    };
    // Copies what comes next, in one transaction, once as an attempt that fails.
    for is_committed in [false, true] {
        let mut copied = 0;
        producer.begin().unwrap();
        let deadline = Instant::now() + LIMIT;
        while copied < 3 {
            assert!(Instant::now() < deadline, "only {copied} records came");
            for record in consumer.poll_batch(limits, &mut Nothing).unwrap() {
                let mut out = OutRecord::to(&output).partition(record.partition());
                out.value = record.value();
                producer.send(&out).unwrap();
                copied += 1;
            }
        }
        let offsets: Vec<GroupOffset> = consumer
            .positions()
            .unwrap()
            .into_iter()
            .map(|offset| offset.with_metadata("applied 7"))
            .collect();
        producer
            .send_offsets(&consumer.group_metadata().unwrap(), &offsets, LIMIT)
            .unwrap();
        producer.flush(LIMIT).unwrap();
        let mut tail = Tail::open(&connection(), &output, &BTreeMap::new()).unwrap();
        assert!(!matches!(tail.poll(SHORT).unwrap(), TailEvent::Record(_)));
        if is_committed {
            producer.commit(LIMIT).unwrap();
        } else {
            producer.abort(LIMIT).unwrap();
            assert!(admin.committed(&group, &input).unwrap().is_empty());
            consumer.seek_to_committed().unwrap();
        }
    }
    wait_for_committed(&admin, &output, &["a", "b", "c"]);
    assert_eq!(
        admin.committed(&group, &input).unwrap(),
        [GroupOffset::new(&input, 0, 3).with_metadata("applied 7")]
    );
}

#[test]
fn a_second_producer_fences_the_first_and_ends_its_transaction() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    let id = unique("kafka-test");
    let old = transactional(&id);
    old.begin().unwrap();
    old.send(&OutRecord::to(&topic).partition(0).value(b"old"))
        .unwrap();
    old.flush(LIMIT).unwrap();

    let new = transactional(&id);
    new.begin().unwrap();
    new.send(&OutRecord::to(&topic).partition(0).value(b"new"))
        .unwrap();
    new.commit(LIMIT).unwrap();
    let error = old.commit(LIMIT).unwrap_err();
    assert!(error.is_fenced(), "{error}");
    assert!(!error.is_retriable());
    // A fenced producer stays so.
    let error = old.begin().unwrap_err();
    assert!(error.is_fenced(), "{error}");

    wait_for_committed(&admin, &topic, &["new"]);
}

/// A broker answers the end of a transaction before it has written the markers.
fn wait_for_committed(admin: &Admin, topic: &str, expected: &[&str]) {
    block_until("the committed records", LIMIT, || {
        let end = admin.watermarks(topic).unwrap()[0].stable;
        let records = read(topic, &[range(0, 0, end)]);
        let found = values(&records);
        if found == expected {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
}

#[test]
fn a_record_that_cannot_be_written_makes_the_transaction_abortable() {
    let admin = Admin::new(&connection()).unwrap();
    let name = unique("kafka-test");
    let config = BTreeMap::from([("max.message.bytes".to_owned(), "1000".to_owned())]);
    admin.create_topic(&name, 1, 1, &config).unwrap();
    let producer = transactional(&unique("kafka-test"));
    producer.begin().unwrap();
    let value = vec![0; 5_000];
    producer
        .send(&OutRecord::to(&name).partition(0).value(&value))
        .unwrap();
    let error = producer.commit(LIMIT).unwrap_err();
    assert!(error.is_abortable(), "{error}");
    assert!(error.to_string().contains(&name), "{error}");
    producer.abort(LIMIT).unwrap();
    // The producer goes on. The refused record has left a gap in librdkafka's
    // sequence numbers, which one more abort heals.
    let mut aborts = 0;
    loop {
        producer.begin().unwrap();
        producer
            .send(&OutRecord::to(&name).partition(0).value(b"small"))
            .unwrap();
        match producer.commit(LIMIT) {
            Ok(()) => break,
            Err(error) => assert!(error.is_abortable() && aborts == 0, "{error}"),
        }
        producer.abort(LIMIT).unwrap();
        aborts += 1;
    }
}

#[test]
fn a_dropped_producer_leaves_no_open_transaction() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    let producer = TransactionalProducer::new(
        &connection(),
        &unique("kafka-test"),
        Duration::from_mins(10),
    )
    .unwrap();
    producer.init(LIMIT).unwrap();
    producer.begin().unwrap();
    producer
        .send(&OutRecord::to(&topic).partition(0).value(b"x"))
        .unwrap();
    producer.flush(LIMIT).unwrap();
    assert_eq!(admin.watermarks(&topic).unwrap()[0].stable, 0);
    drop(producer);
    block_until("the aborted transaction's marker", LIMIT, || {
        let marks = admin.watermarks(&topic).unwrap()[0];
        if (marks.stable, marks.high) == (2, 2) {
            Ok(())
        } else {
            Err(format!("{marks:?}"))
        }
    });
}

#[test]
fn a_commit_does_not_wait_for_polls() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    let producer = transactional(&unique("kafka-test"));
    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        producer.begin().unwrap();
        producer
            .send(&OutRecord::to(&topic).partition(0).value(b"x"))
            .unwrap();
        let start = Instant::now();
        producer.commit(LIMIT).unwrap();
        fastest = fastest.min(start.elapsed());
    }
    // rdkafka's own commit takes 100 ms at the least.
    assert!(fastest < Duration::from_millis(60), "{fastest:?}");
}
