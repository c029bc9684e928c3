//! JSON as producers write it, and as they should not.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Written, document};
use crate::record::tests::decode_with;
use crate::record::{DecodeError, Decoder, Encoding, Label, LabelSource, Parts, RecordFormat};

fn format(format: Value) -> RecordFormat {
    let format: RecordFormat = serde_json::from_value(format).unwrap();
    format.check(None).unwrap();
    format
}

/// The fields at these pointers, each one number.
fn scalars(pointers: &[&str], missing: &str) -> RecordFormat {
    let fields: Vec<Value> = pointers
        .iter()
        .map(|pointer| json!({"pointer": pointer}))
        .collect();
    format(json!({"type": "JSON", "fields": fields, "missing": missing}))
}

/// One field.
fn array(pointer: &str, shape: &[u32]) -> RecordFormat {
    format(json!({"type": "JSON", "fields": [{"pointer": pointer, "shape": shape}]}))
}

fn decode(format: &RecordFormat, value: &str) -> Result<Vec<f32>, DecodeError> {
    let parts = Parts {
        key: None,
        value: Some(value.as_bytes()),
        timestamp_ms: None,
        headers: &(),
    };
    let mut row = vec![7.0];
    let decoded = Decoder::new(format, None).decode(&parts, &mut row, &mut Vec::new());
    if decoded.is_err() {
        assert_eq!(row, [7.0], "a refused record leaves nothing");
    }
    decoded.map(|()| row.split_off(1))
}

fn refusal(format: &RecordFormat, value: &str) -> (&'static str, String) {
    let error = decode(format, value).unwrap_err();
    (error.code(), error.to_string())
}

#[test]
fn fields_are_found_in_any_order_and_the_rest_is_skipped() {
    let format = scalars(&["/b", "/a/x~1y", "/list/1", "/true"], "REFUSE");
    assert_eq!(format.shape(), [4]);
    let value = r#" {"list": [9, 2.5, {"b": 1}], "more": {"b": [1, "\u00e4"]}, "a": {"x\/y": -3}, "true": true, "b": 1e2} "#;
    assert_eq!(decode(&format, value).unwrap(), [100.0, -3.0, 2.5, 1.0]);
}

#[test]
fn members_may_stand_in_another_order_in_each_record() {
    let format = scalars(&["/a", "/\"b", "/c/d", "/c/e"], "NAN");
    let mut decoder = Decoder::new(&format, None);
    for value in [
        r#"{"a": 1, "\"b": 2, "c": {"d": 3, "e": 4}}"#,
        r#"{"c": {"e": 4, "d": 3}, "more": 0, "\u0022b": 2, "a": 1}"#,
        r#"{"\u0061": 1, "\"b": 2, "ab": 5, "c": {"d": 3, "": 0, "e": 4}}"#,
        r#"{"a": 1, "\"b": 2, "c": {"d": 3}, "c": {"e": 4}}"#,
    ] {
        let row = decode_with(&mut decoder, value.as_bytes(), &());
        assert_eq!(row.unwrap(), [1.0, 2.0, 3.0, 4.0], "{value}");
    }
}

