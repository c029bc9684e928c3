//! Events as an event source mapping on Kafka makes them of records, and what an answer says of these.
//!
//! Format: AWS Lambda Developer Guide, "Using Lambda with self-managed Apache Kafka". Bytes are base64, those of
//! headers a list of signed numbers, and records stand by `TOPIC-PARTITION`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_kafka::{GroupOffset, RecordView, TopicPartition};
use serde::Deserialize;
use serde_json::{Value, json};

/// The most that Lambda takes as an event.
pub(super) const LARGEST: usize = 6 << 20;
/// What stands around the records at most.
const AROUND: usize = 4 << 10;

/// A record on its way into an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) place: TopicPartition,
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    json: String,
}

impl Item {
    pub(super) fn of(record: &RecordView<'_>) -> Self {
        let bytes = |bytes: Option<&[u8]>| bytes.map(|bytes| STANDARD.encode(bytes));
        let headers: Vec<Value> = record
            .headers()
            .map(|(name, value)| {
                let signed = value.map(|bytes| -> Vec<i8> {
                    bytes.iter().map(|byte| byte.cast_signed()).collect()
                });
                json!({ name.as_ref(): signed })
            })
            .collect();
        let timestamp = record.timestamp_ms();
        let json = json!({
            "topic": record.topic(),
            "partition": record.partition(),
            "offset": record.offset(),
            "timestamp": timestamp.unwrap_or(-1),
            "timestampType": if timestamp.is_some() { "CREATE_TIME" } else { "NO_TIMESTAMP_TYPE" },
            "key": bytes(record.key()),
            "value": bytes(record.value()),
            "headers": headers,
        });
        Self {
            place: TopicPartition::new(record.topic(), record.partition()),
            offset: record.offset(),
            timestamp_ms: timestamp,
            json: json.to_string(),
        }
    }

    /// The key as it came.
    pub(super) fn key(&self) -> Option<Vec<u8>> {
        let record: Value = serde_json::from_str(&self.json).ok()?;
        STANDARD.decode(record["key"].as_str()?).ok()
    }

    /// How many bytes of an event it takes.
    pub(super) fn size(&self) -> usize {
        self.json.len() + 1
    }

    /// Whether it fits into no event.
    pub(super) fn is_too_large(&self) -> bool {
        self.size() + AROUND > LARGEST
    }
}

/// How many of these records one event holds: at most `most`, and no more bytes than Lambda takes.
pub(super) fn fitting<'i>(items: impl IntoIterator<Item = &'i Item>, most: usize) -> usize {
    let mut bytes = AROUND;
    items
        .into_iter()
        .take(most)
        .take_while(|item| {
            bytes += item.size();
            bytes <= LARGEST
        })
        .count()
}

/// The event of these records.
pub(super) fn event(items: &[Item], bootstrap_servers: &str) -> Vec<u8> {
    let mut by_partition: BTreeMap<&TopicPartition, Vec<&str>> = BTreeMap::new();
    for item in items {
        by_partition
            .entry(&item.place)
            .or_default()
            .push(&item.json);
    }
    let lists: Vec<String> = by_partition
        .into_iter()
        .map(|(place, items)| {
            let name = json!(format!("{}-{}", place.topic, place.partition));
            format!("{name}:[{}]", items.join(","))
        })
        .collect();
    format!(
        r#"{{"eventSource":"SelfManagedKafka","bootstrapServers":{},"records":{{{}}}}}"#,
        json!(bootstrap_servers),
        lists.join(",")
    )
    .into_bytes()
}

/// What of an answer a mapping looks at that asks for `ReportBatchItemFailures`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    batch_item_failures: Option<Vec<Failure>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: Identifier,
}

#[derive(Debug, Deserialize)]
struct Identifier {
    /// AWS's pages have had both names.
    #[serde(alias = "topic-partition")]
    partition: String,
    offset: i64,
}

/// Those of the records that come again, as an answer has it: in each partition all from the lowest on that it names.
/// An answer that says nothing names none; one that cannot be read, or names what was not sent, names all.
pub(super) fn unanswered(items: &[Item], answer: &[u8]) -> Vec<Item> {
    if answer.trim_ascii().is_empty() {
        return Vec::new();
    }
    let Ok(answer) = serde_json::from_slice::<Option<Answer>>(answer) else {
        return items.to_vec();
    };
    let mut lowest: BTreeMap<String, i64> = BTreeMap::new();
    for failure in answer
        .and_then(|answer| answer.batch_item_failures)
        .unwrap_or_default()
    {
        let Identifier { partition, offset } = failure.item_identifier;
        let was_sent = |item: &Item| item.offset == offset && name(item) == partition;
        if !items.iter().any(was_sent) {
            return items.to_vec();
        }
        let known = lowest.entry(partition).or_insert(offset);
        *known = offset.min(*known);
    }
    let comes_again = |item: &&Item| {
        let from = lowest.get(&name(item));
        from.is_some_and(|from| item.offset >= *from)
    };
    items.iter().filter(comes_again).cloned().collect()
}

