//! Avro: how the records are written, and the loops that were written to read them.

use serde_json::{Value, json};

use crate::bytes::{chunk, exact, length_prefixed, narrowed, push_varint, varint};
use crate::workload::{IMAGE, Language, Reading, SPECTRUM};

pub(crate) fn language() -> Language {
    Language {
        name: "Avro",
        formats: schemas().map(|schema| {
            let writer = json!({"type": "SCHEMA", "schema": schema.to_string()});
            json!({"type": "AVRO", "writer": writer})
        }),
        reading: write_reading,
        image: |pixels| {
            let mut bytes = Vec::new();
            push_text(&mut bytes, "image");
            push_length(&mut bytes, pixels.len());
            for pixel in pixels {
                push_long(&mut bytes, i64::from(*pixel));
            }
            push_long(&mut bytes, 0);
            bytes
        },
        spectrum: |numbers| {
            let mut bytes = Vec::new();
            push_text(&mut bytes, "spectrum");
            push_length(&mut bytes, numbers.len());
            bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            push_long(&mut bytes, 0);
            bytes
        },
        by_hand: [read_reading, read_image, read_spectrum],
    }
}

/// Of readings, images and spectra.
pub(crate) fn schemas() -> [Value; 3] {
    let field = |name: &str, kind: Value| json!({"name": name, "type": kind});
    let record =
        |name: &str, fields: Vec<Value>| json!({"type": "record", "name": name, "fields": fields});
    let time = json!({"type": "long", "logicalType": "timestamp-millis"});
    [
        record(
            "Reading",
            vec![
                field("device", json!("string")),
                field("at", time),
                field("temperature", json!("double")),
                field("humidity", json!("double")),
                field("pressure", json!("double")),
                field("vibration", json!("float")),
                field("load", json!("float")),
                field("errors", json!("int")),
                field("on", json!("boolean")),
                field("level", json!("int")),
                field("note", json!("string")),
            ],
        ),
        record(
            "Image",
            vec![
                field("name", json!("string")),
                field("pixels", json!({"type": "array", "items": "int"})),
            ],
        ),
        record(
            "Spectrum",
            vec![
                field("name", json!("string")),
                field("spectrum", json!({"type": "array", "items": "float"})),
            ],
        ),
    ]
}

fn write_reading(reading: &Reading) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_text(&mut bytes, &reading.device);
    push_long(&mut bytes, reading.at);
    for number in [reading.temperature, reading.humidity, reading.pressure] {
        bytes.extend(number.to_le_bytes());
    }
    for number in [reading.vibration, reading.load] {
        bytes.extend(number.to_le_bytes());
    }
    push_long(&mut bytes, reading.errors.into());
    bytes.push(reading.on.into());
    push_long(&mut bytes, reading.level.into());
    push_text(&mut bytes, reading.note);
    bytes
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    push_length(bytes, text.len());
    bytes.extend(text.as_bytes());
}

fn push_length(bytes: &mut Vec<u8>, length: usize) {
    push_long(bytes, i64::try_from(length).unwrap_or_default());
}

fn push_long(bytes: &mut Vec<u8>, number: i64) {
    push_varint(bytes, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

#[inline]
fn long(left: &mut &[u8]) -> Option<i64> {
    let number = varint(left)?;
    Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
}

#[inline]
fn text<'b>(left: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = long(left)?;
    length_prefixed(left, u64::try_from(length).ok()?)
}

fn read_reading(record: &[u8], row: &mut Vec<f32>) -> Option<()> {
    let mut left = record;
    text(&mut left)?;
    long(&mut left)?;
    for _ in 0..3 {
        row.push(narrowed(f64::from_le_bytes(chunk(&mut left)?))?);
    }
    for _ in 0..2 {
        row.push(f32::from_le_bytes(chunk(&mut left)?));
    }
    row.push(exact(long(&mut left)?)?);
    row.push(match chunk(&mut left)? {
        [0] => 0.0,
        [1] => 1.0,
        _ => return None,
    });
    row.push(exact(long(&mut left)?)?);
    text(&mut left)?;
    left.is_empty().then_some(())
}

/// The number of items of the next block.
#[inline]
fn block(left: &mut &[u8]) -> Option<u64> {
    let count = long(left)?;
    if count < 0 {
        long(left)?;
    }
    Some(count.unsigned_abs())
}

fn read_image(record: &[u8], row: &mut Vec<f32>) -> Option<()> {
    let mut left = record;
    let start = row.len();
    text(&mut left)?;
    loop {
        match block(&mut left)? {
            0 => break,
            count if count > u64::from(IMAGE) => return None,
            count => {
                for _ in 0..count {
                    row.push(exact(long(&mut left)?)?);
                }
            }
        }
    }
    (left.is_empty() && row.len() - start == IMAGE as usize).then_some(())
}

fn read_spectrum(record: &[u8], row: &mut Vec<f32>) -> Option<()> {
    let mut left = record;
    let start = row.len();
    text(&mut left)?;
    loop {
        match block(&mut left)? {
            0 => break,
            count if count > u64::from(SPECTRUM) => return None,
            count => {
                let bytes = length_prefixed(&mut left, count * 4)?;
                let numbers = bytes.as_chunks::<4>().0.iter();
                row.extend(numbers.map(|bytes| f32::from_le_bytes(*bytes)));
            }
        }
    }
    (left.is_empty() && row.len() - start == SPECTRUM as usize).then_some(())
}
