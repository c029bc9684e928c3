//! Formats and labels, as records have them and as they should not.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use super::*;
use proptest::prelude::*;

fn decode(
    format: &RecordFormat,
    value: Option<&[u8]>,
    row: &mut Vec<f32>,
) -> Result<(), DecodeError> {
    let parts = Parts {
        key: None,
        value,
        headers: &[],
    };
    Decoder::new(format, None).decode(&parts, row, &mut Vec::new())
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
        encoding: LabelEncoding::Text,
    };
    let header = label(LabelSource::Header {
        name: "label".into(),
    });
    let read = |label: &Label, headers: &[(&str, Option<&[u8]>)]| {
        let format = raw(Dtype::Uint8, &[1], ByteOrder::Little);
        let parts = Parts {
            key: Some(b" 8 "),
            value: Some(b"x"),
            headers,
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
