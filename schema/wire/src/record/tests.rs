//! Formats and labels, as records have them and as they should not.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use super::*;
use proptest::prelude::*;
use serde_json::json;

fn decode(
    format: &RecordFormat,
    value: Option<&[u8]>,
    row: &mut Vec<f32>,
) -> Result<(), DecodeError> {
    let parts = Parts {
        key: None,
        value,
        timestamp_ms: None,
        headers: &(),
    };
    Decoder::new(format, None).decode(&parts, row, &mut Vec::new())
}

/// What a decoder makes of a value.
pub(super) fn decode_with(
    decoder: &mut Decoder,
    bytes: &[u8],
    headers: &dyn Headers,
) -> Result<Vec<f32>, DecodeError> {
    let parts = Parts {
        key: None,
        value: Some(bytes),
        timestamp_ms: None,
        headers,
    };
    let mut row = vec![9.0];
    let result = decoder.decode(&parts, &mut row, &mut Vec::new());
    if result.is_err() {
        assert_eq!(row, [9.0], "a refused record leaves nothing");
    }
    result.map(|()| row.split_off(1))
}

fn raw(dtype: Dtype, shape: &[u32], byte_order: ByteOrder) -> RecordFormat {
    RecordFormat::Raw(RawArray {
        dtype,
        shape: shape.to_vec(),
        byte_order,
    })
}

#[test]
fn the_format_is_plain_json() {
    let text = r#"{"type":"RAW","dtype":"uint8","shape":[64]}"#;
    let format: RecordFormat = serde_json::from_str(text).unwrap();
    assert_eq!(format, raw(Dtype::Uint8, &[64], ByteOrder::Little));
    assert!(
        serde_json::from_str::<RecordFormat>(
            r#"{"type":"RAW","dtype":"uint8","shape":[64],"x":1}"#
        )
        .is_err()
    );
}

#[test]
fn wrong_sizes_and_tombstones_are_the_records_fault() {
    let format = raw(Dtype::Int16, &[2, 2], ByteOrder::Little);
    let mut row = vec![7.0];
    let error = decode(&format, Some(&[0; 7]), &mut row).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value has 7 bytes where 8 are expected"
    );
    assert_eq!(
        decode(&format, None, &mut row).unwrap_err(),
        DecodeError::NoValue
    );
    assert_eq!(row, [7.0]);
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let mut row = Vec::new();
    let big = (1_i64 << 24) + 1;
    let bytes = [5_i64.to_le_bytes(), big.to_le_bytes()].concat();
    let error = decode(
        &raw(Dtype::Int64, &[2], ByteOrder::Little),
        Some(&bytes),
        &mut row,
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "element 1 of the value is 16777217, which float32 cannot hold"
    );
    assert!(row.is_empty());
    for odd in [u64::MAX, i64::MAX as u64] {
        assert!(
            decode(
                &raw(Dtype::Uint64, &[1], ByteOrder::Little),
                Some(&odd.to_le_bytes()),
                &mut row
            )
            .is_err()
        );
    }
    assert!(
        decode(
            &raw(Dtype::Float64, &[1], ByteOrder::Little),
            Some(&1e300_f64.to_le_bytes()),
            &mut row
        )
        .is_err()
    );
    decode(
        &raw(Dtype::Float64, &[1], ByteOrder::Little),
        Some(&f64::NAN.to_le_bytes()),
        &mut row,
    )
    .unwrap();
    assert!(row[0].is_nan());
}

