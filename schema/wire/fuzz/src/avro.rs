//! AVRO: records of schemas that are known, of a registry's, and of schemas that may be any text.

use std::cell::RefCell;

use millrace_wire::record::{RecordFormat, SchemaDocument, SchemaKey, SchemaKind};
use serde_json::{Value, json};

use super::subject::{Subject, chosen};

thread_local! {
    static SUBJECTS: RefCell<Vec<Subject>> = RefCell::new(subjects());
}

/// With all that can stand in the way of a number.
fn reading() -> Value {
    json!({"type": "record", "name": "Reading", "namespace": "acme", "fields": [
        {"name": "id", "type": "string"},
        {"name": "a", "type": "double"},
        {"name": "b", "type": ["null", "float"]},
        {"name": "unit", "type": {"type": "enum", "name": "Unit", "symbols": ["K", "C"]}},
        {"name": "tree", "type": {"type": "record", "name": "Node", "fields": [
            {"name": "children", "type": {"type": "array", "items": "Node"}},
            {"name": "other", "type": ["null", "Node", {"type": "map", "values": "Node"}]},
            {"name": "nothing", "type": {"type": "array", "items": "null"}},
        ]}},
        {"name": "sensors", "type": {"type": "map", "values": {"type": "record", "name": "Sensor", "fields": [
            {"name": "x", "type": "long"}, {"name": "ok", "type": "boolean"},
        ]}}},
        {"name": "list", "type": {"type": "array", "items": ["int", "Sensor"]}},
        {"name": "grid", "type": {"type": "array", "items": {"type": "array", "items": "int"}}},
        {"name": "flat", "type": {"type": "array", "items": ["null", "double"]}},
        {"name": "raw", "type": "bytes"},
        {"name": "mac", "type": {"type": "fixed", "name": "Mac", "size": 2}},
        {"name": "label", "type": "int"},
    ]})
}

fn fields() -> Value {
    json!([
        {"pointer": "/a"}, {"pointer": "/b"}, {"pointer": "/unit"}, {"pointer": "/sensors/oven/x"},
        {"pointer": "/list/1/x"}, {"pointer": "/grid", "shape": [2, 2]},
        {"pointer": "/flat", "shape": [2]}, {"pointer": "/raw", "shape": [3]},
        {"pointer": "/mac", "shape": [2]},
    ])
}

fn subjects() -> Vec<Subject> {
    let of = |writer: &Value, fields: &Value, more: Value| {
        let mut format = json!({
            "type": "AVRO", "writer": {"type": "SCHEMA", "schema": writer.to_string()}, "fields": fields,
        });
        let settings = more.as_object().expect("they are").clone();
        format.as_object_mut().expect("it is").extend(settings);
        format
    };
    let flat = json!({"type": "record", "name": "Flat", "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "x", "type": "double"}, {"name": "y", "type": "double"}, {"name": "n", "type": "int"},
        {"name": "pixels", "type": {"type": "array", "items": "int"}},
        {"name": "spectrum", "type": {"type": "array", "items": "float"}},
    ]});
    let flat_fields = json!([
        {"pointer": "/x"}, {"pointer": "/y"}, {"pointer": "/n"}, {"pointer": "/pixels", "shape": [4]},
        {"pointer": "/spectrum", "shape": [3]},
    ]);
    let newer = json!({"type": "record", "name": "Flat", "fields": [
        {"name": "n", "type": ["null", "float"]},
        {"name": "renamed", "aliases": ["x"], "type": "double"},
        {"name": "added", "type": {"type": "array", "items": "int"}, "default": [1, 2]},
    ]});
    let newer_fields = json!([
        {"pointer": "/renamed"}, {"pointer": "/n"}, {"pointer": "/added", "shape": [2]},
    ]);
    let document = |schema: &Value| SchemaDocument {
        kind: SchemaKind::Avro,
        text: schema.to_string(),
        references: Vec::new(),
    };
    let registry = json!({"type": "AVRO", "writer": {"type": "REGISTRY"}, "fields": flat_fields});
    vec![
        Subject::new(
            of(&reading(), &fields(), json!({})),
            Some(Subject::label("/label", &[])),
        ),
        Subject::new(of(&reading(), &fields(), json!({"missing": "NAN"})), None),
        Subject::new(of(&flat, &flat_fields, json!({})), None),
        Subject::new(
            of(
                &flat,
                &newer_fields,
                json!({"reader_schema": newer.to_string()}),
            ),
            None,
        ),
        Subject::new(registry, None)
            .learn(SchemaKey::Id(1), &document(&flat))
            .learn(SchemaKey::Id(2), &document(&json!("long"))),
    ]
}

/// A record.
pub fn avro(data: &[u8]) -> bool {
    SUBJECTS.with_borrow_mut(|subjects| {
        let found = chosen(subjects, data);
        found.is_some_and(|(subject, value)| subject.value(value).is_ok())
    })
}

/// A writer's schema, a reader's that may be empty, and a record, with zeros between them.
pub fn avro_schema(data: &[u8]) -> bool {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let mut text = || Some(std::str::from_utf8(parts.next()?).ok()?.to_owned());
    let (Some(writer), Some(reader)) = (text(), text()) else {
        return false;
    };
    let record = parts.next().unwrap_or_default();
    let format = json!({
        "type": "AVRO",
        "writer": {"type": "SCHEMA", "schema": writer},
        "reader_schema": (!reader.is_empty()).then_some(reader),
        "fields": [
            {"pointer": "/a"}, {"pointer": "/b/c"}, {"pointer": "/m/k", "shape": [2]},
            {"pointer": "/l/1"}, {"pointer": "/b/b/b"},
        ],
        "missing": "NAN",
    });
    let format: RecordFormat = serde_json::from_value(format).expect("it is a format");
    // A registry's schema comes without having been looked at.
    drop(format.check(None));
    Subject::unchecked(format, None).value(record).is_ok()
}
