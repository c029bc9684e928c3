//! The cells of a row, taken one after another.

use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use millrace_wire::record::{AvroWriter, ByteOrder, Dtype, Encoding, RawArray, half};

use super::fields;
use crate::client::send::rows::Row;

/// The cells that were not taken yet.
pub(super) struct Cells<'r> {
    row: &'r Row<'r>,
    next: usize,
    /// Where the label's begin.
    label: usize,
}

impl<'r> Cells<'r> {
    /// All cells of a row, whose label begins behind so many.
    pub(super) fn new(row: &'r Row<'r>, label: usize) -> Self {
        Self {
            row,
            next: 0,
            label,
        }
    }

    /// The row's number in the file, from 1.
    pub(super) fn row(&self) -> usize {
        self.row.number
    }

    /// Those of the label.
    pub(super) fn label(&self) -> Self {
        Self {
            next: self.label,
            ..*self
        }
    }

    /// The next one, with its place as people count.
    pub(super) fn take(&mut self) -> Result<(String, &'r str)> {
        let column = self.next;
        self.next += 1;
        let at = format!("row {}, column {}", self.row.number, column + 1);
        let cell = self.row.cells.get(column).unwrap_or_default();
        match std::str::from_utf8(cell) {
            Ok(text) => Ok((at, text.trim())),
            Err(_) => bail!("{at} is not UTF-8"),
        }
    }

    /// Passes over the next ones, if all of them are empty.
    pub(super) fn pass_empty(&mut self, count: usize) -> Result<bool> {
        let before = self.next;
        for _ in 0..count {
            if !self.take()?.1.is_empty() {
                self.next = before;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next ones as they are written outside of a value.
    pub(super) fn encoding(&mut self, encoding: &Encoding) -> Result<Vec<u8>> {
        match encoding {
            Encoding::Text => Ok(self.take()?.1.as_bytes().to_vec()),
            Encoding::Raw(array) => self.array(array),
            Encoding::Avro(record) => match &record.writer {
                AvroWriter::Schema { schema } => fields::avro(self, schema, record, None),
                AvroWriter::Registry => bail!(
                    "rows cannot be sent with a schema of the registry beside the value: send them with your own producer"
                ),
            },
        }
    }

    /// The next ones, each a byte.
    pub(super) fn bytes(&mut self, count: usize) -> Result<Vec<u8>> {
        let byte = |(at, text): (String, &str)| {
            let byte = text.parse();
            byte.map_err(|_| anyhow!("{at}: {text:?} is not a number from 0 to 255"))
        };
        (0..count).map(|_| byte(self.take()?)).collect()
    }

    /// The next ones as the bytes of an array.
    pub(super) fn array(&mut self, array: &RawArray) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(array.bytes());
        for _ in 0..array.elements() {
            self.element(array, &mut bytes)?;
        }
        Ok(bytes)
    }

    fn element(&mut self, array: &RawArray, bytes: &mut Vec<u8>) -> Result<()> {
        let (at, text) = self.take()?;
        let mut push = |element: &[u8]| match array.byte_order {
            ByteOrder::Little => bytes.extend(element),
            ByteOrder::Big => bytes.extend(element.iter().rev()),
        };
        macro_rules! push {
            ($type:ty) => {{
                let number = <$type>::from_str(text).map_err(|_| {
                    anyhow!(
                        "{at}: {text:?} is not a number of type {}",
                        stringify!($type)
                    )
                })?;
                push(&number.to_le_bytes())
            }};
        }
        match array.dtype {
            Dtype::Bool => match text {
                "0" | "false" => push(&[0]),
                "1" | "true" => push(&[1]),
                _ => bail!("{at}: {text:?} is neither true nor false"),
            },
            Dtype::Int8 => push!(i8),
            Dtype::Int16 => push!(i16),
            Dtype::Int32 => push!(i32),
            Dtype::Int64 => push!(i64),
            Dtype::Uint8 => push!(u8),
            Dtype::Uint16 => push!(u16),
            Dtype::Uint32 => push!(u32),
            Dtype::Uint64 => push!(u64),
            Dtype::Float16 => {
                let number = text.parse().ok().and_then(half::to_bits);
                let bits = number
                    .ok_or_else(|| anyhow!("{at}: {text:?} is not a number of type float16"))?;
                push(&bits.to_le_bytes());
            }
            Dtype::Float32 => push!(f32),
            Dtype::Float64 => push!(f64),
        }
        Ok(())
    }
}
