//! Writes a record of a schema with numbers and texts in some of its fields, for those who send rows.

use serde_json::Value;

use super::super::json::Written;
use super::super::place::{Asked, Layout, Node};
use super::super::varint::put_long;
use super::super::{FormatError, Missing, product};
use super::schema::{Id, Schema, Type};

/// Writes a record with these fields. What no field fills is what the schema says: its default, or null.
///
/// # Errors
/// [`FormatError`] where a number is not one of the schema's type, and where something is to be filled that nothing says.
pub fn avro_record(schema: &str, fields: &[Written<'_>]) -> Result<Vec<u8>, FormatError> {
    let schema = super::parse("the schema", schema)?;
    let places = fields.iter();
    let places = places.map(|field| Asked {
        pointer: field.pointer,
        shape: field.shape,
        in_text: false,
        text: false,
    });
    let layout = Layout::new(places, &[], Missing::Nan);
    let mut writer = Writer {
        schema: &schema,
        fields,
        bytes: Vec::new(),
    };
    let root = layout.root();
    writer
        .place(schema.root(), &root, "")
        .map_err(FormatError)?;
    Ok(writer.bytes)
}

struct Writer<'w> {
    schema: &'w Schema,
    fields: &'w [Written<'w>],
    bytes: Vec<u8>,
}

