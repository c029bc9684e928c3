//! Events as sources make them, and what else may come.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use super::*;

const PLACE: [(&str, &str); 5] = [
    ("ce-specversion", "1.0"),
    ("ce-type", "dev.knative.kafka.event"),
    ("ce-source", "/apis/v1/namespaces/n/kafkasources/s#in.put"),
    ("ce-subject", "partition:3#7"),
    ("ce-id", "partition:3/offset:7"),
];

fn read_binary(more: &[(&'static str, &str)], body: &'static [u8]) -> Result<Received, Fault> {
    let mut headers = HeaderMap::new();
    for (name, value) in PLACE.iter().chain(more) {
        headers.insert(*name, value.parse().unwrap());
    }
    Received::read(&headers, Bytes::from_static(body))
}

fn read_structured(more: &str) -> Result<Received, Fault> {
    let mut headers = HeaderMap::new();
    let media_type = "application/cloudevents+json; charset=utf-8";
    headers.insert(CONTENT_TYPE, media_type.parse().unwrap());
    let event = format!(
        r#"{{"specversion":"1.0","type":"dev.knative.kafka.event","source":"/x#in.put","id":"a","knativekafkapartition":3,"knativekafkaoffset":7{more}}}"#
    );
    Received::read(&headers, event.into())
}

#[test]
fn a_binary_event_is_the_record_that_it_was_made_of() {
    let more = [
        ("ce-time", "2024-08-27T08:13:50.953Z"),
        ("ce-key", "AP+A"),
        ("ce-partitionkey", "AP+A"),
        ("ce-kafkaheadertrace", "one"),
        ("ce-kafkaheadermillraceerrormessage", "two"),
        ("content-type", "text/plain"),
        ("traceparent", "00-1-2-01"),
    ];
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let expected = Received {
        topic: "in.put".to_owned(),
        partition: 3,
        offset: 7,
        timestamp_ms: Some(1_724_746_430_953),
        key: Some(vec![0, 255, 128]),
        value: Some(Bytes::from_static(b"\xff\0")),
        headers: vec![
            header("millrace-error-message", "two"),
            header("trace", "one"),
            header("content-type", "text/plain"),
        ],
    };
    assert_eq!(read_binary(&more, b"\xff\0").unwrap(), expected);
    let empty = read_binary(&[], b"").unwrap();
    assert_eq!(
        (empty.key, empty.value, empty.timestamp_ms),
        (None, None, None)
    );
}

#[test]
fn the_data_of_a_structured_event_stays_as_it_stands() {
    let value = |more: &str| {
        let value = read_structured(more).unwrap().value;
        value.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    };
    assert_eq!(value(""), None);
    assert_eq!(value(r#","data":null"#), None);
    assert_eq!(value(r#","data_base64":"""#).unwrap(), "");
    assert_eq!(value(r#","data_base64":"YQ==""#).unwrap(), "a");
    assert_eq!(
        value(r#","data": {"b" :1.0,"a":[]}"#).unwrap(),
        r#"{"b" :1.0,"a":[]}"#
    );
    assert_eq!(
        value(r#","data":"a","datacontenttype":"a/b+json""#).unwrap(),
        r#""a""#
    );
    assert_eq!(
        value(r#","data":"ä\n","datacontenttype":"text/plain""#).unwrap(),
        "ä\n"
    );
}

#[test]
fn an_event_that_was_in_the_topic_keeps_its_attributes_as_headers() {
    let more = [
        ("ce-type", "order"),
        ("ce-id", "1"),
        ("ce-knativekafkatopic", "orders"),
        ("ce-knativekafkapartition", "1"),
        ("ce-knativekafkaoffset", "2"),
    ];
    let received = read_binary(&more, b"x").unwrap();
    assert_eq!(
        (received.topic.as_str(), received.partition, received.offset),
        ("orders", 1, 2)
    );
    let names: Vec<&str> = received
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "ce_id",
            "ce_source",
            "ce_specversion",
            "ce_subject",
            "ce_type"
        ]
    );
    let nameless = read_binary(&more[..2], b"x").unwrap_err();
    assert!(
        nameless.message.contains("which topic"),
        "{}",
        nameless.message
    );
}

#[test]
fn what_is_no_event_of_a_record_is_refused() {
    let words = |result: Result<Received, Fault>, expected: &str| {
        let fault = result.unwrap_err();
        assert!(fault.message.contains(expected), "{}", fault.message);
        assert!(fault.status.is_client_error());
    };
    words(
        Received::read(&HeaderMap::new(), Bytes::new()),
        "holds no event",
    );
    words(read_binary(&[("ce-specversion", "0.3")], b""), "0.3");
    words(read_binary(&[("ce-source", "")], b""), "source");
    words(read_binary(&[("ce-time", "noon")], b""), "noon");
    let nowhere = [
        ("ce-knativekafkapartition", "-1"),
        ("ce-knativekafkaoffset", "0"),
    ];
    words(read_binary(&nowhere, b""), "none such");
    words(read_structured(","), "cannot be read");
    words(read_structured(r#","a":[]"#), "the event's attribute a");
    words(
        read_structured(r#","data":1,"data_base64":"""#),
        "as well as",
    );
    words(read_structured(r#","data_base64":"%""#), "no base64");
}

/// A source whose settings are wrong must not drop its records: they wait until the settings are mended.
#[test]
fn what_a_source_is_not_told_to_say_passes_once_it_is() {
    let words = |more: &[(&'static str, &str)], expected: &str| {
        let fault = read_binary(more, b"").unwrap_err();
        assert!(fault.message.contains(expected), "{}", fault.message);
        assert_eq!(fault.status, StatusCode::SERVICE_UNAVAILABLE);
    };
    words(&[("ce-key", "straße")], "byte-array");
    words(&[("ce-key", "42")], "byte-array");
    words(&[("ce-source", "/x")], "which topic");
    let unplaced = [("ce-subject", "s"), ("ce-id", "partition:-1/offset:0")];
    words(&unplaced, "partition and offset");
}
