//! Fields of documents: where they stand, as JSON Pointers (RFC 6901), and where their numbers go.
//!
//! While a document is read, the numbers of a label that stands in it lie behind those of the record.

use serde::{Deserialize, Serialize};

use super::{DecodeError, FieldFault, FormatError, Missing, check_shape, product};

/// Most dimensions of one field, the one of a batch included.
pub(super) const DEPTH: usize = 9;
/// In so many others a field may lie: readers and compilers go down to it one by one.
const DEEPEST: usize = 100;

/// A field of a document that has a schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Where it stands, as a JSON Pointer (RFC 6901): `/reading/temperature`; empty for the document itself.
    pub pointer: String,
    /// Its shape, without the batch dimension; empty for one number.
    #[serde(default)]
    pub shape: Vec<u32>,
    /// It is a text, for a model that takes texts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub text: bool,
}

/// What is left out where it is written.
#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
pub(super) fn is_false(value: &bool) -> bool {
    !value
}

/// A field as a format names it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'f> {
    pub(super) pointer: &'f str,
    pub(super) shape: &'f [u32],
    /// It is a text that holds JSON.
    pub(super) in_text: bool,
    /// It is a text itself.
    pub(super) text: bool,
}

impl Field {
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            pointer: &self.pointer,
            shape: &self.shape,
            in_text: false,
            text: self.text,
        }
    }
}

/// A field, and where its numbers go.
pub(super) struct Place {
    pub(super) pointer: String,
    pub(super) shape: Vec<u32>,
    pub(super) in_text: bool,
    /// It is a text, for which a number stands.
    pub(super) text: bool,
    /// The first of its numbers: behind those of the record for a label.
    pub(super) start: usize,
    pub(super) is_label: bool,
}

/// All fields of a document.
pub(super) struct Layout {
    pub(super) places: Vec<Place>,
    /// Elements of a record, and of the label that stands in it.
    pub(super) elements: (usize, usize),
    pub(super) missing: Missing,
}

/// A place in a document: a field, or what fields lie in.
#[derive(Default)]
pub(super) struct Node {
    pub(super) field: Option<usize>,
    /// By name in an object, by the same as a number in an array; in the order of the names.
    pub(super) children: Vec<(String, Node)>,
}

impl Place {
    /// How many numbers it holds.
    pub(super) fn elements(&self) -> usize {
        product(&self.shape)
    }

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

    /// An array in it has another length.
    pub(super) fn length(&self, expected: usize, found: usize) -> DecodeError {
        self.fault(FieldFault::Length { expected, found })
    }

    /// One of its numbers does not fit.
    pub(super) fn number(&self, index: usize, number: &dyn ToString) -> DecodeError {
        DecodeError::number(&format!("field {:?}", self.pointer), index, number)
    }
}

