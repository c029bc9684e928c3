//! Reads JSON straight into the tensor: the document is walked once, what no field lies in is skipped, and nothing is kept.

use super::members::{Place, Within};
use super::numbers::Numbers;
use super::scan::Scanner;
use super::{JsonField, JsonRecord, Missing};
use crate::record::framing::{self, Part};
use crate::record::label::fields_of;
use crate::record::place::Layout;
use crate::record::{DecodeError, FieldFault, Headers, Label, Texts};

/// Reads the records of one format.
pub(in crate::record) struct JsonReader {
    root: Place,
    layout: Layout,
    is_framed: bool,
    /// Which fields the record at hand had.
    seen: Vec<bool>,
}

impl JsonReader {
    pub(in crate::record) fn new(record: &JsonRecord, label: Option<&Label>) -> Self {
        let fields = record.fields.iter().map(JsonField::asked);
        let layout = Layout::new(fields, &fields_of(label), record.missing);
        Self {
            root: Place::new(&layout.root()),
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
        texts: &mut Texts,
    ) -> Result<(), DecodeError> {
        // The names of the fields say what they are: the schema is not needed.
        let framed;
        let value = if self.is_framed {
            framed = framing::unframe(Part::Value, value, headers)?.plain().1;
            &*framed
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
                texts,
                scanner: Scanner::new(value),
            };
            reading.value(root)?;
            reading.scanner.end()?;
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
    texts: &'r mut Texts,
    scanner: Scanner<'r>,
}

impl Reading<'_> {
    fn value(&mut self, place: &mut Place) -> Result<(), DecodeError> {
        match place {
            Place::Field(field) => self.field(*field),
            Place::Within(within) => match self.scanner.peek() {
                b'{' => self.object(within),
                b'[' => self.array(within),
                // Anything else holds no fields.
                _ => self.scanner.skip(),
            },
        }
    }

    fn object(&mut self, within: &mut Within) -> Result<(), DecodeError> {
        let mut before = 0;
        let mut is_open = self.scanner.open(b'}');
        while is_open {
            match within.name(&mut self.scanner, before)? {
                Some(member) => {
                    self.member(within, member)?;
                    before = member + 1;
                }
                None => self.scanner.skip()?,
            }
            is_open = self.scanner.more(b'}')?;
        }
        Ok(())
    }

    /// What stands at a name that is known.
    fn member(&mut self, within: &mut Within, member: usize) -> Result<(), DecodeError> {
        match within.place(member) {
            Some(place) => self.value(place),
            None => self.scanner.skip(),
        }
    }

    fn array(&mut self, within: &mut Within) -> Result<(), DecodeError> {
        let (mut index, mut wanted) = (0, 0);
        let mut is_open = self.scanner.open(b']');
        while is_open {
            match within.items.get(wanted) {
                Some(&(item, member)) if item == index => {
                    self.member(within, member)?;
                    wanted += 1;
                }
                _ => self.scanner.skip()?,
            }
            index += 1;
            is_open = self.scanner.more(b']')?;
        }
        Ok(())
    }

    fn field(&mut self, number: usize) -> Result<(), DecodeError> {
        let field = &self.layout.places[number];
        if std::mem::replace(&mut self.seen[number], true) {
            return Err(field.fault(FieldFault::Twice));
        }
        if field.text {
            return self.text(number);
        }
        // Most fields are one number, as one writes it.
        if field.shape.is_empty() && !field.in_text {
            let number = match self.scanner.peek() {
                b'-' | b'0'..=b'9' => self.scanner.plain_number(),
                b't' | b'f' => self.scanner.truth(),
                _ => None,
            };
            if let Some(number) = number {
                self.to[field.start] = number;
                return Ok(());
            }
        }
        let missing = if field.is_label {
            Missing::Refuse
        } else {
            self.layout.missing
        };
        let to = &mut self.to[field.start..][..field.elements()];
        Numbers::new(field, missing, to).read(&mut self.scanner)
    }

    /// Reads a field that is a text.
    fn text(&mut self, number: usize) -> Result<(), DecodeError> {
        let field = &self.layout.places[number];
        let other = match self.scanner.peek() {
            b'"' => {
                let quoted = self.scanner.quoted()?;
                let Some(text) = quoted.read() else {
                    return Err(self.scanner.fault("a text that is not Unicode ends"));
                };
                self.to[field.start] = self.texts.add(&text);
                return Ok(());
            }
            b'n' => {
                self.scanner.word(b"null")?;
                return self.layout.absent(number, FieldFault::Null);
            }
            b'{' => "an object",
            b'[' => "an array",
            b't' | b'f' => "a truth value",
            b'-' | b'0'..=b'9' => "a number",
            _ => return Err(self.scanner.no_value()),
        };
        Err(field.fault(FieldFault::NotText(other)))
    }
}
