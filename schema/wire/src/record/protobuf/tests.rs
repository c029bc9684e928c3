//! Messages as other implementations write them, and as they should not be.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use proptest::prelude::*;
use protox::prost::Message as _;
use protox::prost_reflect::{DynamicMessage, MapKey, Value as Dynamic};
use serde_json::{Value, json};

use super::compile::parse;
use crate::record::tests::decode_with;
use crate::record::{
    DecodeError, Decoder, Label, MessageWriter, Parts, RecordFormat, Reference, SchemaDocument,
    SchemaKey, SchemaKind, Written, framed, framed_message,
};

const READING: &str = r#"
syntax = "proto3";
package acme;
message Reading {
  string id = 1;
  double x = 2;
  optional float y = 3;
  At at = 4;
  repeated double spectrum = 5;
  bytes pixels = 6;
  Color color = 7;
  sint64 delta = 8;
  bool good = 9;
  uint64 count = 300;
  map<string, double> more = 11;
  repeated At path = 12;
  fixed32 four = 13;
  repeated int32 loose = 14 [packed = false];
  message At {
    message Deep { int64 z = 1; }
    int32 north = 1;
    Deep deep = 2;
  }
}
enum Color { NONE = 0; GREEN = 5; }
message Other { float x = 1; }
"#;

fn format(fields: &Value, missing: &str) -> RecordFormat {
    serde_json::from_value(json!({
        "type": "PROTOBUF", "writer": {"type": "SCHEMA", "schema": READING}, "fields": fields, "missing": missing,
    }))
    .unwrap()
}

/// As the reference writes it.
fn encode(fields: &[(&str, Dynamic)]) -> Vec<u8> {
    message("acme.Reading", fields).encode_to_vec()
}

fn message(name: &str, fields: &[(&str, Dynamic)]) -> DynamicMessage {
    let messages = parse(READING, &[]).unwrap();
    let pool = messages[0].parent_pool().clone();
    let mut message = DynamicMessage::new(pool.get_message_by_name(name).unwrap());
    for (name, value) in fields {
        message.set_field_by_name(name, value.clone());
    }
    message
}

fn full() -> Vec<u8> {
    let deep = message("acme.Reading.At.Deep", &[("z", Dynamic::I64(-9))]);
    let at = [
        ("north", Dynamic::I32(-70)),
        ("deep", Dynamic::Message(deep)),
    ];
    let at = Dynamic::Message(message("acme.Reading.At", &at));
    encode(&[
        ("id", Dynamic::String("a-1".into())),
        ("x", Dynamic::F64(1.5)),
        ("y", Dynamic::F32(-2.5)),
        ("at", at.clone()),
        (
            "spectrum",
            Dynamic::List(vec![Dynamic::F64(1.0), Dynamic::F64(2.0)]),
        ),
        ("pixels", Dynamic::Bytes(vec![0, 255].into())),
        ("color", Dynamic::EnumNumber(5)),
        ("delta", Dynamic::I64(-300)),
        ("good", Dynamic::Bool(true)),
        ("count", Dynamic::U64(1 << 24)),
        (
            "more",
            Dynamic::Map([(MapKey::String("k".to_owned()), Dynamic::F64(1.0))].into()),
        ),
        ("path", Dynamic::List(vec![at])),
        ("four", Dynamic::U32(4)),
        (
            "loose",
            Dynamic::List(vec![Dynamic::I32(-1), Dynamic::I32(7)]),
        ),
    ])
}

fn decode(format: &RecordFormat, bytes: &[u8]) -> Result<Vec<f32>, DecodeError> {
    decode_with(&mut Decoder::new(format, None), bytes, &())
}

