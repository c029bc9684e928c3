//! Mini-batches, gathered from the data set into buffers that ONNX Runtime reads
//! in place.
//!
//! The buffers begin at multiples of 64 bytes, as ONNX Runtime's own do: how a
//! kernel rounds a sum may depend on where its input lies, and a training that
//! goes on in another process must not end with other bytes.

use millrace_engine::{Data, Element, Slice, View};

use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::records::Records;
use crate::targets::{Kind, Shapes, Target, likeliest};

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

/// A mini-batch: what the model takes of each record, and the labels.
pub struct Batch {
    capacity: usize,
    inputs: Inputs,
    columns: Vec<Column>,
    targets: Vec<Buffer>,
    /// Rows on their way to several inputs.
    rows: Vec<f32>,
    /// A row on its way.
    bytes: Vec<u8>,
    len: usize,
}

/// The numbers of one input.
enum Column {
    Floats(Aligned<f32>),
    /// In another type, which is counted and compared, but not summed.
    Others(Data),
}

/// The labels for one prediction.
struct Buffer {
    labels: Numbers,
    /// Numbers of one label.
    width: usize,
    /// The class that each label means, where that is one.
    classes: Option<Vec<i64>>,
}

enum Numbers {
    Classes(Aligned<i64>),
    Values(Aligned<f32>),
}

impl Batch {
    /// Room for `capacity` records, as a model takes them.
    pub fn new(shapes: &Shapes, capacity: usize) -> Self {
        let Shapes { inputs, targets } = shapes;
        let columns = inputs.all.iter().map(|input| match input.element {
            Element::F32 => Column::Floats(Aligned::new(capacity * input.length)),
            element => Column::Others(Data::of_numbers(element, std::iter::empty())),
        });
        let buffers = targets.iter().map(|target| {
            let (labels, width) = match target.kind {
                Kind::Class(_) | Kind::OneHot(_) => (Numbers::Classes(Aligned::new(capacity)), 1),
                Kind::Probabilities(width) | Kind::Values(width) => {
                    (Numbers::Values(Aligned::new(capacity * width)), width)
                }
            };
            Buffer {
                labels,
                width,
                classes: (!matches!(target.kind, Kind::Values(_))).then(Vec::new),
            }
        });
        Self {
            capacity,
            columns: columns.collect(),
            inputs: inputs.clone(),
            targets: buffers.collect(),
            rows: Vec::new(),
            bytes: Vec::new(),
            len: 0,
        }
    }

    /// Replaces the batch by the records at `indices`.
    ///
    /// # Errors
    /// A row can't be read.
    ///
    /// # Panics
    /// If there are more than the batch has room for.
    pub fn fill(&mut self, records: &Records, indices: &[u32]) -> Result<(), Failure> {
        assert!(indices.len() <= self.capacity, "a batch was made too small");
        self.len = indices.len();
        let width = records.width();
        let mut read = |rows: &mut [f32]| {
            for (row, index) in rows.chunks_exact_mut(width).zip(indices) {
                records.copy(*index, row, &mut self.bytes)?;
            }
            Ok::<(), Failure>(())
        };
        match self.columns.as_mut_slice() {
            // A record is what the only input takes.
            [Column::Floats(column)] if self.inputs.all[0].length == width => {
                read(column.slice_mut(indices.len() * width))?;
            }
            columns => {
                self.rows.resize(indices.len() * width, 0.0);
                read(&mut self.rows)?;
                for (column, input) in columns.iter_mut().zip(&self.inputs.all) {
                    let rows = self.rows.chunks_exact(width);
                    let numbers = rows
                        .flat_map(|row| &row[input.start..][..input.length])
                        .copied();
                    match column {
                        Column::Floats(column) => {
                            let column = column.slice_mut(indices.len() * input.length);
                            for (to, number) in column.iter_mut().zip(numbers) {
                                *to = number;
                            }
                        }
                        Column::Others(data) => *data = Data::of_numbers(input.element, numbers),
                    }
                }
            }
        }
        for (target, buffer) in self.targets.iter_mut().enumerate() {
            buffer.fill(records, target, indices);
        }
        Ok(())
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The batch as the step graph takes it: the inputs, then the labels for each of `targets`.
    pub fn feed<'a>(&'a self, targets: &'a [Target]) -> Vec<(&'a str, View<'a>)> {
        let mut fed = Vec::with_capacity(self.columns.len() + self.targets.len());
        for (input, column) in self.inputs.all.iter().zip(&self.columns) {
            let data = match column {
                Column::Floats(column) => Slice::F32(column.slice(self.len * input.length)),
                Column::Others(data) => data.as_slice(),
            };
            let shape = with_batch(self.len, &input.row);
            fed.push((input.name.as_str(), View::new(shape, data)));
        }
        for (target, buffer) in targets.iter().zip(&self.targets) {
            let data = match &buffer.labels {
                Numbers::Classes(labels) => Slice::I64(labels.slice(self.len)),
                Numbers::Values(labels) => Slice::F32(labels.slice(self.len * buffer.width)),
            };
            let shape = with_batch(self.len, &target.shape);
            fed.push((target.labels.as_str(), View::new(shape, data)));
        }
        fed
    }

    /// By what its mean loss counts for one prediction.
    pub fn mass(&self, number: usize, target: &Target) -> f64 {
        target.mass(self.len, self.classes(number), self.values(number))
    }

    /// The classes that the labels for one prediction mean, where they do.
    pub fn classes(&self, target: usize) -> Option<&[i64]> {
        self.targets[target].classes.as_deref()
    }

    /// The labels for one prediction where they are numbers, so many a record.
    pub fn values(&self, target: usize) -> Option<&[f32]> {
        let buffer = &self.targets[target];
        match &buffer.labels {
            Numbers::Classes(_) => None,
            Numbers::Values(labels) => Some(labels.slice(self.len * buffer.width)),
        }
    }
}

impl Buffer {
    /// Takes the labels of these records for one prediction.
    fn fill(&mut self, records: &Records, target: usize, indices: &[u32]) {
        match &mut self.labels {
            Numbers::Classes(buffer) => {
                let buffer = buffer.slice_mut(indices.len());
                for (label, index) in buffer.iter_mut().zip(indices) {
                    *label = records.class(*index, target);
                }
                if let Some(classes) = &mut self.classes {
                    classes.clear();
                    classes.extend_from_slice(buffer);
                }
            }
            Numbers::Values(buffer) => {
                let buffer = buffer.slice_mut(indices.len() * self.width);
                for (label, index) in buffer.chunks_exact_mut(self.width).zip(indices) {
                    label.copy_from_slice(records.values(*index, target));
                }
                if let Some(classes) = &mut self.classes {
                    classes.clear();
                    classes.extend(buffer.chunks_exact(self.width).map(likeliest));
                }
            }
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
