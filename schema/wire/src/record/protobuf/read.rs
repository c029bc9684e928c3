//! Reads messages, which may be any bytes: every length is checked against what is left, and every loop takes at
//! least a byte a turn.

use super::super::place::{Layout, Place};
use super::super::{DecodeError, FieldFault, Texts, cast, varint};
use super::compile::{Absent, Action, Program, Scalar, Wanted};
use super::key::Written;

/// How deep groups, which are passed over, may lie in each other.
const DEEPEST: usize = 64;

/// What came of the record at hand.
#[derive(Default)]
pub(super) struct State {
    /// How many numbers of each field.
    counts: Vec<usize>,
    /// Which messages.
    present: Vec<bool>,
    /// How many items of each repeated message.
    items: Vec<u64>,
    /// All of it says that nothing came, as it does behind a record that was read to its end.
    is_clear: bool,
}

/// Reads one message into `to`.
pub(super) fn read(
    program: &Program,
    layout: &Layout,
    state: &mut State,
    message: &[u8],
    to: &mut [f32],
    texts: &mut Texts,
) -> Result<(), DecodeError> {
    let lengths = (state.counts.len(), state.present.len(), state.items.len());
    let (places, messages) = (layout.places.len(), program.messages.len());
    if !state.is_clear || lengths != (places, messages, program.lists.len()) {
        state.counts = vec![0; places];
        state.present = vec![false; messages];
        state.items = vec![0; program.lists.len()];
    }
    state.is_clear = false;
    let mut reading = Reading {
        program,
        layout,
        state,
        to,
        texts,
    };
    reading.message(0, message)?;
    reading.finish(0, true)?;
    // Mostly there are none, and setting no bytes at no address takes processors very long.
    if !state.items.is_empty() {
        state.items.fill(0);
    }
    state.is_clear = true;
    Ok(())
}

struct Reading<'r> {
    program: &'r Program,
    layout: &'r Layout,
    state: &'r mut State,
    to: &'r mut [f32],
    texts: &'r mut Texts,
}

#[cold]
fn malformed(reason: &str) -> DecodeError {
    DecodeError::Protobuf {
        reason: reason.to_owned(),
    }
}

#[cold]
fn short() -> DecodeError {
    malformed("it ends in the middle of a field")
}

