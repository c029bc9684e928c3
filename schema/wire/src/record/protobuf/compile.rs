//! Compiles a message type against the fields that are wanted.

use std::path::Path;

use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use protox::prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, Value};
use protox::{Compiler, Error};

use super::super::cast;
use super::super::place::{Layout, Node};
use super::super::schemas::Reference;
use super::key::Key;

/// What the file itself is called where others are looked up.
const MAIN: &str = "datasource.proto";

/// What reads the messages of one type.
#[derive(Debug)]
pub(super) struct Program {
    /// The messages that lead to fields; the first is the record's own.
    pub(super) messages: Vec<Message>,
    /// Of each repeated message the items that are wanted, in ascending order.
    pub(super) lists: Vec<Vec<(u64, usize)>>,
    /// Of each map the entries that are wanted.
    pub(super) maps: Vec<Vec<(Key, usize)>>,
}

/// A message that holds wanted fields.
#[derive(Debug, Default)]
pub(super) struct Message {
    /// By the fields' numbers, in ascending order.
    pub(super) fields: Vec<Wanted>,
    /// The fields with numbers among them.
    pub(super) expected: Vec<Expected>,
    /// Which messages lie in it.
    pub(super) inner: Vec<usize>,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) number: u64,
    /// The wire type of one number or message of its type.
    pub(super) wire: u64,
    /// What stands before it as its type says it, and mostly does.
    pub(super) tag: u64,
    pub(super) action: Action,
}

/// What a field with numbers must have come to at the end.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) field: usize,
    /// How many numbers.
    pub(super) count: usize,
    /// What it is where it did not come, if that says something.
    pub(super) default: Option<Absent>,
}

/// What a field is that did not come.
#[derive(Debug)]
pub(super) enum Absent {
    Number(f32),
    Text(String),
}

/// What to do with a field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    /// One number, the last one that comes.
    Number {
        kind: Scalar,
        to: usize,
        field: usize,
    },
    /// As many numbers as the shape has.
    Numbers { kind: Scalar, field: usize },
    /// Bytes, which are numbers.
    Bytes { field: usize },
    /// A text, the last one that comes.
    Text { field: usize },
    /// A message with fields in it.
    Message(usize),
    /// A repeated message some of whose items hold fields.
    Items(usize),
    /// A map some of whose values are fields, or hold some.
    Map(usize),
}

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
}

/// The messages of a file.
pub(super) fn parse(
    text: &str,
    references: &[Reference],
) -> Result<Vec<MessageDescriptor>, String> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Texts(
        references
            .iter()
            .map(|reference| (reference.name.clone(), reference.text.clone()))
            .chain([(MAIN.to_owned(), text.to_owned())])
            .collect(),
    ));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler
        .open_file(MAIN)
        .map_err(|error| format!("it is not Protobuf: {error}"))?;
    let pool = compiler.descriptor_pool();
    let file = pool.get_file_by_name(MAIN);
    Ok(file.map_or_else(Vec::new, |file| file.messages().collect()))
}

/// Files that stand in memory.
struct Texts(Vec<(String, String)>);

impl FileResolver for Texts {
    fn resolve_path(&self, path: &Path) -> Option<String> {
        path.to_str().map(str::to_owned)
    }

    fn open_file(&self, name: &str) -> Result<File, Error> {
        let mut files = self.0.iter();
        match files.find(|(file, _)| file == name) {
            Some((_, text)) => File::from_source(name, text),
            None => Err(Error::file_not_found(name)),
        }
    }
}

/// The program for messages of this type.
pub(super) fn compile(message: &MessageDescriptor, layout: &Layout) -> Result<Program, String> {
    let mut program = Program {
        messages: Vec::new(),
        lists: Vec::new(),
        maps: Vec::new(),
    };
    let root = layout.root();
    if let Some(field) = root.field {
        let pointer = &layout.places[field].pointer;
        return Err(format!("the field {pointer:?} is a message, and no number"));
    }
    program.message(message, &children(&root), layout)?;
    Ok(program)
}

/// What lies in a place, by name.
fn children(node: &Node) -> Vec<(&str, &Node)> {
    let children = node.children.iter();
    children.map(|(name, child)| (&**name, child)).collect()
}

impl Program {
    fn message(
        &mut self,
        descriptor: &MessageDescriptor,
        children_of: &[(&str, &Node)],
        layout: &Layout,
    ) -> Result<usize, String> {
        let place = self.messages.len();
        self.messages.push(Message::default());
        let mut message = Message::default();
        for (name, child) in children_of {
            let field = descriptor.get_field_by_name(name).ok_or_else(|| {
                format!(
                    "the message {} has no field {name:?}",
                    descriptor.full_name()
                )
            })?;
            let action = match child.field {
                Some(number) => {
                    let action = action(&field, number, layout)?;
                    message.expected.push(Expected {
                        field: number,
                        count: layout.places[number].elements(),
                        default: default(&field, action),
                    });
                    action
                }
                None => match field.kind() {
                    Kind::Message(entry) if field.is_map() => {
                        self.map(&entry, child, layout, &mut message)?
                    }
                    Kind::Message(item) if field.is_list() => {
                        self.items(&item, child, layout, &mut message)?
                    }
                    Kind::Message(inner) => {
                        let inner = self.message(&inner, &children(child), layout)?;
                        message.inner.push(inner);
                        Action::Message(inner)
                    }
                    _ => {
                        return Err(format!(
                            "the field {name:?} of the message {} is no message, in which a field could stand",
                            descriptor.full_name()
                        ));
                    }
                },
            };
            let (number, wire) = (u64::from(field.number()), action.wire());
            message.fields.push(Wanted {
                number,
                wire,
                tag: number << 3 | wire,
                action,
            });
        }
        message.fields.sort_by_key(|field| field.number);
        self.messages[place] = message;
        Ok(place)
    }

