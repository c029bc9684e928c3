//! Which numbers of a record fill which input of a model.

use std::iter;
use std::ops::Range;

use super::{AvroRecord, Encoding, Field, ProtobufRecord, RecordFormat, product};

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

/// The shape that records give an input: the only one of a model, by its name, where it leaves sizes open. Of several inputs each
/// says itself which numbers it takes.
#[must_use]
pub fn shapes(inputs: &[(&str, bool)], format: &RecordFormat) -> Vec<(String, Vec<usize>)> {
    let [(name, true)] = inputs else {
        return Vec::new();
    };
    let sizes = format.shape().into_iter().map(|size| size as usize);
    vec![((*name).to_owned(), sizes.collect())]
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

/// Which features of a record are texts, in their order; rows hold numbers that stand for them.
#[must_use]
pub fn texts(format: &RecordFormat) -> Vec<bool> {
    let of_fields = |fields: &[Field]| {
        let fields = fields.iter();
        fields
            .flat_map(|field| iter::repeat_n(field.text, product(&field.shape)))
            .collect()
    };
    match format {
        RecordFormat::Json(record) => {
            let fields = record.fields.iter();
            fields
                .flat_map(|field| iter::repeat_n(field.text, product(&field.shape)))
                .collect()
        }
        RecordFormat::Avro(AvroRecord { fields, .. })
        | RecordFormat::Protobuf(ProtobufRecord { fields, .. }) => of_fields(fields),
        RecordFormat::Record(record) => {
            let value = record.value.as_deref().map(texts).unwrap_or_default();
            let beside = record.beside.iter().flat_map(|beside| {
                let of_part = match beside.encoding() {
                    Some(Encoding::Avro(record)) => of_fields(&record.fields),
                    Some(Encoding::Text | Encoding::Raw(_)) | None => {
                        vec![false; beside.elements()]
                    }
                };
                of_part.into_iter()
            });
            value.into_iter().chain(beside).collect()
        }
        RecordFormat::Raw(_) | RecordFormat::Struct(_) | RecordFormat::Image(_) => {
            vec![false; format.elements()]
        }
    }
}

/// The first feature of a record that is a number where an input of a model takes texts, or the other way round: the input's
/// place among these and the feature's among those of the record. Of each input its name, how many features it takes and
/// whether they are texts; the record has enough for all of them.
#[must_use]
pub fn misplaced(inputs: &[(&str, usize, bool)], format: &RecordFormat) -> Option<(usize, usize)> {
    let texts = texts(format);
    let sizes: Vec<(&str, usize)> = inputs
        .iter()
        .map(|(name, length, _)| (*name, *length))
        .collect();
    let starts = starts(&sizes, format);
    inputs
        .iter()
        .zip(starts)
        .enumerate()
        .find_map(|(input, ((_, length, takes_texts), start))| {
            let mut features = texts.iter().enumerate().skip(start).take(*length);
            let (feature, _) = features.find(|(_, is_text)| *is_text != takes_texts)?;
            Some((input, feature))
        })
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
    fn texts_are_told_from_numbers() {
        let format = json!({"type": "RECORD", "beside": [{"type": "TIMESTAMP", "unit": "DAYS"}], "value": {
            "type": "AVRO", "writer": {"type": "REGISTRY"},
            "fields": [{"pointer": "/b", "shape": [2]}, {"pointer": "/a", "text": true}],
        }});
        let format: RecordFormat = serde_json::from_value(format).unwrap();
        assert_eq!(texts(&format), [false, false, true, false]);
        let misplaced = |inputs: &[(&str, usize, bool)]| misplaced(inputs, &format);
        assert_eq!(misplaced(&[("a", 1, true), ("b", 2, false)]), None);
        assert_eq!(
            misplaced(&[("x", 2, false), ("y", 1, true), ("z", 1, false)]),
            None
        );
        assert_eq!(misplaced(&[("x", 2, false), ("y", 2, true)]), Some((1, 3)));
        assert_eq!(misplaced(&[("x", 4, false)]), Some((0, 2)));
    }

    #[test]
    fn an_input_alone_that_is_open_takes_the_shape_of_a_record() {
        let format = json!({"type": "RAW", "dtype": "uint8", "shape": [3, 8]});
        let format: RecordFormat = serde_json::from_value(format).unwrap();
        assert_eq!(
            shapes(&[("x", true)], &format),
            [("x".to_owned(), vec![3, 8])]
        );
        assert!(shapes(&[("x", false)], &format).is_empty());
        assert!(shapes(&[("x", true), ("y", true)], &format).is_empty());
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
