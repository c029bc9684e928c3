//! Records: as they lie in the client's memory, owned, and on their way out.
//!
//! Invariant: a null key, value or header value is told apart from an empty
//! one, in both directions.

use std::borrow::Cow;

use rdkafka::message::{BorrowedMessage, Message};

use crate::ffi;

/// A record in the client's memory: nothing is copied. It keeps its place in
/// the client's queue until it is dropped.
#[derive(Debug)]
pub struct RecordView<'a> {
    message: BorrowedMessage<'a>,
}

impl<'a> RecordView<'a> {
    pub(crate) fn new(message: BorrowedMessage<'a>) -> Self {
        Self { message }
    }

    /// The topic it was read from.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.message.topic()
    }

    /// The partition it was read from.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.message.partition()
    }

    /// Its offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.message.offset()
    }

    /// Its time in milliseconds since 1970, where the topic keeps times.
    #[must_use]
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.message.timestamp().to_millis()
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.message.key()
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.message.payload()
    }

    /// Its headers in order; a name that is not UTF-8 is shown with
    /// replacement characters.
    pub fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Option<&[u8]>)> {
        (0..).map_while(|index| ffi::header(&self.message, index))
    }

    /// The last header of this name, which is the one that counts.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers()
            .filter(|(header, _)| header == name)
            .last()
            .and_then(|(_, value)| value)
    }

    /// The bytes of key and value together.
    #[must_use]
    pub fn size(&self) -> usize {
        self.message.key_len() + self.message.payload_len()
    }

    /// A copy that outlives the client.
    #[must_use]
    pub fn to_record(&self) -> Record {
        Record {
            topic: self.topic().to_owned(),
            partition: self.partition(),
            offset: self.offset(),
            timestamp_ms: self.timestamp_ms(),
            key: self.key().map(<[u8]>::to_vec),
            value: self.value().map(<[u8]>::to_vec),
            headers: self
                .headers()
                .map(|(name, value)| (name.into_owned(), value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }
}

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The topic it was read from.
    pub topic: String,
    /// The partition it was read from.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its time in milliseconds since 1970, where the topic keeps times.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// The last header of this name, which is the one that counts.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .rev()
            .find(|(header, _)| header == name)
            .and_then(|(_, value)| value.as_deref())
    }
}

/// A header to be written: its name and its value, which may be null.
pub type OutHeader<'a> = (Cow<'a, str>, Option<Cow<'a, [u8]>>);

/// A record to be written. What is not set is null; without a partition the
/// key decides as Java's clients decide.
#[derive(Clone, Debug, Default)]
pub struct OutRecord<'a> {
    /// The topic to write to.
    pub topic: &'a str,
    /// The partition to write to.
    pub partition: Option<i32>,
    /// Milliseconds since 1970; `None` or 0 is the present.
    pub timestamp_ms: Option<i64>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// The headers in order.
    pub headers: Vec<OutHeader<'a>>,
}

impl<'a> OutRecord<'a> {
    /// An empty record for this topic.
    #[must_use]
    pub fn to(topic: &'a str) -> Self {
        Self {
            topic,
            ..Self::default()
        }
    }

    /// Sets the partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the time in milliseconds since 1970.
    #[must_use]
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: &'a [u8]) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the value.
    #[must_use]
    pub fn value(mut self, value: &'a [u8]) -> Self {
        self.value = Some(value);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(
        mut self,
        name: impl Into<Cow<'a, str>>,
        value: impl Into<Cow<'a, [u8]>>,
    ) -> Self {
        self.headers.push((name.into(), Some(value.into())));
        self
    }

    /// Adds a header whose value is null.
    #[must_use]
    pub fn null_header(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.headers.push((name.into(), None));
        self
    }
}
