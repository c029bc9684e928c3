//! Topics, offsets and groups as the cluster tells them.

use std::collections::BTreeMap;

use millrace_harness::unique;
use millrace_kafka::{Admin, Error, GroupOffset, OutRecord, Producer, partition_by_key};

use crate::{LIMIT, connection, range, read, topic, write};

#[test]
fn a_topic_is_described_as_it_was_made() {
    let admin = Admin::new(&connection()).unwrap();
    let name = unique("kafka-test");
    let config = BTreeMap::from(
        [
            ("cleanup.policy", "compact,delete"),
            ("retention.ms", "86400000"),
            ("max.message.bytes", "2000000"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    admin.create_topic(&name, 3, 1, &config).unwrap();
    let description = admin.describe_topic(&name).unwrap();
    assert_eq!(description.name, name);
    assert_eq!(description.partitions, 3);
    assert_eq!(description.retention_ms, 86_400_000);
    assert_eq!(description.max_message_bytes, 2_000_000);
    assert!(description.is_compacted());
    assert_eq!(description.id.len(), 36);
    assert!(admin.topics().unwrap().contains(&name));
    assert!(!admin.cluster_id().unwrap().is_empty());

    assert_eq!(
        admin.create_topic(&name, 1, 1, &BTreeMap::new()),
        Err(Error::TopicExists {
            topic: name.clone()
        })
    );
    admin.create_partitions(&name, 5).unwrap();
    assert_eq!(admin.describe_topic(&name).unwrap().partitions, 5);
}

#[test]
fn a_name_that_kafka_takes_for_another_is_refused() {
    let admin = Admin::new(&connection()).unwrap();
    let name = unique("kafka-test");
    let create = |name: &str| admin.create_topic(name, 1, 1, &BTreeMap::new());
    create(&format!("{name}.x")).unwrap();
    let topic = format!("{name}_x");
    assert_eq!(create(&topic), Err(Error::TopicRefused { topic }));
}

#[test]
fn a_topic_made_again_has_another_id() {
    let admin = Admin::new(&connection()).unwrap();
    let name = topic(&admin, 1);
    let first = admin.describe_topic(&name).unwrap().id;
    admin.check_topic_id(&name, &first).unwrap();
    admin.delete_topics(&[&name]).unwrap();
    assert_eq!(
        admin.describe_topic(&name),
        Err(Error::TopicNotFound {
            topic: name.clone()
        })
    );
    // What is gone already is passed over.
    admin.delete_topics(&[&name]).unwrap();
    admin.create_topic(&name, 1, 1, &BTreeMap::new()).unwrap();
    let second = admin.describe_topic(&name).unwrap().id;
    assert_eq!(
        admin.check_topic_id(&name, &first),
        Err(Error::TopicRecreated {
            topic: name,
            expected: first,
            found: second
        })
    );
}

#[test]
fn names_that_no_topic_can_have_are_errors() {
    let admin = Admin::new(&connection()).unwrap();
    for name in ["", "a\0b"] {
        assert!(matches!(
            admin.describe_topic(name),
            Err(Error::TopicNotFound { .. })
        ));
    }
    assert!(matches!(
        admin.create_topic("no spaces", 1, 1, &BTreeMap::new()),
        Err(Error::TopicRefused { .. })
    ));
}

#[test]
fn a_time_becomes_offsets() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 2);
    let producer = Producer::new(&connection()).unwrap();
    for time in [1_000, 2_000, 3_000] {
        let record = OutRecord::to(&topic)
            .partition(0)
            .timestamp_ms(time)
            .value(b"x");
        producer.send(&record).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    let offsets = |time| admin.offsets_for_time(&topic, time).unwrap();
    assert_eq!(offsets(1_500), BTreeMap::from([(0, 1), (1, 0)]));
    assert_eq!(offsets(2_000), BTreeMap::from([(0, 1), (1, 0)]));
    assert_eq!(offsets(9_000), BTreeMap::from([(0, 3), (1, 0)]));
    assert_eq!(offsets(0), BTreeMap::from([(0, 0), (1, 0)]));
}

#[test]
fn offsets_of_a_group_without_members_keep_their_notes() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 2);
    write(&topic, 1, &["a", "b", "c"]);
    let group = unique("kafka-test");
    assert!(admin.group(&group).unwrap().is_empty());
    assert!(admin.committed(&group, &topic).unwrap().is_empty());

    let offset = GroupOffset::new(&topic, 1, 2).with_metadata("registry=17 – ö");
    admin.commit(&group, std::slice::from_ref(&offset)).unwrap();
    assert_eq!(admin.committed(&group, &topic).unwrap(), [offset]);
    assert!(admin.group(&group).unwrap().is_empty());

    let lag = admin.lag(&group, &topic).unwrap();
    assert_eq!((lag[0].committed, lag[0].lag), (None, 0));
    assert_eq!((lag[1].committed, lag[1].end, lag[1].lag), (Some(2), 3, 1));

    admin.delete_group(&group).unwrap();
    assert!(admin.committed(&group, &topic).unwrap().is_empty());
    admin.delete_group(&group).unwrap();
}