impl Writer<'_> {
    fn place(&mut self, id: Id, node: &Node, name: &str) -> Result<(), String> {
        if let Some(field) = node.field {
            let field = &self.fields[field];
            return self.numbers(id, field.shape, field.numbers, field.pointer);
        }
        let schema = self.schema;
        match schema.get(id) {
            Type::Union(branches) => {
                let holds =
                    |branch: &Id| matches!(schema.get(*branch), Type::Record(_) | Type::Map(_));
                let branch = branches.iter().position(holds);
                let branch = branch.ok_or_else(|| format!("nothing in {name:?} holds fields"))?;
                self.long(length(branch));
                self.place(branches[branch], node, name)
            }
            Type::Record(record) => {
                for field in &record.fields {
                    match node.named(&field.name) {
                        Some(child) => self.place(field.schema, child, &field.name)?,
                        None => self.filler(field.schema, field.default.as_ref(), &field.name)?,
                    }
                }
                Ok(())
            }
            Type::Map(values) => {
                self.long(length(node.children.len()));
                for (key, child) in &node.children {
                    self.text(key.as_bytes());
                    self.place(*values, child, key)?;
                }
                self.long(0);
                Ok(())
            }
            _ => Err(format!(
                "{name:?} is of the type {}, in which rows cannot fill a part",
                schema.name_of(id)
            )),
        }
    }

    /// What stands where rows say nothing.
    fn filler(&mut self, id: Id, default: Option<&Value>, name: &str) -> Result<(), String> {
        match (self.schema.get(id), default) {
            (Type::Null, _) => Ok(()),
            (Type::Union(branches), default) => {
                let is_null = |branch: &Id| matches!(self.schema.get(*branch), Type::Null);
                let null = branches.iter().position(is_null);
                // A default is of the first branch.
                let branch = match (null, default) {
                    (_, Some(default)) if !default.is_null() => 0,
                    (Some(null), _) => null,
                    (None, _) => return Err(not_filled(name)),
                };
                self.long(length(branch));
                self.filler(branches[branch], default, name)
            }
            (Type::String, Some(Value::String(text))) => {
                self.text(text.as_bytes());
                Ok(())
            }
            (Type::Array(_), Some(Value::Array(items))) if items.is_empty() => {
                self.long(0);
                Ok(())
            }
            (Type::Map(_), Some(Value::Object(entries))) if entries.is_empty() => {
                self.long(0);
                Ok(())
            }
            (Type::Record(record), Some(Value::Object(values))) => {
                for field in &record.fields {
                    let value = values.get(&field.name).or(field.default.as_ref());
                    self.filler(field.schema, value, &field.name)?;
                }
                Ok(())
            }
            (Type::Enum { symbols, .. }, Some(Value::String(symbol))) => {
                let number = symbols.iter().position(|other| other == symbol);
                self.long(length(number.ok_or_else(|| not_filled(name))?));
                Ok(())
            }
            (Type::Bytes | Type::Fixed(_), _) | (_, None) => Err(not_filled(name)),
            (_, Some(default)) => self.number(id, default, name),
        }
    }

    /// The numbers of a field.
    fn numbers(
        &mut self,
        id: Id,
        shape: &[u32],
        numbers: &[Value],
        name: &str,
    ) -> Result<(), String> {
        match self.schema.get(id) {
            Type::Array(items) => {
                let is_nested = matches!(self.schema.get(*items), Type::Array(_));
                // All numbers may stand in one array, whatever their shape.
                let (count, rest) = match shape.split_first() {
                    Some((size, rest)) if is_nested => (*size as usize, rest),
                    _ => (numbers.len(), &[][..]),
                };
                self.long(length(count));
                for item in numbers.chunks(product(rest).max(1)) {
                    self.numbers(*items, rest, item, name)?;
                }
                if count > 0 {
                    self.long(0);
                }
                Ok(())
            }
            Type::Bytes | Type::Fixed(_) => {
                if let Type::Bytes = self.schema.get(id) {
                    self.long(length(numbers.len()));
                }
                for number in numbers {
                    let byte = number.as_u64().and_then(|number| u8::try_from(number).ok());
                    self.bytes
                        .push(byte.ok_or_else(|| not_of(number, name, "byte"))?);
                }
                Ok(())
            }
            Type::Union(branches) => {
                let is_null = numbers.iter().all(Value::is_null);
                let fits = |branch: &Id| matches!(self.schema.get(*branch), Type::Null) == is_null;
                let branch = branches.iter().position(fits);
                let branch = branch.ok_or_else(|| not_of(&Value::Null, name, "union"))?;
                self.long(length(branch));
                self.numbers(branches[branch], shape, numbers, name)
            }
            _ => self.number(id, numbers.first().unwrap_or(&Value::Null), name),
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "a float is what the schema wants"
    )]
    fn number(&mut self, id: Id, number: &Value, name: &str) -> Result<(), String> {
        let kind = self.schema.get(id);
        let wrong = || not_of(number, name, &self.schema.name_of(id));
        // Truth may be written as a number, as numbers are in a table.
        let truth = number.as_bool().or(match number.as_u64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        });
        match kind {
            Type::Null if number.is_null() => {}
            Type::Boolean => self.bytes.push(u8::from(truth.ok_or_else(wrong)?)),
            Type::Int => {
                let number = number
                    .as_i64()
                    .and_then(|number| i32::try_from(number).ok());
                self.long(number.ok_or_else(wrong)?.into());
            }
            Type::Long => self.long(number.as_i64().ok_or_else(wrong)?),
            Type::String => self.text(number.as_str().ok_or_else(wrong)?.as_bytes()),
            Type::Enum { symbols, .. } => {
                let symbol = number.as_str();
                let symbol = symbol.and_then(|text| symbols.iter().position(|other| other == text));
                let number = symbol.map(length).or(number.as_i64());
                let number = number.filter(|number| (0..length(symbols.len())).contains(number));
                self.long(number.ok_or_else(wrong)?);
            }
            Type::Float => {
                let number = number.as_f64().ok_or_else(wrong)? as f32;
                self.bytes.extend(number.to_le_bytes());
            }
            Type::Double => {
                let number = number.as_f64().ok_or_else(wrong)?;
                self.bytes.extend(number.to_le_bytes());
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }

    fn text(&mut self, text: &[u8]) {
        self.long(length(text.len()));
        self.bytes.extend_from_slice(text);
    }

    fn long(&mut self, number: i64) {
        put_long(&mut self.bytes, number);
    }
}

fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn not_of(number: &Value, name: &str, kind: &str) -> String {
    format!("{number} is not of the type {kind}, which the field {name:?} has in the schema")
}

fn not_filled(name: &str) -> String {
    format!(
        "the schema's field {name:?} is none of the datasource's, and has neither a default nor null: rows cannot be sent"
    )
}