#[test]
fn labels_come_from_headers_and_keys() {
    let label = |source| Label {
        source,
        encoding: Encoding::Text,
    };
    let header = label(LabelSource::Header {
        name: "label".into(),
    });
    let read = |label: &Label, headers: &[(&str, Option<&[u8]>)]| {
        let format = raw(Dtype::Uint8, &[1], ByteOrder::Little);
        let parts = Parts {
            key: Some(b" 8 "),
            value: Some(b"x"),
            timestamp_ms: None,
            headers: &headers,
        };
        let (mut row, mut labels) = (Vec::new(), Vec::new());
        let decoded = Decoder::new(&format, Some(label)).decode(&parts, &mut row, &mut labels);
        assert_eq!(decoded.is_ok(), row.len() == 1, "a row without its label");
        decoded.map(|()| labels)
    };
    // The last header of a name counts.
    let headers: [(&str, Option<&[u8]>); 3] = [
        ("label", Some(b"6")),
        ("label", Some(b"7")),
        ("other", Some(b"9")),
    ];
    assert_eq!(read(&header, &headers).unwrap(), [7.0]);
    assert_eq!(read(&label(LabelSource::Key), &headers).unwrap(), [8.0]);
    assert_eq!(
        read(&header, &[]).unwrap_err().to_string(),
        "the record has no label: the header \"label\" is missing"
    );
    let text = read(&header, &[("label", Some(b"seven"))]).unwrap_err();
    assert_eq!(text.code(), "label-text");
}

#[test]
fn classes_are_an_index_or_one_hot() {
    assert_eq!(class_index(9.0, 10).unwrap(), 9);
    for wrong in [10.0, -1.0, 0.5, f32::NAN] {
        assert!(class_index(wrong, 10).is_err(), "{wrong}");
    }
    assert_eq!(one_hot_index(&[0.0, 0.0, 1.0]).unwrap(), 2);
    for wrong in [
        [0.0, 0.0, 0.0],
        [1.0, 0.0, 1.0],
        [0.5, 0.5, 0.0],
        [0.0, f32::NAN, 1.0],
        [1.0, 0.0, 2.0],
    ] {
        let error = one_hot_index(&wrong).unwrap_err();
        assert_eq!(error.code(), "label-one-hot", "{wrong:?}");
    }
}

#[test]
fn half_floats_fit_as_they_are() {
    let mut row = Vec::new();
    let bytes = [0x00, 0x3c, 0x01, 0x00];
    decode(
        &raw(Dtype::Float16, &[2], ByteOrder::Little),
        Some(&bytes),
        &mut row,
    )
    .unwrap();
    assert_eq!(row, [1.0, 2.0_f32.powi(-24)]);
}

