//! Writes messages with numbers and texts in some of their fields, for those who send rows.

use protox::prost::Message as _;
use protox::prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};
use serde_json::Value as Number;

use super::super::FormatError;
use super::super::json::Written;
use super::super::place::tokens;
use super::{SchemaKey, by_name, find};

/// A repeated message gets no more items than these: those before a field's own are written as well, without anything in them.
const MOST_ITEMS: usize = 1 << 16;

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

    /// Which message of its file it is, as the registry of a schema counts them: its place among those of the file, then among
    /// those in that one, and so on; for AWS's registry the one index among all of them.
    #[must_use]
    pub fn indexes(&self, schema: SchemaKey) -> Vec<u32> {
        if schema.is_of_glue() {
            let all = by_name(self.message.parent_file().messages().collect());
            let place = all.iter().position(|one| *one == self.message);
            return vec![
                place
                    .and_then(|place| u32::try_from(place).ok())
                    .unwrap_or(0),
            ];
        }
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

    /// Writes a message with these fields. An item of a repeated message, an entry of a map or a message of which nothing is
    /// given is left out.
    ///
    /// # Errors
    /// [`FormatError`] where a number is not one of its field's type, and where one is missing that cannot be.
    pub fn write(&self, fields: &[Written<'_>]) -> Result<Vec<u8>, FormatError> {
        let mut message = DynamicMessage::new(self.message.clone());
        let is_missing = |field: &&Written<'_>| field.numbers.iter().all(Number::is_null);
        let (missing, given): (Vec<_>, Vec<_>) = fields.iter().partition(is_missing);
        // What may be missing depends on the messages that are there.
        for (fields, step) in [(given, fill as Step), (missing, leave_out)] {
            for field in fields {
                let done = step(&mut message, &tokens(field.pointer), field.numbers);
                done.map_err(|reason| {
                    FormatError(format!("the field {:?}: {reason}", field.pointer))
                })?;
            }
        }
        Ok(message.encode_to_vec())
    }
}

/// What is done about the field that lies so in a message.
type Step = fn(&mut DynamicMessage, &[String], &[Number]) -> Result<(), String>;

/// Puts numbers into a field.
fn fill(message: &mut DynamicMessage, path: &[String], numbers: &[Number]) -> Result<(), String> {
    let (descriptor, rest) = field_of(message, path)?;
    let Some((name, inner)) = rest.split_first() else {
        let value = value(&descriptor.kind(), descriptor.is_list(), numbers)?;
        message.set_field(&descriptor, value);
        return Ok(());
    };
    match message.get_field_mut(&descriptor) {
        Value::Message(next) => fill(next, rest, numbers),
        Value::Map(entries) => {
            let key = key(&descriptor, name)?;
            let kind = map_value(&descriptor)?;
            if inner.is_empty() {
                entries.insert(key, value(&kind, false, numbers)?);
                return Ok(());
            }
            let entry = entries.entry(key);
            match entry.or_insert_with(|| Value::default_value(&kind)) {
                Value::Message(next) => fill(next, inner, numbers),
                _ => Err(format!("the value of {name:?} is no message")),
            }
        }
        Value::List(items) => {
            let (place, item) = item(&descriptor, name)?;
            if inner.is_empty() {
                return Err("it is a message, and no number".to_owned());
            }
            let empty = || Value::Message(DynamicMessage::new(item.clone()));
            items.resize_with(items.len().max(place + 1), empty);
            match &mut items[place] {
                Value::Message(next) => fill(next, inner, numbers),
                _ => Err(format!("the item {place} is no message")),
            }
        }
        _ => Err(format!("{:?} is no message", descriptor.name())),
    }
}

/// Checks that a field may be missing: that it is not read as 0 then.
fn leave_out(message: &mut DynamicMessage, path: &[String], _: &[Number]) -> Result<(), String> {
    let (descriptor, rest) = field_of(message, path)?;
    let Some((name, inner)) = rest.split_first() else {
        if descriptor.supports_presence() || descriptor.is_list() {
            return Ok(());
        }
        return Err("it cannot be left out, since it would be 0 then".to_owned());
    };
    if !message.has_field(&descriptor) {
        return Ok(());
    }
    let (next, path) = match message.get_field_mut(&descriptor) {
        Value::Message(next) => (Some(next), rest),
        Value::Map(entries) => (
            entries
                .get_mut(&key(&descriptor, name)?)
                .and_then(Value::as_message_mut),
            inner,
        ),
        Value::List(items) => {
            let (place, _) = item(&descriptor, name)?;
            let item = items.get_mut(place);
            (item.and_then(Value::as_message_mut), inner)
        }
        _ => return Err(format!("{:?} is no message", descriptor.name())),
    };
    match next {
        Some(next) if !path.is_empty() => leave_out(next, path, &[]),
        _ => Ok(()),
    }
}

/// The field that a path begins with, and what is left of the path.
fn field_of<'p>(
    message: &DynamicMessage,
    path: &'p [String],
) -> Result<(FieldDescriptor, &'p [String]), String> {
    let (name, rest) = path
        .split_first()
        .ok_or_else(|| "it is a message, and no number".to_owned())?;
    let kind = message.descriptor();
    let descriptor = kind.get_field_by_name(name);
    let descriptor =
        descriptor.ok_or_else(|| format!("{} has no field {name:?}", kind.full_name()))?;
    Ok((descriptor, rest))
}

