//! Reads JSON straight into the tensor: the document is walked once, what no field lies in is skipped, and nothing is kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::numbers::Numbers;
use super::{JsonRecord, Missing, tokens};
use crate::record::{DecodeError, FieldFault, Label, LabelSource, product};

/// Reads the records of one format.
pub(in crate::record) struct JsonReader {
    root: Node,
    fields: Vec<Field>,
    missing: Missing,
    /// Elements of a record, and of the label that stands in it.
    elements: (usize, usize),
    /// Which fields the record at hand had.
    seen: Vec<bool>,
}

/// A field, and where its numbers go.
pub(super) struct Field {
    pub(super) pointer: String,
    pub(super) shape: Vec<u32>,
    pub(super) in_text: bool,
    /// The first of its numbers: in the record, or in the label.
    start: usize,
    is_label: bool,
}

/// A place in a document: a field, or what fields lie in.
#[derive(Default)]
struct Node {
    field: Option<usize>,
    /// By name in an object, by the same as a number in an array; in the order of the names.
    children: Vec<(String, Node)>,
}

impl JsonReader {
    pub(in crate::record) fn new(record: &JsonRecord, label: Option<&Label>) -> Self {
        let mut elements = (0, 0);
        let mut fields = Vec::new();
        for field in &record.fields {
            fields.push(Field {
                pointer: field.pointer.clone(),
                shape: field.shape.clone(),
                in_text: field.in_text,
                start: elements.0,
                is_label: false,
            });
            elements.0 += product(&field.shape);
        }
        if let Some(LabelSource::Field { pointer, shape }) = label.map(|label| &label.source) {
            elements.1 = product(shape);
            fields.push(Field {
                pointer: pointer.clone(),
                shape: shape.clone(),
                in_text: false,
                start: 0,
                is_label: true,
            });
        }
        let mut root = Node::default();
        for (number, field) in fields.iter().enumerate() {
            root.insert(&tokens(&field.pointer), number);
        }
        Self {
            root,
            seen: vec![false; fields.len()],
            fields,
            missing: record.missing,
            elements,
        }
    }

    /// Appends the record's numbers, and those of a label that stands in it.
    pub(in crate::record) fn read(
        &mut self,
        value: &[u8],
        row: &mut Vec<f32>,
        labels: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        let (row_start, label_start) = (row.len(), labels.len());
        row.resize(row_start + self.elements.0, f32::NAN);
        labels.resize(label_start + self.elements.1, f32::NAN);
        self.seen.fill(false);
        let mut reading = Reading {
            fields: &self.fields,
            missing: self.missing,
            seen: &mut self.seen,
            row: &mut row[row_start..],
            label: &mut labels[label_start..],
            fault: None,
        };
        let mut document = serde_json::Deserializer::from_slice(value);
        let place = Place {
            node: &self.root,
            reading: &mut reading,
        };
        let read = place
            .deserialize(&mut document)
            .and_then(|()| document.end());
        if let Err(error) = read {
            return Err(reading.fault.unwrap_or_else(|| DecodeError::Json {
                reason: error.to_string(),
            }));
        }
        for (field, seen) in self.fields.iter().zip(&self.seen) {
            if !seen && (field.is_label || self.missing == Missing::Refuse) {
                return Err(field.fault(FieldFault::Missing));
            }
        }
        Ok(())
    }
}

impl Field {
    pub(super) fn fault(&self, fault: FieldFault) -> DecodeError {
        if self.is_label && matches!(fault, FieldFault::Missing | FieldFault::Null) {
            return DecodeError::NoLabel {
                place: format!("the field {:?}", self.pointer),
            };
        }
        DecodeError::Field {
            field: self.pointer.clone(),
            fault,
        }
    }
}

impl Node {
    fn insert(&mut self, path: &[String], field: usize) {
        let Some((token, rest)) = path.split_first() else {
            self.field = Some(field);
            return;
        };
        let child = match self.children.binary_search_by(|(name, _)| name.cmp(token)) {
            Ok(found) => found,
            Err(place) => {
                self.children
                    .insert(place, (token.clone(), Self::default()));
                place
            }
        };
        self.children[child].1.insert(rest, field);
    }

    fn named(&self, name: &str) -> Option<&Self> {
        let found = self
            .children
            .binary_search_by(|(child, _)| child.as_str().cmp(name));
        Some(&self.children[found.ok()?].1)
    }

    fn at(&self, index: usize) -> Option<&Self> {
        let mut children = self.children.iter();
        let found = children.find(|(name, _)| name.parse() == Ok(index));
        found.map(|(_, node)| node)
    }
}

/// What is being read.
struct Reading<'r> {
    fields: &'r [Field],
    missing: Missing,
    seen: &'r mut [bool],
    row: &'r mut [f32],
    label: &'r mut [f32],
    /// Why reading ended: the errors of serde carry no more than a text.
    fault: Option<DecodeError>,
}

impl Reading<'_> {
    /// Stops the reading.
    fn stop<E: Error>(&mut self, fault: DecodeError) -> E {
        self.fault = Some(fault);
        E::custom("")
    }
}

/// A place of the document that is about to be read.
struct Place<'p, 'r> {
    node: &'p Node,
    reading: &'p mut Reading<'r>,
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, document: D) -> Result<(), D::Error> {
        let Some(number) = self.node.field else {
            return document.deserialize_any(self);
        };
        let reading = self.reading;
        let field = &reading.fields[number];
        if std::mem::replace(&mut reading.seen[number], true) {
            return Err(reading.stop(field.fault(FieldFault::Twice)));
        }
        let to = if field.is_label {
            &mut *reading.label
        } else {
            &mut *reading.row
        };
        let missing = if field.is_label {
            Missing::Refuse
        } else {
            reading.missing
        };
        let to = &mut to[field.start..][..product(&field.shape)];
        let mut numbers = Numbers::new(field, missing, to);
        let read = numbers.read(document);
        if let Some(fault) = numbers.fault.take() {
            reading.fault = Some(fault);
        }
        read
    }
}

/// What fields lie in. Anything but an object or an array holds none of them.
impl<'de> Visitor<'de> for Place<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(child) = map.next_key_seed(Name(self.node))? {
            match child {
                Some(node) => map.next_value_seed(Place {
                    node,
                    reading: &mut *self.reading,
                })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        for index in 0.. {
            let more = match self.node.at(index) {
                Some(node) => sequence
                    .next_element_seed(Place {
                        node,
                        reading: &mut *self.reading,
                    })?
                    .is_some(),
                None => sequence.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// The name of a member, looked up without being kept.
struct Name<'n>(&'n Node);

impl<'de, 'n> DeserializeSeed<'de> for Name<'n> {
    type Value = Option<&'n Node>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for Name<'n> {
    type Value = Option<&'n Node>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.named(name))
    }
}
