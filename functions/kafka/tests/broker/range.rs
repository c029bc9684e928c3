//! Ranges end by position, and say why they cannot be read.

use std::time::{SystemTime, UNIX_EPOCH};

use millrace_harness::{Kafka, block_until, unique};
use millrace_kafka::{Admin, Error, OutRecord, Producer, RangeReader, RecordView};
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};

use crate::{
    LIMIT, SHORT, connection, range, read, topic, transactional, values, write, write_transaction,
};

#[test]
fn a_range_passes_over_markers_and_aborted_records() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 3);
    let producer = transactional(&unique("kafka-test"));
    write(&topic, 0, &["a", "b", "c"]); // 0, 1, 2
    write_transaction(&producer, &topic, 0, &["d", "e"], true); // 3, 4, marker 5
    write_transaction(&producer, &topic, 0, &["x", "y"], false); // 6, 7, marker 8
    write_transaction(&producer, &topic, 0, &["f"], true); // 9, marker 10
    write_transaction(&producer, &topic, 1, &["z"], false); // 0, marker 1: no record at all
    // A broker answers the end of a transaction before it has written the markers.
    block_until("the last markers", LIMIT, || {
        let marks = admin.watermarks(&topic).unwrap();
        let found = [0, 1].map(|place: usize| {
            let mark = &marks[place];
            (mark.low, mark.stable, mark.high)
        });
        if found == [(0, 11, 11), (0, 2, 2)] {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });

    let all = read(&topic, &[range(0, 0, 11), range(1, 0, 2), range(2, 0, 0)]);
    assert_eq!(values(&all), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(all[5].offset, 9);
    // Ends that are a marker, an aborted record, and in the middle.
    assert_eq!(
        values(&read(&topic, &[range(0, 1, 6)])),
        ["b", "c", "d", "e"]
    );
    assert_eq!(values(&read(&topic, &[range(0, 4, 8)])), ["e"]);
    assert_eq!(values(&read(&topic, &[range(0, 0, 2)])), ["a", "b"]);
    assert!(read(&topic, &[range(0, 5, 9)]).is_empty());
    // Later records change nothing.
    write(&topic, 0, &["g"]);
    assert_eq!(values(&read(&topic, &[range(0, 9, 11)])), ["f"]);
}

#[test]
fn a_range_waits_for_an_open_transaction_inside_it() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    let producer = transactional(&unique("kafka-test"));
    producer.begin().unwrap();
    for value in ["a", "b"] {
        let record = OutRecord::to(&topic).partition(0).value(value.as_bytes());
        producer.send(&record).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    let marks = admin.watermarks(&topic).unwrap();
    assert_eq!((marks[0].stable, marks[0].high), (0, 2));

    let mut reader = RangeReader::open(&connection(), &topic, &[range(0, 0, 2)]).unwrap();
    assert!(reader.next_batch(10, SHORT).unwrap().is_empty());
    assert!(!reader.is_done());
    producer.commit(LIMIT).unwrap();
    let mut read = Vec::new();
    while !reader.is_done() {
        let batch = reader.next_batch(10, SHORT).unwrap();
        read.extend(batch.iter().map(RecordView::to_record));
    }
    assert_eq!(values(&read), ["a", "b"]);
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    write(&topic, 0, &["a", "b", "c", "d"]);

    let open = |range| {
        RangeReader::open(&connection(), &topic, &[range])
            .err()
            .unwrap()
    };
    assert_eq!(
        open(range(0, 0, 5)),
        Error::OffsetInFuture {
            topic: topic.clone(),
            partition: 0,
            offset: 5,
            low: 0,
            high: 4
        }
    );
    assert_eq!(
        open(range(7, 0, 1)),
        Error::UnknownPartition {
            topic: topic.clone(),
            partition: 7
        }
    );
    assert_eq!(
        RangeReader::open(&connection(), "no-such-topic", &[range(0, 0, 1)]).err(),
        Some(Error::TopicNotFound {
            topic: "no-such-topic".into()
        })
    );

    expire(&topic, 0, 3);
    assert_eq!(
        open(range(0, 2, 4)),
        Error::OffsetExpired {
            topic: topic.clone(),
            partition: 0,
            offset: 2,
            low: 3,
            high: 4
        }
    );
    assert_eq!(values(&read(&topic, &[range(0, 3, 4)])), ["d"]);
}

#[test]
fn a_range_that_expires_before_it_is_read_is_told() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    write(&topic, 0, &["a", "b", "c", "d"]);
    let mut reader = RangeReader::open(&connection(), &topic, &[range(0, 0, 4)]).unwrap();
    expire(&topic, 0, 2);
    let error = block_until("the range's end", LIMIT, || {
        match reader.next_batch(10, SHORT) {
            Err(error) => Ok(error),
            Ok(records) => Err(format!("{} records", records.len())),
        }
    });
    assert!(
        matches!(
            error,
            Error::OffsetExpired {
                offset: 0,
                low: 2,
                high: 4,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn keys_headers_and_times_keep_their_bytes_and_nulls() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    let producer = Producer::new(&connection()).unwrap();
    // Not long ago, or retention would take the record from under the test.
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let timestamp = i64::try_from(since_1970.as_millis()).unwrap() - 60_000;
    let full = OutRecord::to(&topic)
        .partition(0)
        .key(b"")
        .value(&[0, 255])
        .timestamp_ms(timestamp)
        .header("label", b"3".as_slice())
        .header("empty", b"".as_slice())
        .null_header("null")
        .header("label", b"4".as_slice());
    let delivered = producer.send_and_wait(&full).unwrap().wait().unwrap();
    assert_eq!((delivered.partition, delivered.offset), (0, 0));
    producer.send(&OutRecord::to(&topic).partition(0)).unwrap();
    producer.flush(LIMIT).unwrap();

    let records = read(&topic, &[range(0, 0, 2)]);
    let record = &records[0];
    assert_eq!(record.key.as_deref(), Some(b"".as_slice()));
    assert_eq!(record.value.as_deref(), Some([0, 255].as_slice()));
    assert_eq!(record.timestamp_ms, Some(timestamp));
    let headers: Vec<(&str, Option<&[u8]>)> = record
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_deref()))
        .collect();
    assert_eq!(
        headers,
        [
            ("label", Some(b"3".as_slice())),
            ("empty", Some(b"".as_slice())),
            ("null", None),
            ("label", Some(b"4".as_slice())),
        ]
    );
    assert_eq!(record.header("label"), Some(b"4".as_slice()));
    let bare = &records[1];
    assert_eq!((&bare.key, &bare.value), (&None, &None));
    assert!(bare.headers.is_empty());
    assert!(bare.timestamp_ms.is_some());
}

/// Lets Kafka forget what stands before `offset`.
pub(crate) fn expire(topic: &str, partition: i32, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset))
        .unwrap();
    let admin = Kafka::shared().admin();
    futures::executor::block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
}
