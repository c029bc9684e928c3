//! The decoded records of a segment, block by block.
//!
//! A block is handed over once all its records are there, and never changes afterwards.

use crate::failure::Failure;
use crate::layout::Layout;
use crate::rows::{Hold, Rows};
use crate::spread::Spread;
use crate::targets::Kind;

/// The labels of all records of a block for one prediction.
pub enum Labels {
    /// One class a record.
    Classes(Vec<i64>),
    /// `width` numbers a record.
    Values {
        /// Numbers a record.
        width: usize,
        /// All numbers.
        values: Vec<f32>,
    },
}

/// Some of the records.
pub struct Block {
    rows: Rows,
    labels: Vec<Labels>,
    is_bad: Vec<bool>,
    /// How many records are still to come.
    left: usize,
}

impl Block {
    /// Makes room for `count` records, which have `before` before them and labels with parts of these kinds.
    pub fn new(hold: &Hold, before: usize, count: usize, kinds: &[Kind]) -> Result<Self, Failure> {
        let labels = kinds.iter().map(|kind| {
            Ok(match *kind {
                Kind::Class(_) | Kind::OneHot(_) => Labels::Classes(places(count, 1)?),
                Kind::Probabilities(width) | Kind::Values(width) => Labels::Values {
                    width,
                    values: places(count, width)?,
                },
            })
        });
        Ok(Self {
            rows: hold.rows(before, count)?,
            labels: labels.collect::<Result<_, Failure>>()?,
            is_bad: places(count, 1)?,
            left: count,
        })
    }

    /// Puts a record in its place. Each place is filled once.
    pub fn put<'l>(
        &mut self,
        place: usize,
        row: &[f32],
        labels: impl Iterator<Item = (&'l [f32], Option<i64>)>,
    ) -> Result<(), Failure> {
        self.rows.put(place, row)?;
        for (to, (numbers, class)) in self.labels.iter_mut().zip(labels) {
            match to {
                Labels::Classes(labels) => labels[place] = class.unwrap_or_default(),
                Labels::Values { width, values } => {
                    values[place * *width..(place + 1) * *width].copy_from_slice(numbers);
                }
            }
        }
        self.left -= 1;
        Ok(())
    }

    /// Leaves a place empty, since its record can't be used.
    pub fn leave(&mut self, place: usize) {
        self.is_bad[place] = true;
        self.left -= 1;
    }

    /// Whether all its records are there.
    pub fn is_complete(&self) -> bool {
        self.left == 0
    }

    /// What the labels for each prediction are like.
    pub fn spreads(&self) -> Vec<Spread> {
        let spreads = self.labels.iter();
        spreads
            .map(|labels| Spread::of(labels, &self.is_bad))
            .collect()
    }
}

/// The records of those blocks that are there.
pub struct Records {
    layout: Layout,
    width: usize,
    blocks: Vec<Option<Block>>,
}

impl Records {
    /// None yet, of `width` numbers each.
    pub fn new(layout: Layout, width: usize) -> Self {
        let mut blocks = Vec::new();
        blocks.resize_with(layout.blocks(), || None);
        Self {
            layout,
            width,
            blocks,
        }
    }

    /// Takes in a block that is complete.
    pub fn take(&mut self, number: usize, block: Block) {
        self.blocks[number] = Some(block);
    }

    /// Whether a block is there.
    pub fn has(&self, block: usize) -> bool {
        self.blocks[block].is_some()
    }

    /// Where records stand.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether no row has to be read from a file.
    pub fn are_in_memory(&self) -> bool {
        let mut blocks = self.blocks.iter().flatten();
        blocks.all(|block| block.rows.are_in_memory())
    }

    /// What the labels of each block are like, by prediction.
    pub fn spreads(&self) -> Vec<Vec<Spread>> {
        self.blocks.iter().flatten().map(Block::spreads).collect()
    }

    /// Whether the record with this index could be used.
    ///
    /// # Panics
    /// As the others: if its block is not there.
    pub fn is_good(&self, index: u32) -> bool {
        let (block, place) = self.find(index);
        !block.is_bad[place]
    }

    /// Copies the row of a record out; `bytes` is room that is used again.
    pub fn copy(&self, index: u32, to: &mut [f32], bytes: &mut Vec<u8>) -> Result<(), Failure> {
        let (block, place) = self.find(index);
        block.rows.copy(place, to, bytes)
    }

    /// The class that a record's label for one prediction is.
    pub fn class(&self, index: u32, target: usize) -> i64 {
        let (block, place) = self.find(index);
        match &block.labels[target] {
            Labels::Classes(labels) => labels[place],
            Labels::Values { .. } => unreachable!("a batch is made for these labels"),
        }
    }

    /// The numbers that a record's label for one prediction is.
    pub fn values(&self, index: u32, target: usize) -> &[f32] {
        let (block, place) = self.find(index);
        match &block.labels[target] {
            Labels::Values { width, values } => &values[place * width..(place + 1) * width],
            Labels::Classes(_) => unreachable!("a batch is made for these labels"),
        }
    }

    fn find(&self, index: u32) -> (&Block, usize) {
        let (number, place) = self.layout.place(index as usize);
        let block = self.blocks[number].as_ref();
        (block.expect("who asks waits for the block"), place)
    }
}

fn places<T: Clone + Default>(records: usize, width: usize) -> Result<Vec<T>, Failure> {
    let mut places = Vec::new();
    let fits = records
        .checked_mul(width)
        .is_some_and(|len| places.try_reserve_exact(len).is_ok());
    if !fits {
        return Err(Failure::new(
            "segment-too-large",
            format!(
                "{records} records of {width} numbers don't fit into this machine's memory: \
                 train on a smaller segment"
            ),
        ));
    }
    places.resize(records * width, T::default());
    Ok(places)
}
