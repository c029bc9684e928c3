//! The event of a Kafka event source mapping (Amazon MSK or self-managed), as Lambda writes it in JSON.
//!
//! Invariant: a key, value or header that is null stays apart from an empty one. Base64 is decoded from
//! the event's text into the record's bytes, and there they stay: what decodes records reads them there.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::answer::Incoming;

/// An event.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Event {
    event_source: String,
    #[serde(deserialize_with = "by_partition")]
    pub(super) records: Vec<Received>,
}

/// A record of an event.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Received {
    topic: String,
    partition: i32,
    offset: i64,
    #[serde(default)]
    timestamp: Option<i64>,
    #[serde(default)]
    timestamp_type: TimestampType,
    #[serde(default)]
    key: Bytes,
    #[serde(default)]
    value: Bytes,
    #[serde(default, deserialize_with = "headers")]
    headers: Vec<Header>,
    /// Stands where Lambda has decoded the key by a schema registry.
    #[serde(default)]
    key_schema_metadata: Option<IgnoredAny>,
    /// The same of the value.
    #[serde(default)]
    value_schema_metadata: Option<IgnoredAny>,
}

/// A header's name and value.
type Header = (String, Option<Vec<u8>>);

/// What a record's time tells of.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum TimestampType {
    NoTimestampType,
    #[default]
    #[serde(other)]
    Known,
}

/// Bytes in base64, or null.
#[derive(Debug, Default)]
struct Bytes(Option<Vec<u8>>);

impl Event {
    /// What keeps the event from being one of this trigger, if anything does. Whoever made the trigger has to repair it.
    pub(super) fn fault(&self, reads: impl Fn(&str) -> bool) -> Option<String> {
        if !matches!(self.event_source.as_str(), "aws:kafka" | "SelfManagedKafka") {
            return Some(format!(
                "the event's source is {:?}, and this function answers events of a Kafka event source mapping only (aws:kafka, SelfManagedKafka): remove what else invokes it",
                self.event_source
            ));
        }
        if self.records.is_empty() {
            return Some("the event holds no records".to_owned());
        }
        if let Some(foreign) = self.records.iter().find(|record| !reads(&record.topic)) {
            return Some(format!(
                "the event holds records of the topic {}, which this inference does not read: repair the event source mapping's topic",
                foreign.topic
            ));
        }
        let is_decoded = |record: &&Received| {
            record.key_schema_metadata.is_some() || record.value_schema_metadata.is_some()
        };
        self.records.iter().find(is_decoded).map(|record| {
            format!(
                "Lambda has decoded the record {} by a schema registry, so that its bytes are not those of the topic any more: take the schema registry out of the event source mapping, the inference decodes by itself",
                record.place()
            )
        })
    }
}

impl Received {
    /// The partition, as events and answers name it.
    pub(super) fn identifier(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }

    fn place(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl Incoming for Received {
    fn topic(&self) -> &str {
        &self.topic
    }

    fn partition(&self) -> i32 {
        self.partition
    }

    fn offset(&self) -> i64 {
        self.offset
    }

    fn timestamp_ms(&self) -> Option<i64> {
        match self.timestamp_type {
            TimestampType::NoTimestampType => None,
            TimestampType::Known => self.timestamp.filter(|time| *time >= 0),
        }
    }

    fn key(&self) -> Option<&[u8]> {
        self.key.0.as_deref()
    }

    fn value(&self) -> Option<&[u8]> {
        self.value.0.as_deref()
    }

    fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Option<&[u8]>)> {
        self.headers
            .iter()
            .map(|(name, value)| (Cow::Borrowed(name.as_str()), value.as_deref()))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Base64;
        impl Visitor<'_> for Base64 {
            type Value = Bytes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("base64, or null")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                let bytes = STANDARD.decode(text).map_err(E::custom)?;
                Ok(Bytes(Some(bytes)))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Bytes, E> {
                Ok(Bytes(None))
            }
        }
        deserializer.deserialize_any(Base64)
    }
}

/// Records come as lists by partition: here they follow one another.
fn by_partition<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Received>, D::Error> {
    struct Lists;
    impl<'de> Visitor<'de> for Lists {
        type Value = Vec<Received>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("lists of records by partition")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut lists: A) -> Result<Self::Value, A::Error> {
            let mut records = Vec::new();
            while lists.next_key::<IgnoredAny>()?.is_some() {
                lists.next_value_seed(Append(&mut records))?;
            }
            Ok(records)
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }
    }
    deserializer.deserialize_any(Lists)
}

/// Appends a list to the records before it.
struct Append<'r>(&'r mut Vec<Received>);

impl<'de> DeserializeSeed<'de> for Append<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Append<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(record) = list.next_element()? {
            self.0.push(record);
        }
        Ok(())
    }
}