impl Reading<'_> {
    fn message(&mut self, place: usize, message: &[u8]) -> Result<(), DecodeError> {
        self.state.present[place] = true;
        let fields = &self.program.messages[place].fields;
        let mut left = message;
        // Fields mostly come in the order of their numbers.
        let mut next = 0;
        while !left.is_empty() {
            let tag = varint::take_short(&mut left).ok_or_else(short)?;
            if let Some(wanted) = fields.get(next)
                && wanted.tag == tag
            {
                next += 1;
                match wanted.action {
                    Action::Number { kind, to, field } => {
                        let place = || (&self.layout.places[field], 0);
                        self.to[to] = number(kind, &mut left, place)?;
                        self.state.counts[field] = 1;
                    }
                    _ => self.field(wanted, wanted.wire, &mut left)?,
                }
                continue;
            }
            let (field, wire) = (tag >> 3, tag & 7);
            if field == 0 || field > 0x1fff_ffff {
                return Err(malformed("a field has no number that one can have"));
            }
            match find(fields, next, field) {
                Ok(found) => {
                    next = found + 1;
                    self.field(&fields[found], wire, &mut left)?;
                }
                Err(place) => {
                    next = place;
                    skip(wire, field, &mut left)?;
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, wanted: &Wanted, wire: u64, left: &mut &[u8]) -> Result<(), DecodeError> {
        let layout = self.layout;
        let is_one = wire == wanted.wire;
        match wanted.action {
            Action::Number { kind, to, field } if is_one => {
                self.to[to] = number(kind, left, || (&layout.places[field], 0))?;
                self.state.counts[field] = 1;
                Ok(())
            }
            Action::Numbers { kind, field } if is_one => self.push(kind, field, left),
            Action::Numbers { kind, field } if wire == LENGTH => {
                let packed = length_prefixed(left)?;
                self.packed(kind, field, packed)
            }
            Action::Bytes { field } if is_one => {
                let bytes = length_prefixed(left)?;
                let place = &layout.places[field];
                if bytes.len() != place.elements() {
                    return Err(place.length(place.elements(), bytes.len()));
                }
                for (to, byte) in self.to[place.start..].iter_mut().zip(bytes) {
                    *to = f32::from(*byte);
                }
                self.state.counts[field] = bytes.len();
                Ok(())
            }
            Action::Text { field } if is_one => {
                let place = &layout.places[field];
                let text = std::str::from_utf8(length_prefixed(left)?).map_err(|_| {
                    let pointer = &place.pointer;
                    malformed(&format!("the text of the field {pointer:?} is not UTF-8"))
                })?;
                self.to[place.start] = self.texts.add(text);
                self.state.counts[field] = 1;
                Ok(())
            }
            Action::Message(inner) if is_one => {
                let message = length_prefixed(left)?;
                self.message(inner, message)
            }
            Action::Items(list) if is_one => {
                let item = length_prefixed(left)?;
                let index = self.state.items[list];
                self.state.items[list] += 1;
                let wanted = &self.program.lists[list];
                match wanted.binary_search_by_key(&index, |(index, _)| *index) {
                    Ok(found) => self.message(wanted[found].1, item),
                    Err(_) => Ok(()),
                }
            }
            Action::Map(map) if is_one => {
                let entry = length_prefixed(left)?;
                let key = key_of(entry)?;
                let mut wanted = self.program.maps[map].iter();
                match wanted.find(|(wanted, _)| wanted.is(&key)) {
                    Some((_, inner)) if self.state.present[*inner] => {
                        Err(malformed("a key of a map stands there twice"))
                    }
                    Some((_, inner)) => self.message(*inner, entry),
                    None => Ok(()),
                }
            }
            Action::Number { field, .. }
            | Action::Numbers { field, .. }
            | Action::Bytes { field }
            | Action::Text { field } => Err(DecodeError::Protobuf {
                reason: format!(
                    "the field {:?} is written as wire type {wire}, which its type in the schema is not",
                    layout.places[field].pointer
                ),
            }),
            Action::Message(_) | Action::Items(_) | Action::Map(_) => Err(malformed(
                "a field is written otherwise than the message that it is in the schema",
            )),
        }
    }

    fn push(&mut self, kind: Scalar, field: usize, left: &mut &[u8]) -> Result<(), DecodeError> {
        let place = &self.layout.places[field];
        let count = &mut self.state.counts[field];
        if *count >= place.elements() {
            return Err(place.length(place.elements(), *count + 1));
        }
        self.to[place.start + *count] = number(kind, left, || (place, *count))?;
        *count += 1;
        Ok(())
    }

    /// Numbers one behind another.
    fn packed(&mut self, kind: Scalar, field: usize, mut left: &[u8]) -> Result<(), DecodeError> {
        let place = &self.layout.places[field];
        let count = &mut self.state.counts[field];
        let to = &mut self.to[place.start..][..place.elements()];
        if kind == Scalar::Float {
            let (numbers, rest) = left.as_chunks::<4>();
            let Some(to) = to[*count..].get_mut(..numbers.len()) else {
                return Err(place.length(place.elements(), *count + numbers.len()));
            };
            for (to, number) in to.iter_mut().zip(numbers) {
                *to = f32::from_le_bytes(*number);
            }
            *count += numbers.len();
            return if rest.is_empty() {
                Ok(())
            } else {
                Err(short())
            };
        }
        // A loop for each kind, which asks for it no more.
        macro_rules! each {
            ($($kind:ident),*) => {
                match kind {
                    $(Scalar::$kind => {
                        for to in &mut to[*count..] {
                            if left.is_empty() {
                                break;
                            }
                            *to = number(Scalar::$kind, &mut left, || (place, *count))?;
                            *count += 1;
                        }
                    })*
                }
            };
        }
        each!(
            Double, Float, Int32, Int64, Uint32, Uint64, Sint32, Sint64, Fixed32, Fixed64,
            Sfixed32, Sfixed64, Bool
        );
        if left.is_empty() {
            return Ok(());
        }
        Err(place.length(place.elements(), *count + 1))
    }

    /// What is made of fields that did not come.
    fn finish(&mut self, number: usize, is_present: bool) -> Result<(), DecodeError> {
        let program = self.program;
        let message = &program.messages[number];
        for expected in &message.expected {
            let field = expected.field;
            let count = std::mem::take(&mut self.state.counts[field]);
            if count == expected.count {
                continue;
            }
            let place = &self.layout.places[field];
            match (count, &expected.default) {
                (0, Some(default)) if is_present => {
                    self.to[place.start] = match default {
                        Absent::Number(number) => *number,
                        Absent::Text(text) => self.texts.add(text),
                    };
                }
                (0, _) => self.layout.absent(field, FieldFault::Missing)?,
                _ => return Err(place.length(expected.count, count)),
            }
        }
        for inner in &message.inner {
            let is_present = std::mem::take(&mut self.state.present[*inner]);
            self.finish(*inner, is_present)?;
        }
        Ok(())
    }
}

/// The key of a map's entry: its first field, which its value may stand before.
fn key_of(entry: &[u8]) -> Result<Written<'_>, DecodeError> {
    let mut left = entry;
    let mut key = Written::Nothing;
    while !left.is_empty() {
        let tag = varint::take_short(&mut left).ok_or_else(short)?;
        key = match (tag >> 3, tag & 7) {
            (1, LENGTH) => Written::Text(length_prefixed(&mut left)?),
            (1, VARINT) => Written::Number(varint::take(&mut left).ok_or_else(short)?),
            (1, FOUR_BYTES) => Written::Number(u32::from_le_bytes(chunk(&mut left)?).into()),
            (1, EIGHT_BYTES) => Written::Number(u64::from_le_bytes(chunk(&mut left)?)),
            (field, wire) => {
                skip(wire, field, &mut left)?;
                continue;
            }
        };
    }
    Ok(key)
}

/// So far ahead a field is looked for in its order.
const NEAR: usize = 4;

/// Where a field is among those that are wanted, or would be. `next` is where it would be in the order of the numbers.
#[inline]
fn find(fields: &[Wanted], next: usize, number: u64) -> Result<usize, usize> {
    let at = |place: usize| fields.get(place).map_or(u64::MAX, |wanted| wanted.number);
    if at(next) == number {
        return Ok(next);
    }
    if next == 0 || at(next - 1) < number {
        // Most that are left out are 0 or unknown to the writer: what comes stands not far behind.
        for place in next..next + NEAR {
            if at(place) >= number {
                return if at(place) == number {
                    Ok(place)
                } else {
                    Err(place)
                };
            }
        }
    }
    fields.binary_search_by_key(&number, |wanted| wanted.number)
}

const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH: u64 = 2;
const GROUP: u64 = 3;
const END_OF_GROUP: u64 = 4;
const FOUR_BYTES: u64 = 5;

impl Action {
    /// The wire type of one number, of bytes or of a message.
    pub(super) fn wire(self) -> u64 {
        match self {
            Self::Number { kind, .. } | Self::Numbers { kind, .. } => match kind {
                Scalar::Double | Scalar::Fixed64 | Scalar::Sfixed64 => EIGHT_BYTES,
                Scalar::Float | Scalar::Fixed32 | Scalar::Sfixed32 => FOUR_BYTES,
                _ => VARINT,
            },
            Self::Bytes { .. }
            | Self::Text { .. }
            | Self::Message(_)
            | Self::Items(_)
            | Self::Map(_) => LENGTH,
        }
    }
}

/// Takes a number off the front; `at` says of which field it is, and which of its numbers.
#[allow(
    clippy::cast_possible_truncation,
    reason = "numbers of 32 bits are the low half of what is written, as the format says"
)]
#[allow(
    clippy::inline_always,
    reason = "where the kind is known, little is left of it"
)]
#[inline(always)]
fn number<'p>(
    kind: Scalar,
    left: &mut &[u8],
    at: impl Fn() -> (&'p Place, usize),
) -> Result<f32, DecodeError> {
    let zigzag = |number: u64| (number >> 1).cast_signed() ^ -((number & 1).cast_signed());
    let signed = |number: i64| cast::from_i64(number).ok_or_else(|| refused(at(), number));
    let unsigned = |number: u64| cast::from_u64(number).ok_or_else(|| refused(at(), number));
    match kind {
        Scalar::Float => Ok(f32::from_le_bytes(chunk(left)?)),
        Scalar::Double => {
            let number = f64::from_le_bytes(chunk(left)?);
            cast::from_f64(number).ok_or_else(|| refused(at(), number))
        }
        Scalar::Fixed32 => unsigned(u32::from_le_bytes(chunk(left)?).into()),
        Scalar::Sfixed32 => signed(i32::from_le_bytes(chunk(left)?).into()),
        Scalar::Fixed64 => unsigned(u64::from_le_bytes(chunk(left)?)),
        Scalar::Sfixed64 => signed(i64::from_le_bytes(chunk(left)?)),
        kind => {
            let number = varint::take(left).ok_or_else(short)?;
            match kind {
                Scalar::Int32 => signed((number as i32).into()),
                Scalar::Int64 => signed(number.cast_signed()),
                Scalar::Uint32 => unsigned((number as u32).into()),
                Scalar::Sint32 => signed(zigzag((number as u32).into())),
                Scalar::Sint64 => signed(zigzag(number)),
                Scalar::Bool => Ok(f32::from(u8::from(number != 0))),
                _ => unsigned(number),
            }
        }
    }
}

