//! An independent reader of committed records: outputs, dead letters, events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millrace_harness::{Kafka, block_until};
use millrace_kafka::{Admin, Connection};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

/// What was read of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Answer {
    /// The only header of this name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(header, _)| header == name);
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "two headers {name}: {self:?}");
        value
            .as_deref()
            .map(|value| std::str::from_utf8(value).unwrap())
    }

    /// Partition and offset of the record that it answers.
    pub fn source(&self) -> (i32, i64) {
        let source = self.header("millrace-source").unwrap();
        let mut parts = source.rsplit('/');
        let offset = parts.next().unwrap().parse().unwrap();
        (parts.next().unwrap().parse().unwrap(), offset)
    }

    /// The version that answered.
    pub fn version(&self) -> u32 {
        self.header("millrace-version").unwrap().parse().unwrap()
    }

    /// The value as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.value.as_deref().unwrap()).unwrap()
    }
}

/// Reads a topic from its beginning, and keeps all that it has read.
pub struct Answers {
    topic: String,
    admin: Admin,
    consumer: BaseConsumer,
    partitions: usize,
    pub all: Vec<Answer>,
}

impl Answers {
    pub fn of(kafka: &Kafka, topic: &str) -> Self {
        let consumer: BaseConsumer = kafka
            .config()
            .set("group.id", "answers")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let metadata = consumer
            .fetch_metadata(Some(topic), Duration::from_secs(30))
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&list).unwrap();
        Self {
            topic: topic.to_owned(),
            admin: Admin::new(&Connection::new(kafka.admin_properties())).unwrap(),
            consumer,
            partitions: list.count(),
            all: Vec::new(),
        }
    }

    /// Reads on until `condition` holds for all that was read.
    pub fn until(&mut self, what: &str, limit: Duration, condition: impl Fn(&[Answer]) -> bool) {
        block_until(what, limit, || {
            while self
                .next(Duration::from_millis(20))
                .is_some_and(|next| next.is_ok())
            {}
            if condition(&self.all) {
                return Ok(());
            }
            let last = self.all.last().map(|answer| {
                let value = answer.value.as_deref().unwrap_or_default();
                String::from_utf8_lossy(value).into_owned()
            });
            Err(format!("{} records, the last one {last:?}", self.all.len()))
        });
    }

    /// Reads until there are so many records.
    pub fn count(&mut self, records: usize, limit: Duration) {
        self.until(&format!("{records} records"), limit, |all| {
            all.len() >= records
        });
    }

    /// Reads on to the end of every partition: what stands there now, and not more.
    pub fn drain(mut self) -> Vec<Answer> {
        // A transaction's markers follow its commit: until they are there, its records do not count.
        block_until("no open transaction", Duration::from_mins(1), || {
            let marks = self
                .admin
                .watermarks(&self.topic)
                .map_err(|error| error.to_string())?;
            if marks.iter().all(|mark| mark.stable == mark.high) {
                Ok(())
            } else {
                Err(format!("{marks:?}"))
            }
        });
        let mut seen_end = BTreeSet::new();
        // Ends that were seen before the last record came say nothing: begin anew.
        let mut list = self.consumer.assignment().unwrap();
        for partition in 0..self.partitions {
            let element = &list.elements()[partition];
            let (topic, number) = (element.topic().to_owned(), element.partition());
            list.set_partition_offset(&topic, number, Offset::Beginning)
                .unwrap();
        }
        self.consumer.unassign().unwrap();
        self.all.clear();
        self.consumer.assign(&list).unwrap();
        block_until("the end of every partition", Duration::from_mins(1), || {
            while let Some(next) = self.next(Duration::from_millis(100)) {
                if let Err(partition) = next {
                    seen_end.insert(partition);
                }
            }
            if seen_end.len() == self.partitions {
                Ok(())
            } else {
                Err(format!("{seen_end:?} of {}", self.partitions))
            }
        });
        self.all
    }

    /// The next record, or the partition whose end was reached.
    fn next(&mut self, wait: Duration) -> Option<Result<(), i32>> {
        match self.consumer.poll(wait)? {
            Ok(message) => {
                let headers = message.headers().map_or_else(Vec::new, |headers| {
                    headers
                        .iter()
                        .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                        .collect()
                });
                self.all.push(Answer {
                    partition: message.partition(),
                    offset: message.offset(),
                    timestamp_ms: message.timestamp().to_millis(),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers,
                });
                Some(Ok(()))
            }
            Err(KafkaError::PartitionEOF(partition)) => Some(Err(partition)),
            // Brokers that are away come back in the tests that take them away.
            Err(_) => None,
        }
    }
}

/// All but where an answer lies in its partition, by what it answers.
pub fn contents(mut answers: Vec<Answer>) -> Vec<Answer> {
    for answer in &mut answers {
        answer.offset = 0;
    }
    answers.sort_by_key(Answer::source);
    answers
}

/// Fails unless every offset of every input partition is answered once, and nothing else is.
pub fn assert_each_once(answers: &[Answer], expected: &BTreeMap<i32, i64>) {
    let mut times: BTreeMap<(i32, i64), usize> = BTreeMap::new();
    for answer in answers {
        *times.entry(answer.source()).or_default() += 1;
    }
    let repeated: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(repeated.is_empty(), "answered more than once: {repeated:?}");
    let wanted: BTreeSet<(i32, i64)> = expected
        .iter()
        .flat_map(|(partition, end)| (0..*end).map(|offset| (*partition, offset)))
        .collect();
    let found: BTreeSet<(i32, i64)> = times.into_keys().collect();
    let missing: Vec<_> = wanted.difference(&found).take(10).collect();
    let foreign: Vec<_> = found.difference(&wanted).take(10).collect();
    assert!(
        missing.is_empty(),
        "not answered: {missing:?} and maybe more"
    );
    assert!(foreign.is_empty(), "answers to nothing: {foreign:?}");
}
