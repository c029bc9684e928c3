//! JSON, with and without the id of a JSON Schema: held against `serde_json`.

use std::cell::RefCell;

use millrace_wire::record::RecordFormat;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::subject::{Row, Subject, chosen};

thread_local! {
    static SUBJECTS: RefCell<Vec<Subject>> = RefCell::new(subjects());
}

fn subjects() -> Vec<Subject> {
    let scalars = json!([
        {"pointer": "/a"}, {"pointer": "/b/0"}, {"pointer": "/c/d"}, {"pointer": "/c/~1e"},
    ]);
    vec![
        Subject::new(json!({"type": "JSON", "fields": scalars}), None),
        Subject::new(
            json!({"type": "JSON", "fields": scalars, "missing": "NAN"}),
            Some(Subject::label("/label", &[2])),
        ),
        Subject::new(
            json!({"type": "JSON", "fields": [{"pointer": "/x", "shape": [2, 3]}], "missing": "NAN"}),
            None,
        ),
        Subject::new(
            json!({"type": "JSON", "fields": [{"pointer": "", "shape": [4]}]}),
            None,
        ),
        Subject::new(
            json!({"type": "JSON", "fields": [{"pointer": "/f/v", "shape": [2], "in_text": true}]}),
            None,
        ),
        Subject::new(
            json!({"type": "JSON", "fields": scalars, "registry": true}),
            None,
        ),
        Subject::new(
            json!({"type": "JSON", "fields": [{"pointer": "/s", "shape": [2, 20]}]}),
            None,
        ),
    ]
}

/// A document.
pub fn json(data: &[u8]) -> bool {
    SUBJECTS.with_borrow_mut(|subjects| {
        let Some((subject, value)) = chosen(subjects, data) else {
            return false;
        };
        let result = subject.value(value);
        let fresh = Subject::unchecked(subject.format.clone(), subject.label.clone()).value(value);
        assert_eq!(result, fresh, "what came before matters");
        let RecordFormat::Json(record) = &subject.format else {
            return result.is_ok();
        };
        if record.registry {
            return result.is_ok();
        }
        match &result {
            Ok(row) => {
                let syntax = serde_json::from_slice::<IgnoredAny>(value);
                assert!(syntax.is_ok(), "what is not JSON is taken: {syntax:?}");
                if let Ok(document) = serde_json::from_slice(value) {
                    compare(subject, &document, row);
                }
            }
            Err(error) if error.code() == "json" && !record.fields[0].in_text => {
                let document = serde_json::from_slice::<Value>(value);
                assert!(document.is_err(), "JSON is not taken: {error}");
            }
            Err(_) => {}
        }
        result.is_ok()
    })
}

/// Holds the numbers against those that stand in the parsed document, as far as these are numbers.
#[allow(clippy::cast_possible_truncation, reason = "rounded, as it is meant")]
fn compare(subject: &Subject, document: &Value, (row, _): &Row) {
    let RecordFormat::Json(record) = &subject.format else {
        return;
    };
    let mut start = 0;
    for field in &record.fields {
        let count: u32 = field.shape.iter().product();
        let numbers = &row[start..start + count as usize];
        start += count as usize;
        // Of members that stand there twice the parsed document has the last one only.
        let Some(mut found) = document.pointer(&field.pointer) else {
            continue;
        };
        let text;
        if let (true, Value::String(inner)) = (field.in_text, found) {
            text = serde_json::from_str(inner).expect("it was read");
            found = &text;
        }
        let mut expected = Vec::new();
        flatten(found, &mut expected);
        if expected.len() != numbers.len() {
            assert!(found.is_null(), "{found} has another number of numbers");
            continue;
        }
        for (bits, expected) in numbers.iter().zip(expected) {
            match expected {
                Value::Number(number) => {
                    let number = number.as_f64().expect("every number is one") as f32;
                    assert_eq!(*bits, number.to_bits(), "{found}");
                }
                Value::Bool(truth) => {
                    assert_eq!(*bits, f32::from(u8::from(*truth)).to_bits(), "{found}");
                }
                other => assert!(f32::from_bits(*bits).is_nan() && other.is_null(), "{found}"),
            }
        }
    }
}

fn flatten<'v>(value: &'v Value, to: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, to)),
        scalar => to.push(scalar),
    }
}
