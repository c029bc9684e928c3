//! The order in which an epoch goes through the training part.
//!
//! It depends on the seed, the number of the epoch and the training part, so that an epoch can be gone on with in another
//! process, and none depends on the ones before it.

use millrace_wire::split::shuffle;

use crate::layout::Layout;

/// Odd constants spread neighbouring epochs and blocks over all seeds (2^64 by the golden ratio, and a multiplier of
/// `SplitMix64`).
const EPOCH: u64 = 0x9e37_79b9_7f4a_7c15;
const BLOCK: u64 = 0xbf58_476d_1ce4_e5b9;

/// All of the training part, shuffled as a whole; epochs count from 0.
pub fn whole(train: &[u32], seed: u64, epoch: u32) -> Vec<u32> {
    let mut order = train.to_vec();
    shuffle(&mut order, of_epoch(seed, epoch));
    order
}

/// The first epoch block by block.
pub fn by_blocks(train: &[u32], layout: &Layout, seed: u64) -> Vec<u32> {
    let mut order = Vec::with_capacity(train.len());
    for (number, mut block) in blocks(train, layout).into_iter().enumerate() {
        shuffle_block(&mut block, number, seed);
        order.append(&mut block);
    }
    order
}

/// Which records of the training part each block has.
pub fn blocks(train: &[u32], layout: &Layout) -> Vec<Vec<u32>> {
    let mut blocks = vec![Vec::new(); layout.blocks()];
    for &index in train {
        let (block, _) = layout.place(index as usize);
        blocks[block].push(index);
    }
    blocks
}

/// Brings those records of a block that can be used into the order of the first epoch.
pub fn shuffle_block(block: &mut [u32], number: usize, seed: u64) {
    let number = number as u64 + 1;
    shuffle(block, of_epoch(seed, 0) ^ number.wrapping_mul(BLOCK));
}

fn of_epoch(seed: u64, epoch: u32) -> u64 {
    seed ^ (u64::from(epoch) + 1).wrapping_mul(EPOCH)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use millrace_wire::segment::Range;

    use super::*;

    #[test]
    fn every_epoch_has_all_records_in_an_order_of_its_own() {
        let range = |partition| Range {
            partition,
            start: 0,
            end: 50,
            count: 50,
        };
        let layout = Layout::new(&[range(0), range(1)], 20).unwrap();
        let train: Vec<u32> = (0..100).filter(|index| index % 3 != 0).collect();
        let first = by_blocks(&train, &layout, 1);
        let orders = [
            first.clone(),
            by_blocks(&train, &layout, 2),
            whole(&train, 1, 0),
            whole(&train, 1, 1),
        ];
        for (number, order) in orders.iter().enumerate() {
            assert!(!orders[..number].contains(order));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, train);
        }
        let blocks: Vec<usize> = first
            .iter()
            .map(|index| layout.place(*index as usize).0)
            .collect();
        assert!(blocks.is_sorted());
        assert!(!first[..10].is_sorted(), "a block is shuffled");
    }
}
