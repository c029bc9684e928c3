//! Tensors in files: their values read and written.
//!
//! A tensor's values stand either in `raw_data`, little-endian, or in the typed list that belongs to its type. What is
//! read has exactly as many values as the dimensions say, or is refused.

use bytes::Bytes;

use super::TensorProto;
use crate::{ElementType, Error, Tensor, Values};

impl TensorProto {
    /// The type of the elements.
    #[must_use]
    pub fn element(&self) -> ElementType {
        ElementType::from_code(self.data_type())
    }

    /// The dimensions as sizes.
    ///
    /// # Errors
    /// A negative dimension, or more elements than can be counted.
    pub fn sizes(&self) -> Result<Vec<usize>, Error> {
        let sizes = self
            .dims
            .iter()
            .map(|&dim| usize::try_from(dim))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| self.refused("has a negative dimension"))?;
        sizes
            .iter()
            .try_fold(1_usize, |count, &size| count.checked_mul(size))
            .ok_or_else(|| self.refused("has more elements than can be counted"))?;
        Ok(sizes)
    }

    /// How many elements the dimensions make.
    ///
    /// # Errors
    /// As [`TensorProto::sizes`].
    pub fn count(&self) -> Result<usize, Error> {
        Ok(self.sizes()?.iter().product())
    }

    /// The values of a float32 tensor, bit for bit.
    ///
    /// # Errors
    /// Another element type, data in another file, or a number of values that does not fit the dimensions.
    pub fn to_f32(&self) -> Result<Vec<f32>, Error> {
        if self.element() != ElementType::Float32 {
            return Err(self.refused(&format!("is {} where float32 is needed", self.element())));
        }
        self.typed(&self.float_data, f32::from_le_bytes)
    }

    /// The values as the evaluator holds them.
    ///
    /// # Errors
    /// As [`TensorProto::to_f32`]; element types that the evaluator does not have (strings, complex numbers, 4 and 8 bit
    /// floats) are refused.
    pub fn to_tensor(&self) -> Result<Tensor, Error> {
        let narrow = &self.int32_data;
        let values = match self.element() {
            ElementType::Float32 => Values::Float(widen(&self.to_f32()?)),
            ElementType::Float64 => {
                Values::Float(self.typed(&self.double_data, f64::from_le_bytes)?)
            }
            ElementType::Int8 => Values::Integer(widen(&self.packed(narrow, i8::from_le_bytes)?)),
            ElementType::Int16 => Values::Integer(widen(&self.packed(narrow, i16::from_le_bytes)?)),
            ElementType::Int32 => Values::Integer(widen(&self.typed(narrow, i32::from_le_bytes)?)),
            ElementType::Int64 => {
                Values::Integer(self.typed(&self.int64_data, i64::from_le_bytes)?)
            }
            ElementType::Uint8 => Values::Integer(widen(&self.packed(narrow, u8::from_le_bytes)?)),
            ElementType::Uint16 => {
                Values::Integer(widen(&self.packed(narrow, u16::from_le_bytes)?))
            }
            ElementType::Uint32 => {
                let list = self.uint64_data.iter().map(|&value| value as u32);
                Values::Integer(widen(&self.values(list.collect(), u32::from_le_bytes)?))
            }
            // The evaluator has the same 64 bits, with a sign.
            ElementType::Uint64 => {
                let values = self.typed(&self.uint64_data, u64::from_le_bytes)?;
                Values::Integer(values.into_iter().map(|value| value as i64).collect())
            }
            ElementType::Bool => {
                let bytes: Vec<u8> = self.packed(narrow, u8::from_le_bytes)?;
                Values::Boolean(bytes.into_iter().map(|byte| byte != 0).collect())
            }
            other => return Err(self.refused(&format!("is {other}, which is not evaluated here"))),
        };
        Ok(Tensor::new(self.sizes()?, values))
    }

    /// A float32 tensor under a name.
    #[must_use]
    pub fn from_f32(name: &str, dims: &[usize], values: &[f32]) -> Self {
        let raw = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Self::from_raw(name, ElementType::Float32, dims, raw)
    }

    /// A float64 tensor under a name.
    #[must_use]
    pub fn from_f64(name: &str, dims: &[usize], values: &[f64]) -> Self {
        let raw = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Self::from_raw(name, ElementType::Float64, dims, raw)
    }

    /// An int64 tensor under a name.
    #[must_use]
    pub fn from_i64(name: &str, dims: &[usize], values: &[i64]) -> Self {
        let raw = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Self::from_raw(name, ElementType::Int64, dims, raw)
    }

    /// A list of texts under a name.
    #[must_use]
    pub fn from_texts(name: &str, values: &[&str]) -> Self {
        Self {
            dims: vec![values.len() as i64],
            data_type: Some(ElementType::String.code()),
            name: Some(name.to_owned()),
            string_data: values
                .iter()
                .map(|value| value.as_bytes().to_vec())
                .collect(),
            ..Self::default()
        }
    }

    /// A tensor of any fixed-size element type from its little-endian bytes.
    #[must_use]
    pub fn from_raw(name: &str, element: ElementType, dims: &[usize], raw: Vec<u8>) -> Self {
        Self {
            dims: dims.iter().map(|&size| size as i64).collect(),
            data_type: Some(element.code()),
            name: Some(name.to_owned()),
            raw_data: Some(Bytes::from(raw)),
            ..Self::default()
        }
    }

    /// Types of less than 32 bits: each value stands in `int32_data` as a whole number.
    fn packed<T, const N: usize>(
        &self,
        list: &[i32],
        decode: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, Error> {
        let decoded: Vec<T> = list
            .iter()
            .map(|value| {
                let bytes = value.to_le_bytes();
                decode(std::array::from_fn(|index| bytes[index]))
            })
            .collect();
        self.values(decoded, decode)
    }

    fn typed<T: Copy, const N: usize>(
        &self,
        list: &[T],
        decode: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, Error> {
        self.values(list.to_vec(), decode)
    }

    fn values<T, const N: usize>(
        &self,
        list: Vec<T>,
        decode: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, Error> {
        if self.is_external() {
            return Err(Error::ExternalData {
                tensor: self.name().to_owned(),
                location: self.external("location").unwrap_or_default().to_owned(),
            });
        }
        let count = self.count()?;
        let (values, left_over) = match &self.raw_data {
            Some(raw) => {
                let chunks = raw.chunks_exact(N);
                let left_over = chunks.remainder().len();
                let decoded = chunks
                    .map(|chunk| decode(std::array::from_fn(|index| chunk[index])))
                    .collect();
                (decoded, left_over)
            }
            None => (list, 0),
        };
        if values.len() != count || left_over != 0 {
            let found = values.len();
            return Err(self.refused(&format!(
                "holds {found} values where its dimensions say {count}"
            )));
        }
        Ok(values)
    }

    /// Whether the tensor's values stand in another file.
    #[must_use]
    pub fn is_external(&self) -> bool {
        self.data_location() == super::tensor_proto::DataLocation::External
    }

    /// An entry of the reference to another file: `location`, `offset`, `length`.
    #[must_use]
    pub fn external(&self, key: &str) -> Option<&str> {
        self.external_data
            .iter()
            .find(|entry| entry.key() == key)
            .map(super::StringStringEntryProto::value)
    }

    fn refused(&self, reason: &str) -> Error {
        Error::Tensor {
            tensor: self.name().to_owned(),
            reason: reason.to_owned(),
        }
    }
}

fn widen<From: Copy, To: std::convert::From<From>>(values: &[From]) -> Vec<To> {
    values.iter().map(|&value| To::from(value)).collect()
}