impl Layout {
    /// Of these fields, and of those in which the label stands.
    pub(super) fn new<'f>(
        fields: impl Iterator<Item = Asked<'f>>,
        label: &[(&str, &[u32])],
        missing: Missing,
    ) -> Self {
        let mut elements = (0, 0);
        let mut places = Vec::new();
        for field in fields {
            let Asked { pointer, shape, .. } = field;
            places.push(Place {
                pointer: pointer.to_owned(),
                shape: shape.to_vec(),
                in_text: field.in_text,
                text: field.text,
                start: elements.0,
                is_label: false,
            });
            elements.0 += product(shape);
        }
        for (pointer, shape) in label {
            places.push(Place {
                pointer: (*pointer).to_owned(),
                shape: shape.to_vec(),
                in_text: false,
                text: false,
                start: elements.0 + elements.1,
                is_label: true,
            });
            elements.1 += product(shape);
        }
        Self {
            places,
            elements,
            missing,
        }
    }

    /// The fields as a tree.
    pub(super) fn root(&self) -> Node {
        let mut root = Node::default();
        for (number, place) in self.places.iter().enumerate() {
            root.insert(&tokens(&place.pointer), number);
        }
        root
    }

    /// What is made of a field that is not there: an error, or nothing but NaN.
    pub(super) fn absent(&self, field: usize, fault: FieldFault) -> Result<(), DecodeError> {
        let place = &self.places[field];
        if place.is_label || self.missing == Missing::Refuse {
            return Err(place.fault(fault));
        }
        Ok(())
    }

    /// Reads a document with `read`, which puts its numbers where they belong, among NaN; they are appended.
    pub(super) fn append(
        &self,
        row: &mut Vec<f32>,
        labels: &mut Vec<f32>,
        read: impl FnOnce(&mut [f32]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let start = row.len();
        row.resize(start + self.elements.0 + self.elements.1, f32::NAN);
        read(&mut row[start..])?;
        if self.elements.1 > 0 {
            let label = start + self.elements.0;
            labels.extend_from_slice(&row[label..]);
            row.truncate(label);
        }
        Ok(())
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

    pub(super) fn named(&self, name: &str) -> Option<&Self> {
        let found = self
            .children
            .binary_search_by(|(child, _)| child.as_str().cmp(name));
        Some(&self.children[found.ok()?].1)
    }

    /// All fields in it.
    pub(super) fn fields(&self) -> Vec<usize> {
        let below = self.children.iter().flat_map(|(_, node)| node.fields());
        self.field.into_iter().chain(below).collect()
    }
}

/// The shape of a record of these fields: that of the only one, else so many numbers.
pub(super) fn shape_of<'f>(
    mut shapes: impl ExactSizeIterator<Item = &'f [u32]> + Clone,
) -> Vec<u32> {
    if shapes.len() == 1
        && let Some(shape) = shapes.clone().next()
        && !shape.is_empty()
    {
        return shape.to_vec();
    }
    let elements = shapes.try_fold(0_usize, |sum, shape| sum.checked_add(product(shape)));
    vec![elements.map_or(u32::MAX, |sum| u32::try_from(sum).unwrap_or(u32::MAX))]
}

/// Checks the fields of a document, and those in which the label stands.
pub(super) fn check<'f>(
    asked: impl ExactSizeIterator<Item = Asked<'f>> + Clone,
    label: &[(&'f str, &[u32])],
) -> Result<(), FormatError> {
    let wrong = |field: &Asked<'_>| field.text && (field.in_text || !field.shape.is_empty());
    if let Some(field) = asked.clone().find(wrong) {
        return Err(FormatError(format!(
            "the field {:?} is one text: leave `shape` and `inText` out, and name each text as a field of its own",
            field.pointer
        )));
    }
    let fields = asked.map(|field| (field.pointer, field.shape));
    for (pointer, shape) in fields.clone() {
        check_shape(&format!("field {pointer:?}"), shape)?;
        if shape.len() >= DEPTH {
            return Err(FormatError(format!(
                "the field {pointer:?} has {} dimensions, and {} are allowed",
                shape.len(),
                DEPTH - 1
            )));
        }
    }
    check_shape("format", &shape_of(fields.clone().map(|(_, shape)| shape)))?;
    let mut pointers: Vec<&str> = fields.map(|(pointer, _)| pointer).collect();
    pointers.extend(label.iter().map(|(pointer, _)| *pointer));
    for pointer in &pointers {
        check_pointer(pointer)?;
    }
    // One behind another, so that a field stands right before what lies in it.
    let mut paths: Vec<Vec<String>> = pointers.iter().map(|pointer| tokens(pointer)).collect();
    paths.sort();
    for pair in paths.windows(2) {
        if pair[1].starts_with(&pair[0]) {
            return Err(FormatError(format!(
                "the field \"/{}\" is named twice, or lies in another one",
                pair[1].join("/")
            )));
        }
    }
    Ok(())
}

/// The parts of a pointer, in plain text.
pub(super) fn tokens(pointer: &str) -> Vec<String> {
    let parts = pointer.split('/').skip(1);
    parts
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
        .collect()
}

fn check_pointer(pointer: &str) -> Result<(), FormatError> {
    let wrong = |why: &str| {
        Err(FormatError(format!(
            "{pointer:?} is no JSON Pointer: {why}; the field `a` is \"/a\", the document itself is \"\""
        )))
    };
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return wrong("it does not begin with `/`");
    }
    let escapes = pointer.split('~').skip(1);
    if escapes.clone().any(|rest| !rest.starts_with(['0', '1'])) {
        return wrong("a `~` is written `~0`, and a `/` in a name `~1`");
    }
    if pointer.matches('/').count() > DEEPEST {
        return Err(FormatError(format!(
            "a field lies more than {DEEPEST} deep in the document"
        )));
    }
    Ok(())
}
