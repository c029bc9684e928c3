//! A file in protobuf's wire format, read field by field.
//!
//! A file is a list of fields: a number and a kind, then a value, most often a length and so many bytes.

use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};

/// A position in a file whose length is known.
pub(super) struct Source<R> {
    reader: BufReader<R>,
    at: u64,
    len: u64,
}

/// What keeps a file from being read on.
#[derive(Debug)]
pub(super) enum Fault {
    /// The bytes make no field.
    Malformed(String),
    /// The bytes end within a field.
    Ended(String),
    /// Something else that a deeper message found.
    Refused(crate::Error),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => {
                Self::Ended("the bytes end before the file's length".to_owned())
            }
            _ => Self::Refused(error.into()),
        }
    }
}

/// A field's number with what follows.
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) value: Value,
}

/// What follows a field's number.
pub(super) enum Value {
    /// A number, as it was read.
    Varint(u64),
    /// Four or eight bytes.
    Fixed(Vec<u8>),
    /// So many bytes, which have not been read.
    Bytes(u64),
}

impl<R: Read + Seek> Source<R> {
    pub(super) fn new(mut reader: R) -> std::io::Result<Self> {
        let len = reader.seek(SeekFrom::End(0))?;
        reader.seek(SeekFrom::Start(0))?;
        Ok(Self {
            reader: BufReader::with_capacity(64 << 10, reader),
            at: 0,
            len,
        })
    }

    pub(super) fn position(&self) -> u64 {
        self.at
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The next field of a message that ends at `end`.
    pub(super) fn field(&mut self, end: u64) -> Result<Field, Fault> {
        let key = self.varint(end)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint(end)?),
            1 => Value::Fixed(self.bytes(8, end)?),
            2 => {
                let length = self.varint(end)?;
                self.check(length, end)?;
                Value::Bytes(length)
            }
            5 => Value::Fixed(self.bytes(4, end)?),
            kind => {
                return Err(Fault::Malformed(format!(
                    "there is a field of kind {kind} at byte {}",
                    self.at
                )));
            }
        };
        match key >> 3 {
            0 => Err(Fault::Malformed(format!(
                "there is a field without a number at byte {}",
                self.at
            ))),
            number => Ok(Field { number, value }),
        }
    }

    /// The next bytes.
    pub(super) fn bytes(&mut self, count: u64, end: u64) -> Result<Vec<u8>, Fault> {
        self.check(count, end)?;
        let mut bytes = vec![0; count as usize];
        self.reader.read_exact(&mut bytes)?;
        self.at += count;
        Ok(bytes)
    }

    /// Leaves out the next bytes, which have been checked to be there.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), Fault> {
        self.reader.seek_relative(count as i64)?;
        self.at += count;
        Ok(())
    }

    fn varint(&mut self, end: u64) -> Result<u64, Fault> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            self.check(1, end)?;
            let mut byte = [0];
            self.reader.read_exact(&mut byte)?;
            self.at += 1;
            value |= u64::from(byte[0] & 0x7F) << shift;
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::Malformed(format!(
            "there is a number of more than ten bytes at byte {}",
            self.at
        )))
    }

    fn check(&self, count: u64, end: u64) -> Result<(), Fault> {
        let needed = self.at.checked_add(count);
        if needed.is_some_and(|needed| needed <= end) {
            return Ok(());
        }
        let needed = needed.unwrap_or(u64::MAX);
        if end == self.len {
            return Err(Fault::Ended(format!(
                "it has {} bytes, and needs at least {needed}",
                self.len
            )));
        }
        Err(Fault::Malformed(format!(
            "a part that ends at byte {end} holds one that ends at byte {needed}"
        )))
    }
}