/// Where to go on in each partition once all of these records are settled but `rest`, which are the last ones of theirs.
pub(super) fn settled(items: &[Item], rest: &[Item]) -> Vec<GroupOffset> {
    let mut next: BTreeMap<&TopicPartition, i64> = BTreeMap::new();
    for item in items {
        next.insert(&item.place, item.offset + 1);
    }
    for item in rest.iter().rev() {
        next.insert(&item.place, item.offset);
    }
    next.into_iter()
        .map(|(place, offset)| GroupOffset::new(&place.topic, place.partition, offset))
        .collect()
}

fn name(item: &Item) -> String {
    format!("{}-{}", item.place.topic, item.place.partition)
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    pub(in super::super) fn item(partition: i32, offset: i64) -> Item {
        Item {
            place: TopicPartition::new("input", partition),
            offset,
            timestamp_ms: Some(0),
            json: format!(r#"{{"offset":{offset}}}"#),
        }
    }

    fn offsets(items: &[Item]) -> Vec<(i32, i64)> {
        items
            .iter()
            .map(|item| (item.place.partition, item.offset))
            .collect()
    }

    #[test]
    fn records_stand_by_partition_in_their_order() {
        let event = event(&[item(1, 5), item(0, 7), item(1, 6)], "broker:9092");
        assert_eq!(
            String::from_utf8(event).unwrap(),
            r#"{"eventSource":"SelfManagedKafka","bootstrapServers":"broker:9092","records":{"input-0":[{"offset":7}],"input-1":[{"offset":5},{"offset":6}]}}"#
        );
    }

    #[test]
    fn an_event_holds_no_more_than_lambda_takes() {
        let large = |bytes: usize| Item {
            json: "x".repeat(bytes),
            ..item(0, 0)
        };
        let items = [large(3 << 20), large(2 << 20), large(2 << 20)];
        assert_eq!(fitting(&items, 10), 2);
        assert_eq!(fitting(&items, 1), 1);
        assert!(!items[0].is_too_large());
        assert!(large(LARGEST).is_too_large());
        assert_eq!(fitting([&large(LARGEST)], 10), 0);
    }

    #[test]
    fn an_answer_says_what_comes_again() {
        let items = [item(0, 1), item(1, 1), item(0, 2), item(1, 2)];
        let named = |answer: &str| offsets(&unanswered(&items, answer.as_bytes()));
        assert_eq!(named(""), []);
        assert_eq!(named("null"), []);
        assert_eq!(named("{}"), []);
        assert_eq!(named(r#"{"batchItemFailures":null}"#), []);
        assert_eq!(named(r#"{"batchItemFailures":[]}"#), []);
        for member in ["partition", "topic-partition"] {
            let failure = |partition, offset| {
                format!(
                    r#"{{"itemIdentifier":{{"{member}":"input-{partition}","offset":{offset}}}}}"#
                )
            };
            let answer = |failures: &str| format!(r#"{{"batchItemFailures":[{failures}]}}"#);
            assert_eq!(named(&answer(&failure(1, 2))), [(1, 2)]);
            // All behind the lowest one, so that the order of the partition is kept.
            assert_eq!(named(&answer(&failure(0, 1))), [(0, 1), (0, 2)]);
            // What was not sent is no answer.
            assert_eq!(named(&answer(&failure(7, 1))).len(), 4);
        }
        assert_eq!(named("[").len(), 4);
    }

    #[test]
    fn partitions_go_on_where_they_are_settled() {
        let items = [item(0, 1), item(1, 4), item(0, 2), item(0, 5)];
        let next = |rest: &[Item]| -> Vec<(i32, i64)> {
            settled(&items, rest)
                .into_iter()
                .map(|offset| (offset.partition, offset.offset))
                .collect()
        };
        assert_eq!(next(&[]), [(0, 6), (1, 5)]);
        assert_eq!(next(&[item(0, 2), item(0, 5)]), [(0, 2), (1, 5)]);
    }
}
