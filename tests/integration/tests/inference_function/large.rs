//! Messages of 10 MB: none is lost, and those in flight are bounded by their bytes.

use millrace_harness::Kafka;
use millrace_kafka::{Connection, GroupOffset, OutRecord, Producer};

use crate::answers::assert_each_once;
use crate::fixture::{Fixture, end};
use crate::models;

const SIZE: usize = 10_000_000;
const COUNT: usize = 40;
/// What a topic has to take: dead letters are larger than their records.
const LIMIT: &str = "11000000";

#[tokio::test]
async fn large_messages_take_less_memory_than_all_of_them_have() {
    let mut fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let limit = [("max.message.bytes", LIMIT)];
    fixture.input = fixture.kafka.topic_with("large", 1, &limit).await;
    fixture.dead = fixture.kafka.topic_with("large-dead", 1, &limit).await;
    fixture.commit(&[GroupOffset::new(&fixture.input, 0, 0)]);
    let connection = Connection::new(fixture.kafka.client_properties());
    let producer = Producer::new(&connection.with("message.max.bytes", LIMIT)).unwrap();
    let send = |value: &[u8]| {
        let record = OutRecord::to(&fixture.input).value(value);
        producer.send_and_wait(&record).unwrap().wait().unwrap();
    };
    let large = vec![7; SIZE];
    for _ in 0..COUNT {
        send(&large);
    }
    send(&[1; 4]);

    let process = fixture.start(0, &fixture.spec(0, &version));
    fixture.wait_until_done();
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().trim_end_matches(" kB");
    let peak: usize = peak.parse().unwrap();
    assert!(peak << 10 < COUNT * SIZE, "{peak} KiB at the most");
    end(process);
    let dead = fixture.dead_letters().drain();
    assert_eq!(dead.len(), COUNT);
    assert!(
        dead.iter()
            .all(|letter| letter.value.as_deref() == Some(large.as_slice()))
    );
    let all = [fixture.outputs().drain(), dead].concat();
    assert_each_once(&all, &fixture.ends());
}
