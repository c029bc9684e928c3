//! The numbers of one field: nested arrays, whose shape is learned while they are read and then held against the field's.

use super::number::Number;
use super::scan::Scanner;
use super::short::LONGEST;
use super::{DEPTH, Missing};
use crate::record::place::Place;
use crate::record::{DecodeError, FieldFault};

/// So many numbers of an array are many.
const LONG: u32 = 16;

/// The numbers of one field, on their way to their place.
pub(super) struct Numbers<'n> {
    field: &'n Place,
    missing: Missing,
    to: &'n mut [f32],
    /// How many numbers came.
    count: usize,
    /// In how many arrays numbers lie.
    depth: Option<usize>,
    /// How long the arrays of each depth are.
    lengths: [Option<usize>; DEPTH],
    /// Its innermost arrays are long enough that looking for many commas at once pays.
    is_long: bool,
    /// False in front of a text that holds the numbers.
    is_inside: bool,
}

impl<'n> Numbers<'n> {
    pub(super) fn new(field: &'n Place, missing: Missing, to: &'n mut [f32]) -> Self {
        Self {
            field,
            missing,
            to,
            count: 0,
            depth: None,
            lengths: [None; DEPTH],
            is_long: field.shape.last().is_some_and(|length| *length >= LONG),
            is_inside: !field.in_text,
        }
    }

    /// Reads the field.
    pub(super) fn read(&mut self, scanner: &mut Scanner<'_>) -> Result<(), DecodeError> {
        self.item(scanner, 0)?;
        self.check_shape()
    }

    /// Something in the field, in so many arrays.
    fn item(&mut self, scanner: &mut Scanner<'_>, depth: usize) -> Result<(), DecodeError> {
        match scanner.peek() {
            b'-' | b'0'..=b'9' => {
                let number = scanner.number()?;
                self.take(depth, number.to_f32().ok_or(number))
            }
            b'[' => self.array(scanner, depth),
            b'"' => self.text(scanner),
            b'{' if self.is_inside => Err(self.fault(FieldFault::Type("an object"))),
            b'{' => Err(self.fault(FieldFault::NoText)),
            b't' => {
                scanner.word(b"true")?;
                self.take(depth, Ok(1.0))
            }
            b'f' => {
                scanner.word(b"false")?;
                self.take(depth, Ok(0.0))
            }
            b'n' => {
                scanner.word(b"null")?;
                match self.missing {
                    Missing::Refuse => Err(self.fault(FieldFault::Null)),
                    Missing::Nan if depth == 0 => Ok(()),
                    Missing::Nan => self.take(depth, Ok(f32::NAN)),
                }
            }
            _ => Err(scanner.no_value()),
        }
    }

    fn array(&mut self, scanner: &mut Scanner<'_>, depth: usize) -> Result<(), DecodeError> {
        if !self.is_inside {
            return Err(self.fault(FieldFault::NoText));
        }
        // So deep no field is nested, and what is nested without an end would take the stack.
        if depth == DEPTH {
            return Err(self.fault(FieldFault::Ragged));
        }
        let mut length = 0;
        let mut is_open = scanner.open(b']');
        while is_open {
            length += self.plain_items(scanner, depth + 1);
            self.item(scanner, depth + 1)?;
            length += 1;
            is_open = scanner.more(b']')?;
        }
        if *self.lengths[depth].get_or_insert(length) == length {
            return Ok(());
        }
        Err(self.fault(FieldFault::Ragged))
    }

    /// Takes numbers as most are, with the comma behind each, as long as they come: how many they are.
    fn plain_items(&mut self, scanner: &mut Scanner<'_>, depth: usize) -> usize {
        if self.depth.is_some_and(|known| known != depth) {
            return 0;
        }
        let before = self.count;
        let mut count = before;
        let mut look_for_many = self.is_long;
        // A loop that knows nothing else, with all that it needs in registers.
        let mut ahead = *scanner;
        loop {
            if look_for_many
                && ahead.at >= LONGEST
                && let Some(to) = self.to.get_mut(count..)
            {
                count += ahead.short_numbers(to);
                scanner.at = ahead.at;
                look_for_many = false;
            }
            ahead.peek();
            let Some(number) = ahead.plain_number() else {
                break;
            };
            if ahead.peek() != b',' {
                break;
            }
            ahead.at += 1;
            if let Some(place) = self.to.get_mut(count) {
                *place = number;
            }
            count += 1;
            scanner.at = ahead.at;
        }
        if count > before {
            (self.depth, self.count) = (Some(depth), count);
        }
        count - before
    }

    /// A text that holds the numbers.
    fn text(&mut self, scanner: &mut Scanner<'_>) -> Result<(), DecodeError> {
        if self.is_inside {
            return Err(self.fault(FieldFault::Type("text")));
        }
        self.is_inside = true;
        let text = scanner.quoted()?.read();
        let text = text.ok_or_else(|| scanner.fault("a text that is not Unicode ends"))?;
        let mut inner = Scanner::new(text.as_bytes());
        let read = self.item(&mut inner, 0).and_then(|()| inner.end());
        read.map_err(|error| match error {
            DecodeError::Json { reason } => DecodeError::Json {
                reason: format!(
                    "{reason}, in the text of the field {:?}",
                    self.field.pointer
                ),
            },
            error => error,
        })
    }

    /// Takes a number that lies in so many arrays, or one that float32 cannot hold.
    #[inline]
    fn take(&mut self, depth: usize, number: Result<f32, Number<'_>>) -> Result<(), DecodeError> {
        if !self.is_inside {
            return Err(self.fault(FieldFault::NoText));
        }
        let number = number.map_err(|number| number.refused(self.field, self.count))?;
        if *self.depth.get_or_insert(depth) != depth {
            return Err(self.fault(FieldFault::Ragged));
        }
        if let Some(place) = self.to.get_mut(self.count) {
            *place = number;
        }
        self.count += 1;
        Ok(())
    }

    #[cold]
    fn fault(&self, fault: FieldFault) -> DecodeError {
        self.field.fault(fault)
    }

    /// Checks what came against the field's shape, which may stand in an array of length 1.
    fn check_shape(&self) -> Result<(), DecodeError> {
        let found = self.lengths.iter().map_while(|length| *length);
        let expected = self.field.shape.iter().map(|size| *size as usize);
        // Nothing came of a `null` that stands for all of them.
        let is_null = self.count == 0 && self.lengths[0].is_none();
        if is_null
            || found.clone().eq(expected.clone())
            || found.clone().eq(std::iter::once(1).chain(expected))
        {
            return Ok(());
        }
        let found = found.collect();
        let expected = self.field.shape.clone();
        Err(self.fault(FieldFault::Shape { expected, found }))
    }
}
