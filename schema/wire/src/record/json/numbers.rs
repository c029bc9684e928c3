//! The numbers of one field: nested arrays, whose shape is learned while they are read and then held against the field's.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{DEPTH, Missing};
use crate::record::place::Place;
use crate::record::{DecodeError, FieldFault, cast};

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
    /// False in front of a text that holds the numbers.
    is_inside: bool,
    /// Why reading ended: the errors of serde carry no more than a text.
    pub(super) fault: Option<DecodeError>,
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
            is_inside: !field.in_text,
            fault: None,
        }
    }

    /// Reads the field. `fault` says more than the error, if it says anything.
    pub(super) fn read<'de, D: Deserializer<'de>>(&mut self, document: D) -> Result<(), D::Error> {
        let item = Item {
            numbers: &mut *self,
            depth: 0,
        };
        item.deserialize(document)?;
        self.check_shape()
    }

    fn stop<T, E: Error>(&mut self, fault: FieldFault) -> Result<T, E> {
        self.fault = Some(self.field.fault(fault));
        Err(E::custom(""))
    }

    /// Takes a number that lies in so many arrays. `None` is one that float32 cannot hold.
    fn take<E: Error>(
        &mut self,
        number: impl ToString + Copy,
        cast: Option<f32>,
        depth: usize,
    ) -> Result<(), E> {
        if !self.is_inside {
            return self.stop(FieldFault::NoText);
        }
        let Some(cast) = cast else {
            self.fault = Some(self.field.number(self.count, &number));
            return Err(E::custom(""));
        };
        if *self.depth.get_or_insert(depth) != depth {
            return self.stop(FieldFault::Ragged);
        }
        if let Some(place) = self.to.get_mut(self.count) {
            *place = cast;
        }
        self.count += 1;
        Ok(())
    }

    /// Checks what came against the field's shape, which may stand in an array of length 1.
    fn check_shape<E: Error>(&mut self) -> Result<(), E> {
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
        self.stop(FieldFault::Shape { expected, found })
    }
}

/// Something in a field, in so many arrays.
struct Item<'i, 'n> {
    numbers: &'i mut Numbers<'n>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Item<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, document: D) -> Result<(), D::Error> {
        document.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        if !self.numbers.is_inside {
            return self.numbers.stop(FieldFault::NoText);
        }
        let mut length = 0;
        while sequence
            .next_element_seed(Item {
                numbers: &mut *self.numbers,
                depth: self.depth + 1,
            })?
            .is_some()
        {
            length += 1;
        }
        let known = self.numbers.lengths.get_mut(self.depth);
        if known.is_some_and(|known| *known.get_or_insert(length) == length) {
            return Ok(());
        }
        self.numbers.stop(FieldFault::Ragged)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        let number = f32::from(u8::from(truth));
        self.numbers.take(truth, Some(number), self.depth)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.numbers
            .take(number, cast::from_i64(number), self.depth)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.numbers
            .take(number, cast::from_u64(number), self.depth)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.numbers
            .take(number, cast::from_f64(number), self.depth)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.numbers.missing {
            Missing::Refuse => self.numbers.stop(FieldFault::Null),
            Missing::Nan if self.depth == 0 => Ok(()),
            Missing::Nan => self.numbers.take("null", Some(f32::NAN), self.depth),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.numbers.is_inside {
            return self.numbers.stop(FieldFault::Type("text"));
        }
        self.numbers.is_inside = true;
        let mut document = serde_json::Deserializer::from_str(text);
        let read = Item {
            numbers: &mut *self.numbers,
            depth: 0,
        }
        .deserialize(&mut document)
        .and_then(|()| document.end());
        read.map_err(|error| {
            let pointer = &self.numbers.field.pointer;
            let reason = format!("{error}, in the text of the field {pointer:?}");
            self.numbers
                .fault
                .get_or_insert(DecodeError::Json { reason });
            E::custom("")
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.numbers.stop(if self.numbers.is_inside {
            FieldFault::Type("an object")
        } else {
            FieldFault::NoText
        })
    }
}
