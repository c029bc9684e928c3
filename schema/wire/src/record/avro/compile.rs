//! Compiles a writer's schema against the fields that are wanted, and against a reader's schema where there is one.
//!
//! With a reader's schema, fields stand at its names: a field takes its name or one of its aliases in the writer's
//! schema, else its default. Only what leads to a wanted field has to fit; the rest is passed over.

use serde_json::Value;

use super::super::place::{Layout, Node};
use super::super::{FieldFault, cast, product};
use super::program::{Inside, Item, Kind, Program, Skip, Step, push, sequence};
use super::schema::{Id, Record, Schema, Type};

/// So many keys of one map may be wanted.
pub(super) const MOST_KEYS: usize = 128;

/// The program for records of this writer, whose schema is called `name` in errors.
pub(super) fn compile(
    name: String,
    writer: &Schema,
    reader: Option<&Schema>,
    layout: &Layout,
) -> Program {
    let mut compiler = Compiler {
        writer,
        reader,
        layout,
        skips: Vec::new(),
        numbers: Vec::new(),
    };
    let mut steps = Vec::new();
    let root = reader.map(Schema::root);
    compiler.place(writer.root(), root, &layout.root(), &mut steps);
    let skips = compiler.skips.into_iter();
    Program {
        writer: name,
        reader: reader.map(Schema::name),
        steps,
        skips: skips.map(|skip| skip.unwrap_or(Skip::Bytes(0))).collect(),
    }
}

struct Compiler<'c> {
    writer: &'c Schema,
    reader: Option<&'c Schema>,
    layout: &'c Layout,
    /// What passes over named types; nothing for one that is being compiled.
    skips: Vec<Option<Skip>>,
    /// The numbers of these, by type.
    numbers: Vec<(Id, usize)>,
}