/// A number of a field does not fit.
#[cold]
fn refused((place, index): (&Place, usize), number: impl ToString + Copy) -> DecodeError {
    place.number(index, &number)
}

#[inline]
fn skip(wire: u64, field: u64, left: &mut &[u8]) -> Result<(), DecodeError> {
    match wire {
        VARINT => varint::take(left).map(|_| ()).ok_or_else(short),
        LENGTH => length_prefixed(left).map(|_| ()),
        _ => skip_any(wire, field, left, 0),
    }
}

/// The same for what is seldom, and for what lies in a group.
fn skip_any(wire: u64, field: u64, left: &mut &[u8], depth: usize) -> Result<(), DecodeError> {
    match wire {
        VARINT => varint::take(left).map(|_| ()).ok_or_else(short),
        EIGHT_BYTES => chunk::<8>(left).map(|_| ()),
        LENGTH => length_prefixed(left).map(|_| ()),
        FOUR_BYTES => chunk::<4>(left).map(|_| ()),
        GROUP if depth < DEEPEST => loop {
            let tag = varint::take_short(left).ok_or_else(short)?;
            if tag & 7 != END_OF_GROUP {
                skip_any(tag & 7, tag >> 3, left, depth + 1)?;
            } else if tag >> 3 == field {
                return Ok(());
            } else {
                return Err(malformed("a group ends that did not begin"));
            }
        },
        GROUP => Err(malformed("its groups lie too deep in each other")),
        END_OF_GROUP => Err(malformed("a group ends that did not begin")),
        _ => Err(malformed("a field has a wire type that there is not")),
    }
}

#[inline]
fn length_prefixed<'b>(left: &mut &'b [u8]) -> Result<&'b [u8], DecodeError> {
    let length = varint::take_short(left).and_then(|length| usize::try_from(length).ok());
    let (bytes, rest) = length
        .and_then(|length| left.split_at_checked(length))
        .ok_or_else(short)?;
    *left = rest;
    Ok(bytes)
}

#[inline]
fn chunk<const N: usize>(left: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (chunk, rest) = left.split_first_chunk::<N>().ok_or_else(short)?;
    *left = rest;
    Ok(*chunk)
}
