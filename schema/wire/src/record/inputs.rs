//! Which numbers of a record fill which input of a model.

use std::ops::Range;

use super::{AvroRecord, ProtobufRecord, RecordFormat, product};

/// Where the numbers of each input begin among those of a record: one input after another in the order of the model; or
/// where the fields of their names do, if every input, by its name and how many numbers it takes, has a field whose pointer
/// ends in that name and which has as many.
#[must_use]
pub fn starts(inputs: &[(&str, usize)], format: &RecordFormat) -> Vec<usize> {
    let in_order = || {
        let mut next = 0;
        let mut starts = Vec::with_capacity(inputs.len());
        for (_, length) in inputs {
            starts.push(next);
            next += length;
        }
        starts
    };
    match named(inputs, format, |field| Some(field.len())) {
        Some(fields) => fields.into_iter().map(|field| field.start).collect(),
        None => in_order(),
    }
}

/// Which numbers of a record go into each input where each becomes so many (`widths`), by the same rule as [`starts`]. Nothing
/// where they don't make what the inputs take.
#[must_use]
pub fn ranges(
    inputs: &[(&str, usize)],
    widths: &[usize],
    format: &RecordFormat,
) -> Option<Vec<Range<usize>>> {
    let made = |field: Range<usize>| Some(widths.get(field)?.iter().sum());
    if let Some(fields) = named(inputs, format, made) {
        return Some(fields);
    }
    let mut next = 0;
    let mut found = Vec::with_capacity(inputs.len());
    for (_, length) in inputs {
        let start = next;
        let mut made = 0;
        while made < *length {
            made += widths.get(next)?;
            next += 1;
        }
        if made != *length {
            return None;
        }
        found.push(start..next);
    }
    (next == widths.len()).then_some(found)
}

/// The fields of the inputs' names, where each input has one and takes what is made of it.
fn named(
    inputs: &[(&str, usize)],
    format: &RecordFormat,
    made: impl Fn(Range<usize>) -> Option<usize>,
) -> Option<Vec<Range<usize>>> {
    let fields = fields(format);
    let of_input = |(name, length): &(&str, usize)| {
        let mut start = 0;
        for (field, size) in &fields {
            let range = start..start + size;
            if field == name && made(range.clone()) == Some(*length) {
                return Some(range);
            }
            start = range.end;
        }
        None
    };
    inputs.iter().map(of_input).collect()
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

    #[test]
    fn inputs_take_as_many_numbers_as_make_theirs() {
        let format =
            json!({"type": "JSON", "fields": [{"pointer": "/b"}, {"pointer": "/a", "shape": [2]}]});
        let format: RecordFormat = serde_json::from_value(format).unwrap();
        let ranges = |inputs: &[(&str, usize)], widths: &[usize]| ranges(inputs, widths, &format);
        assert_eq!(
            ranges(&[("a", 4), ("b", 3)], &[3, 1, 3]),
            Some(vec![1..3, 0..1])
        );
        assert_eq!(
            ranges(&[("a", 3), ("b", 4)], &[3, 1, 3]),
            Some(vec![0..1, 1..3]),
            "other sizes"
        );
        for (taken, widths) in [(2, [3, 1, 3]), (3, [3, 1, 2]), (3, [3, 1, 9])] {
            assert_eq!(ranges(&[("c", taken), ("d", 4)], &widths), None);
        }
    }
}
