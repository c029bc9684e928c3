//! The event of a `KafkaSource`: one record as a `CloudEvent` in an HTTP request, in binary or in structured mode.
//!
//! Invariant: the record's bytes are those of the request's body, which are not copied, or what its base64 stands for.
//! What an event cannot carry is lost before it comes here: an empty key (it comes as none); headers that are null, repeated
//! or no text, and of the others the letters of a name that are not `a`–`z` or `0`–`9`; in binary mode the difference
//! between an empty value and none (it comes as none); the spaces around a header's value.
//!
//! The crate `cloudevents-sdk` (0.9) would fit axum 0.8, but it copies the body, keeps every attribute in a map of its own
//! types, and reads the JSON of a structured event into a tree, so that the bytes of the record are gone. Nor does a
//! `KafkaSource` encode attributes in percent, which that crate does not decode either.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use millrace_wire::header;
use serde_json::Value;
use serde_json::value::RawValue;

use super::fault::Fault;
use crate::answer::Incoming;

/// The type of events that are made of records. Others were events in the topic already.
const RECORD: &str = "dev.knative.kafka.event";
/// What stands before the name of a record's header.
const HEADER: &str = "kafkaheader";
/// What the source adds of its own to every event.
const ADDED: &str = "knativekafka";
/// The media type of the structured mode.
const STRUCTURED: &str = "application/cloudevents+json";
const VERSION: &str = "1.0";

/// Headers of ours, whose names lose their hyphens on the way.
const OURS: [&str; 9] = [
    header::MODEL,
    header::VERSION,
    header::SOURCE,
    header::ORIGIN,
    header::ERROR,
    header::ERROR_MESSAGE,
    header::ATTEMPT,
    header::DEAD_LETTER,
    header::TIMESTAMP,
];

/// A record that came as an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received {
    topic: String,
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Bytes>,
    headers: Vec<(String, Vec<u8>)>,
}

/// An event's attributes by their names, with the data's media type among them.
type Attributes = BTreeMap<String, Vec<u8>>;

impl Received {
    /// Reads a request.
    pub(crate) fn read(headers: &HeaderMap, body: Bytes) -> Result<Self, Fault> {
        let media_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let (attributes, value) = if media_type.is_some_and(is_structured) {
            structured(&body)?
        } else if headers.contains_key("ce-specversion") {
            (binary(headers), Some(body).filter(|body| !body.is_empty()))
        } else {
            return Err(malformed(
                "the request holds no event: neither the header ce-specversion nor the media type application/cloudevents+json; send it by a KafkaSource",
            ));
        };
        record(attributes, value)
    }

    /// How many bytes it holds, its headers' aside.
    pub(crate) fn size(&self) -> usize {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        length(self.key()) + length(self.value())
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
        self.timestamp_ms
    }

    fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Option<&[u8]>)> {
        self.headers
            .iter()
            .map(|(name, value)| (Cow::Borrowed(name.as_str()), Some(value.as_slice())))
    }
}

fn is_structured(media_type: &str) -> bool {
    essence(media_type).eq_ignore_ascii_case(STRUCTURED)
}

/// A media type without its parameters.
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

fn binary(headers: &HeaderMap) -> Attributes {
    let attributes = headers.iter().filter_map(|(name, value)| {
        let name = match name.as_str() {
            "content-type" => "datacontenttype",
            other => other.strip_prefix("ce-")?,
        };
        Some((name.to_owned(), value.as_bytes().to_vec()))
    });
    attributes.collect()
}

fn structured(body: &Bytes) -> Result<(Attributes, Option<Bytes>), Fault> {
    let no_event =
        |error: serde_json::Error| malformed(format!("the event cannot be read: {error}"));
    let mut members: BTreeMap<String, &RawValue> =
        serde_json::from_slice(body).map_err(no_event)?;
    let data = members.remove("data").filter(|data| data.get() != "null");
    let data_base64 = members.remove("data_base64");
    let mut attributes = Attributes::new();
    for (name, value) in members {
        let text = match serde_json::from_str(value.get()).map_err(no_event)? {
            Value::Null => continue,
            Value::String(text) => text,
            value @ (Value::Bool(_) | Value::Number(_)) => value.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err(malformed(format!(
                    "the event's attribute {name} is neither text nor a number nor a truth value"
                )));
            }
        };
        attributes.insert(name, text.into_bytes());
    }
    let value = match (data, data_base64) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(malformed("the event holds data as well as data_base64"));
        }
        (Some(data), None) => Some(as_it_stands(&attributes, data, body)),
        (None, Some(text)) => {
            let text: String = serde_json::from_str(text.get()).map_err(no_event)?;
            let bytes = STANDARD
                .decode(text)
                .map_err(|error| malformed(format!("the event's data is no base64: {error}")))?;
            Some(bytes.into())
        }
    };
    Ok((attributes, value))
}

/// The data of a structured event: JSON as it stands there, and of anything else the text.
fn as_it_stands(attributes: &Attributes, data: &RawValue, body: &Bytes) -> Bytes {
    let media_type = attributes
        .get("datacontenttype")
        .and_then(|text| std::str::from_utf8(text).ok());
    let is_json = media_type.map(essence).is_none_or(|essence| {
        let essence = essence.to_ascii_lowercase();
        essence.ends_with("/json") || essence.ends_with("+json")
    });
    if !is_json && let Ok(text) = serde_json::from_str::<String>(data.get()) {
        return text.into();
    }
    body.slice_ref(data.get().as_bytes())
}

