//! Rows and the records that they become.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use csv::ByteRecord;
use millrace_wire::record::{
    ByteOrder, Dtype, JsonField, JsonRecord, Missing, RawArray, SchemaKey,
};

use super::*;

fn row(row: &Row<'_>, format: &RecordFormat, label: Option<&Label>) -> Result<Encoded> {
    Encoder::new(format, label, None)?.row(row)
}

fn of_json(format: serde_json::Value) -> RecordFormat {
    serde_json::from_value(format).unwrap()
}

fn encoded(
    format: &RecordFormat,
    registered: Option<&Registered>,
    cells: &[&str],
) -> Result<Vec<u8>, String> {
    let cells = ByteRecord::from(cells.to_vec());
    let row = Row {
        number: 4,
        cells: &cells,
    };
    Encoder::new(format, None, registered)
        .and_then(|encoder| encoder.row(&row))
        .map(|record| record.value.unwrap())
        .map_err(|error| error.to_string())
}

#[test]
fn values_begin_with_the_schema_that_they_name() {
    let id = |text: Option<&str>| Registered {
        id: SchemaKey::Id(7),
        text: text.map(str::to_owned),
        message: None,
    };
    let json = of_json(
        serde_json::json!({"type": "JSON", "registry": true, "fields": [{"pointer": "/x"}]}),
    );
    assert_eq!(
        encoded(&json, Some(&id(None)), &["1"]).unwrap(),
        b"\0\0\0\0\x07{\"x\":1}"
    );
    let fault = encoded(&json, None, &["1"]).unwrap_err();
    assert!(fault.contains("`--schema-id`"), "{fault}");
    let registry = serde_json::json!({"type": "REGISTRY"});
    let avro = of_json(
        serde_json::json!({"type": "AVRO", "writer": registry, "fields": [{"pointer": "/x"}]}),
    );
    let schema = r#"{"type": "record", "name": "r", "fields": [{"name": "x", "type": "int"}]}"#;
    assert_eq!(
        encoded(&avro, Some(&id(Some(schema))), &["1"]).unwrap(),
        [0, 0, 0, 0, 7, 2]
    );
    let fault = encoded(&avro, Some(&id(None)), &["1"]).unwrap_err();
    assert!(fault.contains("`--schema`"), "{fault}");
    let protobuf = of_json(
        serde_json::json!({"type": "PROTOBUF", "writer": registry, "fields": [{"pointer": "/x"}]}),
    );
    let file = r#"syntax = "proto3"; message Other {} message R { int32 x = 1; }"#;
    let second = Registered {
        message: Some("R".to_owned()),
        ..id(Some(file))
    };
    // One index, which is 1, and then the field 1 with the number 5.
    assert_eq!(
        encoded(&protobuf, Some(&second), &["5"]).unwrap(),
        [0, 0, 0, 0, 7, 2, 2, 8, 5]
    );
    let raw = of_json(serde_json::json!({"type": "RAW", "dtype": "uint8", "shape": [1]}));
    let fault = encoded(&raw, Some(&id(None)), &["1"]).unwrap_err();
    assert!(fault.contains("name no schema"), "{fault}");
}

#[test]
fn rows_become_messages_and_images() {
    let schema = r#"syntax = "proto3"; message R { int32 x = 1; }"#;
    let writer = serde_json::json!({"type": "SCHEMA", "schema": schema});
    let protobuf = of_json(
        serde_json::json!({"type": "PROTOBUF", "writer": writer, "fields": [{"pointer": "/x"}]}),
    );
    assert_eq!(encoded(&protobuf, None, &["5"]).unwrap(), [8, 5]);
    let fault = encoded(&protobuf, None, &["0.5"]).unwrap_err();
    assert!(fault.starts_with("row 4: the field \"/x\""), "{fault}");
    let image =
        of_json(serde_json::json!({"type": "IMAGE", "height": 1, "width": 2, "channels": "GRAY"}));
    let file = encoded(&image, None, &["0", "255"]).unwrap();
    assert!(file.starts_with(b"\x89PNG"));
    assert_eq!(
        encoded(&image, None, &["0", "256"]).unwrap_err(),
        "row 4, column 2: \"256\" is not a number from 0 to 255"
    );
}

