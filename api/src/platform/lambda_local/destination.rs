//! Where a mapping tells of records that it gave up: a topic, with a letter for each of them.
//!
//! Format: AWS Lambda Developer Guide, "Using a Kafka topic as an on-failure destination". A letter has the key of its record
//! and holds the event of that record alone.
//!
//! Invariant: a letter is acknowledged before its record is passed over.

use chrono::{DateTime, SecondsFormat, Utc};
use millrace_kafka::{Connection, Error, OutRecord, Producer};
use serde_json::{Value, json};
use uuid::Uuid;

use super::event::{Item, event};
use super::runtime_api::ARN;

/// Why records are given up, as AWS calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    RetriesExhausted,
    RecordAgeExceeded,
    MaximumPayloadSizeExceeded,
}

impl Condition {
    fn name(self) -> &'static str {
        match self {
            Self::RetriesExhausted => "RetriesExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
            Self::MaximumPayloadSizeExceeded => "MaximumPayloadSizeExceeded",
        }
    }
}

/// Writes the letters of these records, and returns when all are acknowledged.
pub(super) fn tell(
    connection: &Connection,
    topic: &str,
    servers: &str,
    items: &[Item],
    condition: Condition,
    invocations: u32,
) -> Result<(), Error> {
    let producer = Producer::new(connection)?;
    let mut deliveries = Vec::with_capacity(items.len());
    for item in items {
        let letter = letter(item, servers, condition, invocations, Utc::now()).to_string();
        let key = item.key();
        let record = OutRecord {
            key: key.as_deref(),
            value: Some(letter.as_bytes()),
            ..OutRecord::to(topic)
        };
        deliveries.push(producer.send_and_wait(&record)?);
    }
    for delivery in deliveries {
        delivery.wait()?;
    }
    Ok(())
}

fn letter(
    item: &Item,
    servers: &str,
    condition: Condition,
    invocations: u32,
    now: DateTime<Utc>,
) -> Value {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let came = item
        .timestamp_ms
        .and_then(DateTime::from_timestamp_millis)
        .map(time);
    let payload = event(std::slice::from_ref(item), servers);
    let answered = condition != Condition::MaximumPayloadSizeExceeded;
    json!({
        "requestContext": {
            "requestId": Uuid::now_v7(),
            "functionArn": ARN,
            "condition": condition.name(),
            "approximateInvokeCount": invocations,
        },
        "responseContext": answered.then(|| json!({
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        })),
        "version": "1.0",
        "timestamp": time(now),
        "KafkaBatchInfo": {
            "batchSize": 1,
            "bootstrapServers": servers,
            "payloadSize": payload.len(),
            "recordInfo": {"offset": item.offset.to_string(), "timestamp": came},
        },
        "payload": serde_json::from_slice::<Value>(&payload).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::event::tests::item;
    use super::*;

    #[test]
    fn a_letter_holds_the_event_of_its_record_alone() {
        let now = DateTime::from_timestamp_millis(1_700_000_000_000).unwrap_or_default();
        let told = letter(&item(2, 7), "b:9092", Condition::RetriesExhausted, 3, now);
        assert_eq!(told["requestContext"]["condition"], "RetriesExhausted");
        assert_eq!(told["requestContext"]["approximateInvokeCount"], 3);
        assert_eq!(told["responseContext"]["functionError"], "Unhandled");
        assert_eq!(told["timestamp"], "2023-11-14T22:13:20.000Z");
        let info = &told["KafkaBatchInfo"];
        assert_eq!(info["recordInfo"]["offset"], "7");
        assert_eq!(info["recordInfo"]["timestamp"], "1970-01-01T00:00:00.000Z");
        let payload = &told["payload"];
        assert_eq!(payload["records"], json!({"input-2": [{"offset": 7}]}));
        assert_eq!(info["payloadSize"], payload.to_string().len());
        let large = letter(
            &item(2, 7),
            "b:9092",
            Condition::MaximumPayloadSizeExceeded,
            0,
            now,
        );
        assert_eq!(large["responseContext"], Value::Null);
    }
}
