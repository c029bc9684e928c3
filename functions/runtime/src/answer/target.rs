//! The topics that an inference writes to.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use millrace_kafka::{OutRecord, partition_by_key};
use millrace_wire::function::InferenceSpec;

/// What a batch of one record has beside its key, its value and its headers, generously.
const RECORD_OVERHEAD: usize = 128;
/// The same of each header.
const HEADER_OVERHEAD: usize = 10;

/// The topics that an inference writes to.
pub(crate) struct Targets {
    /// Where answers go.
    pub(crate) output: Target,
    /// Where records go that have none.
    pub(crate) dead_letters: Target,
    /// Where records are handed on to, if they are.
    pub(crate) hand_on: Option<Target>,
}

/// A topic that an inference writes to, as it was last seen.
pub(crate) struct Target {
    pub(crate) topic: String,
    /// What it is to the inference.
    pub(crate) purpose: &'static str,
    partitions: AtomicI32,
    /// The largest batch of records that it takes.
    limit: AtomicUsize,
    /// The codes of what may be wrong with it.
    pub(crate) missing: &'static str,
    pub(crate) forbidden: &'static str,
}

impl Targets {
    /// Those of an inference, not looked at yet.
    pub(crate) fn of(spec: &InferenceSpec) -> Self {
        Self {
            output: Target::new(
                &spec.output_topic,
                "output topic",
                "output-topic-missing",
                "output-forbidden",
            ),
            dead_letters: Target::new(
                &spec.dead_letter_topic,
                "topic of dead letters",
                "dead-letter-topic-missing",
                "dead-letters-forbidden",
            ),
            hand_on: spec.hand_on.as_ref().map(|hand_on| {
                Target::new(
                    &hand_on.topic,
                    "topic of records that are handed on",
                    "hand-on-topic-missing",
                    "hand-on-forbidden",
                )
            }),
        }
    }

    /// Every partition of them.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (&str, i32)> {
        self.iter().flat_map(|target| {
            let partitions = target.partitions.load(Ordering::Relaxed);
            (0..partitions).map(|partition| (target.topic.as_str(), partition))
        })
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Target> {
        [&self.output, &self.dead_letters]
            .into_iter()
            .chain(&self.hand_on)
    }
}

impl Target {
    fn new(
        topic: &str,
        purpose: &'static str,
        missing: &'static str,
        forbidden: &'static str,
    ) -> Self {
        Self {
            topic: topic.to_owned(),
            purpose,
            partitions: AtomicI32::new(0),
            limit: AtomicUsize::new(usize::MAX),
            missing,
            forbidden,
        }
    }

    /// Keeps how many partitions it has.
    pub(crate) fn has_partitions(&self, partitions: i32) {
        self.partitions.store(partitions, Ordering::Relaxed);
    }

    /// The partition for a record of this partition of an input with so many, and this key: the same
    /// number where both topics have equally many, else the key's, as Java's clients choose it.
    pub(crate) fn partition(&self, partition: i32, inputs: i32, key: Option<&[u8]>) -> i32 {
        let own = self.partitions.load(Ordering::Relaxed);
        match key {
            _ if inputs == own => partition,
            Some(key) => partition_by_key(key, own),
            None => partition % own.max(1),
        }
    }

    /// Keeps how many bytes it takes at once.
    pub(crate) fn takes(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// How many bytes it takes at once.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Why it will not take a record, where that is larger than the topic allows.
    pub(crate) fn too_large(&self, record: &OutRecord<'_>) -> Option<String> {
        let (limit, size) = (self.limit(), size_of(record));
        (size > limit).then(|| {
            format!(
                "the record for the topic {} has {size} bytes, and the topic takes at most {limit} (max.message.bytes)",
                self.topic
            )
        })
    }
}

/// The bytes of a record that is sent alone. The limits of topics count compressed ones.
fn size_of(record: &OutRecord<'_>) -> usize {
    let headers: usize = record
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.as_deref().map_or(0, <[u8]>::len) + HEADER_OVERHEAD)
        .sum();
    let part = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
    part(record.key) + part(record.value) + headers + RECORD_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_keep_their_partition_where_they_can() {
        let target = Target::new("t", "topic", "missing", "forbidden");
        target.has_partitions(4);
        assert_eq!(target.partition(2, 4, Some(b"foobar")), 2);
        assert_eq!(target.partition(5, 6, None), 1);
        target.has_partitions(7);
        let by_key = partition_by_key(b"foobar", 7);
        assert_eq!(target.partition(2, 4, Some(b"foobar")), by_key);
    }
}
