//! The training itself: epochs of mini-batches through the step graph.
//!
//! What comes out depends on the model, the records, the hyper-parameters and
//! the seed alone: not on the time, not on threads, and not on where the
//! training was interrupted. That holds on one set of instructions; those that
//! were at work are noted.

use std::collections::BTreeMap;
use std::time::Instant;

use millrace_engine::{
    Carried, Data, Error as EngineError, Outputs, Session, SessionOptions, Slice, StepSession,
    Tensor, View,
};
use millrace_onnx::StepGraph;
use millrace_onnx::step::names;
use millrace_wire::event::{ClassReport, Epoch};
use millrace_wire::training::Hyperparameters;

use crate::ahead::each_batch;
use crate::batch::Batch;
use crate::checkpoint::{Checkpoint, Progress};
use crate::dataset::Dataset;
use crate::failure::{Failure, Stop};
use crate::judge::Judge;
use crate::order;
use crate::rate::Rate;
use crate::records::Records;
use crate::score::{Score, correct};
use crate::stopping;
use crate::targets::{Shapes, Target};

/// The most threads of one step: a pool runs as many trainings at once as it
/// has partitions, and small models gain little from a third.
const MOST_THREADS: usize = 2;
/// Records that one evaluation takes at once.
const EVALUATION_BATCH: usize = 256;

/// Who looks on while a training runs.
pub trait Watch {
    /// An error once the training shall stop.
    fn check(&self) -> Result<(), Stop>;
    /// Steps were made on so many records.
    fn trained(&mut self, records: usize);
    /// An epoch ended.
    fn epoch(&mut self, epoch: &Epoch);
    /// Whether a checkpoint should be written now.
    fn wants_checkpoint(&self) -> bool;
    /// Writes a checkpoint and says whether it is kept. One that can't be written is the watcher's sorrow.
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<bool, Stop>;
}

/// A training under way.
pub struct Trainer<'a> {
    graph: &'a StepGraph,
    hyperparameters: &'a Hyperparameters,
    seed: u64,
    shapes: Shapes,
    steps: StepSession,
    evaluation: Session,
    progress: Progress,
    /// Parameters and state after the best epoch, where that is kept.
    best: Vec<(String, Tensor)>,
}

