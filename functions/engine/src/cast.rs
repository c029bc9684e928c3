//! Numbers of records as elements of the types that models take.

use millrace_onnx::ElementType;

use crate::{Data, Element};

impl Element {
    /// The type in an ONNX file, where it is one of numbers that both sides know.
    #[must_use]
    pub fn of_file(element: ElementType) -> Option<Self> {
        Some(match element {
            ElementType::Float32 => Self::F32,
            ElementType::Float64 => Self::F64,
            ElementType::Int8 => Self::I8,
            ElementType::Int16 => Self::I16,
            ElementType::Int32 => Self::I32,
            ElementType::Int64 => Self::I64,
            ElementType::Uint8 => Self::U8,
            ElementType::Uint16 => Self::U16,
            ElementType::Uint32 => Self::U32,
            ElementType::Uint64 => Self::U64,
            ElementType::Bool => Self::Bool,
            _ => return None,
        })
    }

    /// Whether the type can hold a number as it is.
    #[must_use]
    pub fn holds(self, number: f32) -> bool {
        let number = f64::from(number);
        let is_between =
            |least: f64, below: f64| number.fract() == 0.0 && number >= least && number < below;
        match self {
            Self::F32 | Self::F64 => true,
            Self::I8 => is_between(-128.0, 128.0),
            Self::I16 => is_between(-32_768.0, 32_768.0),
            Self::I32 => is_between(-2_147_483_648.0, 2_147_483_648.0),
            Self::I64 => is_between(-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0),
            Self::U8 => is_between(0.0, 256.0),
            Self::U16 => is_between(0.0, 65_536.0),
            Self::U32 => is_between(0.0, 4_294_967_296.0),
            Self::U64 => is_between(0.0, 18_446_744_073_709_551_616.0),
            Self::Bool => is_between(0.0, 2.0),
        }
    }
}

impl Data {
    /// Elements of a type that [holds](Element::holds) these numbers.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whoever has numbers that the type does not hold has refused them before"
    )]
    #[must_use]
    pub fn of_numbers(element: Element, numbers: impl Iterator<Item = f32>) -> Self {
        match element {
            Element::F32 => Self::F32(numbers.collect()),
            Element::F64 => Self::F64(numbers.map(f64::from).collect()),
            Element::I8 => Self::I8(numbers.map(|number| number as i8).collect()),
            Element::I16 => Self::I16(numbers.map(|number| number as i16).collect()),
            Element::I32 => Self::I32(numbers.map(|number| number as i32).collect()),
            Element::I64 => Self::I64(numbers.map(|number| number as i64).collect()),
            Element::U8 => Self::U8(numbers.map(|number| number as u8).collect()),
            Element::U16 => Self::U16(numbers.map(|number| number as u16).collect()),
            Element::U32 => Self::U32(numbers.map(|number| number as u32).collect()),
            Element::U64 => Self::U64(numbers.map(|number| number as u64).collect()),
            Element::Bool => Self::Bool(numbers.map(|number| number > 0.5).collect()),
        }
    }
}
