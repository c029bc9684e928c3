//! Which numbers of a record fill which input of a model.

use super::{AvroRecord, ProtobufRecord, RecordFormat, product};

/// Where the numbers of each input begin among those of a record: one input after another in the order of the model; or
/// where the fields of their names do, if every input, by its name and how many numbers it takes, has a field whose pointer
/// ends in that name and which has as many.
#[must_use]
pub fn starts(inputs: &[(&str, usize)], format: &RecordFormat) -> Vec<usize> {
    let fields = fields(format);
    let named = inputs.iter().map(|input| {
        let mut start = 0;
        for field in &fields {
            if field == input {
                return Some(start);
            }
            start += field.1;
        }
        None
    });
    let in_order = || {
        let mut next = 0;
        let mut starts = Vec::with_capacity(inputs.len());
        for (_, length) in inputs {
            starts.push(next);
            next += length;
        }
        starts
    };
    named.collect::<Option<_>>().unwrap_or_else(in_order)
}

/// The names and lengths of the fields that make a record, in their order; nothing where it has none.
fn fields(format: &RecordFormat) -> Vec<(&str, usize)> {
    match format {
        RecordFormat::Json(record) => {
            let fields = record.fields.iter();
            fields
                .map(|field| (last(&field.pointer), product(&field.shape)))
                .collect()
        }
        RecordFormat::Avro(AvroRecord { fields, .. })
        | RecordFormat::Protobuf(ProtobufRecord { fields, .. }) => {
            let fields = fields.iter();
            fields
                .map(|field| (last(&field.pointer), product(&field.shape)))
                .collect()
        }
        RecordFormat::Struct(structure) => {
            let fields = structure.fields.iter().filter(|field| !field.skip);
            fields
                .map(|field| (&*field.name, product(&field.shape)))
                .collect()
        }
        RecordFormat::Record(record) => record.value.as_deref().map(fields).unwrap_or_default(),
        RecordFormat::Raw(_) | RecordFormat::Image(_) => Vec::new(),
    }
}

/// The last part of a pointer.
fn last(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use serde_json::json;

    use super::*;

    #[test]
    fn inputs_take_the_fields_of_their_names_or_follow_each_other() {
        let formats = [
            json!({"type": "JSON", "fields": [{"pointer": "/b"}, {"pointer": "/row/a", "shape": [2]}]}),
            json!({"type": "STRUCT", "fields": [
                {"name": "b", "dtype": "uint8"},
                {"name": "c", "dtype": "uint8", "skip": true},
                {"name": "a", "dtype": "uint8", "shape": [2]},
            ]}),
            json!({"type": "RECORD", "beside": [{"type": "KEY"}], "value": {
                "type": "AVRO", "writer": {"type": "REGISTRY"},
                "fields": [{"pointer": "/b"}, {"pointer": "/a", "shape": [2]}],
            }}),
        ];
        for format in formats {
            let format: RecordFormat = serde_json::from_value(format).unwrap();
            assert_eq!(starts(&[("a", 2), ("b", 1)], &format), [1, 0]);
            assert_eq!(
                starts(&[("a", 1), ("b", 2)], &format),
                [0, 1],
                "other sizes"
            );
            assert_eq!(
                starts(&[("a", 2), ("d", 1)], &format),
                [0, 2],
                "other names"
            );
        }
    }
}