/// The place of an item that a name stands for, and the type of the items.
fn item(list: &FieldDescriptor, name: &str) -> Result<(usize, MessageDescriptor), String> {
    let Kind::Message(item) = list.kind() else {
        return Err(format!("{:?} is no message", list.name()));
    };
    let place = name.parse::<usize>().ok();
    let place = place.filter(|place| place.to_string() == *name);
    let place = place.ok_or_else(|| {
        format!(
            "{name:?} is no place of an item of {:?}, which is repeated: the first one is `0`",
            list.name()
        )
    })?;
    if place >= MOST_ITEMS {
        return Err(format!(
            "the item {place} lies too far behind: the {place} before it would be written without anything in them"
        ));
    }
    Ok((place, item))
}

/// The key that a name stands for.
fn key(map: &FieldDescriptor, name: &str) -> Result<MapKey, String> {
    let kind = match map.kind() {
        Kind::Message(entry) => entry.map_entry_key_field().kind(),
        kind => kind,
    };
    let key = match &kind {
        Kind::String => Some(MapKey::String(name.to_owned())),
        Kind::Bool => name.parse().ok().map(MapKey::Bool),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => name.parse().ok().map(MapKey::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => name.parse().ok().map(MapKey::I64),
        Kind::Uint32 | Kind::Fixed32 => name.parse().ok().map(MapKey::U32),
        Kind::Uint64 | Kind::Fixed64 => name.parse().ok().map(MapKey::U64),
        _ => None,
    };
    key.ok_or_else(|| format!("{name:?} is no key of a map whose keys are {kind:?}"))
}

/// What the values of a map are.
fn map_value(map: &FieldDescriptor) -> Result<Kind, String> {
    match map.kind() {
        Kind::Message(entry) => Ok(entry.map_entry_value_field().kind()),
        _ => Err(format!("{:?} is no map", map.name())),
    }
}

/// The numbers of a field as one of this kind has them.
fn value(kind: &Kind, is_list: bool, numbers: &[Number]) -> Result<Value, String> {
    let convert = |number: &Number| {
        scalar(kind, number).ok_or_else(|| format!("{number} is not one of its type {kind:?}"))
    };
    if is_list {
        let numbers: Result<Vec<Value>, String> = numbers.iter().map(convert).collect();
        return Ok(Value::List(numbers?));
    }
    if *kind == Kind::Bytes {
        let byte = |number: &Number| {
            let byte = number.as_u64().and_then(|number| u8::try_from(number).ok());
            byte.ok_or_else(|| format!("{number} is not a byte"))
        };
        let bytes: Result<Vec<u8>, String> = numbers.iter().map(byte).collect();
        return Ok(Value::Bytes(bytes?.into()));
    }
    match numbers {
        [number] => convert(number),
        numbers => Err(format!("it is one number, and {} are given", numbers.len())),
    }
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

#[cfg(test)]
mod tests;
