//! The records that answer an input record: its output, itself for the next model, or its dead letter.
//!
//! Invariant: key and timestamp are the input's; in a replay the timestamp is the present, and the
//! input's stands in a header. An output keeps the headers that do not describe the input's bytes; what
//! is handed on and a dead letter keep everything. All say which record they answer and which version
//! answered; incoming headers of these names are replaced.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::iter;
use std::str::FromStr;

use millrace_kafka::OutRecord;
use millrace_wire::header;
use millrace_wire::prediction::Source;

use super::incoming::Incoming;
use super::target::Targets;
use crate::handler::Refusal;

/// Where the records of a batch come from, as text that answers carry in their values and headers. The
/// texts lie in one buffer, which is used again for the next batch.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    buffer: String,
    ends: Vec<usize>,
}

impl Sources {
    /// Writes the sources of these records, in place of those before. A redriven record keeps the
    /// source that it came from first.
    pub(crate) fn write<R: Incoming>(&mut self, batch: &[R], redrive_topic: Option<&str>) {
        self.buffer.clear();
        self.ends.clear();
        for record in batch {
            let topic = record.topic();
            let own = Source {
                topic,
                partition: record.partition(),
                offset: record.offset(),
            };
            let first = if Some(topic) == redrive_topic {
                let header = record.header(header::SOURCE);
                header.and_then(|source| Source::parse(std::str::from_utf8(source).ok()?))
            } else {
                None
            };
            write!(self.buffer, "{}", first.unwrap_or(own)).expect("a String takes every write");
            self.ends.push(self.buffer.len());
        }
    }

    /// The sources in the batch's order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.buffer[start..*end])
    }
}

/// What the answers of one batch have in common.
pub(crate) struct Letters<'a> {
    pub(crate) targets: &'a Targets,
    /// Where dead letters come back from.
    pub(crate) redrive_topic: Option<&'a str>,
    /// Model and version, by the handler.
    pub(crate) headers: &'a [(&'static str, String)],
    /// Whether records are answered that were there long before: by their old time the retention
    /// of a topic might take the answers at once.
    pub(crate) is_replay: bool,
}

/// The record's time: a redriven one carries that of its first try.
pub(crate) fn timestamp_ms(record: &impl Incoming, redrive_topic: Option<&str>) -> Option<i64> {
    told(record, redrive_topic, header::TIMESTAMP).or(record.timestamp_ms())
}

fn is_redriven(record: &impl Incoming, redrive_topic: Option<&str>) -> bool {
    redrive_topic.is_some_and(|topic| record.topic() == topic)
}

/// What a header tells of a redriven record. In others it may be anybody's.
fn told<T: FromStr>(record: &impl Incoming, redrive_topic: Option<&str>, name: &str) -> Option<T> {
    if !is_redriven(record, redrive_topic) {
        return None;
    }
    std::str::from_utf8(record.header(name)?).ok()?.parse().ok()
}

impl<'a> Letters<'a> {
    /// The input's partition that a record came from first.
    pub(crate) fn partition(&self, record: &impl Incoming, source: &str) -> i32 {
        if self.is_redriven(record)
            && let Some(source) = Source::parse(source)
        {
            return source.partition;
        }
        record.partition()
    }

    fn is_redriven(&self, record: &impl Incoming) -> bool {
        is_redriven(record, self.redrive_topic)
    }

    /// How often a record was tried, this time included: once, unless it was redriven.
    fn attempt(&self, record: &impl Incoming) -> u32 {
        told(record, self.redrive_topic, header::ATTEMPT).unwrap_or(1)
    }

    /// The output of a record.
    pub(crate) fn output(
        &self,
        record: &'a impl Incoming,
        partition: i32,
        source: &'a str,
        value: &'a [u8],
    ) -> OutRecord<'a> {
        let mut out = OutRecord::to(&self.targets.output.topic).partition(partition);
        out.value = Some(value);
        self.address(&mut out, record, source, header::passes_through);
        out
    }

    /// The record as it came, for the next model of a chain.
    pub(crate) fn handed_on(
        &self,
        record: &'a impl Incoming,
        topic: &'a str,
        partition: i32,
        source: &'a str,
    ) -> OutRecord<'a> {
        let mut out = OutRecord::to(topic).partition(partition);
        out.value = record.value();
        self.address(&mut out, record, source, |name| !header::is_ours(name));
        if record.header(header::ORIGIN).is_none() {
            out = out.header(header::ORIGIN, source.as_bytes());
        }
        out
    }

    /// The dead letter of a record.
    pub(crate) fn dead(
        &self,
        record: &'a impl Incoming,
        source: &'a str,
        refusal: &'a Refusal,
    ) -> OutRecord<'a> {
        let mut out = OutRecord::to(&self.targets.dead_letters.topic);
        out.value = record.value();
        self.address(&mut out, record, source, |name| !header::is_ours(name));
        let attempt = self.attempt(record).to_string().into_bytes();
        out.header(header::ERROR, refusal.code.as_bytes())
            .header(header::ERROR_MESSAGE, refusal.message.as_bytes())
            .header(header::ATTEMPT, attempt)
    }

    fn address(
        &self,
        out: &mut OutRecord<'a>,
        record: &'a impl Incoming,
        source: &'a str,
        stays: impl Fn(&str) -> bool,
    ) {
        out.key = record.key();
        let timestamp_ms = timestamp_ms(record, self.redrive_topic);
        if !self.is_replay {
            out.timestamp_ms = timestamp_ms;
        }
        out.headers.extend(
            record
                .headers()
                .filter(|(name, _)| stays(name))
                .map(|(name, value)| (name, value.map(Cow::Borrowed))),
        );
        for (name, value) in self.headers {
            let value = Cow::Borrowed(value.as_bytes());
            out.headers.push(((*name).into(), Some(value)));
        }
        let source = Cow::Borrowed(source.as_bytes());
        out.headers.push((header::SOURCE.into(), Some(source)));
        if let Some(time) = timestamp_ms.filter(|_| self.is_replay) {
            let time = Cow::Owned(time.to_string().into_bytes());
            out.headers.push((header::TIMESTAMP.into(), Some(time)));
        }
    }
}
