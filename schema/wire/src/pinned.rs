//! The file of a pinned segment: its records as they were in Kafka, one after the other.
//!
//! Behind [`MAGIC`], each record is a Protocol Buffers message with its length before it (a varint). Within a partition
//! records stand in the order of their offsets; partitions may alternate.

use prost::Message;
use prost::bytes::{Buf as _, Bytes, BytesMut};

/// What every file begins with.
pub const MAGIC: &[u8] = b"millrace records 1\n";

/// A record as it was in Kafka.
#[derive(Clone, PartialEq, Message)]
pub struct Record {
    /// Its partition.
    #[prost(int32, tag = "1")]
    pub partition: i32,
    /// Its offset.
    #[prost(int64, tag = "2")]
    pub offset: i64,
    /// Its time in milliseconds since 1970.
    #[prost(int64, optional, tag = "3")]
    pub timestamp_ms: Option<i64>,
    /// Its key.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub key: Option<Vec<u8>>,
    /// Its value.
    #[prost(bytes = "vec", optional, tag = "5")]
    pub value: Option<Vec<u8>>,
    /// Its headers in order.
    #[prost(message, repeated, tag = "6")]
    pub headers: Vec<Header>,
}

/// A header of a record.
#[derive(Clone, PartialEq, Message)]
pub struct Header {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub value: Option<Vec<u8>>,
}

impl Record {
    /// Appends the record to a file.
    pub fn append_to(&self, file: &mut Vec<u8>) {
        file.extend(self.encode_length_delimited_to_vec());
    }
}

/// Takes the pieces of a file and gives its records.
#[derive(Default)]
pub struct Reader {
    unread: BytesMut,
    has_begun: bool,
}

/// A file that is not one of records, or is damaged.
#[derive(Debug, thiserror::Error)]
#[error("the file is not one of records: {0}")]
pub struct NotRecords(String);

impl Reader {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.unread.extend_from_slice(piece);
    }

    /// The next record that is there as a whole.
    ///
    /// # Errors
    /// [`NotRecords`].
    pub fn record(&mut self) -> Result<Option<Record>, NotRecords> {
        if !self.has_begun {
            if self.unread.len() < MAGIC.len() {
                return Ok(None);
            }
            if self.unread.split_to(MAGIC.len()) != MAGIC {
                return Err(NotRecords("it begins otherwise".to_owned()));
            }
            self.has_begun = true;
        }
        let mut ahead: &[u8] = &self.unread;
        let length = match prost::decode_length_delimiter(&mut ahead) {
            Ok(length) => length,
            // A varint has at most ten bytes: with fewer there, its end may still come.
            Err(_) if self.unread.len() < 10 => return Ok(None),
            Err(error) => return Err(NotRecords(error.to_string())),
        };
        if ahead.len() < length {
            return Ok(None);
        }
        let before = self.unread.len() - ahead.len();
        self.unread.advance(before);
        let record: Bytes = self.unread.split_to(length).freeze();
        let record = Record::decode(record).map_err(|error| NotRecords(error.to_string()))?;
        Ok(Some(record))
    }

    /// Says whether the file ended behind a record.
    ///
    /// # Errors
    /// [`NotRecords`] where it is cut short.
    pub fn finish(&self) -> Result<(), NotRecords> {
        if self.has_begun && self.unread.is_empty() {
            return Ok(());
        }
        Err(NotRecords("it is cut short".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn records() -> Vec<Record> {
        let header = |name: &str, value: Option<&[u8]>| Header {
            name: name.to_owned(),
            value: value.map(<[u8]>::to_vec),
        };
        vec![
            Record {
                partition: 2,
                offset: i64::MAX,
                timestamp_ms: Some(-1),
                key: Some(Vec::new()),
                value: Some(vec![7; 300]),
                headers: vec![header("a", Some(b"1")), header("a", None)],
            },
            Record::default(),
            Record {
                value: Some(vec![0; 20_000]),
                ..Record::default()
            },
        ]
    }

    fn file() -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        for record in records() {
            record.append_to(&mut file);
        }
        file
    }

    #[test]
    fn records_come_back_however_the_file_is_cut() {
        for size in [1, 7, 4_096, 1 << 20] {
            let mut reader = Reader::default();
            let mut found = Vec::new();
            for piece in file().chunks(size) {
                reader.push(piece);
                while let Some(record) = reader.record().unwrap() {
                    found.push(record);
                }
            }
            reader.finish().unwrap();
            assert_eq!(found, records());
        }
    }

    #[test]
    fn what_is_no_such_file_is_told() {
        let mut reader = Reader::default();
        reader.push(b"PK\x03\x04 something else entirely");
        assert!(reader.record().is_err());
        let mut reader = Reader::default();
        let file = file();
        reader.push(&file[..file.len() - 1]);
        while reader.record().unwrap().is_some() {}
        assert!(reader.finish().is_err());
        assert!(Reader::default().finish().is_err());
    }
}