impl<'a> Trainer<'a> {
    /// Gets ready to train, from a checkpoint where there is one.
    pub fn new(
        graph: &'a StepGraph,
        shapes: Shapes,
        hyperparameters: &'a Hyperparameters,
        seed: u64,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Self, Failure> {
        let mut steps =
            StepSession::from_bytes(&graph.step.encode(), threads(graph), &Carried::all(graph))
                .map_err(|error| refused(&error))?;
        // Its operators are the standard ones, which several threads compute otherwise.
        let options = SessionOptions {
            threads: 1,
            flush_to_zero: true,
        };
        let evaluation = Session::from_bytes(&graph.evaluation.encode(), &options)
            .map_err(|error| refused(&error))?;
        let mut progress = Progress::default();
        let mut best = Vec::new();
        if let Some(checkpoint) = checkpoint {
            steps
                .import(&checkpoint.tensors)
                .map_err(|error| refused(&error))?;
            progress = checkpoint.progress;
            best = checkpoint.best;
        }
        let arithmetic = millrace_engine::arithmetic();
        if !progress.computed_on.contains(&arithmetic) {
            progress.computed_on.push(arithmetic);
        }
        Ok(Self {
            graph,
            hyperparameters,
            seed,
            shapes,
            steps,
            evaluation,
            progress,
            best,
        })
    }

    /// How many steps were made, those before a checkpoint included.
    pub fn steps_made(&self) -> u64 {
        self.progress.step
    }

    /// What was reported of the epochs done.
    pub fn history(&self) -> &[Epoch] {
        &self.progress.history
    }

    /// How records go into the step graph.
    pub fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    /// Trains to the end of the last epoch, or until more of them are of no use.
    pub fn train(&mut self, dataset: &Dataset, watch: &mut dyn Watch) -> Result<(), Stop> {
        let size = self.hyperparameters.batch_size.max(1) as usize;
        let batches = dataset.train.len().div_ceil(size) as u64;
        let mut rate = Rate::new(self.hyperparameters, batches, &self.progress.history);
        while self.progress.epoch < self.hyperparameters.epochs && !self.is_enough()? {
            let order = self.order(dataset);
            let done = (self.progress.batch as usize * size).min(order.len());
            let started = Instant::now();
            let shapes = self.shapes.clone();
            let records = &dataset.records;
            each_batch(records, &shapes, &order[done..], size, |batch| {
                match watch.check() {
                    // Without a checkpoint it could not go on later, and so goes on now.
                    Err(Stop::Paused) => {
                        if watch.checkpoint(&self.checkpoint()?)? {
                            return Err(Stop::Paused);
                        }
                    }
                    Err(Stop::Interrupted) => {
                        watch.checkpoint(&self.checkpoint()?)?;
                        return Err(Stop::Interrupted);
                    }
                    Err(stop) => return Err(stop),
                    Ok(()) if watch.wants_checkpoint() => {
                        watch.checkpoint(&self.checkpoint()?)?;
                    }
                    Ok(()) => {}
                }
                self.step(batch, &rate)?;
                watch.trained(batch.len());
                Ok(())
            })?;
            let epoch = self.end_epoch(dataset, order.len() - done, started)?;
            rate.observe(&epoch);
            watch.epoch(&epoch);
        }
        Ok(())
    }

    /// How many records are still to be trained on, those of later epochs included.
    pub fn left(&self, dataset: &Dataset) -> u64 {
        let epoch = dataset.train.len() as u64;
        let size = u64::from(self.hyperparameters.batch_size.max(1));
        let done = u64::from(self.progress.epoch) * epoch + u64::from(self.progress.batch) * size;
        (u64::from(self.hyperparameters.epochs) * epoch).saturating_sub(done)
    }

    /// Whether the epochs done say that the rest is of no use.
    fn is_enough(&self) -> Result<bool, Failure> {
        let Some(stopping) = &self.hyperparameters.early_stopping else {
            return Ok(false);
        };
        let verdict = stopping::judge(stopping, &self.progress.history, self.progress.best)?;
        Ok(verdict.is_enough)
    }

    /// Notes whether the epoch that has just ended is the best.
    fn compare(&mut self) -> Result<(), Failure> {
        let Some(stopping) = &self.hyperparameters.early_stopping else {
            return Ok(());
        };
        let verdict = stopping::judge(stopping, &self.progress.history, self.progress.best)?;
        if verdict.is_best {
            self.progress.best = Some(self.progress.epoch);
            if stopping.restore_best {
                self.best = self.steps.export().map_err(|error| failed(&error))?;
            }
        }
        Ok(())
    }

    /// The order of the training part in the epoch under way.
    fn order(&self, dataset: &Dataset) -> Vec<u32> {
        match self.progress.epoch {
            0 if dataset.begins_by_blocks => {
                order::by_blocks(&dataset.train, dataset.records.layout(), self.seed)
            }
            epoch => order::whole(&dataset.train, self.seed, epoch),
        }
    }

    /// Makes one step on a batch.
    pub fn step(&mut self, batch: &Batch, rate: &Rate) -> Result<(), Failure> {
        let number = self.progress.step + 1;
        let rate = [rate.at(number)];
        let step = [i64::try_from(number).unwrap_or(i64::MAX)];
        let seed = [self.seed.cast_signed()];
        let mut fed = batch.feed(&self.shapes.targets);
        fed.extend([
            (names::LEARNING_RATE, View::new([], Slice::F32(&rate))),
            (names::STEP, View::new([], Slice::I64(&step))),
            (names::SEED, View::new([], Slice::I64(&seed))),
        ]);
        let outputs = self.steps.step(&fed).map_err(|error| failed(&error))?;
        let targets = &self.shapes.targets;
        let loss = add(&mut self.progress.score, targets, &outputs, batch)?;
        if !loss.is_finite() {
            return Err(Failure::new(
                "loss-not-finite",
                format!(
                    "the loss is {loss} at step {number}, in epoch {} of {}: lower the learning rate, \
                     bring the inputs nearer to 1, or see whether a record holds NaN or infinity",
                    self.progress.epoch + 1,
                    self.hyperparameters.epochs
                ),
            ));
        }
        self.progress.step = number;
        self.progress.batch += 1;
        metrics::counter!("millrace_training_records_total").increment(batch.len() as u64);
        metrics::counter!("millrace_training_steps_total").increment(1);
        Ok(())
    }

    /// Closes the epoch under way; `records` were trained since `started`.
    fn end_epoch(
        &mut self,
        dataset: &Dataset,
        records: usize,
        started: Instant,
    ) -> Result<Epoch, Failure> {
        let seconds = started.elapsed().as_secs_f64().max(1e-9);
        let mut metrics = BTreeMap::new();
        let targets = self.shapes.targets.iter();
        let targets = targets.map(|target| (&*target.suffix, target.weight));
        self.progress.score.write(targets, &mut metrics);
        self.evaluate("validation_", &dataset.records, &dataset.validation)?
            .write("validation_", &mut metrics);
        #[allow(clippy::cast_precision_loss, reason = "fewer than 2^32 records")]
        let records_per_second = records as f64 / seconds;
        let epoch = Epoch {
            epoch: self.progress.epoch + 1,
            epochs: self.hyperparameters.epochs,
            step: self.progress.step,
            records_per_second,
            metrics,
        };
        self.progress.epoch += 1;
        self.progress.batch = 0;
        self.progress.score = Score::default();
        self.progress.history.push(epoch.clone());
        self.compare()?;
        Ok(epoch)
    }

    /// Judges the parameters by a part of the records; `prefix` is of the names of its metrics.
    fn evaluate(
        &mut self,
        prefix: &str,
        records: &Records,
        part: &[u32],
    ) -> Result<Judge, Failure> {
        let Shapes { targets, .. } = &self.shapes;
        let mut judge = Judge::new(targets);
        each_batch(records, &self.shapes, part, EVALUATION_BATCH, |batch| {
            let outputs = self
                .steps
                .evaluate(&mut self.evaluation, &batch.feed(targets))
                .map_err(|error| failed(&error))?;
            let loss = loss_of(&outputs, names::LOSS)?;
            if loss.is_finite() {
                judge.add(batch.len());
                for (number, target) in targets.iter().enumerate() {
                    let loss = loss_of(&outputs, &target.loss)?;
                    let prediction = outputs.get(&target.prediction);
                    let prediction = prediction.map_err(|error| failed(&error))?;
                    judge.add_prediction(number, target, batch, loss, &prediction);
                }
                return Ok(());
            }
            Err(Failure::new(
                "loss-not-finite",
                format!(
                    "the {prefix}loss is {loss} after step {}: lower the learning rate",
                    self.progress.step
                ),
            ))
        })?;
        Ok(judge)
    }

    /// All that is needed to go on from here.
    fn checkpoint(&self) -> Result<Checkpoint, Failure> {
        Ok(Checkpoint {
            progress: self.progress.clone(),
            tensors: self.steps.export().map_err(|error| failed(&error))?,
            best: self.best.clone(),
        })
    }

    /// What was made: that of the best epoch, where it is kept, and that of the last one.
    pub fn finish(mut self, dataset: &Dataset) -> Result<Trained, Failure> {
        let exported = self.steps.export().map_err(|error| failed(&error))?;
        let last = self.made(exported, self.progress.epoch)?;
        let best = match self.progress.best {
            Some(epoch) if !self.best.is_empty() && epoch < self.progress.epoch => {
                let tensors = std::mem::take(&mut self.best);
                self.steps
                    .import(&tensors)
                    .map_err(|error| failed(&error))?;
                Some(self.made(tensors, epoch)?)
            }
            _ => None,
        };
        let (mut result, last) = match best {
            Some(best) => (best, Some(last)),
            None => (last, None),
        };
        let judge = self.evaluate("test_", &dataset.records, &dataset.test)?;
        judge.write("test_", &mut result.metrics);
        Ok(Trained {
            result,
            last,
            report: judge.report(),
            computed_on: self.progress.computed_on,
        })
    }

    /// The parameters, running statistics and metrics of an epoch.
    fn made(&self, tensors: Vec<(String, Tensor)>, epoch: u32) -> Result<Made, Failure> {
        let mut parameters = BTreeMap::new();
        for (name, tensor) in tensors {
            let mut kept = self.graph.parameters.iter().chain(&self.graph.statistics);
            if let Data::F32(numbers) = tensor.data
                && kept.any(|tensor| tensor.name == name)
            {
                if !numbers.iter().all(|number| number.is_finite()) {
                    return Err(Failure::new(
                        "loss-not-finite",
                        format!(
                            "the last step, {}, left numbers in `{name}` that are not finite: \
                             lower the learning rate",
                            self.progress.step
                        ),
                    ));
                }
                parameters.insert(name, numbers);
            }
        }
        let mut history = self.progress.history.iter();
        let epoch = history.find(|done| done.epoch == epoch);
        Ok(Made {
            parameters,
            metrics: epoch.map(|epoch| epoch.metrics.clone()).unwrap_or_default(),
        })
    }
}

/// What a training has made.
pub struct Trained {
    /// The result, with the metrics of the test part.
    pub result: Made,
    /// What it was after the last epoch, where the result is an earlier one's.
    pub last: Option<Made>,
    /// What the test part says of each class.
    pub report: Option<ClassReport>,
    /// With what it was computed, see [`Progress::computed_on`].
    pub computed_on: Vec<String>,
}

/// A model after an epoch.
pub struct Made {
    /// The parameters and running statistics by name.
    pub parameters: BTreeMap<String, Vec<f32>>,
    /// Metrics by name.
    pub metrics: BTreeMap<String, f64>,
}

/// Adds a run's losses and hits to a score, and returns the loss.
fn add(
    score: &mut Score,
    targets: &[Target],
    outputs: &Outputs<'_>,
    batch: &Batch,
) -> Result<f32, Failure> {
    let loss = loss_of(outputs, names::LOSS)?;
    score.add(batch.len());
    for (number, target) in targets.iter().enumerate() {
        let correct = match batch.classes(number) {
            None => None,
            Some(classes) => {
                let prediction = outputs
                    .get(&target.prediction)
                    .map_err(|error| failed(&error))?;
                correct(&prediction, classes)
            }
        };
        let own = loss_of(outputs, &target.loss)?;
        score.add_part(number, batch.mass(number, target), own, correct);
    }
    Ok(loss)
}

/// The loss of this name.
fn loss_of(outputs: &Outputs<'_>, name: &str) -> Result<f32, Failure> {
    let loss = outputs.get(name).map_err(|error| failed(&error))?;
    let loss = loss.as_f32().and_then(|loss| loss.first().copied());
    loss.ok_or_else(|| Failure::new("model-run", "the step graph gives no loss"))
}

/// As many threads as make the same bytes as one.
fn threads(graph: &StepGraph) -> usize {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    if graph.is_same_on_threads() {
        available.min(MOST_THREADS)
    } else {
        1
    }
}

fn refused(error: &EngineError) -> Failure {
    Failure::new(
        "model-refused",
        format!("the model can't be trained here: {error}"),
    )
}

fn failed(error: &EngineError) -> Failure {
    Failure::new("model-run", format!("a training step failed: {error}"))
}
