//! Avro schemas (specification 1.12), as far as decoding needs them: types in one list, which refer to each other
//! by index, so that a type may hold itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::super::schemas::Reference;

/// A type's place in its [`Schema`].
pub(super) type Id = usize;

/// A parsed schema.
pub(super) struct Schema {
    types: Vec<Type>,
    root: Id,
}

/// One type.
#[derive(Debug)]
pub(super) enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    /// So many bytes.
    Fixed(usize),
    Enum {
        symbols: Vec<String>,
        default: Option<String>,
    },
    Array(Id),
    Map(Id),
    Union(Vec<Id>),
    Record(Record),
}

#[derive(Debug)]
pub(super) struct Record {
    /// With its namespace.
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) default: Option<Value>,
    pub(super) schema: Id,
}

impl Schema {
    /// Parses a schema; `references` are others whose names it uses, each behind those that it uses itself.
    pub(super) fn parse(text: &str, references: &[Reference]) -> Result<Self, String> {
        let mut parser = Parser::default();
        for reference in references {
            parser.text(&reference.text)?;
        }
        let root = parser.text(text)?;
        let mut types = Vec::with_capacity(parser.types.len());
        for (id, parsed) in parser.types.into_iter().enumerate() {
            types.push(parsed.ok_or_else(|| format!("its type {id} is not complete"))?);
        }
        Ok(Self { types, root })
    }

    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn get(&self, id: Id) -> &Type {
        &self.types[id]
    }

    /// What errors call it.
    pub(super) fn name(&self) -> String {
        self.name_of(self.root)
    }

    /// What errors call one of its types.
    pub(super) fn name_of(&self, id: Id) -> String {
        match self.get(id) {
            Type::Null => "null".to_owned(),
            Type::Boolean => "boolean".to_owned(),
            Type::Int => "int".to_owned(),
            Type::Long => "long".to_owned(),
            Type::Float => "float".to_owned(),
            Type::Double => "double".to_owned(),
            Type::Bytes => "bytes".to_owned(),
            Type::String => "string".to_owned(),
            Type::Fixed(size) => format!("fixed of {size} bytes"),
            Type::Enum { .. } => "enum".to_owned(),
            Type::Array(_) => "array".to_owned(),
            Type::Map(_) => "map".to_owned(),
            Type::Union(_) => "union".to_owned(),
            Type::Record(record) => format!("record {}", record.name),
        }
    }
}

#[derive(Default)]
struct Parser {
    /// `None` for a named type whose fields are being read.
    types: Vec<Option<Type>>,
    names: BTreeMap<String, Id>,
    depth: usize,
}

/// How deep types may stand in each other.
const DEEPEST: usize = 64;
/// How many named types there may be: they may stand in each other without being written there.
const MOST_NAMES: usize = 1_000;

impl Parser {
    fn text(&mut self, text: &str) -> Result<Id, String> {
        // A schema may be the bare name of a type, without the quotes of JSON.
        let value = match serde_json::from_str::<Value>(text) {
            Ok(value) => value,
            Err(_) if self.named(text.trim(), "").is_some() => Value::String(text.trim().into()),
            Err(error) => return Err(format!("it is not JSON: {error}")),
        };
        self.schema(&value, "")
    }