#[test]
fn fields_are_found_wherever_they_stand_and_the_rest_is_skipped() {
    for (fields, expected) in [
        (
            json!([{"pointer": "/x"}, {"pointer": "/y"}, {"pointer": "/at/north"}]),
            vec![1.5, -2.5, -70.0],
        ),
        (
            json!([{"pointer": "/at/deep/z"}, {"pointer": "/color"}, {"pointer": "/delta"}]),
            vec![-9.0, 5.0, -300.0],
        ),
        (
            json!([{"pointer": "/good"}, {"pointer": "/count"}, {"pointer": "/four"}]),
            vec![1.0, 16_777_216.0, 4.0],
        ),
        (
            json!([{"pointer": "/spectrum", "shape": [2, 1]}]),
            vec![1.0, 2.0],
        ),
        (
            json!([{"pointer": "/loose", "shape": [2]}, {"pointer": "/pixels", "shape": [2]}]),
            vec![-1.0, 7.0, 0.0, 255.0],
        ),
    ] {
        let format = format(&fields, "REFUSE");
        format.check(None).unwrap();
        assert_eq!(decode(&format, &full()).unwrap(), expected, "{fields}");
    }
    let label: Label =
        serde_json::from_value(json!({"source": {"type": "FIELD", "pointer": "/color"}})).unwrap();
    let format = format(&json!([{"pointer": "/x"}]), "REFUSE");
    format.check(Some(&label)).unwrap();
    let bytes = full();
    let parts = Parts {
        key: None,
        value: Some(&bytes),
        timestamp_ms: None,
        headers: &(),
    };
    let (mut row, mut labels) = (Vec::new(), Vec::new());
    let mut decoder = Decoder::new(&format, Some(&label));
    decoder.decode(&parts, &mut row, &mut labels).unwrap();
    assert_eq!((row, labels), (vec![1.5], vec![5.0]));
}

/// A number that is 0 is not written, unless its field is optional.
#[test]
fn what_is_not_written_is_zero_or_missing() {
    let fields = json!([{"pointer": "/x"}, {"pointer": "/color"}]);
    assert_eq!(decode(&format(&fields, "REFUSE"), &[]).unwrap(), [0.0, 0.0]);
    for field in ["/y", "/at/north", "/at/deep/z"] {
        let fields = json!([{"pointer": field}]);
        let error = decode(&format(&fields, "REFUSE"), &[]).unwrap_err();
        assert_eq!(error.code(), "field-missing", "{field}");
        assert!(decode(&format(&fields, "NAN"), &[]).unwrap()[0].is_nan());
    }
    // What lies in a message that is there is 0 as well.
    let at = Dynamic::Message(message("acme.Reading.At", &[]));
    let fields = json!([{"pointer": "/at/north"}]);
    assert_eq!(
        decode(&format(&fields, "REFUSE"), &encode(&[("at", at)])).unwrap(),
        [0.0]
    );
    let proto2 = r#"syntax = "proto2"; message A { optional int32 a = 1 [default = 7]; optional int32 b = 2; }"#;
    let format: RecordFormat = serde_json::from_value(json!({
        "type": "PROTOBUF", "writer": {"type": "SCHEMA", "schema": proto2, "message": "A"},
        "fields": [{"pointer": "/a"}, {"pointer": "/b"}], "missing": "NAN",
    }))
    .unwrap();
    let row = decode(&format, &[]).unwrap();
    assert!(row[0].to_bits() == 7.0_f32.to_bits() && row[1].is_nan());
}

#[test]
fn what_does_not_fit_is_told() {
    let count = |count: u64| encode(&[("count", Dynamic::U64(count))]);
    let refused = |fields: Value, bytes: &[u8]| decode(&format(&fields, "NAN"), bytes).unwrap_err();
    let error = refused(json!([{"pointer": "/count"}]), &count((1 << 24) + 1));
    assert_eq!(
        error.to_string(),
        r#"element 0 of the field "/count" is 16777217, which float32 cannot hold"#
    );
    for (fields, code) in [
        (
            json!([{"pointer": "/spectrum", "shape": [3]}]),
            "field-shape",
        ),
        (
            json!([{"pointer": "/spectrum", "shape": [1]}]),
            "field-shape",
        ),
        (json!([{"pointer": "/pixels", "shape": [3]}]), "field-shape"),
    ] {
        assert_eq!(refused(fields, &full()).code(), code);
    }
    let x = json!([{"pointer": "/x"}]);
    for bytes in [
        &full()[..40],
        &[0x12, 0x01, 0x00],
        &[0x03],
        &[0x04],
        &[0x07],
        &[0x00],
        &[0x11],
        &[0xff; 12],
    ] {
        assert_eq!(refused(x.clone(), bytes).code(), "protobuf", "{bytes:?}");
    }
    // Groups, which nobody writes any more, are passed over.
    let group = [0x0b, 0x13, 0x08, 0x01, 0x14, 0x0c];
    assert_eq!(decode(&format(&x, "NAN"), &group).unwrap(), [0.0]);
    assert_eq!(refused(x, &vec![0x0b; 100_000]).code(), "protobuf");
}

