//! RAW and STRUCT: bytes of arrays.

use std::cell::RefCell;

use serde_json::json;

use super::subject::{Subject, chosen};

/// Every element type in both orders.
const DTYPES: [&str; 12] = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64",
];

thread_local! {
    static ARRAYS: RefCell<Vec<Subject>> = RefCell::new(
        DTYPES.iter().flat_map(|dtype| {
            ["LITTLE", "BIG"].map(|order| {
                let format = json!({"type": "RAW", "dtype": dtype, "shape": [2, 1], "byte_order": order});
                Subject::new(format, None)
            })
        }).collect(),
    );
    static STRUCTURES: RefCell<Vec<Subject>> = RefCell::new(vec![
        Subject::new(json!({"type": "STRUCT", "fields": [
            {"name": "id", "dtype": "int64", "skip": true},
            {"name": "x", "dtype": "float64", "byte_order": "BIG"},
            {"name": "pixels", "dtype": "uint8", "shape": [2, 2]},
            {"name": "half", "dtype": "float16", "shape": [2]},
            {"name": "count", "dtype": "int32"},
        ]}), None),
        Subject::new(json!({"type": "STRUCT", "fields": [
            {"name": "x", "dtype": "uint64"},
            {"name": "class", "dtype": "int16", "shape": [2], "skip": true},
        ]}), Some(Subject::label("/class", &[2]))),
    ]);
}

/// Bytes of one array.
pub fn raw(data: &[u8]) -> bool {
    ARRAYS.with_borrow_mut(|subjects| {
        let Some((subject, value)) = chosen(subjects, data) else {
            return false;
        };
        let decoded = subject.value(value).is_ok();
        let millrace_wire::record::RecordFormat::Raw(array) = &subject.format else {
            return decoded;
        };
        assert!(!decoded || value.len() == array.bytes());
        decoded
    })
}

/// Bytes of several arrays.
pub fn structure(data: &[u8]) -> bool {
    STRUCTURES.with_borrow_mut(|subjects| {
        let found = chosen(subjects, data);
        found.is_some_and(|(subject, value)| subject.value(value).is_ok())
    })
}
