//! STRUCT: the bytes of several arrays, one behind another, as numpy's structured types lay them out.

use serde::{Deserialize, Serialize};

use super::label::fields_of;
use super::{ByteOrder, DecodeError, Dtype, FormatError, Label, RawArray, check_shape};

/// Several arrays, one behind another without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Structure {
    /// The arrays in the order of their bytes.
    pub fields: Vec<StructureField>,
}

/// One array of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StructureField {
    /// Its name, by which a label refers to it.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Its shape; empty for one number.
    #[serde(default)]
    pub shape: Vec<u32>,
    /// Byte order of its elements.
    #[serde(default)]
    pub byte_order: ByteOrder,
    /// It is no feature: its bytes are passed over.
    #[serde(default)]
    pub skip: bool,
}

impl StructureField {
    /// Its bytes.
    #[must_use]
    pub fn array(&self) -> RawArray {
        RawArray {
            dtype: self.dtype,
            shape: self.shape.clone(),
            byte_order: self.byte_order,
        }
    }

    /// Whether a pointer leads here.
    #[must_use]
    pub fn is_at(&self, pointer: &str) -> bool {
        pointer.strip_prefix('/') == Some(&self.name)
    }
}

impl Structure {
    /// How many numbers a record has.
    pub(super) fn elements(&self) -> usize {
        let features = self.fields.iter().filter(|field| !field.skip);
        features.map(|field| field.array().elements()).sum()
    }

    pub(super) fn check(&self, label: &[(&str, &[u32])]) -> Result<(), FormatError> {
        let mut names: Vec<&str> = self.fields.iter().map(|field| &*field.name).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        if let Some([name, ..]) = twice {
            return Err(FormatError(format!("the field {name:?} is named twice")));
        }
        for field in &self.fields {
            check_shape(&format!("field {:?}", field.name), &field.shape)?;
        }
        check_shape(
            "format",
            &[u32::try_from(self.elements()).unwrap_or(u32::MAX)],
        )?;
        label
            .iter()
            .try_for_each(|(pointer, shape)| self.check_label(pointer, shape, names[0]))?;
        let mut pointers: Vec<&str> = label.iter().map(|(pointer, _)| *pointer).collect();
        pointers.sort_unstable();
        match pointers.windows(2).find(|pair| pair[0] == pair[1]) {
            Some([pointer, ..]) => Err(FormatError(format!(
                "the label's field {pointer:?} is named twice"
            ))),
            _ => Ok(()),
        }
    }

    /// Checks a field of the label; `example` is the name of a field.
    fn check_label(&self, pointer: &str, shape: &[u32], example: &str) -> Result<(), FormatError> {
        let held = self.fields.iter().find(|field| field.is_at(pointer));
        let Some(field) = held else {
            return Err(FormatError(format!(
                "the label's field {pointer:?} is none of the format's: name one of them, as \"/{example}\""
            )));
        };
        if !field.skip {
            return Err(FormatError(format!(
                "the field {:?} holds the label and is a feature as well: set `skip` for it",
                field.name
            )));
        }
        if field.shape != shape {
            return Err(FormatError(format!(
                "the label has the shape {shape:?}, and its field {:?} has {:?}",
                field.name, field.shape
            )));
        }
        Ok(())
    }
}

/// Reads the records of one format.
pub(super) struct StructureReader {
    parts: Vec<Part>,
    bytes: usize,
}

struct Part {
    name: String,
    array: RawArray,
    start: usize,
    is_label: bool,
}

impl StructureReader {
    pub(super) fn new(structure: &Structure, label: Option<&Label>) -> Self {
        let label = fields_of(label);
        let mut parts = Vec::new();
        let mut labels = Vec::new();
        let mut bytes = 0;
        for field in &structure.fields {
            let array = field.array();
            let start = bytes;
            bytes += array.bytes();
            let place = label.iter().position(|(pointer, _)| field.is_at(pointer));
            let part = Part {
                name: format!("field {:?}", field.name),
                array,
                start,
                is_label: place.is_some(),
            };
            match place {
                Some(place) => labels.push((place, part)),
                None if field.skip => {}
                None => parts.push(part),
            }
        }
        // Labels follow each other as they are named, wherever their bytes stand.
        labels.sort_by_key(|(place, _)| *place);
        parts.extend(labels.into_iter().map(|(_, part)| part));
        Self { parts, bytes }
    }

    pub(super) fn read(
        &self,
        value: &[u8],
        row: &mut Vec<f32>,
        labels: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        if value.len() != self.bytes {
            return Err(DecodeError::Size {
                part: "value".to_owned(),
                expected: self.bytes,
                found: value.len(),
            });
        }
        for part in &self.parts {
            let bytes = &value[part.start..][..part.array.bytes()];
            let to = if part.is_label {
                &mut *labels
            } else {
                &mut *row
            };
            part.array.decode(&part.name, bytes, to)?;
        }
        Ok(())
    }
}