#[test]
fn items_of_repeated_messages_and_values_of_maps_are_features() {
    let at = |north| {
        Dynamic::Message(message(
            "acme.Reading.At",
            &[("north", Dynamic::I32(north))],
        ))
    };
    let more = [("a", 0.5), ("b", 0.0)];
    let more = more.map(|(key, number)| (MapKey::String(key.to_owned()), Dynamic::F64(number)));
    let bytes = encode(&[
        ("path", Dynamic::List(vec![at(7), at(0), at(9)])),
        ("more", Dynamic::Map(more.into())),
    ]);
    let there = json!([
        {"pointer": "/path/2/north"}, {"pointer": "/path/0/north"}, {"pointer": "/path/1/north"},
        {"pointer": "/more/b"}, {"pointer": "/more/a"},
    ]);
    let format_of = format(&there, "REFUSE");
    format_of.check(None).unwrap();
    // An item and an entry are there, though their zeros are not written.
    assert_eq!(
        decode(&format_of, &bytes).unwrap(),
        [9.0, 7.0, 0.0, 0.0, 0.5]
    );
    for pointer in ["/path/3/north", "/more/c"] {
        let fields = json!([{"pointer": pointer}]);
        let error = decode(&format(&fields, "REFUSE"), &bytes).unwrap_err();
        assert_eq!(error.code(), "field-missing");
        assert!(decode(&format(&fields, "NAN"), &bytes).unwrap()[0].is_nan());
    }
    let entry = [&[0x5a, 12, 0x0a, 1, b'a', 0x11][..], &0.5_f64.to_le_bytes()].concat();
    let a = json!([{"pointer": "/more/a"}]);
    assert_eq!(decode(&format(&a, "REFUSE"), &entry).unwrap(), [0.5]);
    let bytes = [entry.clone(), entry].concat();
    let twice = decode(&format(&a, "REFUSE"), &bytes).unwrap_err();
    assert!(twice.to_string().contains("twice"), "{twice}");
}

#[test]
fn keys_of_maps_are_of_any_type() {
    const FILE: &str = r#"syntax = "proto3";
        message Maps {
          map<int32, At> a = 1;
          map<sint64, At> b = 2;
          map<fixed32, At> c = 3;
          map<sfixed32, At> d = 4;
          map<sfixed64, At> e = 5;
          map<bool, At> f = 6;
          map<uint64, At> g = 7;
        }
        message At { float x = 1; }"#;
    let messages = parse(FILE, &[]).unwrap();
    let pool = messages[0].parent_pool().clone();
    for (field, name, key, other) in [
        ("a", "-3", MapKey::I32(-3), MapKey::I32(3)),
        ("b", "-3", MapKey::I64(-3), MapKey::I64(3)),
        ("c", "3", MapKey::U32(3), MapKey::U32(0)),
        ("d", "-3", MapKey::I32(-3), MapKey::I32(3)),
        ("e", "-3", MapKey::I64(-3), MapKey::I64(3)),
        ("f", "false", MapKey::Bool(false), MapKey::Bool(true)),
        ("g", "0", MapKey::U64(0), MapKey::U64(1)),
    ] {
        let at = |x| {
            let mut at = DynamicMessage::new(pool.get_message_by_name("At").unwrap());
            at.set_field_by_name("x", Dynamic::F32(x));
            Dynamic::Message(at)
        };
        let mut maps = DynamicMessage::new(pool.get_message_by_name("Maps").unwrap());
        let entries = [(other, at(1.0)), (key, at(2.0))];
        maps.set_field_by_name(field, Dynamic::Map(entries.into()));
        let of_key = |name: &str| -> RecordFormat {
            serde_json::from_value(json!({
                "type": "PROTOBUF", "writer": {"type": "SCHEMA", "schema": FILE, "message": "Maps"},
                "fields": [{"pointer": format!("/{field}/{name}/x")}],
            }))
            .unwrap()
        };
        of_key(name).check(None).unwrap();
        assert_eq!(
            decode(&of_key(name), &maps.encode_to_vec()).unwrap(),
            [2.0],
            "{field}"
        );
        let error = of_key("x").check(None).unwrap_err().to_string();
        assert!(error.contains("is no key of a map"), "{error}");
    }
}

