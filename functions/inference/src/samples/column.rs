//! Elements of an array of samples in the type of the input that takes them.
//!
//! Invariant: a number that an input's type cannot hold is refused, and never silently another number.

use std::ops::Range;

use millrace_engine::{Data, Element};
use millrace_wire::samples::{Array, Value};

/// Elements in the type of an input: floating-point numbers are rounded as those of records are, and others must fit.
pub(super) fn column(array: &Array, range: Range<usize>, element: Element) -> Result<Data, String> {
    let values = range.map(|index| array.value(index));
    Ok(match element {
        Element::F32 => Data::F32(values.map(single).collect::<Result<_, _>>()?),
        Element::F64 => Data::F64(values.map(double).collect::<Result<_, _>>()?),
        Element::I8 => Data::I8(values.map(whole).collect::<Result<_, _>>()?),
        Element::I16 => Data::I16(values.map(whole).collect::<Result<_, _>>()?),
        Element::I32 => Data::I32(values.map(whole).collect::<Result<_, _>>()?),
        Element::I64 => Data::I64(values.map(whole).collect::<Result<_, _>>()?),
        Element::U8 => Data::U8(values.map(whole).collect::<Result<_, _>>()?),
        Element::U16 => Data::U16(values.map(whole).collect::<Result<_, _>>()?),
        Element::U32 => Data::U32(values.map(whole).collect::<Result<_, _>>()?),
        Element::U64 => Data::U64(values.map(whole).collect::<Result<_, _>>()?),
        Element::Bool => {
            let bits = values.map(whole::<u8>).map(|bit| match bit {
                Ok(bit @ 0..=1) => Ok(bit == 1),
                Ok(other) => Err(format!("holds {other}, which is no truth value")),
                Err(reason) => Err(reason),
            });
            Data::Bool(bits.collect::<Result<_, _>>()?)
        }
    })
}

/// Elements of an array for an input that takes texts.
pub(super) fn texts(array: &Array, range: Range<usize>) -> Result<Vec<String>, String> {
    let texts = range.map(|index| match array.value(index) {
        Value::Text(text) => Ok(text),
        number => Err(format!("holds {number}, and the model takes texts")),
    });
    texts.collect()
}

fn double(value: Value) -> Result<f64, String> {
    match value {
        Value::Text(_) => Err("holds texts, and the model takes numbers".to_owned()),
        number => Ok(number.as_f64()),
    }
}

fn single(value: Value) -> Result<f32, String> {
    let number = double(value)?;
    #[allow(
        clippy::cast_possible_truncation,
        reason = "what is too large becomes infinite, and is looked for"
    )]
    let rounded = number as f32;
    if rounded.is_infinite() && number.is_finite() {
        return Err(format!("holds {number}, which float32 cannot hold"));
    }
    Ok(rounded)
}

fn whole<T: TryFrom<i128>>(value: Value) -> Result<T, String> {
    let cannot = |value: &Value| format!("holds {value}, which the input's type cannot hold");
    let number = match value {
        Value::Integer(number) => number,
        #[allow(
            clippy::cast_possible_truncation,
            reason = "what lies outside becomes the largest number, which no input's type holds"
        )]
        Value::Float(number) if number.fract() == 0.0 => number as i128,
        other => return Err(cannot(&other)),
    };
    T::try_from(number).map_err(|_| cannot(&Value::Integer(number)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn numbers_are_rounded_or_fit_or_are_refused() {
        assert_eq!(single(Value::Float(0.1)), Ok(0.1));
        assert!(single(Value::Float(1e39)).unwrap_err().contains("float32"));
        assert_eq!(single(Value::Float(f64::INFINITY)), Ok(f32::INFINITY));
        assert_eq!(whole::<u8>(Value::Float(255.0)), Ok(255));
        assert!(whole::<u8>(Value::Integer(256)).is_err());
        assert!(whole::<i64>(Value::Float(0.5)).is_err());
        assert!(whole::<i64>(Value::Float(1e30)).is_err());
        assert!(whole::<i64>(Value::Float(f64::NAN)).is_err());
        assert!(double(Value::Text("1".to_owned())).is_err());
    }
}