    fn schema(&mut self, value: &Value, namespace: &str) -> Result<Id, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!(
                "its types stand more than {DEEPEST} deep in each other"
            ));
        }
        let parsed = match value {
            Value::String(name) => self
                .named(name, namespace)
                .ok_or_else(|| format!("nothing says what the type {name:?} is")),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.schema(branch, namespace));
                let branches = branches.collect::<Result<Vec<_>, _>>()?;
                if branches.is_empty() {
                    return Err("a union has no branches".to_owned());
                }
                Ok(self.push(Type::Union(branches)))
            }
            Value::Object(object) => self.object(object, namespace),
            _ => Err(format!("{value} is no type")),
        };
        self.depth -= 1;
        parsed
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<Id, String> {
        let of = |key: &str| {
            object
                .get(key)
                .ok_or_else(|| format!("a type has no `{key}`"))
        };
        let kind = match of("type")? {
            Value::String(kind) => kind.as_str(),
            // {"type": {"type": …}} wraps another type.
            inner => return self.schema(inner, namespace),
        };
        match kind {
            "array" => {
                let items = self.schema(of("items")?, namespace)?;
                Ok(self.push(Type::Array(items)))
            }
            "map" => {
                let values = self.schema(of("values")?, namespace)?;
                Ok(self.push(Type::Map(values)))
            }
            "record" | "error" | "enum" | "fixed" => {
                let name = self.full_name(object, namespace)?;
                if self.names.contains_key(&name) {
                    return Err(format!("the type {name} is defined twice"));
                }
                if self.names.len() >= MOST_NAMES {
                    return Err(format!("it has more than {MOST_NAMES} named types"));
                }
                let id = self.types.len();
                self.types.push(None);
                let inner = name.rsplit_once('.').map_or("", |(space, _)| space);
                // Another name of this type, which its own fields may use already.
                for alias in texts(object.get("aliases"))? {
                    self.names.entry(qualified(&alias, inner)).or_insert(id);
                }
                self.names.insert(name.clone(), id);
                let defined = match kind {
                    "enum" => enumeration(object)?,
                    "fixed" => {
                        let size = of("size")?.as_u64().and_then(|size| size.try_into().ok());
                        let size = size.ok_or("the `size` of a fixed type is no number")?;
                        Type::Fixed(size)
                    }
                    _ => self.record(object, name.clone(), inner)?,
                };
                self.types[id] = Some(defined);
                Ok(id)
            }
            name => self.schema(&Value::String(name.to_owned()), namespace),
        }
    }

    fn record(
        &mut self,
        object: &Map<String, Value>,
        name: String,
        namespace: &str,
    ) -> Result<Type, String> {
        let listed = object.get("fields").and_then(Value::as_array);
        let listed = listed.ok_or_else(|| format!("the record {name} has no fields"))?;
        let mut fields: Vec<Field> = Vec::new();
        let mut names = BTreeSet::new();
        for field in listed {
            let (Some(field_name), Some(schema)) =
                (field.get("name").and_then(Value::as_str), field.get("type"))
            else {
                return Err(format!(
                    "a field of the record {name} has no name or no type"
                ));
            };
            if !names.insert(field_name) {
                return Err(format!("the record {name} has two fields {field_name:?}"));
            }
            fields.push(Field {
                name: field_name.to_owned(),
                aliases: texts(field.get("aliases"))?,
                default: field.get("default").cloned(),
                schema: self.schema(schema, namespace)?,
            });
        }
        Ok(Type::Record(Record { name, fields }))
    }

    fn full_name(&self, object: &Map<String, Value>, namespace: &str) -> Result<String, String> {
        let name = object.get("name").and_then(Value::as_str);
        let name = name.ok_or("a record, enum or fixed type has no name")?;
        let own = object.get("namespace").and_then(Value::as_str);
        let name = qualified(name, own.unwrap_or(namespace));
        if self.primitive(&name).is_some() {
            return Err(format!("a type has the name {name}, which is Avro's own"));
        }
        Ok(name)
    }

    fn named(&mut self, name: &str, namespace: &str) -> Option<Id> {
        if let Some(primitive) = self.primitive(name) {
            return Some(self.push(primitive));
        }
        let qualified = qualified(name, namespace);
        let found = self.names.get(&qualified).or_else(|| self.names.get(name));
        found.copied()
    }

    #[allow(
        clippy::unused_self,
        reason = "reads as what it is: a question to the parser"
    )]
    fn primitive(&self, name: &str) -> Option<Type> {
        Some(match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" => Type::Int,
            "long" => Type::Long,
            "float" => Type::Float,
            "double" => Type::Double,
            "bytes" => Type::Bytes,
            "string" => Type::String,
            _ => return None,
        })
    }

    fn push(&mut self, parsed: Type) -> Id {
        self.types.push(Some(parsed));
        self.types.len() - 1
    }
}

fn enumeration(object: &Map<String, Value>) -> Result<Type, String> {
    let default = object.get("default").and_then(Value::as_str);
    Ok(Type::Enum {
        symbols: texts(object.get("symbols"))?,
        default: default.map(str::to_owned),
    })
}

/// A list of texts; an absent one is empty.
fn texts(value: Option<&Value>) -> Result<Vec<String>, String> {
    match value {
        None => Ok(Vec::new()),
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|_| format!("{value} is no list of names")),
    }
}

/// A name with its namespace, unless it has one of its own.
fn qualified(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}