#[test]
fn names_that_lead_to_no_field_are_passed_over_however_many_there_are() {
    let format = scalars(&["/x", "/a name of more than sixteen bytes"], "REFUSE");
    let mut decoder = Decoder::new(&format, None);
    for (record, count) in [0, 5, 5, 60, 5, 200, 200, 3].into_iter().enumerate() {
        let mut members: Vec<String> = (0..count)
            .map(|number| {
                let name = "y".repeat(number % 70);
                format!(r#""{name}{}": [{number}, "x"]"#, number * (1 + record / 3))
            })
            .collect();
        members.insert(count / 2, r#""x": 1.5"#.to_owned());
        members.insert(
            count / 3,
            r#""a name of more than sixteen bytes" :true"#.to_owned(),
        );
        let value = format!("{{{}}}", members.join(", "));
        let row = decode_with(&mut decoder, value.as_bytes(), &());
        assert_eq!(row.unwrap(), [1.5, 1.0], "{value}");
        let cut = value.replace("\"x\": 1.5", "\"y\": 1.5");
        let error = decode_with(&mut decoder, cut.as_bytes(), &()).unwrap_err();
        assert_eq!(error.code(), "field-missing", "{error}");
    }
}

#[test]
fn what_no_field_lies_in_must_be_json_all_the_same() {
    let format = scalars(&["/x"], "REFUSE");
    let deep = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for skipped in [
        r#"[{}, [], {"a": [1, {"b": null}]}, "\\\"", true, false, -0.5e-3]"#,
        r#""a text of some length, with \u00e4 and \uD83D\uDE00 and ä in it""#,
        &deep(128),
    ] {
        let value = format!("{{\"y\": {skipped} , \"x\" : 5\n}}\t");
        assert_eq!(decode(&format, &value).unwrap(), [5.0], "{value}");
    }
    for (skipped, reason) in [
        ("[1,]", "a value is expected at byte 8"),
        ("[1 2]", "`,` or `]` is expected at byte 8"),
        ("[1}", "`,` or `]` is expected at byte 7"),
        (r#"{"a" 1}"#, "`:` is expected"),
        (r#"{"a":1,}"#, "a name is expected"),
        (r#"{"a":1]"#, "`,` or `}` is expected"),
        ("{1:1}", "a name is expected"),
        ("tru", "a value is expected"),
        ("nul", "a value is expected"),
        ("01", "a number that begins with 0"),
        ("1.", "a digit is expected"),
        (r#""\x""#, "a character that can be escaped is expected"),
        (r#""\u12g4""#, "a character that can be escaped is expected"),
        ("\"a\nb\"", "the end of a text is expected at byte 7"),
        (r#""abcdefgh"#, "`,` or `}` is expected"),
        ("[", "a value is expected"),
        (&deep(129), "128 deep"),
        (&"[".repeat(1_000_000), "128 deep"),
    ] {
        let (code, message) = refusal(&format, &format!("{{\"y\":{skipped},\"x\":5}}"));
        assert_eq!(code, "json", "{skipped}");
        assert!(message.contains(reason), "{skipped}: {message}");
    }
    for (value, reason) in [
        ("", "it ends after 0 bytes, where a value is expected"),
        (
            r#"{"x":"#,
            "it ends after 5 bytes, where a value is expected",
        ),
        (
            r#"{"x":1"#,
            "it ends after 6 bytes, where `,` or `}` is expected",
        ),
        (
            r#"{"x":1, "abcdefgh"#,
            "it ends after 17 bytes, where the end of a text is expected",
        ),
        (
            r#"{"x":1}}"#,
            "something follows behind the document, at byte 7",
        ),
        (r#"{"\ud800": 1, "x": 1}"#, "a name that is not Unicode"),
    ] {
        let (code, message) = refusal(&format, value);
        assert_eq!(code, "json", "{value}");
        assert!(message.contains(reason), "{value}: {message}");
    }
}

#[test]
fn arrays_have_their_shape_with_or_without_a_batch() {
    let format = array("/x", &[2, 3]);
    assert_eq!(format.shape(), [2, 3]);
    let numbers = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    for value in [
        r#"{"x": [[1,2,3],[4,5,6]]}"#,
        r#"{"x": [[[1,2,3],[4,5,6]]]}"#,
    ] {
        assert_eq!(decode(&format, value).unwrap(), numbers, "{value}");
    }
    let found = |value| refusal(&format, value);
    assert_eq!(
        found(r#"{"x": [[1,2],[3,4],[5,6]]}"#),
        (
            "field-shape",
            r#"the field "/x" has the shape [3, 2] where [2, 3] is expected"#.into()
        )
    );
    for (value, code) in [
        (r#"{"x": [1,2,3,4,5,6]}"#, "field-shape"),
        (
            r#"{"x": [[[1,2,3],[4,5,6]],[[1,2,3],[4,5,6]]]}"#,
            "field-shape",
        ),
        (r#"{"x": []}"#, "field-shape"),
        (r#"{"x": 1}"#, "field-shape"),
        (r#"{"x": [[1,2,3],[4,5]]}"#, "field-shape"),
        (r#"{"x": [[1,2,3],4]}"#, "field-shape"),
        (r#"{"x": [[[[[[[[[[1]]]]]]]]]]}"#, "field-shape"),
        (r#"{"x": [[1,2,3],[4,"5",6]]}"#, "field-type"),
        (r#"{"x": {"y": 1}}"#, "field-type"),
        (r#"{"x": [[1,2,3],[4,null,6]]}"#, "field-missing"),
        (r#"{"x": null}"#, "field-missing"),
        (r#"{"y": 1}"#, "field-missing"),
        ("[1]", "field-missing"),
        (
            r#"{"x": [[1,2,3],[4,5,6]], "x": [[1,2,3],[4,5,6]]}"#,
            "field-twice",
        ),
        (r#"{"x": [[1,2,3],[4,5,6]]"#, "json"),
        (r#"{"x": [[1,2,3],[4,5,6]]} x"#, "json"),
        (r#"{"x": [[1,2,3],[4,5,NaN]]}"#, "json"),
        ("", "json"),
    ] {
        assert_eq!(found(value).0, code, "{value}");
    }
    // Kafka-ML's producers send the array alone, with the batch around it.
    assert_eq!(decode(&array("", &[2]), "[[1, 2]]").unwrap(), [1.0, 2.0]);
    assert_eq!(decode(&array("", &[]), "[5]").unwrap(), [5.0]);
}

#[test]
fn a_registrys_serialisers_put_an_id_in_front() {
    let format = format(json!({
        "type": "JSON", "fields": [{"pointer": "/x"}], "registry": true
    }));
    let framed = String::from_utf8(crate::record::framed(7_u32, br#"{"x": 5}"#)).unwrap();
    assert_eq!(decode(&format, &framed).unwrap(), [5.0]);
    assert_eq!(refusal(&format, r#"{"x": 5}"#).0, "schema-framing");
}

#[test]
fn a_text_may_hold_the_numbers() {
    let telegraf = format(json!({
        "type": "JSON",
        "fields": [{"pointer": "/fields/value", "shape": [2], "in_text": true}]
    }));
    let value = r#"{"fields": {"value": "[[1.5, 2]]"}, "name": "sensor"}"#;
    assert_eq!(decode(&telegraf, value).unwrap(), [1.5, 2.0]);
    for (value, code) in [
        (r#"{"fields": {"value": [1, 2]}}"#, "field-type"),
        (r#"{"fields": {"value": {"a": 1}}}"#, "field-type"),
        (r#"{"fields": {"value": 1}}"#, "field-type"),
        (r#"{"fields": {"value": "[1, \"2\"]"}}"#, "field-type"),
        (r#"{"fields": {"value": "[1, 2"}}"#, "json"),
        (r#"{"fields": {"value": "[1, 2] 3"}}"#, "json"),
        (r#"{"fields": {"value": null}}"#, "field-missing"),
    ] {
        assert_eq!(refusal(&telegraf, value).0, code, "{value}");
    }
    let (_, message) = refusal(&telegraf, r#"{"fields": {"value": "[1, 2"}}"#);
    assert!(
        message.contains(r#"in the text of the field "/fields/value""#),
        "{message}"
    );
}

#[test]
fn what_is_missing_can_be_nan() {
    let format = scalars(&["/a", "/b", "/c"], "NAN");
    let row = decode(&format, r#"{"a": null, "b": 2}"#).unwrap();
    assert!(row[0].is_nan() && row[2].is_nan());
    assert_eq!(row[1].to_bits(), 2.0_f32.to_bits());
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let format = array("/x", &[2]);
    assert_eq!(
        refusal(&format, r#"{"x": [1, 16777217]}"#),
        (
            "number",
            r#"element 1 of the field "/x" is 16777217, which float32 cannot hold"#.into()
        )
    );
    // With a fraction it is a floating-point number, which is rounded.
    let rounded = decode(&format, r#"{"x": [16777217.0, 0.1]}"#).unwrap();
    assert_eq!(rounded, [16_777_216.0, 0.1]);
    for number in [
        "1e39",
        "1e400",
        "-9223372036854775807",
        "18446744073709551615",
        "10000000000000000000000001",
    ] {
        let value = format!(r#"{{"x": [{number}, 0]}}"#);
        assert_eq!(refusal(&format, &value).0, "number", "{number}");
    }
}

#[test]
fn a_label_may_stand_in_the_value() {
    let format = scalars(&["/a"], "NAN");
    let label = Label {
        source: LabelSource::Field {
            pointer: "/label".into(),
            shape: vec![2],
        },
        encoding: Encoding::default(),
    };
    format.check(Some(&label)).unwrap();
    assert_eq!(label.elements(), 2);
    let mut decoder = Decoder::new(&format, Some(&label));
    let mut read = |value: &str| {
        let parts = Parts {
            key: None,
            value: Some(value.as_bytes()),
            timestamp_ms: None,
            headers: &(),
        };
        let (mut row, mut labels) = (Vec::new(), Vec::new());
        let result = decoder.decode(&parts, &mut row, &mut labels);
        result.map(|()| (row, labels))
    };
    let (row, labels) = read(r#"{"label": [0, 1], "a": 5}"#).unwrap();
    assert_eq!((row, labels), (vec![5.0], vec![0.0, 1.0]));
    // A label is never made up.
    for value in [r#"{"a": 5}"#, r#"{"a": 5, "label": null}"#] {
        let error = read(value).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the record has no label: the field "/label" is missing"#
        );
    }
    assert_eq!(
        read(r#"{"a": 5, "label": [1]}"#).unwrap_err().code(),
        "field-shape"
    );
}

#[test]
fn what_no_record_could_be_is_refused() {
    let check = |fields: Value, label: Option<&str>| {
        let format: RecordFormat =
            serde_json::from_value(json!({"type": "JSON", "fields": fields})).unwrap();
        let label = label.map(|pointer| Label {
            source: LabelSource::Field {
                pointer: pointer.into(),
                shape: Vec::new(),
            },
            encoding: Encoding::default(),
        });
        format
            .check(label.as_ref())
            .map_err(|error| error.to_string())
    };
    let x = json!([{"pointer": "/x"}]);
    check(x.clone(), Some("/y")).unwrap();
    check(
        json!([{"pointer": "/a"}, {"pointer": "/ab"}, {"pointer": "/a~1b"}]),
        None,
    )
    .unwrap();
    for (fields, label, reason) in [
        (json!([]), None, "must have 1 to"),
        (
            json!([{"pointer": "/x", "shape": [0]}]),
            None,
            "must have 1 to",
        ),
        (
            json!([{"pointer": "/x", "shape": [1,1,1,1,1,1,1,1,1]}]),
            None,
            "8 are allowed",
        ),
        (json!([{"pointer": "x"}]), None, "does not begin with"),
        (
            json!([{"pointer": "/x".repeat(100_000)}]),
            None,
            "more than 100 deep",
        ),
        (json!([{"pointer": "/x~2"}]), None, "is written `~0`"),
        (
            json!([{"pointer": "/x"}, {"pointer": "/x"}]),
            None,
            "named twice",
        ),
        (
            json!([{"pointer": "/x/0"}, {"pointer": "/x"}]),
            None,
            "lies in another",
        ),
        (json!([{"pointer": ""}]), Some("/x"), "lies in another"),
        (x, Some("/x"), "named twice"),
    ] {
        let error = check(fields, label).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

proptest! {
    /// What serde_json writes is read back to the bit, wherever it stands.
    #[test]
    fn numbers_round_trip(
        numbers in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::ZERO, 7),
        in_text: bool,
        names in prop::collection::hash_set("[a-z~/\"\u{e4}]{0,5}", 2),
    ) {
        let names: Vec<String> = names.into_iter().collect();
        let pointers = names.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1")));
        let pointers: Vec<String> = pointers.collect();
        let format = format(json!({"type": "JSON", "fields": [
            {"pointer": pointers[0], "shape": [3, 2], "in_text": in_text},
            {"pointer": pointers[1]},
        ]}));
        let written: Vec<Value> = numbers.iter().map(|number| json!(number)).collect();
        let value = document(&[
            Written { pointer: &pointers[1], shape: &[], numbers: &written[6..], in_text: false },
            Written { pointer: &pointers[0], shape: &[3, 2], numbers: &written[..6], in_text },
        ]);
        let row = decode(&format, &value.to_string()).unwrap();
        let bits = |numbers: &[f32]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&row), bits(&numbers));
    }

    /// Whatever the bytes are, they are decoded or refused.
    #[test]
    fn rubbish_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let format = scalars(&["/a", "/b/0"], "NAN");
        let parts = Parts { key: None, value: Some(&bytes), timestamp_ms: None, headers: &() };
        let mut row = Vec::new();
        let decoded = Decoder::new(&format, None).decode(&parts, &mut row, &mut Vec::new());
        prop_assert_eq!(row.len(), if decoded.is_ok() { 2 } else { 0 });
    }
}
