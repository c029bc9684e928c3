//! What the reader's schema says of fields that the writer does not have.

use serde_json::Value;

use super::super::super::place::Node;
use super::super::super::{FieldFault, cast};
use super::super::program::{Step, push};
use super::super::schema::{Id, Type};
use super::{Compiler, absent};

impl Compiler<'_> {
    /// What the reader's schema has in place of a field.
    pub(super) fn default(&self, id: Id, value: &Value, node: &Node, steps: &mut Vec<Step>) {
        let Some(field) = node.field else {
            for (name, child) in &node.children {
                let inner = self.reader.and_then(|schema| match schema.get(id) {
                    Type::Record(record) => {
                        let mut fields = record.fields.iter();
                        let field = fields.find(|field| field.name == *name)?;
                        let value = value.get(name).or(field.default.as_ref())?;
                        Some((field.schema, value))
                    }
                    Type::Map(values) => Some((*values, value.get(name)?)),
                    Type::Array(items) => Some((*items, value.get(name.parse::<usize>().ok()?)?)),
                    Type::Union(branches) => Some((*branches.first()?, value)),
                    _ => None,
                });
                match inner {
                    // A union's default is of its first branch, with the same fields in it.
                    Some((inner, same)) if std::ptr::eq(same, value) => {
                        return self.default(inner, same, node, steps);
                    }
                    Some((inner, value)) => self.default(inner, value, child, steps),
                    None => push(steps, absent(child, FieldFault::Missing)),
                }
            }
            return;
        };
        let place = &self.layout.places[field];
        if place.text
            && let Value::String(text) = value
        {
            let text = text.clone();
            return push(
                steps,
                Step::ConstantText {
                    text,
                    to: place.start,
                },
            );
        }
        let mut numbers = Vec::new();
        let step = match (value, self.numbers_of(id, value, &mut numbers)) {
            (Value::Null, _) => absent(node, FieldFault::Null),
            (_, true) if numbers.len() == place.elements() && !place.text => Step::Constant {
                numbers,
                to: place.start,
            },
            _ => Step::Break(format!(
                "the default of the field {:?} in the reader's schema, {value}, is not of its type or its shape {:?}, or does not fit float32",
                place.pointer, place.shape
            )),
        };
        push(steps, step);
    }

    /// Whether a default holds numbers.
    fn numbers_of(&self, id: Id, value: &Value, numbers: &mut Vec<f32>) -> bool {
        let of_type = self.reader.map(|schema| schema.get(id));
        match (value, of_type) {
            (_, Some(Type::Union(branches))) => self.numbers_of(branches[0], value, numbers),
            (Value::Bool(truth), _) => {
                numbers.push(f32::from(u8::from(*truth)));
                true
            }
            (Value::Number(number), _) => {
                let cast = match number.as_i64() {
                    Some(number) => cast::from_i64(number),
                    None => number.as_f64().and_then(cast::from_f64),
                };
                numbers.extend(cast);
                cast.is_some()
            }
            (Value::Array(items), Some(Type::Array(inner))) => {
                let mut items = items.iter();
                items.all(|item| self.numbers_of(*inner, item, numbers))
            }
            (Value::String(symbol), Some(Type::Enum { .. })) => {
                let number = self.symbol(id, symbol).ok();
                numbers.extend(number);
                number.is_some()
            }
            (Value::String(text), Some(Type::Bytes | Type::Fixed(_))) => text.chars().all(|byte| {
                let byte = u8::try_from(byte).ok().map(f32::from);
                numbers.extend(byte);
                byte.is_some()
            }),
            _ => false,
        }
    }
}
