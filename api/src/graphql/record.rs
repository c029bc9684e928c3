//! Records of Kafka, as they are shown.

use async_graphql::{Object, SimpleObject};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use millrace_kafka::Record;
use millrace_wire::prediction::Source;
use millrace_wire::record::{Decoder, Parts, RecordFormat, texts};

use super::Long;

/// A record as it lies in its topic.
pub struct KafkaRecord {
    record: Record,
    timestamp_ms: Option<i64>,
}

impl KafkaRecord {
    /// A record, with its own time.
    pub(super) fn new(record: Record) -> Self {
        Self {
            timestamp_ms: record.timestamp_ms,
            record,
        }
    }

    /// The copy of a record, with the time of that record.
    pub(super) fn of_time(record: Record, timestamp_ms: Option<i64>) -> Self {
        Self {
            record,
            timestamp_ms,
        }
    }
}

/// A record as it lies in its topic.
#[Object]
impl KafkaRecord {
    /// Where it lies, as `topic/partition/offset`.
    async fn place(&self) -> String {
        let source = Source {
            topic: &self.record.topic,
            partition: self.record.partition,
            offset: self.record.offset,
        };
        source.to_string()
    }

    /// Its time.
    async fn timestamp(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.timestamp_ms?)
    }

    /// Its key.
    async fn key(&self) -> Option<Bytes> {
        self.record.key.as_deref().map(Bytes::of)
    }

    /// Its value.
    async fn value(&self) -> Option<Bytes> {
        self.record.value.as_deref().map(Bytes::of)
    }

    /// Its headers.
    async fn headers(&self) -> Vec<RecordHeader> {
        RecordHeader::all(&self.record)
    }
}

/// Bytes, and the text that they may be.
#[derive(SimpleObject)]
pub struct Bytes {
    /// How many there are.
    length: Long,
    /// The bytes in base64.
    base64: String,
    /// The text, where they are UTF-8.
    text: Option<String>,
}

/// A header of a record.
#[derive(SimpleObject)]
pub struct RecordHeader {
    /// Its name.
    name: String,
    /// Its value, which may be null.
    value: Option<Bytes>,
}

/// A record as far as it can be decoded now.
#[derive(SimpleObject)]
pub struct DecodedRecord {
    /// Its features, where all of them can be read; `null` for one that is missing or a text.
    features: Option<Vec<Option<f32>>>,
    /// Its texts, in the order of the fields that are such.
    texts: Option<Vec<String>>,
    /// The code of what is wrong with it, where they cannot.
    error: Option<String>,
    /// What is wrong with it, as a sentence.
    message: Option<String>,
}

impl Bytes {
    /// Bytes as they are shown.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            length: (bytes.len() as u64).into(),
            base64: STANDARD.encode(bytes),
            text: std::str::from_utf8(bytes).ok().map(str::to_owned),
        }
    }
}

impl RecordHeader {
    /// All headers of a record.
    pub(super) fn all(record: &Record) -> Vec<Self> {
        let headers = record.headers.iter();
        headers
            .map(|(name, value)| Self {
                name: name.clone(),
                value: value.as_deref().map(Bytes::of),
            })
            .collect()
    }
}

impl DecodedRecord {
    /// A record as a datasource says that it is to be read.
    pub(super) fn of(record: &Record, format: &RecordFormat) -> Self {
        let mut features = Vec::new();
        let headers: Vec<(&str, Option<&[u8]>)> = record
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        let parts = Parts {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            timestamp_ms: record.timestamp_ms,
            headers: &headers.as_slice(),
        };
        let mut decoder = Decoder::new(format, None);
        match decoder.decode(&parts, &mut features, &mut Vec::new()) {
            Ok(()) => {
                let texts = texts(format);
                let of_record = features.iter().zip(&texts);
                let read = of_record.clone().filter(|(_, is_text)| **is_text);
                let read = read.map(|(number, _)| decoder.texts().get(*number).to_owned());
                let read = read.collect();
                let numbers = of_record
                    .map(|(number, is_text)| (!is_text && !number.is_nan()).then_some(*number));
                Self {
                    features: Some(numbers.collect()),
                    texts: Some(read),
                    error: None,
                    message: None,
                }
            }
            Err(error) => Self {
                features: None,
                texts: None,
                error: Some(error.code().to_owned()),
                message: Some(error.to_string()),
            },
        }
    }
}