fn record(mut attributes: Attributes, value: Option<Bytes>) -> Result<Received, Fault> {
    let version = required(&attributes, "specversion")?;
    if version != VERSION {
        return Err(malformed(format!(
            "the event is one of the version {version:?} of CloudEvents, and only {VERSION} is known"
        )));
    }
    let topic = topic(&attributes)?;
    let (partition, offset) = place(&attributes)?;
    let timestamp_ms = match text(&attributes, "time") {
        None => None,
        Some(time) => {
            let time = DateTime::parse_from_rfc3339(time).map_err(|error| {
                malformed(format!("the event's time {time:?} is none: {error}"))
            })?;
            Some(time.timestamp_millis()).filter(|time| *time >= 0)
        }
    };
    let content_type = attributes.remove("datacontenttype");
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    let mut key = None;
    if required(&attributes, "type")? == RECORD {
        key = attributes
            .remove("key")
            .map(|key| decoded(&key))
            .transpose()?;
        for (name, value) in attributes {
            if let Some(name) = name.strip_prefix(HEADER) {
                headers.push((named(name), value));
            }
        }
    } else {
        // An event in the topic already: its attributes were the record's headers, and it has no key any more.
        for (name, value) in attributes {
            if !name.starts_with(ADDED) {
                headers.push((format!("ce_{name}"), value));
            }
        }
    }
    headers.extend(content_type.map(|value| ("content-type".to_owned(), value)));
    Ok(Received {
        topic,
        partition,
        offset,
        timestamp_ms,
        key,
        value,
        headers,
    })
}

/// The topic, which newer sources name, and older ones name in the events that they make themselves.
fn topic(attributes: &Attributes) -> Result<String, Fault> {
    let source = required(attributes, "source")?;
    required(attributes, "id")?;
    let named = text(attributes, "knativekafkatopic").or_else(|| {
        let is_record = text(attributes, "type") == Some(RECORD);
        let (_, topic) = source.split_once('#')?;
        (is_record && !topic.is_empty()).then_some(topic)
    });
    named.map(ToOwned::to_owned).ok_or_else(|| {
        unplaced(format!(
            "the event of the source {source:?} does not say which topic it comes from: send it by a KafkaSource, of which older versions need knativekafkatopic among ceOverrides.extensions where the topic holds CloudEvents"
        ))
    })
}

/// Partition and offset.
fn place(attributes: &Attributes) -> Result<(i32, i64), Fault> {
    let text = |name| text(attributes, name);
    let added = text("knativekafkapartition").zip(text("knativekafkaoffset"));
    let subject = || text("subject")?.strip_prefix("partition:")?.split_once('#');
    let id = || {
        text("id")?
            .strip_prefix("partition:")?
            .split_once("/offset:")
    };
    let read = |(partition, offset): (&str, &str)| {
        let place: (i32, i64) = (partition.parse().ok()?, offset.parse().ok()?);
        (place.0 >= 0 && place.1 >= 0).then_some(place)
    };
    if let Some(added) = added {
        return read(added).ok_or_else(|| {
            malformed(format!(
                "the event is of the partition {:?} and the offset {:?}, and there are none such: send it by a KafkaSource",
                added.0, added.1
            ))
        });
    }
    subject().or_else(id).and_then(read).ok_or_else(|| {
        unplaced(
            "the event does not say at which partition and offset its record is: send it by a KafkaSource, of which older versions need knativekafkapartition and knativekafkaoffset among ceOverrides.extensions where the topic holds CloudEvents",
        )
    })
}

fn decoded(key: &[u8]) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(key).map_err(|error| {
        Fault::settings(
            "key-type",
            format!(
                "the event's key is no base64 ({error}), so that the record's bytes are not known: put the label kafkasources.sources.knative.dev/key-type: byte-array on the KafkaSource; the record comes again until then"
            ),
        )
    })
}

/// The name of a header, as far as it is known.
fn named(carried: &str) -> String {
    let is_it = |name: &&&str| {
        name.chars()
            .filter(char::is_ascii_alphanumeric)
            .eq(carried.chars())
    };
    OURS.iter()
        .find(is_it)
        .map_or(carried, |name| *name)
        .to_owned()
}

fn text<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    let value = std::str::from_utf8(attributes.get(name)?).ok()?;
    Some(value).filter(|value| !value.is_empty())
}

fn required<'a>(attributes: &'a Attributes, name: &str) -> Result<&'a str, Fault> {
    text(attributes, name).ok_or_else(|| {
        malformed(format!(
            "the event lacks the attribute {name}, or it is no text"
        ))
    })
}

/// What no `KafkaSource` sends.
fn malformed(message: impl Into<String>) -> Fault {
    Fault::of(StatusCode::BAD_REQUEST, "malformed-event", message)
}

/// What a `KafkaSource` sends that is not told to say where its records are.
fn unplaced(message: impl Into<String>) -> Fault {
    Fault::settings("unplaced-event", message)
}

#[cfg(test)]
mod tests;
