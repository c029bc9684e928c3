//! Reads exactly the committed records of some ranges of offsets of one topic.
//!
//! Invariant: a range ends by position. Its last offset may be a transaction
//! marker, an aborted record or a gap of compaction, and need not be seen.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;

use crate::admin::{REQUEST_TIMEOUT, Watermarks, watermarks};
use crate::error::Step;
use crate::group::native_list;
use crate::observer::Observer;
use crate::reader::{
    BETWEEN_POLLS, PollError, Prober, assigned_consumer, check_offset, find, judge_assigned,
    lost_position, native,
};
use crate::{Connection, Error, RecordView};

/// How often an open transaction inside a range is looked at.
const STABLE_POLL: Duration = Duration::from_millis(100);

/// Offsets of one partition, the end exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub start: i64,
    /// The offset after the last.
    pub end: i64,
}

/// A reader of ranges. Records of one partition come in order; those of several
/// partitions come mixed.
///
/// While brokers are away it waits: batches are empty and the connection's
/// health says why.
pub struct RangeReader {
    consumer: BaseConsumer<Observer>,
    topic: String,
    parts: Vec<Part>,
    /// Whether every range was stable when last asked, see `assign`.
    is_stable: bool,
    is_assigned: bool,
    has_lost_position: bool,
    prober: Prober,
}

struct Part {
    range: Range,
    next: i64,
    is_done: bool,
}

impl RangeReader {
    /// Opens the ranges, at most one a partition. Fails where a range has
    /// expired, lies in the future, or names a topic or partition that is not
    /// there. [`Error::is_retriable`] says whether to try again.
    pub fn open(connection: &Connection, topic: &str, ranges: &[Range]) -> Result<Self, Error> {
        check_ranges(topic, ranges)?;
        let consumer = assigned_consumer(connection)?;
        let marks = watermarks(native(&consumer), topic, REQUEST_TIMEOUT)?;
        connection.health().up();
        for range in ranges.iter().filter(|range| range.start < range.end) {
            let mark = find(&marks, range.partition).ok_or_else(|| Error::UnknownPartition {
                topic: topic.to_owned(),
                partition: range.partition,
            })?;
            check_offset(topic, mark, range.start)?;
            check_offset(topic, mark, range.end)?;
        }
        let parts: Vec<Part> = ranges
            .iter()
            .map(|range| Part {
                range: *range,
                next: range.start,
                is_done: range.start == range.end,
            })
            .collect();
        Ok(Self {
            consumer,
            topic: topic.to_owned(),
            is_stable: are_stable(&parts, &marks),
            parts,
            is_assigned: false,
            has_lost_position: false,
            prober: Prober::new(),
        })
    }

