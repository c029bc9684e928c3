//! The ends of partitions, and the offsets of times between them.
//!
//! Invariant: `low ≤ stable ≤ high`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Admin, REQUEST_TIMEOUT, check_answer, settle, to_i32};
use crate::Error;
use crate::error::Step;
use crate::ffi::{Native, OffsetSpec};
use crate::group::check_topic;
use crate::range_reader::Range;

/// The ends of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The partition.
    pub partition: i32,
    /// The first offset that Kafka still keeps.
    pub low: i64,
    /// The last stable offset: where a reader of committed records ends. It
    /// stands before an open transaction, and equals `high` without one.
    pub stable: i64,
    /// The high watermark: the next offset to be written and replicated.
    pub high: i64,
}

impl Watermarks {
    /// All that a reader of committed records finds in the partition.
    #[must_use]
    pub fn committed(&self) -> Range {
        Range {
            partition: self.partition,
            start: self.low,
            end: self.stable,
        }
    }
}

impl Admin {
    /// The ends of each partition, in order.
    pub fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, Error> {
        let marks = watermarks(self.native(), topic, REQUEST_TIMEOUT)?;
        self.answered();
        Ok(marks)
    }

    /// Where a reader of committed records ends in each of these partitions.
    pub fn stable_ends(
        &self,
        topic: &str,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, i64>, Error> {
        check_topic(topic)?;
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let spec = OffsetSpec::LatestStable;
        let ends = offsets(self.native(), topic, partitions, spec, REQUEST_TIMEOUT)?;
        self.answered();
        Ok(ends)
    }

    /// For each partition the first offset at or after a time (milliseconds
    /// since 1970), or the last stable offset where there is none.
    pub fn offsets_for_time(&self, topic: &str, time_ms: i64) -> Result<BTreeMap<i32, i64>, Error> {
        let ends = self.watermarks(topic)?;
        let partitions: Vec<i32> = ends.iter().map(|end| end.partition).collect();
        let found = offsets(
            self.native(),
            topic,
            &partitions,
            OffsetSpec::Time(time_ms),
            REQUEST_TIMEOUT,
        )?;
        Ok(ends
            .iter()
            .map(|end| {
                let offset = found
                    .get(&end.partition)
                    .copied()
                    .filter(|offset| *offset >= 0);
                (end.partition, offset.unwrap_or(end.stable))
            })
            .collect())
    }
}

/// The ends of every partition of a topic, by any client.
pub(crate) fn watermarks(
    native: Native<'_>,
    topic: &str,
    timeout: Duration,
) -> Result<Vec<Watermarks>, Error> {
    check_topic(topic)?;
    let description = native.describe_topic(topic, timeout).map_err(|failure| {
        Step::new("describe the topic")
            .topic(topic)
            .failure(&failure)
    })?;
    let partitions: Vec<i32> = (0..to_i32(description.partitions)).collect();
    let low = offsets(native, topic, &partitions, OffsetSpec::Earliest, timeout)?;
    // The stable offset is asked for first: it must not lie above `high`.
    let stable = offsets(
        native,
        topic,
        &partitions,
        OffsetSpec::LatestStable,
        timeout,
    )?;
    let high = offsets(native, topic, &partitions, OffsetSpec::Latest, timeout)?;
    let of = |offsets: &BTreeMap<i32, i64>, partition: &i32| {
        offsets.get(partition).copied().unwrap_or(0)
    };
    Ok(partitions
        .iter()
        .map(|partition| Watermarks {
            partition: *partition,
            low: of(&low, partition),
            stable: of(&stable, partition),
            high: of(&high, partition),
        })
        .collect())
}

fn offsets(
    native: Native<'_>,
    topic: &str,
    partitions: &[i32],
    spec: OffsetSpec,
    timeout: Duration,
) -> Result<BTreeMap<i32, i64>, Error> {
    let step = Step::new("ask for the offsets").topic(topic);
    settle(|| {
        let answers = native
            .list_offsets(topic, partitions, spec, timeout)
            .map_err(|failure| step.failure(&failure))?;
        let mut found = BTreeMap::new();
        for answer in answers {
            check_answer(step, topic, &answer)?;
            found.insert(answer.partition, answer.offset);
        }
        Ok(found)
    })
}
