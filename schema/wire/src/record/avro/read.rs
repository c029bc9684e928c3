//! Runs a program over the bytes of a record, which may be anything: every loop takes at least a byte a turn.

mod skip;

use super::super::place::{Layout, Place};
use super::super::{DecodeError, FieldFault, Texts, cast};
use super::cursor::Cursor;
use super::program::{Inside, Item, Kind, Piece, Program, Skip, Step};

/// Reads one record into `to`.
pub(super) fn read(
    program: &Program,
    layout: &Layout,
    record: &[u8],
    to: &mut [f32],
    texts: &mut Texts,
) -> Result<(), DecodeError> {
    let mut reading = Reading {
        program,
        layout,
        cursor: Cursor { left: record },
        to,
        texts,
    };
    reading.run(&program.steps)?;
    if reading.cursor.left.is_empty() {
        return Ok(());
    }
    Err(malformed(format!(
        "{} bytes are left over behind the record",
        reading.cursor.left.len()
    )))
}

struct Reading<'r> {
    program: &'r Program,
    layout: &'r Layout,
    /// What was not read yet.
    cursor: Cursor<'r>,
    to: &'r mut [f32],
    texts: &'r mut Texts,
}

#[cold]
fn malformed(reason: impl Into<String>) -> DecodeError {
    DecodeError::Avro {
        reason: reason.into(),
    }
}

impl<'r> Reading<'r> {
    fn run(&mut self, steps: &'r [Step]) -> Result<(), DecodeError> {
        for step in steps {
            match step {
                Step::Run(pieces) => self.pieces(pieces)?,
                Step::Numbers {
                    kind,
                    count,
                    to,
                    field,
                } => self.numbers(*kind, *to, *count, |layout, index| {
                    (&layout.places[*field + index], 0)
                })?,
                Step::Nullable {
                    null,
                    kind,
                    to,
                    field,
                } => match self.cursor.short()? {
                    branch if branch == *null => self.layout.absent(*field, FieldFault::Null)?,
                    0 | 1 => {
                        let at = |layout: &'r Layout, _| (&layout.places[*field], 0);
                        self.numbers(*kind, *to, 1, at)?;
                    }
                    branch => return Err(no_branch(branch)),
                },
                Step::Item { item, to, field } => {
                    if let Some(number) = self.item(item, *field, 0)? {
                        self.to[*to] = number;
                    }
                }
                Step::Text { to, field } => {
                    let bytes = self.cursor.length_prefixed()?;
                    let text = std::str::from_utf8(bytes).map_err(|_| {
                        let pointer = &self.layout.places[*field].pointer;
                        malformed(format!("the text of the field {pointer:?} is not UTF-8"))
                    })?;
                    self.to[*to] = self.texts.add(text);
                }
                Step::Symbol { symbols, to, field } => {
                    let symbol = self.symbol(symbols, *field)?;
                    self.to[*to] = self.texts.add(symbol);
                }
                Step::ConstantText { text, to } => self.to[*to] = self.texts.add(text),
                Step::Bytes { fixed, to, field } => self.bytes_field(*fixed, *to, *field)?,
                Step::Arrays {
                    lengths,
                    item,
                    to,
                    field,
                } => {
                    let mut index = 0;
                    self.arrays(lengths, item, *to, *field, &mut index)?;
                }
                Step::Union(branches) => {
                    let branch = self.cursor.short()?;
                    let steps = usize::try_from(branch).ok();
                    let steps = steps.and_then(|branch| branches.get(branch));
                    self.run(steps.ok_or_else(|| no_branch(branch))?)?;
                }
                Step::Items { wanted, other } => self.items(wanted, other)?,
                Step::Map { wanted, other } => self.map(wanted, other)?,
                Step::Skip(skip) => self.skip(skip, 0)?,
                Step::Constant { numbers, to } => {
                    self.to[*to..][..numbers.len()].copy_from_slice(numbers);
                }
                Step::Absent { fields, fault } => self.absent(fields, fault)?,
                Step::Fault { field, fault } => {
                    return Err(self.layout.places[*field].fault(fault.clone()));
                }
                Step::Break(reason) => return Err(self.program.broken(reason)),
            }
        }
        Ok(())
    }

