//! A row of text becomes the bytes of a record, by the datasource's format. A number that does
//! not fit its type is an error that names the row and the column.

use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use millrace_wire::record::{
    ByteOrder, Dtype, JsonRecord, Label, LabelEncoding, LabelSource, Missing, RawArray,
    RecordFormat, Written, document,
};
use serde_json::{Number, Value};

use super::rows::Row;

/// A record's bytes.
pub struct Encoded {
    /// The value.
    pub value: Vec<u8>,
    /// The label, where the row has one.
    pub label: Option<Vec<u8>>,
}

/// Encodes one row: as many cells as the record has elements, then perhaps those of the label.
pub fn row(row: &Row<'_>, format: &RecordFormat, label: Option<&Label>) -> Result<Encoded> {
    let elements = format.elements();
    let label = match (row.cells.len().checked_sub(elements), label) {
        (Some(0), _) => None,
        (Some(more), Some(label)) if more == label.elements() => Some(label),
        _ => bail!(
            "row {} has {} columns; the datasource's records have {elements} elements{}",
            row.number,
            row.cells.len(),
            match label.map(Label::elements) {
                None => String::new(),
                Some(1) => ", which a label may follow".to_owned(),
                Some(more) => format!(", which the {more} of a label may follow"),
            }
        ),
    };
    let value = match format {
        RecordFormat::Raw(array) => encode(row, 0..elements, array)?,
        RecordFormat::Json(record) => json(row, record, label)?,
    };
    let label = label.map(|label| match (&label.source, &label.encoding) {
        // It stands in the value.
        (LabelSource::Field { .. }, _) => Ok(Vec::new()),
        (_, LabelEncoding::Text) => Ok(cell(row, elements)?.as_bytes().to_vec()),
        (_, LabelEncoding::Raw(array)) => encode(row, elements..row.cells.len(), array),
    });
    Ok(Encoded {
        value,
        label: label.transpose()?,
    })
}

fn json(row: &Row<'_>, record: &JsonRecord, label: Option<&Label>) -> Result<Vec<u8>> {
    let numbers = (0..row.cells.len()).map(|column| json_number(row, column, record.missing));
    let numbers: Vec<Value> = numbers.collect::<Result<_>>()?;
    let mut rest = numbers.as_slice();
    let mut take = |shape: &[u32]| {
        let elements = shape.iter().map(|size| *size as usize).product();
        let (taken, left) = rest.split_at(elements);
        rest = left;
        taken
    };
    let mut fields: Vec<Written<'_>> = Vec::new();
    for field in &record.fields {
        fields.push(Written {
            pointer: &field.pointer,
            shape: &field.shape,
            numbers: take(&field.shape),
            in_text: field.in_text,
        });
    }
    if let Some(LabelSource::Field { pointer, shape }) = label.map(|label| &label.source) {
        fields.push(Written {
            pointer,
            shape,
            numbers: take(shape),
            in_text: false,
        });
    }
    Ok(document(&fields).to_string().into_bytes())
}

/// What stands in a cell, as it stands there; an empty one is `null` where that is allowed.
fn json_number(row: &Row<'_>, column: usize, missing: Missing) -> Result<Value> {
    let text = cell(row, column)?;
    if text.is_empty() && missing == Missing::Nan {
        return Ok(Value::Null);
    }
    let number = Number::from_str(text).ok();
    let number = number.or_else(|| Number::from_f64(text.parse().ok()?));
    number.map(Value::Number).ok_or_else(|| {
        anyhow!(
            "row {}, column {}: {text:?} is not a number",
            row.number,
            column + 1
        )
    })
}

fn encode(row: &Row<'_>, columns: std::ops::Range<usize>, array: &RawArray) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(columns.len() * array.dtype.bytes());
    for column in columns {
        let text = cell(row, column)?;
        let at = || format!("row {}, column {}", row.number, column + 1);
        macro_rules! push {
            ($type:ty) => {{
                let number = <$type>::from_str(text).map_err(|_| {
                    anyhow!(
                        "{}: {text:?} is not a number of type {}",
                        at(),
                        stringify!($type)
                    )
                })?;
                match array.byte_order {
                    ByteOrder::Little => bytes.extend(number.to_le_bytes()),
                    ByteOrder::Big => bytes.extend(number.to_be_bytes()),
                }
            }};
        }
        match array.dtype {
            Dtype::Bool => match text {
                "0" | "false" => bytes.push(0),
                "1" | "true" => bytes.push(1),
                _ => bail!("{}: {text:?} is neither true nor false", at()),
            },
            Dtype::Int8 => push!(i8),
            Dtype::Int16 => push!(i16),
            Dtype::Int32 => push!(i32),
            Dtype::Int64 => push!(i64),
            Dtype::Uint8 => push!(u8),
            Dtype::Uint16 => push!(u16),
            Dtype::Uint32 => push!(u32),
            Dtype::Uint64 => push!(u64),
            Dtype::Float32 => push!(f32),
            Dtype::Float64 => push!(f64),
        }
    }
    Ok(bytes)
}