#[test]
fn a_format_that_no_record_fits_is_refused() {
    for (fields, reason) in [
        (
            json!([{"pointer": "/z"}]),
            r#"the message acme.Reading has no field "z""#,
        ),
        (json!([{"pointer": "/id"}]), "holds no numbers"),
        (json!([{"pointer": "/at"}]), "holds no numbers"),
        (json!([{"pointer": "/x", "shape": [2]}]), "holds one number"),
        (json!([{"pointer": "/x/y"}]), "is no message"),
        (json!([{"pointer": "/path/north"}]), "is repeated"),
        (json!([{"pointer": "/path/01/north"}]), "is repeated"),
        (json!([{"pointer": "/path/0"}]), "the item 0 is a message"),
        (json!([{"pointer": ""}]), "is a message"),
    ] {
        let error = format(&fields, "REFUSE")
            .check(None)
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{error}");
    }
    for (schema, message, reason) in [
        ("message {", None, "it is not Protobuf"),
        ("syntax = \"proto3\";", None, "it has no message"),
        (READING, Some("Reading"), "give the name with its package"),
        (
            "syntax = \"proto3\"; import \"none.proto\"; message A { int32 x = 1; }",
            None,
            "none.proto",
        ),
    ] {
        let format: RecordFormat = serde_json::from_value(json!({
            "type": "PROTOBUF", "writer": {"type": "SCHEMA", "schema": schema, "message": message}, "fields": [{"pointer": "/x"}],
        }))
        .unwrap();
        let error = format.check(None).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn the_registry_says_which_message_a_record_is() {
    let format: RecordFormat = serde_json::from_value(json!({
        "type": "PROTOBUF", "writer": {"type": "REGISTRY"}, "fields": [{"pointer": "/x"}],
    }))
    .unwrap();
    let mut decoder = Decoder::new(&format, None);
    let other = message("acme.Other", &[("x", Dynamic::F32(3.0))]).encode_to_vec();
    let reading = encode(&[("x", Dynamic::F64(1.5))]);
    let error = decode_with(&mut decoder, &framed_message(7_u32, &[0], &reading), &()).unwrap_err();
    assert_eq!(error.awaits(), Some(SchemaKey::Id(7)));
    let document = SchemaDocument {
        kind: SchemaKind::Protobuf,
        text: READING.to_owned(),
        references: Vec::new(),
    };
    decoder.learn(SchemaKey::Id(7), &document);
    assert_eq!(framed_message(7_u32, &[0], &[]), [0, 0, 0, 0, 7, 0]);
    assert_eq!(
        framed_message(7_u32, &[1, 100], &[]),
        [0, 0, 0, 0, 7, 4, 2, 0xc8, 1]
    );
    for (indexes, bytes, expected) in [(&[0][..], &reading, 1.5), (&[1], &other, 3.0)] {
        let framed = framed_message(7_u32, indexes, bytes);
        assert_eq!(decode_with(&mut decoder, &framed, &()).unwrap(), [expected]);
        // The indexes stand behind the id, wherever that is.
        let header = framed_message(7_u32, indexes, &[]);
        let headers: &[(&str, Option<&[u8]>)] = &[("__value_schema_id", Some(&header))];
        assert_eq!(
            decode_with(&mut decoder, bytes, &headers).unwrap(),
            [expected]
        );
    }
    for (bytes, code) in [
        (framed_message(7_u32, &[0, 0], &reading), "schema-mismatch"),
        (framed_message(7_u32, &[9], &reading), "schema-mismatch"),
        (framed(7_u32, &[]), "schema-framing"),
        (
            framed(7_u32, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            "schema-framing",
        ),
        (framed(7_u32, &[1]), "schema-framing"),
    ] {
        assert_eq!(
            decode_with(&mut decoder, &bytes, &()).unwrap_err().code(),
            code,
            "{bytes:?}"
        );
    }

    // A file that uses another one, and one of Google's.
    let document = SchemaDocument {
        text:
            r#"syntax = "proto3"; import "a/inner.proto"; import "google/protobuf/timestamp.proto";
            message Outer { google.protobuf.Timestamp when = 1; Inner inner = 2; float x = 3; }"#
                .to_owned(),
        references: vec![Reference {
            name: "a/inner.proto".to_owned(),
            text: r#"syntax = "proto3"; message Inner { int32 a = 1; }"#.to_owned(),
        }],
        ..document
    };
    decoder.learn(SchemaKey::Id(8), &document);
    let x = [&[0x1d][..], &2.5_f32.to_le_bytes()].concat();
    assert_eq!(
        decode_with(&mut decoder, &framed_message(8_u32, &[0], &x), &()).unwrap(),
        [2.5]
    );
}

proptest! {
    /// What the reference writes is read.
    #[test]
    fn what_the_reference_writes_is_read(
        x: f32, y: Option<f32>, north in -16_777_216..16_777_216_i32, z in -16_777_216..16_777_216_i64,
        spectrum in prop::collection::vec(any::<f32>(), 1..9), count in 0..16_777_216_u64, delta in -16_777_216..16_777_216_i64,
    ) {
        let deep = message("acme.Reading.At.Deep", &[("z", Dynamic::I64(z))]);
        let at = message("acme.Reading.At", &[("north", Dynamic::I32(north)), ("deep", Dynamic::Message(deep))]);
        let mut fields = vec![
            ("x", Dynamic::F64(x.into())), ("at", Dynamic::Message(at)), ("count", Dynamic::U64(count)), ("delta", Dynamic::I64(delta)),
            ("spectrum", Dynamic::List(spectrum.iter().map(|n| Dynamic::F64((*n).into())).collect())),
        ];
        fields.extend(y.map(|y| ("y", Dynamic::F32(y))));
        let asked = json!([
            {"pointer": "/spectrum", "shape": [spectrum.len()]}, {"pointer": "/x"}, {"pointer": "/y"}, {"pointer": "/at/north"},
            {"pointer": "/at/deep/z"}, {"pointer": "/count"}, {"pointer": "/delta"},
        ]);
        let row = decode(&format(&asked, "NAN"), &encode(&fields)).unwrap();
        #[allow(clippy::cast_precision_loss, reason = "all of them fit")]
        let scalars = [x, y.unwrap_or(f32::NAN), north as f32, z as f32, count as f32, delta as f32];
        let expected = spectrum.iter().chain(&scalars);
        let same = row.iter().zip(expected).all(|(a, b)| (a + 0.0).to_bits() == (b + 0.0).to_bits() || a.is_nan() && b.is_nan());
        prop_assert!(same && row.len() == spectrum.len() + 6, "{row:?}");
    }

    /// Whatever the bytes are, they are decoded or refused.
    #[test]
    fn rubbish_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), cut in 0..80_usize) {
        let asked = json!([{"pointer": "/at/deep/z"}, {"pointer": "/spectrum", "shape": [2]}, {"pointer": "/pixels", "shape": [2]}]);
        let format = format(&asked, "NAN");
        let full = full();
        for bytes in [&bytes[..], &full[..cut.min(full.len())]] {
            let _ = decode(&format, bytes);
        }
    }
}

fn written(fields: &[(&str, &[u32], Value)]) -> Result<Vec<u8>, String> {
    let fields: Vec<Written<'_>> = fields
        .iter()
        .map(|(pointer, shape, numbers)| Written {
            pointer,
            shape,
            numbers: numbers.as_array().unwrap(),
            in_text: false,
        })
        .collect();
    let writer = MessageWriter::new(READING, None).unwrap();
    writer.write(&fields).map_err(|error| error.to_string())
}

#[test]
fn what_is_written_is_read() {
    let message = written(&[
        ("/x", &[], json!([0.5])),
        ("/y", &[], json!([null])),
        ("/at/deep/z", &[], json!([-7])),
        ("/spectrum", &[2, 2], json!([1, 2, 3, 4.5])),
        ("/pixels", &[2], json!([0, 255])),
        ("/color", &[], json!([5])),
        ("/good", &[], json!([1])),
        ("/count", &[], json!([16_777_216])),
    ]);
    let fields = json!([
        {"pointer": "/x"}, {"pointer": "/at/deep/z"}, {"pointer": "/spectrum", "shape": [2, 2]},
        {"pointer": "/pixels", "shape": [2]}, {"pointer": "/color"}, {"pointer": "/good"}, {"pointer": "/count"},
        {"pointer": "/y"}
    ]);
    let parts = Parts {
        key: None,
        value: Some(&message.unwrap()),
        timestamp_ms: None,
        headers: &(),
    };
    let mut row = Vec::new();
    let mut decoder = Decoder::new(&format(&fields, "NAN"), None);
    decoder.decode(&parts, &mut row, &mut Vec::new()).unwrap();
    let expected = [
        0.5,
        -7.0,
        1.0,
        2.0,
        3.0,
        4.5,
        0.0,
        255.0,
        5.0,
        1.0,
        16_777_216.0,
    ];
    assert_eq!(row[..11], expected);
    assert!(row[11].is_nan());
}

#[test]
fn what_no_message_can_hold_is_told() {
    for (pointer, shape, numbers, words) in [
        ("/x", [].as_slice(), json!([null]), "it would be 0 then"),
        ("/count", &[], json!([-1]), "-1 is not one of its type"),
        ("/pixels", &[2], json!([1, 256]), "256 is not a byte"),
        ("/good", &[], json!([2]), "2 is not one of its type"),
        (
            "/nowhere",
            &[],
            json!([1]),
            "acme.Reading has no field \"nowhere\"",
        ),
        ("/x/y", &[], json!([1]), "\"x\" is no message"),
        ("/id", &[], json!([1]), "not one of its type"),
        (
            "/x",
            &[2],
            json!([1, 2]),
            "it is one number, and 2 are given",
        ),
        ("", &[], json!([1]), "it is a message"),
    ] {
        let error = written(&[(pointer, shape, numbers)]).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn messages_know_their_place_in_the_file() {
    let indexes = |message| {
        MessageWriter::new(READING, message)
            .unwrap()
            .indexes(SchemaKey::Id(1))
    };
    assert_eq!(indexes(None), [0]);
    // The message of the map's entries, which nobody wrote, stands before it.
    assert_eq!(indexes(Some("acme.Reading.At.Deep")), [0, 1, 0]);
    assert_eq!(indexes(Some("acme.Other")), [1]);
    // AWS counts all of them, by their names.
    let indexes = |message| {
        MessageWriter::new(READING, message)
            .unwrap()
            .indexes(SchemaKey::Glue(1))
    };
    assert_eq!(indexes(Some("acme.Other")), [0]);
    assert_eq!(indexes(None), [1]);
    assert_eq!(indexes(Some("acme.Reading.At.Deep")), [3]);
}

#[test]
fn aws_says_which_schema_a_message_has() {
    let format: RecordFormat = serde_json::from_value(json!({
        "type": "PROTOBUF", "writer": {"type": "REGISTRY"}, "fields": [{"pointer": "/x"}],
    }))
    .unwrap();
    let mut decoder = Decoder::new(&format, None);
    let (key, reading) = (SchemaKey::Glue(7), encode(&[("x", Dynamic::F64(1.5))]));
    let other = message("acme.Other", &[("x", Dynamic::F32(3.0))]).encode_to_vec();
    let error = decode_with(&mut decoder, &framed_message(key, &[1], &reading), &()).unwrap_err();
    assert_eq!(error.awaits(), Some(key));
    let document = SchemaDocument {
        kind: SchemaKind::Protobuf,
        text: READING.to_owned(),
        references: Vec::new(),
    };
    decoder.learn(key, &document);
    let head = framed(key, &[]);
    assert_eq!(
        framed_message(key, &[300], &[]),
        [&head[..], &[0xac, 2]].concat()
    );
    for (index, bytes, expected) in [(1, &reading, 1.5), (0, &other, 3.0)] {
        let framed = framed_message(key, &[index], bytes);
        assert_eq!(decode_with(&mut decoder, &framed, &()).unwrap(), [expected]);
    }
    for (bytes, code) in [
        (framed_message(key, &[5], &reading), "schema-mismatch"),
        (head.clone(), "schema-framing"),
        (head[..8].to_vec(), "schema-framing"),
    ] {
        let error = decode_with(&mut decoder, &bytes, &()).unwrap_err();
        assert_eq!(error.code(), code, "{bytes:?}");
    }
}
