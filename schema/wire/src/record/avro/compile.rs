//! Compiles a writer's schema against the fields that are wanted, and against a reader's schema where there is one.
//!
//! With a reader's schema, fields stand at its names: a field takes its name or one of its aliases in the writer's
//! schema, else its default. Only what leads to a wanted field has to fit; the rest is passed over.

mod defaults;
mod numbers;

use super::super::FieldFault;
use super::super::place::{Layout, Node};
use super::program::{Inside, Program, Skip, Step, in_runs, push, sequence};
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
        steps: in_runs(steps),
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
        Step::Union(programs.into_iter().map(in_runs).collect())
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
            steps: in_runs(steps),
            fields: node.fields(),
        }
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