#[test]
fn cells_fill_items_and_entries_of_messages() {
    let schema = r#"syntax = "proto3";
        message R { message At { int32 x = 1; } repeated At path = 1; map<string, int32> rooms = 2; }"#;
    let protobuf = of_json(serde_json::json!({
        "type": "PROTOBUF", "writer": {"type": "SCHEMA", "schema": schema}, "missing": "NAN",
        "fields": [{"pointer": "/path/0/x"}, {"pointer": "/path/1/x"}, {"pointer": "/rooms/hall"}],
    }));
    assert_eq!(
        encoded(&protobuf, None, &["5", "6", "7"]).unwrap(),
        b"\x0a\x02\x08\x05\x0a\x02\x08\x06\x12\x08\x0a\x04hall\x10\x07"
    );
    // A path of one item, and no such room.
    assert_eq!(
        encoded(&protobuf, None, &["5", "", ""]).unwrap(),
        [10, 2, 8, 5]
    );
    let fault = encoded(&protobuf, None, &["", "6", "7"]).unwrap_err();
    assert!(
        fault.contains("\"/path/0/x\": it cannot be left out"),
        "{fault}"
    );
}

fn encode_text(cells: &[&str], dtype: Dtype, label: bool) -> Result<Encoded> {
    let cells = ByteRecord::from(cells.to_vec());
    let array = RawArray {
        dtype,
        shape: vec![2],
        byte_order: ByteOrder::Little,
    };
    let label = label.then_some(Label {
        source: LabelSource::Key,
        encoding: Encoding::Text,
    });
    let row_of_cells = Row {
        number: 4,
        cells: &cells,
    };
    row(&row_of_cells, &RecordFormat::Raw(array), label.as_ref())
}

#[test]
fn cells_become_bytes_and_the_last_one_the_label() {
    let encoded = encode_text(&["1", " 2 ", "7"], Dtype::Int16, true).unwrap();
    assert_eq!(encoded.value.unwrap(), [1, 0, 2, 0]);
    assert_eq!(encoded.key.unwrap(), b"7");
    assert_eq!(
        encode_text(&["1", "2"], Dtype::Uint8, true).unwrap().key,
        None
    );
}

#[test]
fn a_label_may_have_several_columns() {
    let array = |size| RawArray {
        dtype: Dtype::Uint8,
        shape: vec![size],
        byte_order: ByteOrder::Little,
    };
    let label = Label {
        source: LabelSource::Key,
        encoding: Encoding::Raw(array(3)),
    };
    let encoded = |cells: &[&str]| {
        let cells = ByteRecord::from(cells.to_vec());
        let row_of_cells = Row {
            number: 4,
            cells: &cells,
        };
        row(&row_of_cells, &RecordFormat::Raw(array(2)), Some(&label))
    };
    let found = encoded(&["1", "2", "0", "0", "1"]).unwrap();
    assert_eq!(
        (found.value, found.key),
        (Some(vec![1, 2]), Some(vec![0, 0, 1]))
    );
    assert_eq!(
        encoded(&["1", "2", "0"]).err().unwrap().to_string(),
        "row 4 has 3 columns; the datasource's records have 2 elements, which the 3 of a label may follow"
    );
}

#[test]
fn cells_of_texts_are_texts() {
    let fields = serde_json::json!([{"pointer": "/age"}, {"pointer": "/town", "text": true}]);
    let json = |missing: &str| {
        of_json(serde_json::json!({"type": "JSON", "fields": fields, "missing": missing}))
    };
    for (missing, town, written) in [
        ("REFUSE", "5", r#"{"age":3,"town":"5"}"#),
        ("REFUSE", "", r#"{"age":3,"town":""}"#),
        ("NAN", "", r#"{"age":3,"town":null}"#),
    ] {
        let found = encoded(&json(missing), None, &["3", town]).unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), written);
    }
    let schema = r#"{"type": "record", "name": "r", "fields": [
        {"name": "town", "type": "string"},
        {"name": "age", "type": {"type": "enum", "name": "e", "symbols": ["old", "young"]}}]}"#;
    let avro = of_json(serde_json::json!({
        "type": "AVRO", "writer": {"type": "SCHEMA", "schema": schema},
        "fields": [{"pointer": "/age", "text": true}, {"pointer": "/town", "text": true}],
    }));
    assert_eq!(
        encoded(&avro, None, &["young", "Ulm"]).unwrap(),
        b"\x06Ulm\x02"
    );
    let fault = encoded(&avro, None, &["middling", "Ulm"]).unwrap_err();
    assert!(fault.contains("middling"), "{fault}");
    let proto = "syntax = \"proto3\"; message A { string town = 1; int32 age = 2; }";
    let protobuf = of_json(serde_json::json!({
        "type": "PROTOBUF", "writer": {"type": "SCHEMA", "schema": proto}, "fields": fields,
    }));
    assert_eq!(
        encoded(&protobuf, None, &["3", "Ulm"]).unwrap(),
        b"\x0a\x03Ulm\x10\x03"
    );
}

