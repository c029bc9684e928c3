//! The segment manifest: exactly which records of a topic form a data set, and their digest.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::split::Split;

/// An immutable set of records: offsets in one topic of one cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The segment.
    pub id: Uuid,
    /// Kafka's id of the cluster.
    pub cluster_id: String,
    /// Kafka's id of the topic; a topic deleted and created again has another.
    pub topic_id: String,
    /// The topic's name.
    pub topic: String,
    /// The ranges, by partition in ascending order.
    pub partitions: Vec<Range>,
    /// Records under `read_committed` in all ranges.
    pub count: u64,
    /// Hex SHA-256 by [`SegmentDigest`].
    pub digest: String,
    /// How the records are split.
    pub split: Split,
    /// The digest of the file in the artifact store that holds the records as well, see [`crate::pinned`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// From when on the topic's retention by time may take records, by what it was when the segment was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained_until: Option<DateTime<Utc>>,
}

/// Offsets of one partition. `end - start` may exceed `count`: transaction markers, aborted
/// records and compaction leave gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The partition.
    pub partition: i32,
    /// First offset.
    pub start: i64,
    /// Exclusive end.
    pub end: i64,
    /// Records really there under `read_committed`.
    pub count: u64,
}

/// Digest of a segment's records, fed in offset order within a partition, partitions interleaved
/// as they come.
///
/// Per partition, SHA-256 over each record: offset (i64), timestamp (i64, −1 if none), key, value,
/// name and value of each header, and a null that ends the record. Byte strings are preceded by
/// their length (u32), null is the length `u32::MAX`, which the name of a header never is. The segment's digest is SHA-256 over
/// (partition (i32), count (u64), partition digest) in ascending order of partitions. All integers
/// are big-endian.
#[derive(Default)]
pub struct SegmentDigest {
    partitions: BTreeMap<i32, (u64, Sha256)>,
}

impl SegmentDigest {
    /// A digest over no record yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one record.
    ///
    /// # Panics
    /// If a key, value or header is 4 GiB long, which Kafka cannot carry.
    pub fn add<'a>(
        &mut self,
        partition: i32,
        offset: i64,
        timestamp: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (impl AsRef<str>, Option<&'a [u8]>)>,
    ) {
        let (count, hasher) = self.partitions.entry(partition).or_default();
        *count += 1;
        hasher.update(offset.to_be_bytes());
        hasher.update(timestamp.unwrap_or(-1).to_be_bytes());
        add_bytes(hasher, key);
        add_bytes(hasher, value);
        for (name, value) in headers {
            add_bytes(hasher, Some(name.as_ref().as_bytes()));
            add_bytes(hasher, value);
        }
        add_bytes(hasher, None);
    }

    /// How many records of a partition were added.
    #[must_use]
    pub fn count(&self, partition: i32) -> u64 {
        self.partitions
            .get(&partition)
            .map_or(0, |(count, _)| *count)
    }

    /// The digest in lower-case hex.
    #[must_use]
    pub fn finish(self) -> String {
        let mut whole = Sha256::new();
        for (partition, (count, hasher)) in self.partitions {
            whole.update(partition.to_be_bytes());
            whole.update(count.to_be_bytes());
            whole.update(hasher.finalize());
        }
        hex::encode(whole.finalize())
    }
}

fn add_bytes(hasher: &mut Sha256, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            hasher.update(length(bytes.len()).to_be_bytes());
            hasher.update(bytes);
        }
        None => hasher.update(u32::MAX.to_be_bytes()),
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a Kafka record is smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(records: &[(i32, i64, Option<&[u8]>)]) -> String {
        let mut digest = SegmentDigest::new();
        for (partition, offset, value) in records {
            digest.add(
                *partition,
                *offset,
                Some(5),
                None,
                *value,
                [("h", None)].into_iter(),
            );
        }
        digest.finish()
    }

    #[test]
    fn interleaving_of_partitions_does_not_matter_but_all_else_does() {
        let base = digest(&[(0, 1, Some(b"a")), (1, 1, Some(b"b")), (0, 2, None)]);
        assert_eq!(
            base,
            digest(&[(0, 1, Some(b"a")), (0, 2, None), (1, 1, Some(b"b"))])
        );
        assert_ne!(
            base,
            digest(&[(0, 1, Some(b"a")), (1, 1, Some(b"b")), (0, 3, None)])
        );
        assert_ne!(
            base,
            digest(&[(0, 1, Some(b"a")), (1, 1, Some(b"b")), (0, 2, Some(b""))])
        );
        assert_ne!(base, digest(&[(0, 1, Some(b"a")), (0, 2, None)]));
    }
}