#[test]
fn the_client_chooses_partitions_as_we_say_that_java_does() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 7);
    let producer = Producer::new(&connection()).unwrap();
    for index in 0..50 {
        let key = format!("key-{index}");
        producer
            .send(&OutRecord::to(&topic).key(key.as_bytes()))
            .unwrap();
    }
    producer.flush(LIMIT).unwrap();
    let ends: Vec<_> = admin
        .watermarks(&topic)
        .unwrap()
        .iter()
        .map(|marks| range(marks.partition, marks.low, marks.stable))
        .collect();
    let records = read(&topic, &ends);
    assert_eq!(records.len(), 50);
    for record in records {
        let key = record.key.unwrap();
        assert_eq!(record.partition, partition_by_key(&key, 7));
    }
}

#[test]
fn a_record_that_is_too_large_is_told() {
    let admin = Admin::new(&connection()).unwrap();
    let name = unique("kafka-test");
    let config = BTreeMap::from([("max.message.bytes".to_owned(), "1000".to_owned())]);
    admin.create_topic(&name, 1, 1, &config).unwrap();
    let producer = Producer::new(&connection()).unwrap();
    let value = vec![0; 5_000];
    let record = OutRecord::to(&name).partition(0).value(&value);
    let told = producer.send_and_wait(&record).unwrap().wait();
    assert!(
        matches!(told, Err(Error::MessageTooLarge { .. })),
        "{told:?}"
    );
    producer.send(&record).unwrap();
    let told = producer.flush(LIMIT);
    assert!(
        matches!(told, Err(Error::MessageTooLarge { .. })),
        "{told:?}"
    );
    // What the client itself refuses.
    let value = vec![0; 2_000_000];
    let told = producer.send(&OutRecord::to(&name).partition(0).value(&value));
    assert!(
        matches!(told, Err(Error::MessageTooLarge { .. })),
        "{told:?}"
    );
}

#[test]
fn unknown_topics_and_partitions_are_told_to_producers() {
    let admin = Admin::new(&connection()).unwrap();
    let topic = topic(&admin, 1);
    let producer = Producer::new(
        &connection()
            .with("topic.metadata.propagation.max.ms", "500")
            .with("message.timeout.ms", "5000"),
    )
    .unwrap();
    let told = producer
        .send_and_wait(&OutRecord::to("no-such-topic").value(b"x"))
        .and_then(millrace_kafka::Delivery::wait);
    assert_eq!(
        told,
        Err(Error::TopicNotFound {
            topic: "no-such-topic".into()
        })
    );
    // The client must know the topic before it can miss a partition of it.
    producer.send(&OutRecord::to(&topic).value(b"x")).unwrap();
    producer.flush(LIMIT).unwrap();
    let told = producer
        .send_and_wait(&OutRecord::to(&topic).partition(9).value(b"x"))
        .and_then(millrace_kafka::Delivery::wait);
    assert_eq!(
        told,
        Err(Error::UnknownPartition {
            topic,
            partition: 9
        })
    );
}