    /// Whether every range has been read to its end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.parts.iter().all(|part| part.is_done)
    }

    /// The next records, at most `max_records`, in the client's memory. Empty
    /// where nothing came within `wait`, or at the end.
    pub fn next_batch(
        &mut self,
        max_records: usize,
        wait: Duration,
    ) -> Result<Vec<RecordView<'_>>, Error> {
        let mut batch = Vec::new();
        if self.is_done() {
            return Ok(batch);
        }
        self.check_positions()?;
        if !self.is_assigned && !self.assign()? {
            thread::sleep(wait.min(STABLE_POLL));
            return Ok(batch);
        }
        let step = Step::new("read").topic(&self.topic);
        let deadline = Instant::now() + wait;
        let consumer = &self.consumer;
        let mut open = self.parts.iter().filter(|part| !part.is_done).count();
        while open > 0 && batch.len() < max_records {
            // Wait for the first record only: librdkafka hands over what it has.
            let left = if batch.is_empty() {
                deadline.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            let (partition, position, record) = match consumer.poll(left) {
                None if batch.is_empty() && Instant::now() < deadline => continue,
                None => break,
                Some(Ok(message)) => (
                    message.partition(),
                    message.offset() + 1,
                    Some(RecordView::new(message)),
                ),
                // All ranges end at or before what was stable when reading
                // began, so the end of the partition is past them.
                Some(Err(KafkaError::PartitionEOF(partition))) => (partition, i64::MAX, None),
                Some(Err(error)) => {
                    match judge_assigned(step, &error, &consumer.context().last_reason()) {
                        PollError::Transient => continue,
                        PollError::PositionLost => self.has_lost_position = true,
                        PollError::Told(error) if batch.is_empty() => return Err(error),
                        PollError::Told(_) => {}
                    }
                    break;
                }
            };
            consumer.context().health().up();
            let Some(part) = self
                .parts
                .iter_mut()
                .find(|part| part.range.partition == partition && !part.is_done)
            else {
                continue;
            };
            part.next = position;
            if let Some(record) = record
                && record.offset() < part.range.end
            {
                batch.push(record);
            }
            if part.next >= part.range.end {
                part.is_done = true;
                open -= 1;
                let list = native_list(step, [(self.topic.as_str(), partition, Offset::Invalid)])?;
                consumer.pause(&list).map_err(|error| step.kafka(&error))?;
            }
        }
        if batch.is_empty() {
            self.prober
                .probe(consumer.context().health(), consumer.client(), &self.topic);
        }
        Ok(batch)
    }

    /// Starts reading, once no open transaction stands inside a range: until
    /// then a partition seems to end before the range does.
    fn assign(&mut self) -> Result<bool, Error> {
        if !self.is_stable {
            match watermarks(native(&self.consumer), &self.topic, BETWEEN_POLLS) {
                Ok(marks) => self.is_stable = are_stable(&self.parts, &marks),
                Err(error) if error.is_retriable() => {}
                Err(error) => return Err(error),
            }
        }
        if !self.is_stable {
            return Ok(false);
        }
        let step = Step::new("read").topic(&self.topic);
        let list = native_list(
            step,
            self.parts.iter().filter(|part| !part.is_done).map(|part| {
                let start = Offset::Offset(part.range.start);
                (self.topic.as_str(), part.range.partition, start)
            }),
        )?;
        self.consumer
            .assign(&list)
            .map_err(|error| step.kafka(&error))?;
        self.is_assigned = true;
        Ok(true)
    }

    /// After librdkafka lost a position: which one, and why. Kept until the
    /// brokers have told.
    fn check_positions(&mut self) -> Result<(), Error> {
        if !self.has_lost_position {
            return Ok(());
        }
        let positions: Vec<(i32, i64)> = self
            .parts
            .iter()
            .filter(|part| !part.is_done)
            .map(|part| (part.range.partition, part.next))
            .collect();
        match lost_position(native(&self.consumer), &self.topic, &positions) {
            Ok(None) => {
                // The position is there again: read on from it.
                self.has_lost_position = false;
                let step = Step::new("read on in").topic(&self.topic);
                let list = native_list(
                    step,
                    positions.iter().map(|(partition, next)| {
                        (self.topic.as_str(), *partition, Offset::Offset(*next))
                    }),
                )?;
                self.consumer
                    .assign(&list)
                    .map_err(|error| step.kafka(&error))
            }
            Err(error) if error.is_retriable() => Ok(()),
            Ok(Some(error)) | Err(error) => Err(error),
        }
    }
}

/// Whether no open transaction stands inside a range.
fn are_stable(parts: &[Part], marks: &[Watermarks]) -> bool {
    parts.iter().filter(|part| !part.is_done).all(|part| {
        find(marks, part.range.partition).is_some_and(|mark| mark.stable >= part.range.end)
    })
}

fn check_ranges(topic: &str, ranges: &[Range]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for range in ranges {
        let reason = if range.start < 0 {
            "it starts before 0"
        } else if range.end < range.start {
            "it ends before it starts"
        } else if !seen.insert(range.partition) {
            "its partition is named twice"
        } else {
            continue;
        };
        return Err(Error::InvalidRange {
            topic: topic.to_owned(),
            partition: range.partition,
            start: range.start,
            end: range.end,
            reason,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_ranges_are_refused() {
        let range = |partition, start, end| Range {
            partition,
            start,
            end,
        };
        assert!(check_ranges("t", &[range(0, 0, 5), range(1, 3, 3)]).is_ok());
        for wrong in [
            vec![range(0, -1, 5)],
            vec![range(0, 5, 4)],
            vec![range(0, 0, 1), range(0, 1, 2)],
        ] {
            assert!(matches!(
                check_ranges("t", &wrong),
                Err(Error::InvalidRange { .. })
            ));
        }
    }
}
