//! Golden samples: inputs of a model with the outputs that are expected of it, as numpy's `savez` writes them, and how far
//! a version's answers may lie from them.
//!
//! Invariant: what was read takes no more than [`LARGEST`] bytes, and every array holds as many elements as its shape says.

mod npy;
mod npz;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use npy::Array;

use crate::record::Dtype;

/// The most that the arrays of one file may take, in bytes: functions hold them in memory when they load a version.
pub const LARGEST: u64 = 64 << 20;

/// What a version has to answer before it takes traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Hex SHA-256 of the npz file, its address in the artifact store.
    pub digest: String,
    /// Bytes of the file.
    pub size: u64,
    /// How many samples it holds.
    pub count: u64,
    /// How close the answers must come.
    pub tolerance: Tolerance,
}

/// How close an answer must come: |actual − expected| ≤ absolute + relative × |expected|, as numpy's `allclose` has it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// The share of the expected number.
    pub relative: f64,
    /// What is allowed on top, which counts near zero.
    pub absolute: f64,
}

// Both numbers are finite wherever one comes from a person.
impl Eq for Tolerance {}

/// Wide enough for float32 on another processor or in another framework, and far below what wrong weights make.
impl Default for Tolerance {
    fn default() -> Self {
        Self {
            relative: 1e-3,
            absolute: 1e-5,
        }
    }
}

impl Tolerance {
    /// Checks what a person gave.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    pub fn check(self) -> Result<Self, String> {
        for (name, number) in [("relative", self.relative), ("absolute", self.absolute)] {
            if !(number.is_finite() && number >= 0.0) {
                return Err(format!(
                    "the {name} tolerance is {number}; give a number of at least 0"
                ));
            }
        }
        Ok(self)
    }

    /// How far from this number an answer may lie.
    #[must_use]
    pub fn margin(self, expected: f64) -> f64 {
        self.absolute + self.relative * expected.abs()
    }

    /// Whether an answer is what was expected. Whole numbers, truth values and texts are only where they are equal; NaN is
    /// where NaN is expected.
    #[must_use]
    pub fn accepts(self, expected: &Value, actual: &Value) -> bool {
        match (expected, actual) {
            (Value::Text(expected), Value::Text(actual)) => expected == actual,
            (Value::Text(_), _) | (_, Value::Text(_)) => false,
            (Value::Integer(expected), Value::Integer(actual)) => expected == actual,
            (expected, Value::Float(actual)) => self.is_close(expected.as_f64(), *actual),
            #[allow(
                clippy::float_cmp,
                reason = "a whole number is the expected one or is not"
            )]
            (Value::Float(expected), actual) => *expected == actual.as_f64(),
        }
    }

    fn is_close(self, expected: f64, actual: f64) -> bool {
        if !expected.is_finite() || !actual.is_finite() {
            #[allow(clippy::float_cmp, reason = "infinities of one sign are equal")]
            let are_same = expected == actual;
            return are_same || expected.is_nan() && actual.is_nan();
        }
        (actual - expected).abs() <= self.margin(expected)
    }
}

/// One element of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number of a floating-point type.
    Float(f64),
    /// A number of an integer type, or a truth value as 0 or 1.
    Integer(i128),
    /// A text.
    Text(String),
}

impl Value {
    /// The number; NaN for a text.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "it is compared with what a float can hold"
    )]
    pub fn as_f64(&self) -> f64 {
        match self {
            Self::Float(number) => *number,
            Self::Integer(number) => *number as f64,
            Self::Text(_) => f64::NAN,
        }
    }
}

/// A number that is one of float32 is written as short as that allows.
impl fmt::Display for Value {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::float_cmp,
        reason = "it is looked whether nothing was lost"
    )]
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(number) if f64::from(*number as f32) == *number => {
                write!(formatter, "{}", *number as f32)
            }
            Self::Float(number) => write!(formatter, "{number}"),
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Text(text) => write!(formatter, "{text:?}"),
        }
    }
}

/// Why a file holds no samples.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSamples {
    /// It is no npz file, or is damaged.
    #[error(
        "the samples are not an npz file: {0}; write one with numpy's savez or savez_compressed"
    )]
    NotNpz(String),
    /// One of its arrays is none that is understood.
    #[error("the array {name:?} of the samples cannot be read: {reason}")]
    Array {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// It holds more than is taken.
    #[error(
        "the samples hold more than {} MiB; a few records are enough to tell versions apart",
        LARGEST >> 20
    )]
    TooLarge,
}

/// An array that is to be written.
#[derive(Debug, Clone, Copy)]
pub struct NewArray<'a> {
    /// Its name.
    pub name: &'a str,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: &'a [usize],
    /// Its elements.
    pub bytes: &'a [u8],
}

/// The arrays of a file by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    arrays: BTreeMap<String, Array>,
}

impl Samples {
    /// Whether a file begins as npz files do, and no ONNX file.
    #[must_use]
    pub fn is_npz(head: &[u8]) -> bool {
        head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
    }

    /// Reads an npz file, stored or deflated.
    ///
    /// # Errors
    /// [`BadSamples`].
    pub fn read(file: &[u8]) -> Result<Self, BadSamples> {
        let mut arrays = BTreeMap::new();
        npz::members(file, |name, content| match Array::read(&content) {
            Err(reason) => Err(BadSamples::Array { name, reason }),
            Ok(_) if arrays.contains_key(&name) => Err(BadSamples::Array {
                name,
                reason: "there are two of this name".to_owned(),
            }),
            Ok(array) => {
                arrays.insert(name, array);
                Ok(())
            }
        })?;
        if arrays.is_empty() {
            return Err(BadSamples::NotNpz("it holds no array".to_owned()));
        }
        Ok(Self { arrays })
    }

    /// An npz file of arrays of numbers: each with its name, its type, its shape and its elements, little-endian and in C
    /// order. The same arrays make the same bytes.
    #[must_use]
    pub fn write(arrays: &[NewArray<'_>]) -> Vec<u8> {
        let members: Vec<(String, Vec<u8>)> = arrays
            .iter()
            .map(|array| {
                let content = Array::write(array.dtype, array.shape, array.bytes);
                (array.name.to_owned(), content)
            })
            .collect();
        npz::archive(&members)
    }

    /// An npz file of one array, whose file is given; whether that is one shows when it is read.
    #[must_use]
    pub fn around(array: &[u8]) -> Vec<u8> {
        npz::archive(&[("array".to_owned(), array.to_vec())])
    }

    /// The array of this name.
    #[must_use]
    pub fn array(&self, name: &str) -> Option<&Array> {
        self.arrays.get(name)
    }

    /// The names of the arrays, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.arrays.keys().map(String::as_str)
    }
}
