//! The records that answer an input record: its output, or its dead letter.
//!
//! Invariant: key and timestamp are the input's. An output keeps the headers that do not describe
//! the input's bytes; a dead letter keeps everything. Both say which record they answer and which
//! version answered; incoming headers of these names are replaced.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::iter;

use millrace_kafka::{OutRecord, RecordView};
use millrace_wire::header;
use millrace_wire::prediction::Source;

use crate::handler::Refusal;

/// Where the records of a batch come from, as text that answers carry in their values and headers. The
/// texts lie in one buffer, which is used again for the next batch.
#[derive(Debug, Default)]
pub(super) struct Sources {
    buffer: String,
    ends: Vec<usize>,
}

impl Sources {
    /// Writes the sources of these records, in place of those before.
    pub(super) fn write(&mut self, batch: &[RecordView<'_>]) {
        self.buffer.clear();
        self.ends.clear();
        for record in batch {
            let source = Source {
                topic: record.topic(),
                partition: record.partition(),
                offset: record.offset(),
            };
            write!(self.buffer, "{source}").expect("a String takes every write");
            self.ends.push(self.buffer.len());
        }
    }

    /// The sources in the batch's order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.buffer[start..*end])
    }
}

/// What the answers of one batch have in common.
pub(super) struct Letters<'a> {
    pub(super) output_topic: &'a str,
    pub(super) dead_letter_topic: &'a str,
    /// Model and version, by the handler.
    pub(super) headers: &'a [(&'static str, String)],
}

impl<'a> Letters<'a> {
    /// The output of a record.
    pub(super) fn output(
        &self,
        record: &'a RecordView<'_>,
        partition: i32,
        source: &'a str,
        value: &'a [u8],
    ) -> OutRecord<'a> {
        let mut out = OutRecord::to(self.output_topic).partition(partition);
        out.value = Some(value);
        self.address(&mut out, record, source, header::passes_through);
        out
    }

    /// The dead letter of a record.
    pub(super) fn dead(
        &self,
        record: &'a RecordView<'_>,
        source: &'a str,
        refusal: &'a Refusal,
    ) -> OutRecord<'a> {
        let mut out = OutRecord::to(self.dead_letter_topic);
        out.value = record.value();
        self.address(&mut out, record, source, |name| {
            ![header::ERROR, header::ERROR_MESSAGE].contains(&name) && !is_ours(name)
        });
        out.header(header::ERROR, refusal.code.as_bytes())
            .header(header::ERROR_MESSAGE, refusal.message.as_bytes())
    }

    fn address(
        &self,
        out: &mut OutRecord<'a>,
        record: &'a RecordView<'_>,
        source: &'a str,
        stays: impl Fn(&str) -> bool,
    ) {
        out.key = record.key();
        out.timestamp_ms = record.timestamp_ms();
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
    }
}

fn is_ours(name: &str) -> bool {
    [header::MODEL, header::VERSION, header::SOURCE].contains(&name)
}
