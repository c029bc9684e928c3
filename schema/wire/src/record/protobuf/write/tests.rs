//! Items of repeated messages and entries of maps, written and read back.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::record::tests::decode_with;
use crate::record::{Decoder, RecordFormat};

const TRACK: &str = r#"
syntax = "proto3";
message Track {
  message Point { optional float x = 1; sint32 floor = 2; map<string, double> more = 3; }
  repeated Point path = 1;
  map<sint32, Point> by_floor = 2;
  map<bool, bytes> pixels = 3;
  map<string, uint64> counts = 4;
  repeated double spectrum = 5;
  Point last = 6;
}
"#;

/// Writes fields of one number or of several.
fn write(fields: &[(String, Number)]) -> Result<Vec<u8>, String> {
    let fields: Vec<(&str, &[Number])> = fields
        .iter()
        .map(|(pointer, given)| {
            let numbers = given.as_array().map(Vec::as_slice);
            (
                pointer.as_str(),
                numbers.unwrap_or(std::slice::from_ref(given)),
            )
        })
        .collect();
    let fields: Vec<Written<'_>> = fields
        .iter()
        .map(|(pointer, numbers)| Written {
            pointer,
            shape: &[],
            numbers,
            in_text: false,
        })
        .collect();
    let writer = MessageWriter::new(TRACK, None).unwrap();
    writer.write(&fields).map_err(|error| error.to_string())
}

/// What a record's fields of one number are, where they may be missing.
fn read(pointers: impl Iterator<Item = String>, message: &[u8]) -> Vec<f32> {
    let fields: Vec<Number> = pointers
        .map(|pointer| json!({"pointer": pointer}))
        .collect();
    let format: RecordFormat = serde_json::from_value(json!({
        "type": "PROTOBUF", "writer": {"type": "SCHEMA", "schema": TRACK}, "fields": fields, "missing": "NAN",
    }))
    .unwrap();
    format.check(None).unwrap();
    decode_with(&mut Decoder::new(&format, None), message, &()).unwrap()
}

fn fault(pointer: &str, given: Number) -> String {
    write(&[(pointer.to_owned(), given)]).unwrap_err()
}

proptest! {
    /// Wherever a number lies, it is read where it was written; where none was given, none is read.
    #[test]
    fn items_and_entries_are_read_back(
        path in vec(option::of(any::<f32>().prop_filter("a number", |x| x.is_finite())), 0..6),
        floors in btree_map(any::<i32>(), option::of(-16_777_216..16_777_216_i32), 0..6),
        counts in btree_map("[a-z/~ ]{0,6}", option::of(0..16_777_216_u32), 0..6),
        deep in btree_map("[a-z]{1,3}", -1e3..1e3_f32, 0..4),
    ) {
        let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
        let mut fields: Vec<(String, Number)> = Vec::new();
        fields.extend(path.iter().enumerate().map(|(place, x)| (format!("/path/{place}/x"), json!(x))));
        fields.extend(floors.iter().map(|(key, floor)| (format!("/by_floor/{key}/floor"), json!(floor))));
        fields.extend(counts.iter().map(|(key, count)| (format!("/counts/{}", escaped(key)), json!(count))));
        fields.extend(deep.iter().map(|(key, number)| (format!("/path/2/more/{key}"), json!(number))));
        prop_assume!(!fields.is_empty());
        let message = write(&fields).unwrap();
        let row = read(fields.iter().map(|(pointer, _)| pointer.clone()), &message);
        #[allow(clippy::cast_possible_truncation, reason = "these were made of float32")]
        let expected = fields.iter().map(|(_, given)| given.as_f64().map_or(f32::NAN, |number| number as f32));
        for ((pointer, given), (found, expected)) in fields.iter().zip(row.iter().zip(expected)) {
            let is_same = found.total_cmp(&expected).is_eq() || found.is_nan() && expected.is_nan();
            // A zero has no sign where it is not written.
            prop_assert!(is_same || *found == 0.0 && expected == 0.0, "{pointer} {given}: {found}");
        }
    }
}

#[test]
fn what_is_before_an_item_is_written_without_anything_in_it() {
    let message = write(&[("/path/2/x".to_owned(), json!(1.5))]).unwrap();
    let items = [0, 1, 2, 3].map(|place| format!("/path/{place}/floor"));
    let floors = read(items.into_iter(), &message);
    assert_eq!(floors[..3], [0.0, 0.0, 0.0]);
    assert!(floors[3].is_nan(), "there is no item behind it");
}

#[test]
fn bytes_and_lists_may_lie_in_them() {
    let fields = [
        ("/pixels/true".to_owned(), json!([0, 255])),
        ("/spectrum".to_owned(), json!([1, 2.5])),
    ];
    let message = write(&fields).unwrap();
    let format: RecordFormat = serde_json::from_value(json!({
        "type": "PROTOBUF", "writer": {"type": "SCHEMA", "schema": TRACK},
        "fields": [{"pointer": "/pixels/true", "shape": [2]}, {"pointer": "/spectrum", "shape": [2]}],
    }))
    .unwrap();
    let row = decode_with(&mut Decoder::new(&format, None), &message, &()).unwrap();
    assert_eq!(row, [0.0, 255.0, 1.0, 2.5]);
}

#[test]
fn a_number_is_left_out_only_where_it_is_not_read_as_zero() {
    let given = |fields: &[(&str, Number)]| {
        let fields = fields.iter();
        write(
            &fields
                .map(|(pointer, given)| ((*pointer).to_owned(), given.clone()))
                .collect::<Vec<_>>(),
        )
    };
    // Of the message nothing is there.
    for pointer in [
        "/path/0/floor",
        "/by_floor/1/floor",
        "/counts/a",
        "/last/floor",
    ] {
        assert!(
            given(&[(pointer, Number::Null)]).unwrap().is_empty(),
            "{pointer}"
        );
    }
    // The message is there for another field, wherever that stands among the columns.
    for (pointer, other) in [
        ("/path/0/floor", "/path/1/x"),
        ("/by_floor/1/floor", "/by_floor/1/x"),
        ("/last/floor", "/last/more/a"),
    ] {
        let fault = given(&[(pointer, Number::Null), (other, json!(1))]).unwrap_err();
        assert!(fault.contains("it would be 0 then"), "{fault}");
    }
}

#[test]
fn places_and_keys_that_are_none_are_told() {
    for (pointer, words) in [
        ("/path/0", "it is a message"),
        ("/path/x", "is no place of an item"),
        ("/path/01/x", "is no place of an item"),
        ("/path/65536/x", "lies too far behind"),
        ("/by_floor/up/floor", "is no key of a map"),
        ("/by_floor/1", "not one of its type"),
        ("/counts/a/b", "is no message"),
        ("/spectrum/0", "is no message"),
    ] {
        let fault = fault(pointer, json!(1));
        assert!(fault.contains(words), "{pointer}: {fault}");
    }
    assert!(fault("/counts/a", json!(-1)).contains("not one of its type"));
}
