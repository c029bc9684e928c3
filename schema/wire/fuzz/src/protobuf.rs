//! PROTOBUF: messages of files that are known, of a registry's, and of files that may be any text.

use std::cell::RefCell;

use millrace_wire::record::{RecordFormat, SchemaDocument, SchemaKey, SchemaKind};
use serde_json::{Value, json};

use super::subject::{Subject, chosen};

thread_local! {
    static SUBJECTS: RefCell<Vec<Subject>> = RefCell::new(subjects());
}

const MODERN: &str = r#"
syntax = "proto3";
package acme;
message Reading {
  message At { double x = 1; optional float y = 2; At deeper = 3; }
  enum Unit { K = 0; C = 1; }
  string id = 1;
  At at = 2;
  int32 i32 = 3; int64 i64 = 4; uint32 u32 = 5; uint64 u64 = 6; sint32 s32 = 7; sint64 s64 = 8;
  fixed32 f32 = 9; fixed64 f64 = 10; sfixed32 sf32 = 11; sfixed64 sf64 = 12;
  bool ok = 13;
  Unit unit = 14;
  bytes raw = 15;
  repeated float spectrum = 16;
  repeated sint32 steps = 17;
  map<string, double> sensors = 18;
  int32 label = 536870911;
}
message Other { double x = 1; }
"#;

const OLD: &str = r#"
syntax = "proto2";
message Old {
  required double x = 1 [default = 2.5];
  optional int32 n = 2;
  repeated bool flags = 3 [packed = true];
  optional group Inner = 4 { optional int32 y = 5; }
}
"#;

fn subjects() -> Vec<Subject> {
    let pointers = [
        "/at/x",
        "/at/y",
        "/at/deeper/x",
        "/i32",
        "/i64",
        "/u32",
        "/u64",
        "/s32",
        "/s64",
        "/f32",
        "/f64",
        "/sf32",
        "/sf64",
        "/ok",
        "/unit",
    ];
    let mut fields: Vec<Value> = pointers
        .iter()
        .map(|pointer| json!({"pointer": pointer}))
        .collect();
    fields.push(json!({"pointer": "/raw", "shape": [3]}));
    fields.push(json!({"pointer": "/spectrum", "shape": [2, 1]}));
    fields.push(json!({"pointer": "/steps", "shape": [2]}));
    let of = |schema: &str, fields: Value, missing: &str| {
        json!({
            "type": "PROTOBUF", "writer": {"type": "SCHEMA", "schema": schema},
            "fields": fields, "missing": missing,
        })
    };
    let document = |schema: &str| SchemaDocument {
        kind: SchemaKind::Protobuf,
        text: schema.to_owned(),
        references: Vec::new(),
    };
    let old = json!([
        {"pointer": "/x"}, {"pointer": "/n"}, {"pointer": "/flags", "shape": [3]},
    ]);
    let registry = json!({
        "type": "PROTOBUF", "writer": {"type": "REGISTRY"}, "fields": [{"pointer": "/x"}],
    });
    vec![
        Subject::new(
            of(MODERN, json!(fields), "REFUSE"),
            Some(Subject::label("/label", &[])),
        ),
        Subject::new(of(MODERN, json!(fields), "NAN"), None),
        Subject::new(of(OLD, old.clone(), "REFUSE"), None),
        Subject::new(of(OLD, old, "NAN"), None),
        Subject::new(registry, None)
            .learn(SchemaKey::Id(1), &document(MODERN))
            .learn(SchemaKey::Id(2), &document(OLD)),
    ]
}

/// A message.
pub fn protobuf(data: &[u8]) -> bool {
    SUBJECTS.with_borrow_mut(|subjects| {
        let found = chosen(subjects, data);
        found.is_some_and(|(subject, value)| subject.value(value).is_ok())
    })
}

/// A file, and a message, with a zero between them.
pub fn protobuf_schema(data: &[u8]) -> bool {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let schema = parts.next().and_then(|text| std::str::from_utf8(text).ok());
    let Some(schema) = schema else {
        return false;
    };
    let message = parts.next().unwrap_or_default();
    let format = json!({
        "type": "PROTOBUF",
        "writer": {"type": "SCHEMA", "schema": schema},
        "fields": [{"pointer": "/a"}, {"pointer": "/b/c", "shape": [2]}],
        "missing": "NAN",
    });
    let format: RecordFormat = serde_json::from_value(format).expect("it is a format");
    let is_fit = format.check(None).is_ok();
    let is_decoded = Subject::unchecked(format, None).value(message).is_ok();
    assert!(is_fit || !is_decoded, "a file that does not serve");
    is_decoded
}