/// Headers come as objects of one member each, whose value is a list of signed bytes.
fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Header>, D::Error> {
    /// A header's value. Java's bytes are signed; a number above 127 can only be meant as an unsigned one.
    struct Octets(Vec<u8>);
    impl<'de> Deserialize<'de> for Octets {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let numbers: Vec<i16> = Vec::deserialize(deserializer)?;
            let octet = |number: &i16| {
                let octet =
                    u8::try_from(*number).or_else(|_| i8::try_from(*number).map(i8::cast_unsigned));
                octet.map_err(|_| de::Error::custom(format!("{number} is no byte of a header")))
            };
            numbers
                .iter()
                .map(octet)
                .collect::<Result<_, _>>()
                .map(Octets)
        }
    }
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, Option<Octets>)>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a header by its name")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some(member) = members.next_entry()? {
                found.push(member);
            }
            Ok(found)
        }
    }
    struct Object(Vec<(String, Option<Octets>)>);
    impl<'de> Deserialize<'de> for Object {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Members).map(Object)
        }
    }
    let found: Option<Vec<Object>> = Option::deserialize(deserializer)?;
    Ok(found
        .into_iter()
        .flatten()
        .flat_map(|Object(members)| members)
        .map(|(name, value)| (name, value.map(|Octets(octets)| octets)))
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn read(text: &str) -> Event {
        serde_json::from_str(text).unwrap()
    }

    fn one(record: &str) -> Received {
        let event = format!(
            r#"{{"eventSource":"aws:kafka","records":{{"t-0":[{{"topic":"t","partition":0,"offset":7,{record}}}]}}}}"#
        );
        read(&event).records.remove(0)
    }

    /// The event of AWS's documentation, with what it leaves out in one record.
    #[test]
    fn an_event_of_two_partitions_reads_back() {
        let event = read(
            r#"{"eventSource":"aws:kafka","eventSourceArn":"arn:aws:kafka:us-east-1:123456789012:cluster/vpc/1",
            "bootstrapServers":"b-2.x:9092,b-1.x:9092","records":{
            "my-topic-0":[{"topic":"my-topic","partition":0,"offset":15,"timestamp":1545084650987,"timestampType":"CREATE_TIME",
              "key":"YQ\/+","value":"","headers":[{"name":[104,-61,-87]},{"name":[]},{"other":null}]}],
            "my-topic-3":[{"topic":"my-topic","partition":3,"offset":16,"timestamp":1,"timestampType":"LOG_APPEND_TIME","value":null}]}}"#,
        );
        assert_eq!(event.fault(|topic| topic == "my-topic"), None);
        let [first, second] = event.records.as_slice() else {
            panic!("{event:?}");
        };
        assert_eq!(first.key(), Some([0x61, 0x0f, 0xfe].as_slice()));
        assert_eq!(first.value(), Some([].as_slice()));
        assert_eq!(first.timestamp_ms(), Some(1_545_084_650_987));
        let headers: Vec<_> = first.headers().collect();
        let expected: [(Cow<'_, str>, Option<&[u8]>); 3] = [
            ("name".into(), Some(&[104, 0xc3, 0xa9])),
            ("name".into(), Some(&[])),
            ("other".into(), None),
        ];
        assert_eq!(headers, expected);
        assert_eq!(
            first.header("name"),
            Some([].as_slice()),
            "the last one counts"
        );
        assert_eq!((second.key(), second.value()), (None, None));
        assert_eq!(second.identifier(), "my-topic-3");
        assert_eq!((second.partition(), second.offset()), (3, 16));
        assert_eq!(second.headers().count(), 0);
    }

    #[test]
    fn what_is_no_event_of_this_inference_is_refused() {
        let reads = |topic: &str| topic == "t";
        for (event, words) in [
            (r#"{"not":"kafka"}"#, "source is \"\""),
            (r#"{"eventSource":"aws:sqs","records":{}}"#, "aws:sqs"),
            (
                r#"{"eventSource":"SelfManagedKafka","records":{}}"#,
                "no records",
            ),
            (
                r#"{"eventSource":"aws:kafka","records":{"o-0":[{"topic":"o","partition":0,"offset":1}]}}"#,
                "the topic o",
            ),
            (
                r#"{"eventSource":"aws:kafka","records":{"t-0":[{"topic":"t","partition":2,"offset":1,"valueSchemaMetadata":{"dataFormat":"AVRO","schemaId":"1"}}]}}"#,
                "t/2/1 by a schema registry",
            ),
        ] {
            let fault = read(event).fault(reads).unwrap();
            assert!(fault.contains(words), "{fault}");
        }
    }

    #[test]
    fn times_that_are_none_are_told_apart() {
        assert_eq!(
            one(r#""timestamp":0,"timestampType":"NO_TIMESTAMP_TYPE""#).timestamp_ms(),
            None
        );
        assert_eq!(
            one(r#""timestamp":-1,"timestampType":"CREATE_TIME""#).timestamp_ms(),
            None
        );
        assert_eq!(one(r#""timestamp":0"#).timestamp_ms(), Some(0));
    }

    #[test]
    fn a_header_byte_is_signed_or_unsigned_and_no_more() {
        let record = one(r#""headers":[{"h":[-128,-1,0,127,255]}]"#);
        assert_eq!(record.header("h"), Some([128, 255, 0, 127, 255].as_slice()));
        let text = r#"{"records":{"t-0":[{"topic":"t","partition":0,"offset":7,"headers":[{"h":[256]}]}]}}"#;
        let error = serde_json::from_str::<Event>(text).unwrap_err();
        assert!(error.to_string().contains("256 is no byte"), "{error}");
    }
}
