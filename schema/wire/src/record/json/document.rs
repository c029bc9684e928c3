//! Reads JSON straight into the tensor: the document is walked once, what no field lies in is skipped, and nothing is kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::numbers::Numbers;
use super::{JsonRecord, Missing};
use crate::record::framing::{self, Part};
use crate::record::place::{Layout, Node};
use crate::record::{DecodeError, FieldFault, Headers, Label};

/// Reads the records of one format.
pub(in crate::record) struct JsonReader {
    root: Node,
    layout: Layout,
    is_framed: bool,
    /// Which fields the record at hand had.
    seen: Vec<bool>,
}

impl JsonReader {
    pub(in crate::record) fn new(record: &JsonRecord, label: Option<&Label>) -> Self {
        let fields = record.fields.iter();
        let fields = fields.map(|field| (&*field.pointer, &*field.shape, field.in_text));
        let layout = Layout::new(fields, label.and_then(Label::field), record.missing);
        Self {
            root: layout.root(),
            seen: vec![false; layout.places.len()],
            layout,
            is_framed: record.registry,
        }
    }

    /// Appends the record's numbers, and those of a label that stands in it.
    pub(in crate::record) fn read(
        &mut self,
        value: &[u8],
        headers: &dyn Headers,
        row: &mut Vec<f32>,
        labels: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        // The names of the fields say what they are: the schema is not needed.
        let value = if self.is_framed {
            framing::unframe(Part::Value, value, headers)?.plain().1
        } else {
            value
        };
        let Self {
            root, layout, seen, ..
        } = self;
        seen.fill(false);
        layout.append(row, labels, |to| {
            let mut reading = Reading {
                layout,
                seen,
                to,
                fault: None,
            };
            let mut document = serde_json::Deserializer::from_slice(value);
            let start = Start {
                node: root,
                reading: &mut reading,
            };
            let read = start
                .deserialize(&mut document)
                .and_then(|()| document.end());
            if let Err(error) = read {
                return Err(reading.fault.unwrap_or_else(|| DecodeError::Json {
                    reason: error.to_string(),
                }));
            }
            for (field, seen) in seen.iter().enumerate() {
                if !seen {
                    layout.absent(field, FieldFault::Missing)?;
                }
            }
            Ok(())
        })
    }
}

/// What is being read.
struct Reading<'r> {
    layout: &'r Layout,
    seen: &'r mut [bool],
    to: &'r mut [f32],
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
struct Start<'p, 'r> {
    node: &'p Node,
    reading: &'p mut Reading<'r>,
}

impl<'de> DeserializeSeed<'de> for Start<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, document: D) -> Result<(), D::Error> {
        let Some(number) = self.node.field else {
            return document.deserialize_any(self);
        };
        let reading = self.reading;
        let field = &reading.layout.places[number];
        if std::mem::replace(&mut reading.seen[number], true) {
            return Err(reading.stop(field.fault(FieldFault::Twice)));
        }
        let missing = if field.is_label {
            Missing::Refuse
        } else {
            reading.layout.missing
        };
        let to = &mut reading.to[field.start..][..field.elements()];
        let mut numbers = Numbers::new(field, missing, to);
        let read = numbers.read(document);
        if let Some(fault) = numbers.fault.take() {
            reading.fault = Some(fault);
        }
        read
    }
}

/// What fields lie in. Anything but an object or an array holds none of them.
impl<'de> Visitor<'de> for Start<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(child) = map.next_key_seed(Name(self.node))? {
            match child {
                Some(node) => map.next_value_seed(Start {
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
                    .next_element_seed(Start {
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
