//! The first steps of a training, made while its last records are still read.
//!
//! They go through the blocks of the segment in order, as far as these have come. Whether the first epoch goes by blocks is
//! known once all records were seen; where it does not, these steps are thrown away, which costs no time, since nothing else
//! could be done before the last record. So what comes out never depends on how fast records came.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use millrace_wire::training::TrainingSpec;
use millrace_wire::tuning::Schedule;

use crate::batch::Batch;
use crate::dataset::{Complete, Dataset};
use crate::failure::Stop;
use crate::layout::Layout;
use crate::order;
use crate::rate::Rate;
use crate::records::Records;
use crate::trainer::Trainer;

/// The records of a segment, as they come.
pub struct Arriving {
    records: Records,
    come: Receiver<Complete>,
    is_over: bool,
}

impl Arriving {
    /// Records of `width` numbers, in blocks that come by a channel until it ends.
    pub fn new(layout: &Layout, width: usize, come: Receiver<Complete>) -> Self {
        Self {
            records: Records::new(layout.clone(), width),
            come,
            is_over: false,
        }
    }

    /// Waits for a block, and says whether it is there: not where the reading ends before.
    fn has(&mut self, block: usize) -> bool {
        while !self.records.has(block) {
            let Ok((number, block)) = self.come.recv() else {
                self.is_over = true;
                return false;
            };
            self.records.take(number, block);
        }
        true
    }

    /// Whether all has been read.
    fn is_over(&mut self) -> bool {
        while !self.is_over {
            match self.come.try_recv() {
                Ok((number, block)) => self.records.take(number, block),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.is_over = true,
            }
        }
        self.is_over
    }

    /// All that has come.
    pub fn into_records(mut self) -> Records {
        for (number, block) in self.come {
            self.records.take(number, block);
        }
        self.records
    }
}

/// Reads all records on a thread of its own, while something is done `meanwhile` with those that have come.
pub fn read_while<T>(
    layout: &Layout,
    width: usize,
    read: impl FnOnce(Sender<Complete>) -> Result<(), Stop> + Send,
    meanwhile: impl FnOnce(&mut Arriving) -> T,
) -> Result<(Records, T), Stop> {
    thread::scope(|scope| {
        let (give, come) = channel();
        let reading = scope.spawn(move || read(give));
        let mut arriving = Arriving::new(layout, width, come);
        let done = meanwhile(&mut arriving);
        match reading.join() {
            Ok(read) => read.map(|()| (arriving.into_records(), done)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// A training of which steps may have been made before all its records were there.
pub struct Early<'a> {
    trainer: Trainer<'a>,
    /// Whether it has made any.
    has_stepped: bool,
    /// How they ended.
    end: Result<(), Stop>,
}

impl<'a> Early<'a> {
    /// Makes steps of the first epoch with the records that have come, until all have. `check` is asked before each of them.
    /// A training that goes on from a checkpoint waits.
    pub fn new(
        mut trainer: Trainer<'a>,
        spec: &TrainingSpec,
        arriving: &mut Arriving,
        check: impl FnMut() -> Result<(), Stop>,
    ) -> Self {
        let before = trainer.steps_made();
        let end = match before {
            0 => steps(&mut trainer, spec, arriving, check),
            _ => Ok(()),
        };
        Self {
            has_stepped: trainer.steps_made() > before,
            trainer,
            end,
        }
    }

    /// The training, where what it has done so far is the beginning of that on these records; nothing where it has to begin
    /// anew.
    pub fn on(self, dataset: &Dataset, spec: &TrainingSpec) -> Result<Option<Trainer<'a>>, Stop> {
        let counts = dataset.begins_by_blocks && has_expected_rates(dataset, spec);
        if self.has_stepped {
            tracing::info!(
                training.id = %spec.id,
                training.step = self.trainer.steps_made(),
                training.counts = counts,
                "steps were made while records came"
            );
            if !counts {
                return Ok(None);
            }
        }
        self.end.map(|()| Some(self.trainer))
    }
}

fn steps(
    trainer: &mut Trainer<'_>,
    spec: &TrainingSpec,
    arriving: &mut Arriving,
    mut check: impl FnMut() -> Result<(), Stop>,
) -> Result<(), Stop> {
    let layout = arriving.records.layout();
    let parts = spec.segment.split.parts(layout.total() as u64);
    // What is wrong with the split is said once all is known.
    let Some(parts) = parts.ok().filter(|_| layout.blocks() > 1) else {
        return Ok(());
    };
    let blocks = order::blocks(&parts.train, layout);
    let size = spec.hyperparameters.batch_size.max(1) as usize;
    let batches = parts.train.len().div_ceil(size) as u64;
    let rate = Rate::new(&spec.hyperparameters, batches, &[]);
    let mut batch = Batch::new(trainer.shapes(), size);
    let mut waiting: Vec<u32> = Vec::new();
    for (number, mut block) in blocks.into_iter().enumerate() {
        if !arriving.has(number) {
            return Ok(());
        }
        block.retain(|index| arriving.records.is_good(*index));
        order::shuffle_block(&mut block, number, spec.seed);
        waiting.append(&mut block);
        let whole = waiting.len() / size * size;
        for indices in waiting[..whole].chunks(size) {
            if arriving.is_over() {
                return Ok(());
            }
            check()?;
            batch.fill(&arriving.records, indices)?;
            trainer.step(&batch, &rate)?;
        }
        waiting.drain(..whole);
    }
    Ok(())
}

/// Whether the learning rates were those of as many records as there are.
fn has_expected_rates(dataset: &Dataset, spec: &TrainingSpec) -> bool {
    let total = dataset.records.layout().total() as u64;
    let expected = spec.segment.split.sizes(total);
    spec.hyperparameters.tuning.schedule == Schedule::Constant
        || expected.is_ok_and(|(train, ..)| train == dataset.train.len() as u64)
}
