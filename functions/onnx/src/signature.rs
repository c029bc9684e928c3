//! What a model takes and gives: names, element types and shapes of its inputs and outputs.

use std::fmt;

use crate::proto::{GraphProto, ValueInfoProto};

/// The inputs and outputs of a model.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Signature {
    /// The tensors that a caller gives; initializers that old files list among the inputs are left out.
    pub inputs: Vec<TensorInfo>,
    /// The tensors that the model gives.
    pub outputs: Vec<TensorInfo>,
    /// Names of inputs and outputs that are not tensors but sequences, maps or optional values.
    pub non_tensors: Vec<String>,
}

/// The name, element type and shape of a tensor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TensorInfo {
    /// Its name in the graph.
    pub name: String,
    /// The type of its elements.
    pub element: ElementType,
    /// Its dimensions; nothing where the model does not say how many there are.
    pub dims: Option<Vec<Dim>>,
}

impl TensorInfo {
    /// The information on a tensor whose rank is known.
    #[must_use]
    pub fn new(name: impl Into<String>, element: ElementType, dims: Vec<Dim>) -> Self {
        Self {
            name: name.into(),
            element,
            dims: Some(dims),
        }
    }
}

/// As `float32[batch, 64]`.
impl fmt::Display for TensorInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[", self.element)?;
        match &self.dims {
            None => formatter.write_str("…")?,
            Some(dims) => {
                for (index, dim) in dims.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(formatter, "{separator}{dim}")?;
                }
            }
        }
        formatter.write_str("]")
    }
}

/// One dimension of a tensor.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Dim {
    /// A size that the model fixes.
    Fixed(i64),
    /// Any size, equal wherever this name stands.
    Symbolic(String),
    /// Any size.
    Unknown,
}

impl fmt::Display for Dim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(formatter, "{size}"),
            Self::Symbolic(name) => formatter.write_str(name),
            Self::Unknown => formatter.write_str("?"),
        }
    }
}

/// The type of a tensor's elements, named as numpy names it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "the variants are named as the types are")]
pub enum ElementType {
    Float32,
    Uint8,
    Int8,
    Uint16,
    Int16,
    Int32,
    Int64,
    String,
    Bool,
    Float16,
    Float64,
    Uint32,
    Uint64,
    Complex64,
    Complex128,
    Bfloat16,
    /// A type of fewer than eight bits or an eight bit float, or one of a later release, by its number in the format.
    Other(i32),
}

/// In the order of the format's numbers, which start at 1.
const NAMED: [(ElementType, &str, usize); 16] = [
    (ElementType::Float32, "float32", 4),
    (ElementType::Uint8, "uint8", 1),
    (ElementType::Int8, "int8", 1),
    (ElementType::Uint16, "uint16", 2),
    (ElementType::Int16, "int16", 2),
    (ElementType::Int32, "int32", 4),
    (ElementType::Int64, "int64", 8),
    (ElementType::String, "string", 0),
    (ElementType::Bool, "bool", 1),
    (ElementType::Float16, "float16", 2),
    (ElementType::Float64, "float64", 8),
    (ElementType::Uint32, "uint32", 4),
    (ElementType::Uint64, "uint64", 8),
    (ElementType::Complex64, "complex64", 8),
    (ElementType::Complex128, "complex128", 16),
    (ElementType::Bfloat16, "bfloat16", 2),
];

impl ElementType {
    /// The type with this number in the ONNX format.
    #[must_use]
    pub fn from_code(code: i32) -> Self {
        usize::try_from(code)
            .ok()
            .and_then(|code| NAMED.get(code.checked_sub(1)?))
            .map_or(Self::Other(code), |(element, ..)| *element)
    }

    /// The number in the ONNX format.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Other(code) => code,
            named => NAMED
                .iter()
                .zip(1..)
                .find_map(|((element, ..), code)| (*element == named).then_some(code))
                .unwrap_or_default(),
        }
    }

    /// How many bytes an element takes in `raw_data`; nothing for strings and for types that are not named here.
    #[must_use]
    pub fn bytes(self) -> Option<usize> {
        NAMED
            .iter()
            .find(|(element, ..)| *element == self)
            .map(|(.., bytes)| *bytes)
            .filter(|&bytes| bytes > 0)
    }

    /// Whether it is a real floating-point type, which gradients can pass through.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(
            self,
            Self::Float16 | Self::Bfloat16 | Self::Float32 | Self::Float64
        )
    }

    /// Whether it is a type of whole numbers.
    #[must_use]
    pub fn is_integer(self) -> bool {
        matches!(
            self,
            Self::Int8
                | Self::Int16
                | Self::Int32
                | Self::Int64
                | Self::Uint8
                | Self::Uint16
                | Self::Uint32
                | Self::Uint64
        )
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMED.iter().find(|(element, ..)| element == self) {
            Some((_, name, _)) => formatter.write_str(name),
            None => write!(formatter, "ONNX type {}", self.code()),
        }
    }
}

impl Signature {
    pub(crate) fn of(graph: &GraphProto) -> Self {
        let is_initializer = |name: &str| {
            graph.initializer.iter().any(|tensor| tensor.name() == name)
                || graph.sparse_initializer.iter().any(|tensor| {
                    tensor
                        .values
                        .as_ref()
                        .is_some_and(|values| values.name() == name)
                })
        };
        let given: Vec<&ValueInfoProto> = graph
            .input
            .iter()
            .filter(|input| !is_initializer(input.name()))
            .collect();
        let non_tensors = given
            .iter()
            .copied()
            .chain(&graph.output)
            .filter(|value| value.to_info().is_none())
            .map(|value| value.name().to_owned())
            .collect();
        Self {
            inputs: given.iter().filter_map(|value| value.to_info()).collect(),
            outputs: graph
                .output
                .iter()
                .filter_map(ValueInfoProto::to_info)
                .collect(),
            non_tensors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_format_names_one_type() {
        for code in -1..32 {
            assert_eq!(ElementType::from_code(code).code(), code);
        }
        assert_eq!(ElementType::from_code(1), ElementType::Float32);
        assert_eq!(ElementType::from_code(16), ElementType::Bfloat16);
        assert_eq!(ElementType::from_code(11).to_string(), "float64");
        assert_eq!(ElementType::Other(17).to_string(), "ONNX type 17");
    }

    #[test]
    fn tensors_are_shown_as_people_write_them() {
        let info = TensorInfo::new(
            "input",
            ElementType::Float32,
            vec![
                Dim::Symbolic("batch".to_owned()),
                Dim::Fixed(64),
                Dim::Unknown,
            ],
        );
        assert_eq!(info.to_string(), "float32[batch, 64, ?]");
    }
}
