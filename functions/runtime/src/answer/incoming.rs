//! A record as a trigger brings it, wherever its bytes lie.
//!
//! Invariant: what was null and what was empty are told apart, as Kafka tells them apart.

use std::borrow::Cow;

use millrace_kafka::RecordView;
use millrace_wire::record::Headers;

/// A record of a batch that is to be answered.
pub(crate) trait Incoming {
    /// The topic it was read from.
    fn topic(&self) -> &str;
    /// The partition it was read from.
    fn partition(&self) -> i32;
    /// Its offset.
    fn offset(&self) -> i64;
    /// Its time in milliseconds since 1970, where the topic keeps times.
    fn timestamp_ms(&self) -> Option<i64>;
    /// Its key.
    fn key(&self) -> Option<&[u8]>;
    /// Its value.
    fn value(&self) -> Option<&[u8]>;
    /// Its headers in order.
    fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Option<&[u8]>)>;

    /// The last header of this name, which is the one that counts.
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers()
            .filter(|(header, _)| header == name)
            .last()
            .and_then(|(_, value)| value)
    }
}

impl Incoming for RecordView<'_> {
    fn topic(&self) -> &str {
        self.topic()
    }

    fn partition(&self) -> i32 {
        self.partition()
    }

    fn offset(&self) -> i64 {
        self.offset()
    }

    fn timestamp_ms(&self) -> Option<i64> {
        self.timestamp_ms()
    }

    fn key(&self) -> Option<&[u8]> {
        self.key()
    }

    fn value(&self) -> Option<&[u8]> {
        self.value()
    }

    fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Option<&[u8]>)> {
        self.headers()
    }
}

/// The headers of a record, found only where a format asks for one.
pub(crate) struct RecordHeaders<'b, R>(pub(crate) &'b R);

impl<R: Incoming> Headers for RecordHeaders<'_, R> {
    fn last(&self, name: &str) -> Option<&[u8]> {
        self.0.header(name)
    }
}