fn cell<'a>(row: &Row<'a>, column: usize) -> Result<&'a str> {
    let text = std::str::from_utf8(&row.cells[column]);
    let text =
        text.map_err(|_| anyhow!("row {}, column {} is not UTF-8", row.number, column + 1))?;
    Ok(text.trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use csv::ByteRecord;
    use millrace_wire::record::JsonField;

    use super::*;

    fn encode_text(cells: &[&str], dtype: Dtype, label: bool) -> Result<Encoded> {
        let cells = ByteRecord::from(cells.to_vec());
        let array = RawArray {
            dtype,
            shape: vec![2],
            byte_order: ByteOrder::Little,
        };
        let label = label.then_some(Label {
            source: LabelSource::Key,
            encoding: LabelEncoding::Text,
        });
        let row_of_cells = Row {
            number: 4,
            cells: &cells,
        };
        row(&row_of_cells, &RecordFormat::Raw(array), label.as_ref())
    }

    #[test]
    fn cells_become_bytes_and_the_last_one_the_label() {
        let encoded = encode_text(&["1", " 2 ", "7"], Dtype::Int16, true).unwrap();
        assert_eq!(encoded.value, [1, 0, 2, 0]);
        assert_eq!(encoded.label.unwrap(), b"7");
        assert_eq!(
            encode_text(&["1", "2"], Dtype::Uint8, true).unwrap().label,
            None
        );
    }

    #[test]
    fn a_label_may_have_several_columns() {
        let array = |size| RawArray {
            dtype: Dtype::Uint8,
            shape: vec![size],
            byte_order: ByteOrder::Little,
        };
        let label = Label {
            source: LabelSource::Key,
            encoding: LabelEncoding::Raw(array(3)),
        };
        let encoded = |cells: &[&str]| {
            let cells = ByteRecord::from(cells.to_vec());
            let row_of_cells = Row {
                number: 4,
                cells: &cells,
            };
            row(&row_of_cells, &RecordFormat::Raw(array(2)), Some(&label))
        };
        let found = encoded(&["1", "2", "0", "0", "1"]).unwrap();
        assert_eq!(
            (found.value, found.label),
            (vec![1, 2], Some(vec![0, 0, 1]))
        );
        assert_eq!(
            encoded(&["1", "2", "0"]).err().unwrap().to_string(),
            "row 4 has 3 columns; the datasource's records have 2 elements, which the 3 of a label may follow"
        );
    }

    #[test]
    fn rows_become_documents_with_the_label_in_a_field() {
        let record = JsonRecord {
            fields: vec![
                JsonField {
                    pointer: "/a".to_owned(),
                    shape: vec![2],
                    in_text: false,
                },
                JsonField {
                    pointer: "/b/c".to_owned(),
                    shape: Vec::new(),
                    in_text: false,
                },
            ],
            missing: Missing::Nan,
        };
        let label = Label {
            source: LabelSource::Field {
                pointer: "/b/label".to_owned(),
                shape: Vec::new(),
            },
            encoding: LabelEncoding::default(),
        };
        let format = RecordFormat::Json(record);
        let encoded = |cells: &[&str]| {
            let cells = ByteRecord::from(cells.to_vec());
            let row_of_cells = Row {
                number: 4,
                cells: &cells,
            };
            let encoded = row(&row_of_cells, &format, Some(&label));
            encoded.map(|encoded| String::from_utf8(encoded.value).unwrap())
        };
        assert_eq!(
            encoded(&["1", "", ".5", "7"]).unwrap(),
            r#"{"a":[1,null],"b":{"c":0.5,"label":7}}"#
        );
        // Without a label, as an inference reads them.
        assert_eq!(
            encoded(&["1", "2", "1e3"]).unwrap(),
            r#"{"a":[1,2],"b":{"c":1000.0}}"#
        );
        let error = encoded(&["1", "x", "3"]).unwrap_err().to_string();
        assert_eq!(error, "row 4, column 2: \"x\" is not a number");
    }

    #[test]
    fn what_does_not_fit_is_named_by_row_and_column() {
        let error = |cells: &[&str]| {
            encode_text(cells, Dtype::Uint8, false)
                .err()
                .unwrap()
                .to_string()
        };
        assert_eq!(
            error(&["1", "256"]),
            "row 4, column 2: \"256\" is not a number of type u8"
        );
        assert_eq!(
            error(&["1", "2", "3"]),
            "row 4 has 3 columns; the datasource's records have 2 elements"
        );
        assert_eq!(
            error(&["1"]),
            "row 4 has 1 columns; the datasource's records have 2 elements"
        );
    }
}