#[test]
fn rows_become_documents_with_the_label_in_a_field() {
    let record = JsonRecord {
        fields: vec![
            JsonField {
                pointer: "/a".to_owned(),
                shape: vec![2],
                in_text: false,
                text: false,
            },
            JsonField {
                pointer: "/b/c".to_owned(),
                shape: Vec::new(),
                in_text: false,
                text: false,
            },
        ],
        missing: Missing::Nan,
        registry: false,
    };
    let label = Label {
        source: LabelSource::Field {
            pointer: "/b/label".to_owned(),
            shape: Vec::new(),
        },
        encoding: Encoding::default(),
    };
    let format = RecordFormat::Json(record);
    let encoded = |cells: &[&str]| {
        let cells = ByteRecord::from(cells.to_vec());
        let row_of_cells = Row {
            number: 4,
            cells: &cells,
        };
        let encoded = row(&row_of_cells, &format, Some(&label));
        encoded.map(|encoded| String::from_utf8(encoded.value.unwrap()).unwrap())
    };
    assert_eq!(
        encoded(&["1", "", ".5", "7"]).unwrap(),
        r#"{"a":[1,null],"b":{"c":0.5,"label":7}}"#
    );
    // Without a label, as an inference reads them.
    assert_eq!(
        encoded(&["1", "2", "1e3"]).unwrap(),
        r#"{"a":[1,2],"b":{"c":1000.0}}"#
    );
    let error = encoded(&["1", "x", "3"]).unwrap_err().to_string();
    assert_eq!(error, "row 4, column 2: \"x\" is not a number");
}

#[test]
fn what_does_not_fit_is_named_by_row_and_column() {
    let error = |cells: &[&str]| {
        encode_text(cells, Dtype::Uint8, false)
            .err()
            .unwrap()
            .to_string()
    };
    assert_eq!(
        error(&["1", "256"]),
        "row 4, column 2: \"256\" is not a number of type u8"
    );
    assert_eq!(
        error(&["1", "2", "3"]),
        "row 4 has 3 columns; the datasource's records have 2 elements"
    );
    assert_eq!(
        error(&["1"]),
        "row 4 has 1 columns; the datasource's records have 2 elements"
    );
}

#[test]
fn rows_fill_every_part_of_a_record() {
    let format: RecordFormat = serde_json::from_value(serde_json::json!({"type": "RECORD",
        "value": {"type": "STRUCT", "fields": [
            {"name": "id", "dtype": "int16", "skip": true},
            {"name": "class", "dtype": "uint8", "skip": true},
            {"name": "x", "dtype": "float16", "byte_order": "BIG"},
        ]},
        "beside": [
            {"type": "TIMESTAMP", "unit": "DAYS"},
            {"type": "HEADER", "name": "price"},
            {"type": "KEY", "encoding": {"type": "RAW", "dtype": "uint8", "shape": [2]}},
        ],
        "missing": "NAN",
    }))
    .unwrap();
    let label = Label {
        source: LabelSource::Field {
            pointer: "/class".to_owned(),
            shape: Vec::new(),
        },
        encoding: Encoding::Text,
    };
    let encoded = |cells: &[&str]| {
        let cells = ByteRecord::from(cells.to_vec());
        let row_of_cells = Row {
            number: 4,
            cells: &cells,
        };
        row(&row_of_cells, &format, Some(&label)).unwrap()
    };
    let full = encoded(&["1", "2.5", "3", "4", "7"]);
    assert_eq!(full.value.unwrap(), [0, 0, 7, 0x3c, 0x00]);
    assert_eq!(full.headers, [("price".to_owned(), b"2.5".to_vec())]);
    assert_eq!(full.key.unwrap(), [3, 4]);
    let gaps = encoded(&["1", "", "", "", "7"]);
    assert!(gaps.key.is_none() && gaps.headers.is_empty());
}