impl Compiler<'_> {
    /// Reads what stands at a place of the record.
    fn place(&mut self, id: Id, reader: Option<Id>, node: &Node, steps: &mut Vec<Step>) {
        if let Type::Union(branches) = self.writer.get(id) {
            let union = self.union(branches, reader, node);
            return push(steps, union);
        }
        if let Type::Null = self.writer.get(id) {
            return push(steps, absent(node, FieldFault::Null));
        }
        let reader = match self.resolve(id, reader) {
            Ok(reader) => reader,
            Err(reason) => return push(steps, Step::Break(reason)),
        };
        if let Some(field) = node.field {
            let step = self.field(id, reader, field);
            return push(steps, step);
        }
        match self.writer.get(id) {
            Type::Record(record) => self.record(record, reader, node, steps),
            Type::Map(values) => {
                let of_reader = reader.and_then(|reader| match self.reader?.get(reader) {
                    Type::Map(values) => Some(*values),
                    _ => None,
                });
                let map = self.map(*values, of_reader, node);
                push(steps, map);
            }
            Type::Array(items) => {
                let of_reader = reader.and_then(|reader| self.items_of(reader));
                let items = self.items(*items, of_reader, node);
                push(steps, items);
            }
            // Anything else holds no fields.
            _ => {
                let skip = self.skip(id);
                push(steps, Step::Skip(skip));
                push(steps, absent(node, FieldFault::Missing));
            }
        }
    }

    fn union(&mut self, branches: &[Id], reader: Option<Id>, node: &Node) -> Step {
        let programs = branches.iter().map(|branch| {
            let mut steps = Vec::new();
            self.place(*branch, reader, node, &mut steps);
            steps
        });
        let programs: Vec<Vec<Step>> = programs.collect();
        let is_absent = |steps: &Vec<Step>| matches!(steps[..], [Step::Absent { .. }]);
        if let [first, second] = &programs[..]
            && is_absent(first) != is_absent(second)
        {
            let (null, other) = if is_absent(first) {
                (0, second)
            } else {
                (1, first)
            };
            if let [
                Step::Numbers {
                    kind,
                    count: 1,
                    to,
                    field,
                },
            ] = other[..]
            {
                return Step::Nullable {
                    null,
                    kind,
                    to,
                    field,
                };
            }
        }
        Step::Union(programs)
    }

    fn record(&mut self, record: &Record, reader: Option<Id>, node: &Node, steps: &mut Vec<Step>) {
        let of_reader = reader.and_then(|reader| match self.reader?.get(reader) {
            Type::Record(record) => Some(record),
            _ => None,
        });
        let mut found: Vec<&str> = Vec::new();
        for field in &record.fields {
            // The name of the field, and its type for the reader.
            let (name, of_reader) = match of_reader {
                None => (&field.name, None),
                Some(reader) => {
                    let mut fields = reader.fields.iter();
                    let by_name = fields.find(|other| other.name == field.name);
                    let known = by_name.or_else(|| {
                        let mut fields = reader.fields.iter();
                        fields.find(|other| other.aliases.contains(&field.name))
                    });
                    match known {
                        Some(known) => (&known.name, Some(known.schema)),
                        None => (&field.name, None),
                    }
                }
            };
            let is_read = reader.is_none() || of_reader.is_some();
            if let Some(child) = node.named(name).filter(|_| is_read) {
                found.push(name);
                self.place(field.schema, of_reader, child, steps);
            } else {
                let skip = self.skip(field.schema);
                push(steps, Step::Skip(skip));
            }
        }
        for (name, child) in &node.children {
            if found.contains(&name.as_str()) {
                continue;
            }
            let field = of_reader.and_then(|reader| {
                let mut fields = reader.fields.iter();
                fields.find(|field| field.name == *name)
            });
            match field {
                None => push(steps, absent(child, FieldFault::Missing)),
                Some(field) => match &field.default {
                    Some(default) => self.default(field.schema, default, child, steps),
                    None => push(
                        steps,
                        Step::Break(format!(
                            "the writer's record {} has no field {name:?}, for which the reader's schema has no default",
                            record.name
                        )),
                    ),
                },
            }
        }
    }

    fn map(&mut self, values: Id, reader: Option<Id>, node: &Node) -> Step {
        if node.children.len() > MOST_KEYS {
            return Step::Break(format!("more than {MOST_KEYS} keys of one map are wanted"));
        }
        let wanted = node.children.iter();
        let wanted = wanted.map(|(name, child)| (name.clone(), self.inside(values, reader, child)));
        Step::Map {
            wanted: wanted.collect(),
            other: self.skip(values),
        }
    }

    fn items(&mut self, items: Id, reader: Option<Id>, node: &Node) -> Step {
        let indices = node.children.iter();
        let indices = indices.filter_map(|(name, child)| Some((name.parse::<u64>().ok()?, child)));
        let mut wanted: Vec<(u64, Inside)> = indices
            .map(|(index, child)| (index, self.inside(items, reader, child)))
            .collect();
        wanted.sort_by_key(|(index, _)| *index);
        Step::Items {
            wanted,
            other: self.skip(items),
        }
    }

    fn inside(&mut self, id: Id, reader: Option<Id>, node: &Node) -> Inside {
        let mut steps = Vec::new();
        self.place(id, reader, node, &mut steps);
        Inside {
            steps,
            fields: node.fields(),
        }
    }

    /// Reads a field: numbers.
    fn field(&self, id: Id, reader: Option<Id>, field: usize) -> Step {
        let place = &self.layout.places[field];
        let to = place.start;
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
    fn symbol(&self, reader: Id, symbol: &str) -> Result<f32, String> {
        let Some(Type::Enum { symbols, default }) = self.reader.map(|schema| schema.get(reader))
        else {
            return Err(symbol.to_owned());
        };
        let position = |symbol: &str| symbols.iter().position(|other| other == symbol);
        let default = || default.as_deref().and_then(position);
        let found = position(symbol).or_else(default);
        found.map(float).ok_or_else(|| symbol.to_owned())
    }

    /// The type that the reader has for what is no union of the writer's.
    fn resolve(&self, id: Id, reader: Option<Id>) -> Result<Option<Id>, String> {
        let (Some(schema), Some(reader)) = (self.reader, reader) else {
            return Ok(None);
        };
        let written = self.writer.get(id);
        let one = [reader];
        let branches = match schema.get(reader) {
            Type::Union(branches) => branches.as_slice(),
            _ => &one,
        };
        let short = |record: &Record| {
            let name = record.name.rsplit('.').next();
            name.map(str::to_owned)
        };
        let by_name = branches.iter().find(|branch| {
            let (Type::Record(written), Type::Record(read)) = (written, schema.get(**branch))
            else {
                return false;
            };
            short(written) == short(read)
        });
        let same = |branch: &&Id| {
            std::mem::discriminant(schema.get(**branch)) == std::mem::discriminant(written)
        };
        let promoted = |branch: &&Id| is_promoted(written, schema.get(**branch));
        let found = by_name
            .or_else(|| branches.iter().find(same))
            .or_else(|| branches.iter().find(promoted));
        match found {
            Some(found) => Ok(Some(*found)),
            None => Err(format!(
                "the writer's {} cannot be read as the reader's {}",
                self.writer.name_of(id),
                schema.name_of(reader)
            )),
        }
    }

    fn items_of(&self, reader: Id) -> Option<Id> {
        match self.reader?.get(reader) {
            Type::Array(items) => Some(*items),
            Type::Union(branches) => branches.iter().find_map(|branch| self.items_of(*branch)),
            _ => None,
        }
    }

    /// What the reader's schema has in place of a field.
    fn default(&self, id: Id, value: &Value, node: &Node, steps: &mut Vec<Step>) {
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
        let mut numbers = Vec::new();
        let step = match (value, self.numbers_of(id, value, &mut numbers)) {
            (Value::Null, _) => absent(node, FieldFault::Null),
            (_, true) if numbers.len() == place.elements() => Step::Constant {
                numbers,
                to: place.start,
            },
            _ => Step::Break(format!(
                "the default of the field {:?} in the reader's schema, {value}, is not of its shape {:?}, or does not fit float32",
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

    /// Passes over a type.
    fn skip(&mut self, id: Id) -> Skip {
        match self.writer.get(id) {
            Type::Null => Skip::Bytes(0),
            Type::Boolean => Skip::Bytes(1),
            Type::Int | Type::Long | Type::Enum { .. } => Skip::Varints(1),
            Type::Float => Skip::Bytes(4),
            Type::Double => Skip::Bytes(8),
            Type::Bytes | Type::String => Skip::Length,
            Type::Fixed(size) => Skip::Bytes(*size),
            Type::Array(items) => Skip::Array(Box::new(self.skip(*items))),
            Type::Map(values) => Skip::Map(Box::new(self.skip(*values))),
            Type::Union(branches) => {
                let branches = branches.iter().map(|branch| self.skip(*branch));
                Skip::Union(branches.collect())
            }
            Type::Record(record) => {
                let number = self.record_number(id, record);
                match &self.skips[number] {
                    // Repeated in its place where that is short; else programs could grow beyond all bounds.
                    Some(short @ (Skip::Bytes(_) | Skip::Varints(_) | Skip::Length)) => {
                        short.clone()
                    }
                    _ => Skip::Named(number),
                }
            }
        }
    }

    fn record_number(&mut self, id: Id, record: &Record) -> usize {
        if let Some((_, number)) = self.numbers.iter().find(|(known, _)| *known == id) {
            return *number;
        }
        let number = self.skips.len();
        self.skips.push(None);
        self.numbers.push((id, number));
        let fields: Vec<Skip> = record
            .fields
            .iter()
            .map(|field| self.skip(field.schema))
            .collect();
        self.skips[number] = Some(sequence(fields.into_iter()));
        number
    }
}

fn absent(node: &Node, fault: FieldFault) -> Step {
    let fields = node.fields();
    // What lies in something that is null is missing.
    let fault = if node.field.is_some() {
        fault
    } else {
        FieldFault::Missing
    };
    Step::Absent { fields, fault }
}

#[allow(clippy::cast_precision_loss, reason = "schemas have few symbols")]
fn float(number: usize) -> f32 {
    number as f32
}

/// By Avro's rules of promotion, as far as numbers go.
fn is_promoted(written: &Type, read: &Type) -> bool {
    matches!(
        (written, read),
        (Type::Int, Type::Long | Type::Float | Type::Double)
            | (Type::Long, Type::Float | Type::Double)
            | (Type::Float, Type::Double)
            | (Type::Bytes, Type::String)
            | (Type::String, Type::Bytes)
    )
}
