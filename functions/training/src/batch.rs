//! Mini-batches, gathered from the data set into buffers that ONNX Runtime reads
//! in place.
//!
//! The buffers begin at multiples of 64 bytes, as ONNX Runtime's own do: how a
//! kernel rounds a sum may depend on where its input lies, and a training that
//! goes on in another process must not end with other bytes.

use millrace_engine::{Slice, View};

use crate::dataset::{Dataset, Labels};
use crate::failure::Failure;

const ALIGNMENT: usize = 64;

/// Room for `len` elements at a multiple of 64 bytes.
struct Aligned<T> {
    space: Vec<T>,
    start: usize,
}

impl<T: Copy + Default> Aligned<T> {
    fn new(len: usize) -> Self {
        let space = vec![T::default(); len + ALIGNMENT / size_of::<T>()];
        let start = space.as_ptr().align_offset(ALIGNMENT);
        Self { space, start }
    }

    fn slice(&self, len: usize) -> &[T] {
        &self.space[self.start..][..len]
    }

    fn slice_mut(&mut self, len: usize) -> &mut [T] {
        &mut self.space[self.start..][..len]
    }
}

/// A mini-batch: rows of numbers and their labels.
pub struct Batch {
    capacity: usize,
    rows: Aligned<f32>,
    labels: Buffer,
    label_width: usize,
    /// A row on its way.
    bytes: Vec<u8>,
    len: usize,
}

enum Buffer {
    Classes(Aligned<i64>),
    Values(Aligned<f32>),
}

impl Batch {
    /// Room for `capacity` records of `dataset`.
    pub fn new(dataset: &Dataset, capacity: usize) -> Self {
        let (labels, label_width) = match dataset.labels() {
            Labels::Classes(_) => (Buffer::Classes(Aligned::new(capacity)), 1),
            Labels::Values { width, .. } => {
                (Buffer::Values(Aligned::new(capacity * width)), *width)
            }
        };
        Self {
            capacity,
            rows: Aligned::new(capacity * dataset.rows().width()),
            labels,
            label_width,
            bytes: Vec::new(),
            len: 0,
        }
    }

    /// Replaces the batch by the records at `indices` of `dataset`.
    ///
    /// # Errors
    /// A row can't be read.
    ///
    /// # Panics
    /// If there are more than the batch has room for.
    pub fn fill(&mut self, dataset: &Dataset, indices: &[u32]) -> Result<(), Failure> {
        assert!(indices.len() <= self.capacity, "a batch was made too small");
        self.len = indices.len();
        let width = dataset.rows().width();
        let rows = self.rows.slice_mut(self.len * width);
        for (row, index) in rows.chunks_exact_mut(width).zip(indices) {
            let index = *index as usize;
            dataset.rows().copy(index, row, &mut self.bytes)?;
        }
        match (&mut self.labels, dataset.labels()) {
            (Buffer::Classes(buffer), Labels::Classes(labels)) => {
                let buffer = buffer.slice_mut(self.len);
                for (label, index) in buffer.iter_mut().zip(indices) {
                    *label = labels[*index as usize];
                }
            }
            (Buffer::Values(buffer), Labels::Values { width, values }) => {
                let buffer = buffer.slice_mut(self.len * width);
                for (label, index) in buffer.chunks_exact_mut(*width).zip(indices) {
                    let start = *index as usize * width;
                    label.copy_from_slice(&values[start..start + width]);
                }
            }
            _ => unreachable!("a batch is made for one data set"),
        }
        Ok(())
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The rows as the model takes them; `shape` is that of one.
    pub fn rows(&self, shape: &[usize]) -> View<'_> {
        let width: usize = shape.iter().product();
        let rows = self.rows.slice(self.len * width);
        View::new(with_batch(self.len, shape), Slice::F32(rows))
    }

    /// The labels as the step graph takes them; `shape` is that of one, empty for a class.
    pub fn labels(&self, shape: &[usize]) -> View<'_> {
        let width: usize = shape.iter().product();
        let data = match &self.labels {
            Buffer::Classes(buffer) => Slice::I64(buffer.slice(self.len)),
            Buffer::Values(buffer) => Slice::F32(buffer.slice(self.len * width)),
        };
        View::new(with_batch(self.len, shape), data)
    }

    /// The labels where they are classes.
    pub fn classes(&self) -> Option<&[i64]> {
        match &self.labels {
            Buffer::Classes(buffer) => Some(buffer.slice(self.len)),
            Buffer::Values(_) => None,
        }
    }

    /// The labels where they are numbers, so many a record.
    pub fn values(&self) -> Option<&[f32]> {
        match &self.labels {
            Buffer::Classes(_) => None,
            Buffer::Values(buffer) => Some(buffer.slice(self.len * self.label_width)),
        }
    }
}

fn with_batch(len: usize, shape: &[usize]) -> Vec<usize> {
    [&[len], shape].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned() {
        for len in [0, 1, 17, 4096] {
            let buffer = Aligned::<f32>::new(len);
            assert_eq!(buffer.slice(len).as_ptr().align_offset(ALIGNMENT), 0);
            let buffer = Aligned::<i64>::new(len);
            assert_eq!(buffer.slice(len).as_ptr().align_offset(ALIGNMENT), 0);
        }
    }
}
