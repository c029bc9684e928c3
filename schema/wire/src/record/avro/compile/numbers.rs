//! Fields: the numbers and texts that are wanted, by the types that hold them.

use super::super::super::{FieldFault, product};
use super::super::program::{Item, Kind, Step};
use super::super::schema::{Id, Type};
use super::Compiler;

impl Compiler<'_> {
    /// Reads a field: numbers, or a text.
    pub(super) fn field(&self, id: Id, reader: Option<Id>, field: usize) -> Step {
        let place = &self.layout.places[field];
        let to = place.start;
        if place.text {
            return self.text(id, reader, field);
        }
        match self.writer.get(id) {
            Type::Bytes => Step::Bytes {
                fixed: None,
                to,
                field,
            },
            Type::Fixed(size) => Step::Bytes {
                fixed: Some(*size),
                to,
                field,
            },
            Type::Array(_) => self.arrays(id, reader, field),
            _ => match self.item(id, reader) {
                Item::Fault(fault) => Step::Fault { field, fault },
                Item::Break(reason) => Step::Break(reason),
                _ if !place.shape.is_empty() => Step::Fault {
                    field,
                    fault: FieldFault::Shape {
                        expected: place.shape.clone(),
                        found: Vec::new(),
                    },
                },
                Item::Number(kind) => Step::Numbers {
                    kind,
                    count: 1,
                    to,
                    field,
                },
                item => Step::Item { item, to, field },
            },
        }
    }

    fn text(&self, id: Id, reader: Option<Id>, field: usize) -> Step {
        let to = self.layout.places[field].start;
        let other = match self.writer.get(id) {
            Type::String => return Step::Text { to, field },
            Type::Enum { symbols, .. } => {
                let symbols = symbols.iter().map(|symbol| match reader {
                    None => Ok(symbol.clone()),
                    Some(reader) => self.known(reader, symbol).map(|(_, symbol)| symbol),
                });
                return Step::Symbol {
                    symbols: symbols.collect(),
                    to,
                    field,
                };
            }
            Type::Boolean => "a truth value",
            Type::Int | Type::Long | Type::Float | Type::Double => "a number",
            Type::Bytes | Type::Fixed(_) => "bytes",
            Type::Array(_) => "an array",
            Type::Record(_) | Type::Map(_) | Type::Union(_) | Type::Null => "an object",
        };
        let fault = FieldFault::NotText(other);
        Step::Fault { field, fault }
    }

    fn arrays(&self, mut id: Id, mut reader: Option<Id>, field: usize) -> Step {
        let place = &self.layout.places[field];
        let mut depth = 0;
        while let Type::Array(items) = self.writer.get(id) {
            reader = reader.and_then(|reader| self.items_of(reader));
            id = *items;
            depth += 1;
        }
        let shape: Vec<usize> = place.shape.iter().map(|size| *size as usize).collect();
        let lengths = if depth == shape.len() {
            shape
        } else if depth == shape.len() + 1 {
            [vec![1], shape].concat()
        } else if depth == 1 {
            vec![product(&place.shape)]
        } else {
            return Step::Fault {
                field,
                fault: FieldFault::Depth {
                    expected: place.shape.clone(),
                    found: depth,
                },
            };
        };
        match self.item(id, reader) {
            Item::Fault(fault) => Step::Fault { field, fault },
            Item::Break(reason) => Step::Break(reason),
            item => Step::Arrays {
                lengths,
                item,
                to: place.start,
                field,
            },
        }
    }

    /// Reads one number.
    fn item(&self, id: Id, reader: Option<Id>) -> Item {
        if let Type::Union(branches) = self.writer.get(id) {
            let branches = branches.iter().map(|branch| self.item(*branch, reader));
            return Item::Union(branches.collect());
        }
        let reader = match self.writer.get(id) {
            Type::Null => return Item::Null,
            _ => match self.resolve(id, reader) {
                Ok(reader) => reader,
                Err(reason) => return Item::Break(reason),
            },
        };
        match self.writer.get(id) {
            Type::Boolean => Item::Number(Kind::Boolean),
            Type::Int | Type::Long => Item::Number(Kind::Integer),
            Type::Float => Item::Number(Kind::Float),
            Type::Double => Item::Number(Kind::Double),
            Type::Enum { symbols, .. } => {
                let symbols = symbols.iter();
                let numbers = symbols.enumerate().map(|(number, symbol)| match reader {
                    None => Ok(float(number)),
                    Some(reader) => self.symbol(reader, symbol),
                });
                Item::Enum(numbers.collect())
            }
            Type::String => Item::Fault(FieldFault::Type("text")),
            Type::Bytes | Type::Fixed(_) => Item::Fault(FieldFault::Type("bytes")),
            Type::Record(_) | Type::Map(_) => Item::Fault(FieldFault::Type("an object")),
            Type::Array(_) | Type::Union(_) | Type::Null => Item::Fault(FieldFault::Ragged),
        }
    }

    /// The reader's number of a writer's symbol.
    pub(super) fn symbol(&self, reader: Id, symbol: &str) -> Result<f32, String> {
        self.known(reader, symbol).map(|(number, _)| float(number))
    }

    /// What the reader's enum has for a symbol: the place and the symbol, or else its default's.
    fn known(&self, reader: Id, symbol: &str) -> Result<(usize, String), String> {
        let Some(Type::Enum { symbols, default }) = self.reader.map(|schema| schema.get(reader))
        else {
            return Err(symbol.to_owned());
        };
        let position = |symbol: &str| symbols.iter().position(|other| other == symbol);
        let default = || default.as_deref().and_then(position);
        let found = position(symbol).or_else(default);
        found
            .map(|place| (place, symbols[place].clone()))
            .ok_or_else(|| symbol.to_owned())
    }
}

#[allow(clippy::cast_precision_loss, reason = "schemas have few symbols")]
fn float(number: usize) -> f32 {
    number as f32
}
