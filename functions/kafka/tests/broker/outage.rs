//! A broker that goes away and comes back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use millrace_harness::{Kafka, KafkaOptions, block_until};
use millrace_kafka::{
    Admin, Connection, Error, GroupOffset, OutRecord, Producer, Range, RangeReader, Tail, TailEvent,
};

use crate::{LIMIT, SHORT, values};

#[test]
fn clients_wait_for_a_broker_and_go_on() {
    let kafka = Kafka::start(&KafkaOptions::default());
    let connection = Connection::new(kafka.client_properties());
    let admin = Admin::new(&connection).unwrap();
    admin.create_topic("t", 1, 1, &BTreeMap::new()).unwrap();
    assert!(connection.health().is_connected());
    let producer = Producer::new(&connection).unwrap();
    let write = |value: &'static str| {
        producer.send_and_wait(&OutRecord::to("t").partition(0).value(value.as_bytes()))
    };
    write("a").unwrap().wait().unwrap();
    write("b").unwrap().wait().unwrap();
    let range = Range {
        partition: 0,
        start: 0,
        end: 2,
    };
    let mut reader = RangeReader::open(&connection, "t", &[range]).unwrap();
    let mut tail = Tail::open(&connection, "t", &BTreeMap::from([(0, 2)])).unwrap();
    assert_eq!(tail.poll(SHORT).unwrap(), TailEvent::CaughtUp);

    kafka.stop();
    block_until("the outage", LIMIT, || {
        let status = connection.health().status();
        if status.connected {
            Err("connected")
        } else {
            Ok(())
        }
    });
    assert!(connection.health().status().last_error.is_some());
    assert!(matches!(
        admin.probe(Duration::from_millis(500)),
        Err(Error::Unreachable { .. })
    ));
    let opened = RangeReader::open(&connection, "t", &[range]).err().unwrap();
    assert!(opened.is_retriable(), "{opened}");
    // Readers wait, a record waits.
    assert_eq!(tail.poll(SHORT).unwrap(), TailEvent::Idle);
    assert!(reader.next_batch(10, SHORT).unwrap().is_empty());
    let waiting = write("c").unwrap();

    kafka.start_again();
    waiting.wait().unwrap();
    block_until("the return", LIMIT, || {
        if connection.health().is_connected() {
            Ok(())
        } else {
            Err("away")
        }
    });
    let record = block_until("the record written meanwhile", LIMIT, || {
        match tail.poll(SHORT).unwrap() {
            TailEvent::Record(record) => Ok(record),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(values(&[record]), ["c"]);
    let mut read = Vec::new();
    block_until("the range's end", LIMIT, || {
        for record in reader.next_batch(10, SHORT).unwrap() {
            read.push(record.to_record());
        }
        if reader.is_done() {
            Ok(())
        } else {
            Err("not done")
        }
    });
    assert_eq!(values(&read), ["a", "b"]);
}

#[test]
fn nobody_there_is_an_error_that_may_pass() {
    // A port that nothing listens on.
    let properties = BTreeMap::from([(
        "bootstrap.servers".to_owned(),
        format!("127.0.0.1:{}", millrace_harness::free_port()),
    )]);
    let connection = Connection::new(&properties);
    let admin = Admin::new(&connection).unwrap();
    let error = admin.probe(Duration::from_secs(2)).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.is_retriable());
    block_until("the health to say so", LIMIT, || {
        match connection.health().status().last_error {
            Some(_) => Ok(()),
            None => Err("no error yet"),
        }
    });
    assert!(!connection.health().is_connected());
}

/// Everything that asks a group's coordinator.
fn ask_coordinator(admin: &Admin) -> [Result<(), Error>; 4] {
    [
        admin.group("read").map(drop),
        admin.committed("read", "t").map(drop),
        admin.commit("written", &[GroupOffset::new("t", 0, 0)]),
        admin.delete_group("removed"),
    ]
}

#[test]
fn questions_to_a_coordinator_outlive_an_outage() {
    let kafka = Kafka::start(&KafkaOptions::default());
    let connection = Connection::new(kafka.client_properties());
    let admin = Admin::new(&connection).unwrap();
    admin.create_topic("t", 1, 1, &BTreeMap::new()).unwrap();
    let answers = |what: &str| {
        block_until(what, LIMIT, || {
            ask_coordinator(&admin)
                .into_iter()
                .collect::<Result<(), _>>()
        });
    };
    answers("the coordinator's first answers");
    kafka.kill();
    // All of these find nobody. None may still be on its way when the broker is back.
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for answer in ask_coordinator(&admin) {
                    let error = answer.unwrap_err();
                    assert!(error.is_retriable(), "{error}");
                }
            });
        }
    });
    kafka.start_again();
    answers("the coordinator's answers after the outage");

    // And these are in the middle of it when the broker goes, and when it comes.
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for error in ask_coordinator(&admin).into_iter().filter_map(Result::err) {
                        assert!(error.is_retriable(), "{error}");
                    }
                }
            });
        }
        for round in 0..5 {
            if round % 2 == 0 {
                kafka.kill();
            } else {
                kafka.stop();
            }
            kafka.start_again();
        }
        done.store(true, Ordering::Relaxed);
    });
    answers("the coordinator's answers at the end");
}