    fn pieces(&mut self, pieces: &[Piece]) -> Result<(), DecodeError> {
        // A copy: the compiler could not know that the numbers do not overwrite what is left.
        let mut cursor = self.cursor;
        let (layout, numbers) = (self.layout, &mut *self.to);
        for piece in pieces {
            match *piece {
                Piece::Bytes(count) => {
                    cursor.take(count)?;
                }
                Piece::Varint => {
                    cursor.long()?;
                }
                Piece::Length => {
                    cursor.length_prefixed()?;
                }
                Piece::Boolean { to } => numbers[to] = truth(cursor.chunk::<1>()?[0])?,
                Piece::Integer { to, field } => {
                    let number = cursor.long()?;
                    let cast = cast::from_i64(number);
                    numbers[to] = cast.ok_or_else(|| refused(layout, field, number))?;
                }
                Piece::Float { to } => numbers[to] = f32::from_le_bytes(cursor.chunk()?),
                Piece::Double { to, field } => {
                    let number = f64::from_le_bytes(cursor.chunk()?);
                    let cast = cast::from_f64(number);
                    numbers[to] = cast.ok_or_else(|| refused(layout, field, number))?;
                }
            }
        }
        self.cursor = cursor;
        Ok(())
    }

    /// Numbers of one kind, one behind another; `at` says which field one is of, and which of its numbers.
    #[inline]
    fn numbers(
        &mut self,
        kind: Kind,
        start: usize,
        count: usize,
        at: impl Fn(&'r Layout, usize) -> (&'r Place, usize),
    ) -> Result<(), DecodeError> {
        let layout = self.layout;
        let refuse = |index: usize, number: &dyn ToString| {
            let (place, index) = at(layout, index);
            place.number(index, number)
        };
        match kind {
            Kind::Float => {
                let bytes = self.cursor.take(count.saturating_mul(4))?;
                let to = &mut self.to[start..][..count];
                for (to, bytes) in to.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *to = f32::from_le_bytes(*bytes);
                }
            }
            Kind::Double => {
                let bytes = self.cursor.take(count.saturating_mul(8))?;
                let to = &mut self.to[start..][..count];
                for (index, (to, bytes)) in to.iter_mut().zip(bytes.as_chunks::<8>().0).enumerate()
                {
                    let number = f64::from_le_bytes(*bytes);
                    *to = cast::from_f64(number).ok_or_else(|| refuse(index, &number))?;
                }
            }
            Kind::Integer => {
                // A copy: the compiler could not know that the numbers do not overwrite what is left.
                let mut cursor = self.cursor;
                let to = &mut self.to[start..][..count];
                for (index, to) in to.iter_mut().enumerate() {
                    let number = cursor.long()?;
                    *to = cast::from_i64(number).ok_or_else(|| refuse(index, &number))?;
                }
                self.cursor = cursor;
            }
            Kind::Boolean => {
                let bytes = self.cursor.take(count)?;
                let to = &mut self.to[start..][..count];
                for (to, byte) in to.iter_mut().zip(bytes) {
                    *to = truth(*byte)?;
                }
            }
        }
        Ok(())
    }

    /// One number of a field; nothing where it is missing, as far as that is allowed.
    fn item(
        &mut self,
        item: &Item,
        field: usize,
        index: usize,
    ) -> Result<Option<f32>, DecodeError> {
        let place = &self.layout.places[field];
        match item {
            Item::Number(Kind::Boolean) => truth(self.cursor.take(1)?[0]).map(Some),
            Item::Number(Kind::Integer) => {
                let number = self.cursor.long()?;
                let cast = cast::from_i64(number);
                cast.map(Some).ok_or_else(|| place.number(index, &number))
            }
            Item::Number(Kind::Float) => Ok(Some(f32::from_le_bytes(self.cursor.chunk()?))),
            Item::Number(Kind::Double) => {
                let number = f64::from_le_bytes(self.cursor.chunk()?);
                let cast = cast::from_f64(number);
                cast.map(Some).ok_or_else(|| place.number(index, &number))
            }
            Item::Enum(symbols) => self.symbol(symbols, field).map(|number| Some(*number)),
            Item::Null => self.layout.absent(field, FieldFault::Null).map(|()| None),
            Item::Union(branches) => {
                let branch = self.cursor.short()?;
                let found = usize::try_from(branch).ok();
                let found = found.and_then(|branch| branches.get(branch));
                self.item(found.ok_or_else(|| no_branch(branch))?, field, index)
            }
            Item::Fault(fault) => Err(place.fault(fault.clone())),
            Item::Break(reason) => Err(self.program.broken(reason)),
        }
    }

    /// What stands for the symbol of an enum.
    fn symbol<'s, T>(
        &mut self,
        symbols: &'s [Result<T, String>],
        field: usize,
    ) -> Result<&'s T, DecodeError> {
        let number = self.cursor.long()?;
        let symbol = usize::try_from(number).ok();
        match symbol.and_then(|number| symbols.get(number)) {
            Some(Ok(found)) => Ok(found),
            Some(Err(symbol)) => Err(self.program.broken(&format!(
                "the reader's enum at the field {:?} does not have the writer's symbol {symbol}",
                self.layout.places[field].pointer
            ))),
            None => Err(malformed(format!("an enum has no symbol {number}"))),
        }
    }

    fn bytes_field(
        &mut self,
        fixed: Option<usize>,
        to: usize,
        field: usize,
    ) -> Result<(), DecodeError> {
        let bytes = match fixed {
            Some(size) => self.cursor.take(size)?,
            None => self.cursor.length_prefixed()?,
        };
        let place = &self.layout.places[field];
        if bytes.len() != place.elements() {
            return Err(place.length(place.elements(), bytes.len()));
        }
        for (to, byte) in self.to[to..].iter_mut().zip(bytes) {
            *to = f32::from(*byte);
        }
        Ok(())
    }

    /// Arrays in arrays; `index` counts the numbers that came.
    fn arrays(
        &mut self,
        lengths: &[usize],
        item: &Item,
        to: usize,
        field: usize,
        index: &mut usize,
    ) -> Result<(), DecodeError> {
        let Some((length, inner)) = lengths.split_first() else {
            return Ok(());
        };
        let place = &self.layout.places[field];
        let mut found = 0;
        while let Some((count, _)) = self.cursor.block()? {
            // More than are expected are not read: so many need not be there.
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            found = usize::saturating_add(found, count);
            if found > *length {
                return Err(place.length(*length, found));
            }
            match (inner.is_empty(), item) {
                (true, Item::Number(kind)) => {
                    let before = *index;
                    self.numbers(*kind, to + before, count, |layout, index| {
                        (&layout.places[field], before + index)
                    })?;
                    *index += count;
                }
                (true, item) => {
                    for _ in 0..count {
                        if let Some(number) = self.item(item, field, *index)? {
                            self.to[to + *index] = number;
                        }
                        *index += 1;
                    }
                }
                (false, item) => {
                    for _ in 0..count {
                        self.arrays(inner, item, to, field, index)?;
                    }
                }
            }
        }
        if found == *length {
            return Ok(());
        }
        Err(place.length(*length, found))
    }

    fn items(&mut self, wanted: &'r [(u64, Inside)], other: &'r Skip) -> Result<(), DecodeError> {
        let mut index = 0_u64;
        let mut wanted = wanted.iter().peekable();
        while let Some((count, size)) = self.cursor.block()? {
            let end = index.saturating_add(count);
            if size.is_some() && wanted.peek().is_none_or(|(next, _)| *next >= end) {
                self.skip_block(other, count, size)?;
                index = end;
                continue;
            }
            while index < end {
                match wanted.peek() {
                    Some((next, inside)) if *next == index => {
                        self.run(&inside.steps)?;
                        wanted.next();
                        index += 1;
                    }
                    next => {
                        let until = next.map_or(end, |(next, _)| end.min(*next));
                        self.skip_many(other, until - index, 0)?;
                        index = until;
                    }
                }
            }
        }
        for (_, inside) in wanted {
            self.absent(&inside.fields, &FieldFault::Missing)?;
        }
        Ok(())
    }

    fn map(&mut self, wanted: &'r [(String, Inside)], other: &'r Skip) -> Result<(), DecodeError> {
        let mut seen = 0_u128;
        while let Some((count, _)) = self.cursor.block()? {
            for _ in 0..count {
                let key = self.cursor.length_prefixed()?;
                let found = wanted.iter().position(|(name, _)| name.as_bytes() == key);
                let Some(found) = found else {
                    self.skip(other, 0)?;
                    continue;
                };
                let inside = &wanted[found].1;
                if seen & (1 << found) != 0 {
                    let field = &self.layout.places[inside.fields[0]];
                    return Err(field.fault(FieldFault::Twice));
                }
                seen |= 1 << found;
                self.run(&inside.steps)?;
            }
        }
        for (number, (_, inside)) in wanted.iter().enumerate() {
            if seen & (1 << number) == 0 {
                self.absent(&inside.fields, &FieldFault::Missing)?;
            }
        }
        Ok(())
    }

    fn absent(&self, fields: &[usize], fault: &FieldFault) -> Result<(), DecodeError> {
        let mut fields = fields.iter();
        fields.try_for_each(|field| self.layout.absent(*field, fault.clone()))
    }
}

/// The only number of a field does not fit.
#[cold]
fn refused(layout: &Layout, field: usize, number: impl ToString + Copy) -> DecodeError {
    layout.places[field].number(0, &number)
}

#[inline]
fn truth(byte: u8) -> Result<f32, DecodeError> {
    match byte {
        0 => Ok(0.0),
        1 => Ok(1.0),
        _ => Err(malformed(format!("{byte} is no boolean"))),
    }
}

#[cold]
fn no_branch(branch: i64) -> DecodeError {
    malformed(format!("a union has no branch {branch}"))
}
