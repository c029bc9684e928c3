//! Golden samples of the versions that a training makes: records that it was not trained on, with what the version answers
//! them on this machine, to which every function then holds it on its own.
//!
//! Invariant: only what a version gives twice alike is expected of it, so that one that draws random numbers is not refused
//! for it. The same training makes the same file.

use millrace_engine::{Session, SessionOptions, Slice, Slot};
use millrace_wire::record::Dtype;
use millrace_wire::samples::{LARGEST, NewArray, Samples};

use crate::batch::Batch;
use crate::dataset::Dataset;
use crate::failure::Failure;
use crate::targets::Shapes;

/// What inputs and outputs may take: functions hold them in memory when they load a version.
const ROOM: u64 = LARGEST / 4;

/// Records on which versions are run.
pub struct Golden {
    batch: Batch,
}

/// An array of samples.
struct Array {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Golden {
    /// The first records of the test part, or else of the validation or training part: as many as are wanted, and as there is
    /// room for. Nothing where none is wanted.
    ///
    /// # Errors
    /// A record can't be read.
    pub fn of(dataset: &Dataset, shapes: &Shapes, wanted: u32) -> Result<Option<Self>, Failure> {
        let parts = [&dataset.test, &dataset.validation, &dataset.train];
        let part = parts.into_iter().find(|part| !part.is_empty());
        let record = (dataset.records.width() * size_of::<f32>()).max(1) as u64;
        let count = u64::from(wanted).min(ROOM / record);
        let Some(part) = part.filter(|_| count > 0) else {
            return Ok(None);
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let indices = &part[..count.min(part.len())];
        let mut batch = Batch::new(shapes, indices.len());
        batch.fill(&dataset.records, indices)?;
        Ok(Some(Self { batch }))
    }

    /// How many records there are.
    pub fn count(&self) -> u64 {
        self.batch.len() as u64
    }

    /// The npz file of the records and of what a version answers them.
    ///
    /// # Errors
    /// Why the version can't have samples, as a sentence.
    pub fn answered_by(&self, version: &[u8]) -> Result<Vec<u8>, String> {
        let session = Session::from_bytes(version, &SessionOptions::default());
        let mut session = session.map_err(|error| error.to_string())?;
        let fed = self.batch.feed(&[]);
        let takes = |slot: &Slot| {
            let is_fed = fed.iter().any(|(name, _)| *name == slot.name);
            is_fed && slot.shape.first() == Some(&None)
        };
        if let Some(slot) = session.inputs().iter().find(|slot| !takes(slot)) {
            return Err(format!(
                "its input {:?} takes no records, or not any number of them",
                slot.name
            ));
        }
        let outputs: Vec<String> = session
            .outputs()
            .iter()
            .filter(|slot| slot.element.is_some())
            .map(|slot| slot.name.clone())
            .collect();
        let mut run = || -> Result<Vec<Array>, String> {
            let given = session.run(&fed).map_err(|error| error.to_string())?;
            let arrays = outputs.iter().map(|name| {
                let view = given.get(name).map_err(|error| error.to_string())?;
                Ok(Array::of(name, &view.shape, view.data))
            });
            arrays.collect()
        };
        let (mut expected, again) = (run()?, run()?);
        let mut again = again.iter();
        expected.retain(|array| {
            let is_same = again.next().is_some_and(|again| again.bytes == array.bytes);
            is_same && array.shape.first() == Some(&self.batch.len())
        });
        // A class may change with the last digit of a score, on another processor: where there are scores, they say enough.
        if expected.iter().any(Array::is_float) {
            expected.retain(Array::is_float);
        }
        if expected.is_empty() {
            return Err(
                "no output of it is a number for each record, the same each time".to_owned(),
            );
        }
        let inputs = fed
            .iter()
            .map(|(name, view)| Array::of(name, &view.shape, view.data));
        let arrays: Vec<Array> = inputs.chain(expected).collect();
        let bytes: usize = arrays.iter().map(|array| array.bytes.len()).sum();
        if bytes as u64 > LARGEST / 2 {
            return Err(format!(
                "its answers take {bytes} bytes; ask for fewer of them"
            ));
        }
        let arrays: Vec<NewArray<'_>> = arrays.iter().map(Array::as_new).collect();
        Ok(Samples::write(&arrays))
    }
}

impl Array {
    fn of(name: &str, shape: &[usize], data: Slice<'_>) -> Self {
        macro_rules! read {
            ($dtype:ident, $data:expr) => {
                (
                    Dtype::$dtype,
                    $data.iter().flat_map(|one| one.to_le_bytes()).collect(),
                )
            };
        }
        let (dtype, bytes) = match data {
            Slice::F32(data) => read!(Float32, data),
            Slice::F64(data) => read!(Float64, data),
            Slice::I8(data) => read!(Int8, data),
            Slice::I16(data) => read!(Int16, data),
            Slice::I32(data) => read!(Int32, data),
            Slice::I64(data) => read!(Int64, data),
            Slice::U8(data) => read!(Uint8, data),
            Slice::U16(data) => read!(Uint16, data),
            Slice::U32(data) => read!(Uint32, data),
            Slice::U64(data) => read!(Uint64, data),
            Slice::Bool(data) => (Dtype::Bool, data.iter().copied().map(u8::from).collect()),
        };
        Self {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            bytes,
        }
    }

    fn is_float(&self) -> bool {
        matches!(self.dtype, Dtype::Float32 | Dtype::Float64)
    }

    fn as_new(&self) -> NewArray<'_> {
        NewArray {
            name: &self.name,
            dtype: self.dtype,
            shape: &self.shape,
            bytes: &self.bytes,
        }
    }
}
