//! RECORD: keys, headers and timestamps beside a value, and where a label stands.

use std::cell::RefCell;

use serde_json::{Value, json};

use super::subject::{Subject, chosen};

/// Headers of the record: those of the formats below, and where a schema's id stands.
const NAMES: [&str; 3] = ["price", "label", "__key_schema_id"];

thread_local! {
    static SUBJECTS: RefCell<Vec<Subject>> = RefCell::new(subjects());
}

fn subjects() -> Vec<Subject> {
    let raw = |dtype: &str| json!({"type": "RAW", "dtype": dtype, "shape": [2]});
    let avro = json!({
        "type": "AVRO",
        "writer": {"type": "SCHEMA", "schema": r#"{"type": "record", "name": "K", "fields": [{"name": "k", "type": "int"}]}"#},
        "fields": [{"pointer": "/k"}],
    });
    let label = |source: Value| json!({"source": source, "encoding": {"type": "TEXT"}});
    vec![
        Subject::new(
            json!({"type": "RECORD", "value": raw("int16"), "missing": "NAN", "beside": [
                {"type": "KEY", "encoding": avro},
                {"type": "HEADER", "name": "price"},
                {"type": "TIMESTAMP", "unit": "HOUR_OF_DAY"},
                {"type": "TIMESTAMP", "unit": "DAY_OF_WEEK"},
                {"type": "TIMESTAMP", "unit": "DAYS"},
            ]}),
            Some(label(json!({"type": "HEADER", "name": "label"}))),
        ),
        Subject::new(
            json!({"type": "RECORD", "beside": [{"type": "HEADER", "name": "price", "encoding": raw("float32")}]}),
            Some(label(json!({"type": "KEY"}))),
        ),
    ]
}

/// A time, then key, value and headers, each behind its length; a length of 255 stands for nothing.
pub fn record(data: &[u8]) -> bool {
    SUBJECTS.with_borrow_mut(|subjects| {
        let Some((subject, data)) = chosen(subjects, data) else {
            return false;
        };
        let Some((time, mut left)) = data.split_first_chunk::<8>() else {
            return false;
        };
        let mut next = || {
            let (length, rest) = left.split_first()?;
            let length = usize::from(*length);
            let is_there = length != 255;
            let (part, rest) = rest.split_at(if is_there { length.min(rest.len()) } else { 0 });
            left = rest;
            is_there.then_some(part)
        };
        let (key, value) = (next(), next());
        let headers = NAMES.map(|name| (name, next()));
        let time = i64::from_le_bytes(*time);
        let result = subject.decode(value, key, &&headers[..], (time != 0).then_some(time));
        result.is_ok()
    })
}
