//! Protobuf: how the records are written, and the loops that were written to read them.

use serde_json::json;

use crate::bytes::{chunk, exact, length_prefixed, narrowed, push_varint, varint};
use crate::workload::{IMAGE, Language, Reading, SPECTRUM};

/// Of readings, images and spectra. The peers have them in their own words.
const SCHEMAS: [&str; 3] = [
    r#"syntax = "proto3";
    message Reading {
        string device = 1;
        int64 at = 2;
        double temperature = 3;
        double humidity = 4;
        double pressure = 5;
        float vibration = 6;
        float load = 7;
        int32 errors = 8;
        bool on = 9;
        sint32 level = 10;
        string note = 11;
    }"#,
    r#"syntax = "proto3"; message Image { string name = 1; repeated uint32 pixels = 2; }"#,
    r#"syntax = "proto3"; message Spectrum { string name = 1; repeated float spectrum = 2; }"#,
];

const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;

pub(crate) fn language() -> Language {
    Language {
        name: "Protobuf",
        formats: SCHEMAS.map(
            |schema| json!({"type": "PROTOBUF", "writer": {"type": "SCHEMA", "schema": schema}}),
        ),
        reading: write_reading,
        image: |pixels| {
            let mut packed = Vec::new();
            for pixel in pixels {
                push_varint(&mut packed, u64::from(*pixel));
            }
            let mut bytes = Vec::new();
            push_bytes(&mut bytes, 1, b"image");
            push_bytes(&mut bytes, 2, &packed);
            bytes
        },
        spectrum: |numbers| {
            let packed: Vec<u8> = numbers
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect();
            let mut bytes = Vec::new();
            push_bytes(&mut bytes, 1, b"spectrum");
            push_bytes(&mut bytes, 2, &packed);
            bytes
        },
        by_hand: [read_reading, read_image, read_spectrum],
    }
}

/// As writers do it: fields that are 0 are not written.
fn write_reading(reading: &Reading) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_bytes(&mut bytes, 1, reading.device.as_bytes());
    push_number(&mut bytes, 2, reading.at.cast_unsigned());
    for (field, number) in [
        (3, reading.temperature),
        (4, reading.humidity),
        (5, reading.pressure),
    ] {
        if number != 0.0 {
            push_varint(&mut bytes, field << 3 | EIGHT_BYTES);
            bytes.extend(number.to_le_bytes());
        }
    }
    for (field, number) in [(6, reading.vibration), (7, reading.load)] {
        if number != 0.0 {
            push_varint(&mut bytes, field << 3 | FOUR_BYTES);
            bytes.extend(number.to_le_bytes());
        }
    }
    push_number(&mut bytes, 8, i64::from(reading.errors).cast_unsigned());
    push_number(&mut bytes, 9, reading.on.into());
    let level = (reading.level << 1) ^ (reading.level >> 31);
    push_number(&mut bytes, 10, level.cast_unsigned().into());
    push_bytes(&mut bytes, 11, reading.note.as_bytes());
    bytes
}

fn push_number(bytes: &mut Vec<u8>, field: u64, number: u64) {
    if number != 0 {
        push_varint(bytes, field << 3 | VARINT);
        push_varint(bytes, number);
    }
}

fn push_bytes(bytes: &mut Vec<u8>, field: u64, inner: &[u8]) {
    push_varint(bytes, field << 3 | LENGTH);
    push_varint(bytes, inner.len() as u64);
    bytes.extend(inner);
}

/// A field that is not wanted.
fn skip(left: &mut &[u8], tag: u64) -> Option<()> {
    match tag & 7 {
        VARINT => varint(left).map(|_| ()),
        EIGHT_BYTES => chunk::<8>(left).map(|_| ()),
        LENGTH => {
            let length = varint(left)?;
            length_prefixed(left, length).map(|_| ())
        }
        FOUR_BYTES => chunk::<4>(left).map(|_| ()),
        _ => None,
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "numbers of 32 bits are the low half of what is written"
)]
fn read_reading(record: &[u8], row: &mut Vec<f32>) -> Option<()> {
    const fn tag(field: u64, wire: u64) -> u64 {
        field << 3 | wire
    }
    const TEMPERATURE: u64 = tag(3, EIGHT_BYTES);
    const HUMIDITY: u64 = tag(4, EIGHT_BYTES);
    const PRESSURE: u64 = tag(5, EIGHT_BYTES);
    const VIBRATION: u64 = tag(6, FOUR_BYTES);
    const LOAD: u64 = tag(7, FOUR_BYTES);
    const ERRORS: u64 = tag(8, VARINT);
    const ON: u64 = tag(9, VARINT);
    const LEVEL: u64 = tag(10, VARINT);
    let mut left = record;
    let mut numbers = [0.0_f32; 8];
    while !left.is_empty() {
        match varint(&mut left)? {
            TEMPERATURE => numbers[0] = narrowed(f64::from_le_bytes(chunk(&mut left)?))?,
            HUMIDITY => numbers[1] = narrowed(f64::from_le_bytes(chunk(&mut left)?))?,
            PRESSURE => numbers[2] = narrowed(f64::from_le_bytes(chunk(&mut left)?))?,
            VIBRATION => numbers[3] = f32::from_le_bytes(chunk(&mut left)?),
            LOAD => numbers[4] = f32::from_le_bytes(chunk(&mut left)?),
            ERRORS => numbers[5] = exact((varint(&mut left)? as i32).into())?,
            ON => numbers[6] = f32::from(u8::from(varint(&mut left)? != 0)),
            LEVEL => {
                let level = varint(&mut left)? as u32;
                let level = (level >> 1).cast_signed() ^ -((level & 1).cast_signed());
                numbers[7] = exact(level.into())?;
            }
            tag => skip(&mut left, tag)?,
        }
    }
    row.extend(numbers);
    Some(())
}

const ARRAY: u64 = 2 << 3 | LENGTH;

#[allow(
    clippy::cast_possible_truncation,
    reason = "numbers of 32 bits are the low half of what is written"
)]
fn read_image(record: &[u8], row: &mut Vec<f32>) -> Option<()> {
    let mut left = record;
    let start = row.len();
    while !left.is_empty() {
        match varint(&mut left)? {
            ARRAY => {
                let length = varint(&mut left)?;
                let mut packed = length_prefixed(&mut left, length)?;
                while !packed.is_empty() {
                    row.push(exact((varint(&mut packed)? as u32).into())?);
                }
            }
            tag => skip(&mut left, tag)?,
        }
    }
    (row.len() - start == IMAGE as usize).then_some(())
}

fn read_spectrum(record: &[u8], row: &mut Vec<f32>) -> Option<()> {
    let mut left = record;
    let start = row.len();
    while !left.is_empty() {
        match varint(&mut left)? {
            ARRAY => {
                let length = varint(&mut left)?;
                let packed = length_prefixed(&mut left, length)?;
                let (numbers, []) = packed.as_chunks::<4>() else {
                    return None;
                };
                row.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
            tag => skip(&mut left, tag)?,
        }
    }
    (row.len() - start == SPECTRUM as usize).then_some(())
}
