//! Takes the parts of an Avro record off its bytes, which may be anything: every length is checked against what is left.

use super::super::{DecodeError, varint};

/// What is left of a record.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'r> {
    pub(super) left: &'r [u8],
}

/// Why bytes are no Avro.
#[derive(Debug, Clone, Copy)]
pub(super) enum Malformed {
    Short,
    Wide,
    Length,
    Size,
}

impl From<Malformed> for DecodeError {
    #[cold]
    fn from(malformed: Malformed) -> Self {
        let reason = match malformed {
            Malformed::Short => "it ends in the middle of the record",
            Malformed::Wide => "a number has more than 64 bits",
            Malformed::Length => "a length is negative",
            Malformed::Size => "a block has a negative size",
        };
        Self::Avro {
            reason: reason.to_owned(),
        }
    }
}

impl<'r> Cursor<'r> {
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Result<&'r [u8], Malformed> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(Malformed::Short)?;
        self.left = left;
        Ok(taken)
    }

    #[inline]
    pub(super) fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, left) = self.left.split_first_chunk().ok_or(Malformed::Short)?;
        self.left = left;
        Ok(*taken)
    }

    /// A number of variable length, zigzag.
    #[inline]
    pub(super) fn long(&mut self) -> Result<i64, Malformed> {
        let number = varint::take(&mut self.left);
        number.map(unzigzag).ok_or_else(|| self.none())
    }

    /// The same for a length, a count or a branch, which are short.
    #[inline]
    pub(super) fn short(&mut self) -> Result<i64, Malformed> {
        let number = varint::take_short(&mut self.left);
        number.map(unzigzag).ok_or_else(|| self.none())
    }

    /// Why there is no number.
    #[cold]
    fn none(&self) -> Malformed {
        if self.left.len() < 10 {
            Malformed::Short
        } else {
            Malformed::Wide
        }
    }

    /// Bytes with their length before them.
    #[inline]
    pub(super) fn length_prefixed(&mut self) -> Result<&'r [u8], Malformed> {
        let length = usize::try_from(self.short()?);
        self.take(length.map_err(|_| Malformed::Length)?)
    }

    /// How many items the next block has, and perhaps how many bytes; nothing at the end.
    #[inline]
    pub(super) fn block(&mut self) -> Result<Option<(u64, Option<u64>)>, Malformed> {
        match self.short()? {
            0 => Ok(None),
            count if count > 0 => Ok(Some((count.unsigned_abs(), None))),
            count => {
                let size = u64::try_from(self.short()?);
                let size = size.map_err(|_| Malformed::Size)?;
                Ok(Some((count.unsigned_abs(), Some(size))))
            }
        }
    }
}

#[inline]
fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}