#[test]
fn several_arrays_stand_one_behind_another() {
    let format: RecordFormat = serde_json::from_value(json!({"type": "STRUCT", "fields": [
        {"name": "id", "dtype": "int64", "skip": true},
        {"name": "pixels", "dtype": "uint8", "shape": [2, 2]},
        {"name": "class", "dtype": "int16", "byte_order": "BIG", "skip": true},
        {"name": "weight", "dtype": "float32", "byte_order": "BIG"},
    ]}))
    .unwrap();
    let label = |pointer: &str, shape: &[u32]| Label {
        source: LabelSource::Field {
            pointer: pointer.to_owned(),
            shape: shape.to_vec(),
        },
        encoding: Encoding::Text,
    };
    let class = label("/class", &[]);
    format.check(Some(&class)).unwrap();
    assert_eq!(format.shape(), [5]);
    let value = [
        &[0xff; 8][..],
        &[1, 2, 3, 4],
        &[0, 7],
        &1.5_f32.to_be_bytes(),
    ]
    .concat();
    let (mut row, mut labels) = (Vec::new(), Vec::new());
    let parts = Parts {
        key: None,
        value: Some(&value),
        timestamp_ms: None,
        headers: &(),
    };
    let mut decoder = Decoder::new(&format, Some(&class));
    decoder.decode(&parts, &mut row, &mut labels).unwrap();
    assert_eq!((row, labels), (vec![1.0, 2.0, 3.0, 4.0, 1.5], vec![7.0]));
    let error = decode(&format, Some(&value[1..]), &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value has 17 bytes where 18 are expected"
    );

    for (wrong, reason) in [
        (label("/none", &[]), "none of the format's"),
        (label("/weight", &[]), "set `skip`"),
        (label("/class", &[2]), "has the shape"),
    ] {
        let error = format.check(Some(&wrong)).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

/// Labels follow each other as they are named, wherever they stand in the record.
#[test]
fn labels_stand_in_several_fields() {
    let label: Label = serde_json::from_value(json!({"source": {"type": "FIELDS", "fields": [
        {"pointer": "/kind"}, {"pointer": "/place", "shape": [2]},
    ]}}))
    .unwrap();
    assert_eq!(label.elements(), 3);
    let structure = json!({"type": "STRUCT", "fields": [
        {"name": "place", "dtype": "uint8", "shape": [2], "skip": true},
        {"name": "x", "dtype": "uint8"},
        {"name": "kind", "dtype": "uint8", "skip": true},
    ]});
    let schema = json!({"type": "record", "name": "r", "fields": [
        {"name": "place", "type": {"type": "array", "items": "int"}},
        {"name": "x", "type": "int"},
        {"name": "kind", "type": "int"},
    ]});
    let avro = json!({
        "type": "AVRO", "writer": {"type": "SCHEMA", "schema": schema.to_string()}, "fields": [{"pointer": "/x"}],
    });
    let document = json!({"type": "JSON", "fields": [{"pointer": "/x"}]});
    for (format, value) in [
        (structure, &[8, 9, 5, 3][..]),
        (avro, &[4, 16, 18, 0, 10, 6]),
        (document, br#"{"place": [8, 9], "x": 5, "kind": 3}"#),
    ] {
        let format: RecordFormat = serde_json::from_value(format).unwrap();
        format.check(Some(&label)).unwrap();
        let (mut row, mut labels) = (Vec::new(), Vec::new());
        let parts = Parts {
            key: None,
            value: Some(value),
            timestamp_ms: None,
            headers: &(),
        };
        let mut decoder = Decoder::new(&format, Some(&label));
        decoder.decode(&parts, &mut row, &mut labels).unwrap();
        assert_eq!(
            (row, labels),
            (vec![5.0], vec![3.0, 8.0, 9.0]),
            "{format:?}"
        );

        for (fields, reason) in [
            (json!([]), "is empty"),
            (json!([{"pointer": "/kind"}, {"pointer": "/kind"}]), "twice"),
        ] {
            let wrong = json!({"source": {"type": "FIELDS", "fields": fields}});
            let wrong: Label = serde_json::from_value(wrong).unwrap();
            let error = format.check(Some(&wrong)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}

fn with_all_parts(missing: &str) -> RecordFormat {
    let format: RecordFormat = serde_json::from_value(json!({"type": "RECORD",
        "value": {"type": "RAW", "dtype": "uint8", "shape": [2]},
        "beside": [
            {"type": "KEY", "encoding": {"type": "RAW", "dtype": "int32", "shape": [1], "byte_order": "BIG"}},
            {"type": "HEADER", "name": "price"},
            {"type": "TIMESTAMP", "unit": "HOUR_OF_DAY"},
            {"type": "TIMESTAMP", "unit": "DAY_OF_WEEK"},
            {"type": "TIMESTAMP", "unit": "DAYS"},
        ],
        "missing": missing,
    }))
    .unwrap();
    format.check(None).unwrap();
    format
}

#[test]
fn features_stand_in_every_part_of_a_record() {
    let format = with_all_parts("REFUSE");
    assert_eq!(format.shape(), [7]);
    let headers: &[(&str, Option<&[u8]>)] = &[("price", Some(b"1")), ("price", Some(b"2.5"))];
    let parts = Parts {
        key: Some(&[0, 0, 1, 0]),
        value: Some(&[3, 4]),
        // Tuesday, 2024-01-02 at 18:30.
        timestamp_ms: Some(1_704_220_200_000),
        headers: &headers,
    };
    let read = |format: &RecordFormat, parts: &Parts<'_>| {
        let mut row = vec![9.0];
        let decoded = Decoder::new(format, None).decode(parts, &mut row, &mut Vec::new());
        if decoded.is_err() {
            assert_eq!(row, [9.0], "a refused record leaves nothing");
        }
        decoded.map(|()| row.split_off(1))
    };
    let row = read(&format, &parts).unwrap();
    assert_eq!(row[..6], [3.0, 4.0, 256.0, 2.5, 18.5, 1.0]);
    assert!((row[6] - 19_724.77).abs() < 0.01, "{}", row[6]);

    let tombstone = Parts {
        value: None,
        ..parts
    };
    let no_key = Parts { key: None, ..parts };
    let no_time = Parts {
        timestamp_ms: None,
        ..parts
    };
    let no_header = Parts {
        headers: &(),
        ..parts
    };
    for (parts, code, text) in [
        (tombstone, "no-value", "no value"),
        (no_key, "no-part", "no key"),
        (no_time, "no-part", "no timestamp"),
        (no_header, "no-part", "no header \"price\""),
    ] {
        let error = read(&format, &parts).unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(text), "{error}");
    }
    let with_gaps = with_all_parts("NAN");
    let nan = |parts: &Parts<'_>| -> Vec<bool> {
        let row = read(&with_gaps, parts).unwrap();
        row.iter().map(|number| number.is_nan()).collect()
    };
    assert_eq!(
        nan(&tombstone),
        [true, true, false, false, false, false, false]
    );
    assert_eq!(
        nan(&no_header),
        [false, false, false, true, false, false, false]
    );
    assert_eq!(
        nan(&no_time),
        [false, false, false, false, true, true, true]
    );
    let headers: &[(&str, Option<&[u8]>)] = &[("price", Some(b"dear"))];
    let error = read(
        &with_gaps,
        &Parts {
            headers: &headers,
            ..parts
        },
    )
    .unwrap_err();
    assert_eq!(error.code(), "text", "what is there is not missing");

    let label = Label {
        source: LabelSource::Header {
            name: "price".to_owned(),
        },
        encoding: Encoding::Text,
    };
    let error = format.check(Some(&label)).unwrap_err().to_string();
    assert!(error.contains("a feature as well"), "{error}");

    // Without a format the value is not looked at, and a label in it is never made up.
    let key_alone: RecordFormat = serde_json::from_value(
        json!({"type": "RECORD", "beside": [{"type": "TIMESTAMP", "unit": "DAY_OF_WEEK"}]}),
    )
    .unwrap();
    assert_eq!(read(&key_alone, &tombstone).unwrap(), [1.0]);
}

proptest! {
    #[test]
    fn float32_round_trips_in_both_byte_orders(numbers in prop::collection::vec(any::<f32>(), 1..20)) {
        let shape = [u32::try_from(numbers.len()).unwrap()];
        let little: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let big: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
        for (bytes, order) in [(little, ByteOrder::Little), (big, ByteOrder::Big)] {
            let mut row = Vec::new();
            decode(&raw(Dtype::Float32, &shape, order), Some(&bytes), &mut row).unwrap();
            let same = row.iter().zip(&numbers).all(|(a, b)| a.to_bits() == b.to_bits());
            prop_assert!(same);
        }
    }

    #[test]
    fn integers_are_exact_or_refused(number: i64) {
        let mut row = Vec::new();
        let decoded = decode(&raw(Dtype::Int64, &[1], ByteOrder::Big), Some(&number.to_be_bytes()), &mut row);
        #[allow(clippy::cast_possible_truncation, reason = "exact where it is compared")]
        if decoded.is_ok() {
            prop_assert_eq!(row[0] as i128, i128::from(number));
        } else {
            prop_assert!(row.is_empty());
            prop_assert!(number.unsigned_abs() > 1 << 24);
        }
    }
}