    /// Items of a repeated message, by their places.
    fn items(
        &mut self,
        item: &MessageDescriptor,
        node: &Node,
        layout: &Layout,
        message: &mut Message,
    ) -> Result<Action, String> {
        let mut items = Vec::with_capacity(node.children.len());
        for (name, child) in &node.children {
            let index = name.parse::<u64>().ok();
            let index = index.filter(|index| index.to_string() == *name);
            let index = index.ok_or_else(|| {
                format!(
                    "{name:?} is no place of an item of {}, which is repeated: the first one is `0`",
                    item.full_name()
                )
            })?;
            if child.field.is_some() {
                return Err(format!(
                    "the item {index} is a message, {}, and no number",
                    item.full_name()
                ));
            }
            let inner = self.message(item, &children(child), layout)?;
            message.inner.push(inner);
            items.push((index, inner));
        }
        items.sort_unstable();
        self.lists.push(items);
        Ok(Action::Items(self.lists.len() - 1))
    }

    /// Entries of a map, by their keys. Each is a message of a key and a value.
    fn map(
        &mut self,
        entry: &MessageDescriptor,
        node: &Node,
        layout: &Layout,
        message: &mut Message,
    ) -> Result<Action, String> {
        let kind = entry.map_entry_key_field().kind();
        let value = entry.map_entry_value_field();
        let mut entries = Vec::with_capacity(node.children.len());
        for (name, child) in &node.children {
            let key = Key::new(&kind, name)
                .ok_or_else(|| format!("{name:?} is no key of a map whose keys are {kind:?}"))?;
            let inner = self.message(entry, &[(value.name(), child)], layout)?;
            message.inner.push(inner);
            entries.push((key, inner));
        }
        self.maps.push(entries);
        Ok(Action::Map(self.maps.len() - 1))
    }
}

fn action(descriptor: &FieldDescriptor, field: usize, layout: &Layout) -> Result<Action, String> {
    if layout.places[field].text {
        return match descriptor.kind() {
            Kind::String if !descriptor.is_list() => Ok(Action::Text { field }),
            _ => Err(format!(
                "the field {:?} holds no text: its type is not `string`",
                descriptor.full_name()
            )),
        };
    }
    let kind = match descriptor.kind() {
        Kind::Double => Scalar::Double,
        Kind::Float => Scalar::Float,
        // An enum is the number of its value.
        Kind::Int32 | Kind::Enum(_) => Scalar::Int32,
        Kind::Int64 => Scalar::Int64,
        Kind::Uint32 => Scalar::Uint32,
        Kind::Uint64 => Scalar::Uint64,
        Kind::Sint32 => Scalar::Sint32,
        Kind::Sint64 => Scalar::Sint64,
        Kind::Fixed32 => Scalar::Fixed32,
        Kind::Fixed64 => Scalar::Fixed64,
        Kind::Sfixed32 => Scalar::Sfixed32,
        Kind::Sfixed64 => Scalar::Sfixed64,
        Kind::Bool => Scalar::Bool,
        Kind::Bytes if !descriptor.is_list() => return Ok(Action::Bytes { field }),
        Kind::Bytes | Kind::String | Kind::Message(_) => {
            return Err(format!(
                "the field {:?} holds no numbers",
                descriptor.full_name()
            ));
        }
    };
    if descriptor.is_list() {
        return Ok(Action::Numbers { kind, field });
    }
    if !layout.places[field].shape.is_empty() {
        return Err(format!(
            "the field {:?} holds one number, and not those of the shape {:?}",
            descriptor.full_name(),
            layout.places[field].shape
        ));
    }
    let to = layout.places[field].start;
    Ok(Action::Number { kind, to, field })
}

/// What a field is that did not come, if that says something: what the file says, or 0 where a field that is 0 is not
/// written.
#[allow(
    clippy::cast_possible_truncation,
    reason = "a default of type double is rounded, as every number of that type"
)]
fn default(descriptor: &FieldDescriptor, action: Action) -> Option<Absent> {
    let is_one = matches!(action, Action::Number { .. } | Action::Text { .. });
    let says = descriptor.field_descriptor_proto().default_value.is_some();
    if !is_one || descriptor.supports_presence() && !says {
        return None;
    }
    let number = match descriptor.default_value() {
        Value::String(text) => return Some(Absent::Text(text)),
        Value::Bool(truth) => Some(f32::from(u8::from(truth))),
        Value::I32(number) | Value::EnumNumber(number) => cast::from_i64(number.into()),
        Value::I64(number) => cast::from_i64(number),
        Value::U32(number) => cast::from_u64(number.into()),
        Value::U64(number) => cast::from_u64(number),
        Value::F32(number) => Some(number),
        Value::F64(number) => cast::from_f64(number),
        _ => None,
    };
    number.map(Absent::Number)
}
