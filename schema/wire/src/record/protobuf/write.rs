//! Writes messages with numbers and texts in some of their fields, for those who send rows.

use protox::prost::Message as _;
use protox::prost_reflect::{DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value};
use serde_json::Value as Number;

use super::super::FormatError;
use super::super::json::Written;
use super::super::place::tokens;
use super::find;

/// Writes messages of one type.
pub struct MessageWriter {
    message: MessageDescriptor,
}

impl MessageWriter {
    /// Of the type of this name in a `.proto` file; of the first one without a name.
    ///
    /// # Errors
    /// [`FormatError`] where the file is none, or has no such message.
    pub fn new(schema: &str, message: Option<&str>) -> Result<Self, FormatError> {
        let message = find(schema, message).map_err(FormatError)?;
        Ok(Self { message })
    }

    /// Which message of its file it is: its place among those of the file, then among those in that one, and so on.
    #[must_use]
    pub fn indexes(&self) -> Vec<u32> {
        let mut indexes = Vec::new();
        let mut message = Some(self.message.clone());
        while let Some(inner) = message {
            let outer = inner.parent_message();
            let place = match &outer {
                Some(outer) => outer.child_messages().position(|one| one == inner),
                None => inner.parent_file().messages().position(|one| one == inner),
            };
            indexes.push(
                place
                    .and_then(|place| u32::try_from(place).ok())
                    .unwrap_or(0),
            );
            message = outer;
        }
        indexes.reverse();
        indexes
    }

    /// Writes a message with these fields.
    ///
    /// # Errors
    /// [`FormatError`] where a number is not one of its field's type, and where one is missing that cannot be.
    pub fn write(&self, fields: &[Written<'_>]) -> Result<Vec<u8>, FormatError> {
        let mut message = DynamicMessage::new(self.message.clone());
        for field in fields {
            fill(&mut message, &tokens(field.pointer), field).map_err(|reason| {
                FormatError(format!("the field {:?}: {reason}", field.pointer))
            })?;
        }
        Ok(message.encode_to_vec())
    }
}

fn fill(message: &mut DynamicMessage, path: &[String], field: &Written<'_>) -> Result<(), String> {
    let Some((name, rest)) = path.split_first() else {
        return Err("it is a message, and no number".to_owned());
    };
    let kind = message.descriptor();
    let descriptor = kind
        .get_field_by_name(name)
        .ok_or_else(|| format!("{} has no field {name:?}", kind.full_name()))?;
    if !rest.is_empty() {
        return match message.get_field_mut(&descriptor) {
            Value::Message(inner) => fill(inner, rest, field),
            _ => Err(format!("{name:?} is no message")),
        };
    }
    if field.numbers.iter().all(Number::is_null) {
        if descriptor.supports_presence() || descriptor.is_list() {
            return Ok(());
        }
        return Err("it cannot be left out, since it would be 0 then".to_owned());
    }
    let kind = descriptor.kind();
    let convert = |number: &Number| {
        scalar(&kind, number).ok_or_else(|| format!("{number} is not one of its type {kind:?}"))
    };
    let value = if descriptor.is_list() {
        let numbers: Result<Vec<Value>, String> = field.numbers.iter().map(convert).collect();
        Value::List(numbers?)
    } else if kind == Kind::Bytes {
        let byte = |number: &Number| {
            let byte = number.as_u64().and_then(|number| u8::try_from(number).ok());
            byte.ok_or_else(|| format!("{number} is not a byte"))
        };
        let bytes: Result<Vec<u8>, String> = field.numbers.iter().map(byte).collect();
        Value::Bytes(bytes?.into())
    } else {
        match field.numbers {
            [number] => convert(number)?,
            numbers => return Err(format!("it is one number, and {} are given", numbers.len())),
        }
    };
    message.set_field(&descriptor, value);
    Ok(())
}

/// A number as a field of this kind has it.
#[allow(
    clippy::cast_possible_truncation,
    reason = "a float is what the schema wants"
)]
fn scalar(kind: &Kind, number: &Number) -> Option<Value> {
    let small = || i32::try_from(number.as_i64()?).ok();
    Some(match kind {
        Kind::Double => Value::F64(number.as_f64()?),
        Kind::Float => Value::F32(number.as_f64()? as f32),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(small()?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number.as_i64()?),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(u32::try_from(number.as_u64()?).ok()?),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(number.as_u64()?),
        Kind::Bool => match number.as_u64()? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            _ => return None,
        },
        Kind::Enum(_) => Value::EnumNumber(small()?),
        Kind::String => Value::String(number.as_str()?.to_owned()),
        Kind::Bytes | Kind::Message(_) => return None,
    })
}
