//! RAW: the bytes of one array.

use serde::{Deserialize, Serialize};

use super::{DecodeError, cast, half, product};

/// The bytes of one array in C order, as numpy's `tobytes()` writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawArray {
    /// Element type.
    pub dtype: Dtype,
    /// Shape of one record, without the batch dimension.
    pub shape: Vec<u32>,
    /// Byte order of the elements.
    #[serde(default)]
    pub byte_order: ByteOrder,
}

/// Element types by their numpy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "numpy's names say it")]
pub enum Dtype {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Float16,
    Float32,
    Float64,
}

/// Order of the bytes of one element.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ByteOrder {
    /// Least significant first (the default, as on x86 and Arm).
    #[default]
    Little,
    /// Most significant first.
    Big,
}

impl RawArray {
    /// The number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        product(&self.shape)
    }

    /// The number of bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.elements() * self.dtype.bytes()
    }

    pub(super) fn decode(
        &self,
        part: &str,
        bytes: &[u8],
        row: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        if bytes.len() != self.bytes() {
            return Err(DecodeError::Size {
                part: part.to_owned(),
                expected: self.bytes(),
                found: bytes.len(),
            });
        }
        let before = row.len();
        let result = self.append(part, bytes, row);
        if result.is_err() {
            row.truncate(before);
        }
        result
    }

    fn append(&self, part: &str, bytes: &[u8], row: &mut Vec<f32>) -> Result<(), DecodeError> {
        let order = self.byte_order;
        macro_rules! exact {
            ($type:ty) => {
                row.extend(
                    elements::<{ size_of::<$type>() }>(bytes, order)
                        .map(|b| f32::from(<$type>::from_le_bytes(b))),
                )
            };
        }
        macro_rules! checked {
            ($type:ty, $cast:expr) => {
                for (index, b) in elements::<{ size_of::<$type>() }>(bytes, order).enumerate() {
                    let number = <$type>::from_le_bytes(b);
                    row.push(
                        $cast(number).ok_or_else(|| DecodeError::number(part, index, &number))?,
                    );
                }
            };
        }
        match self.dtype {
            Dtype::Bool => row.extend(bytes.iter().map(|b| f32::from(u8::from(*b != 0)))),
            Dtype::Uint8 => row.extend(bytes.iter().map(|b| f32::from(*b))),
            Dtype::Int8 => exact!(i8),
            Dtype::Int16 => exact!(i16),
            Dtype::Uint16 => exact!(u16),
            Dtype::Float16 => {
                row.extend(
                    elements::<2>(bytes, order).map(|b| half::from_bits(u16::from_le_bytes(b))),
                );
            }
            Dtype::Float32 => exact!(f32),
            Dtype::Int32 => checked!(i32, |n| cast::from_i64(i64::from(n))),
            Dtype::Uint32 => checked!(u32, |n| cast::from_i64(i64::from(n))),
            Dtype::Int64 => checked!(i64, cast::from_i64),
            Dtype::Uint64 => checked!(u64, cast::from_u64),
            Dtype::Float64 => checked!(f64, cast::from_f64),
        }
        Ok(())
    }
}

/// The elements of `bytes` as little-endian arrays.
fn elements<const N: usize>(bytes: &[u8], order: ByteOrder) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().map(move |chunk| {
        let mut element = *chunk;
        if order == ByteOrder::Big {
            element.reverse();
        }
        element
    })
}

impl Dtype {
    /// Bytes of one element.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::Int8 | Self::Uint8 => 1,
            Self::Int16 | Self::Uint16 | Self::Float16 => 2,
            Self::Int32 | Self::Uint32 | Self::Float32 => 4,
            Self::Int64 | Self::Uint64 | Self::Float64 => 8,
        }
    }
}
