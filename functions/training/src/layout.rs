//! Where the records of a segment stand: each has an index by (partition, offset), and a place in one of the blocks that the
//! segment is cut into.
//!
//! A block has the same share of every partition, so that it is complete once all of them were read so far, in whatever order
//! they come. The blocks depend on how many records each partition has, and on nothing else.

use millrace_wire::segment::Range;

use crate::failure::Failure;

/// The records of a block, at the least: those over which the first epoch shuffles while others are still read.
pub const BLOCK: usize = 16_384;
/// More blocks than these gain nothing: a sixty-fourth of a segment is soon read.
const MOST_BLOCKS: usize = 64;

/// The places of a segment's records.
#[derive(Debug, Clone)]
pub struct Layout {
    partitions: Vec<Span>,
    total: usize,
    blocks: usize,
    /// The place in each block at which each partition's share begins: one list of partitions a block.
    starts: Vec<Vec<usize>>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    partition: i32,
    /// The index of its first record.
    first: usize,
    count: usize,
}

impl Span {
    /// How many of its records come before this block.
    fn before(&self, block: usize, blocks: usize) -> usize {
        self.count * block / blocks
    }
}

impl Layout {
    /// The places of the records in these ranges, in blocks of `block` records or more.
    pub fn new(ranges: &[Range], block: usize) -> Result<Self, Failure> {
        let total = ranges
            .iter()
            .fold(0, |total: u64, range| total.saturating_add(range.count));
        if total == 0 {
            return Err(Failure::new(
                "segment-empty",
                "the segment holds no record: make one of a range that does",
            ));
        }
        let total = u32::try_from(total).map_err(|_| {
            Failure::new(
                "segment-too-large",
                format!(
                    "the segment holds {total} records, and a training takes at most {}: train on a smaller segment",
                    u32::MAX
                ),
            )
        })?;
        let total = total as usize;
        let mut partitions: Vec<Span> = ranges
            .iter()
            .map(|range| Span {
                partition: range.partition,
                first: 0,
                count: usize::try_from(range.count).unwrap_or(total),
            })
            .collect();
        partitions.sort_unstable_by_key(|span| span.partition);
        let mut first = 0;
        for span in &mut partitions {
            span.first = first;
            first += span.count;
        }
        let blocks = (total / block.max(1)).clamp(1, MOST_BLOCKS);
        let starts = (0..blocks).map(|block| {
            let mut start = 0;
            let shares = partitions.iter().map(|span| {
                let begins = start;
                start += span.before(block + 1, blocks) - span.before(block, blocks);
                begins
            });
            shares.collect()
        });
        Ok(Self {
            starts: starts.collect(),
            partitions,
            total,
            blocks,
        })
    }

    /// How many records there are.
    pub fn total(&self) -> usize {
        self.total
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// How many records a block has.
    pub fn length(&self, block: usize) -> usize {
        let shares = self.partitions.iter();
        shares
            .map(|span| span.before(block + 1, self.blocks) - span.before(block, self.blocks))
            .sum()
    }

    /// How many records each partition has.
    pub fn counts(&self) -> impl Iterator<Item = (i32, usize)> {
        self.partitions
            .iter()
            .map(|span| (span.partition, span.count))
    }

    /// The index of the record that has so many of its partition before it.
    pub fn index(&self, partition: i32, before: usize) -> Option<usize> {
        let found = self
            .partitions
            .binary_search_by_key(&partition, |span| span.partition);
        let span = self.partitions[found.ok()?];
        (before < span.count).then_some(span.first + before)
    }

    /// The block of the record with this index, and its place there.
    pub fn place(&self, index: usize) -> (usize, usize) {
        // An empty partition begins where the next one does, and is before it.
        let number = self
            .partitions
            .partition_point(|span| span.first <= index)
            .saturating_sub(1);
        let span = self.partitions[number];
        let position = index - span.first;
        // The last block that begins at the position or before it.
        let block = ((position + 1) * self.blocks - 1) / span.count.max(1);
        let begins = span.before(block, self.blocks);
        (block, self.starts[block][number] + position - begins)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::collections::BTreeSet;

    use super::*;

    fn layout(counts: &[u64], block: usize) -> Layout {
        let ranges: Vec<Range> = (0..)
            .zip(counts)
            .map(|(partition, &count)| Range {
                partition,
                start: 0,
                end: 1_000,
                count,
            })
            .collect();
        Layout::new(&ranges, block).unwrap()
    }

    #[test]
    fn every_record_has_a_place_of_its_own() {
        for counts in [&[5][..], &[7, 0, 3, 0], &[0, 1, 1, 100], &[33, 32, 31]] {
            for block in [1, 2, 5, 1_000] {
                let layout = layout(counts, block);
                let places: BTreeSet<(usize, usize)> = (0..layout.total())
                    .map(|index| layout.place(index))
                    .collect();
                let all: BTreeSet<(usize, usize)> = (0..layout.blocks())
                    .flat_map(|block| (0..layout.length(block)).map(move |place| (block, place)))
                    .collect();
                assert_eq!(places, all, "{counts:?} in blocks of {block}");
            }
        }
    }

    #[test]
    fn a_block_has_the_same_share_of_every_partition() {
        let layout = layout(&[8, 4], 4);
        assert_eq!(layout.blocks(), 3);
        let blocks = |partition, count| -> Vec<usize> {
            (0..count)
                .map(|before| layout.place(layout.index(partition, before).unwrap()).0)
                .collect()
        };
        assert_eq!(blocks(0, 8), [0, 0, 1, 1, 1, 2, 2, 2]);
        assert_eq!(blocks(1, 4), [0, 1, 2, 2]);
        assert_eq!(layout.index(0, 8), None);
        assert_eq!(layout.index(2, 0), None);
    }

    #[test]
    fn one_block_is_the_order_of_the_segment() {
        let layout = layout(&[3, 0, 2], BLOCK);
        let places: Vec<(usize, usize)> = (0..5).map(|index| layout.place(index)).collect();
        assert_eq!(places, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]);
    }
}
