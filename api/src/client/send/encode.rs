//! A row of text becomes the bytes of a record, by the datasource's format. A number that does
//! not fit its type is an error that names the row and the column.

use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use millrace_wire::record::{ByteOrder, Dtype, Label, LabelEncoding, RawArray, RecordFormat};

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
    let RecordFormat::Raw(array) = format;
    let elements = array.elements();
    let value = encode(row, 0..elements, array)?;
    let label = match (row.cells.len().checked_sub(elements), label) {
        (Some(0), _) => None,
        (Some(more), Some(label)) if more == label.elements() => Some(match &label.encoding {
            LabelEncoding::Text => cell(row, elements)?.as_bytes().to_vec(),
            LabelEncoding::Raw(array) => encode(row, elements..elements + more, array)?,
        }),
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
    Ok(Encoded { value, label })
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
    let Some(bytes) = row.cells.get(column) else {
        bail!("row {} has {} columns only", row.number, row.cells.len());
    };
    let text = std::str::from_utf8(bytes);
    let text =
        text.map_err(|_| anyhow!("row {}, column {} is not UTF-8", row.number, column + 1))?;
    Ok(text.trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use csv::ByteRecord;
    use millrace_wire::record::LabelSource;

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
        assert_eq!(error(&["1"]), "row 4 has 1 columns only");
    }
}
