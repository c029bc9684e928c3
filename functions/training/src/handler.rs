//! One training from its command to its end.
//!
//! Whatever this process is interrupted in, doing the same again elsewhere ends
//! the same way; what is said twice has the same id.

use chrono::{DateTime, Utc};
use millrace_artifacts::{Store, Stored};
use millrace_kafka::Connection;
use millrace_onnx::{Error as OnnxError, Model, StepGraph};
use millrace_runtime::{Readiness, Reporter, Shutdown};
use millrace_wire::event::{Body, LastVersion};
use millrace_wire::preprocessing::Preprocessing;
use millrace_wire::samples::{Expected, Tolerance};
use millrace_wire::training::TrainingSpec;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::attempts::Attempts;
use crate::checkpoint;
use crate::control::Control;
use crate::dataset::Dataset;
use crate::early::{Early, read_while};
use crate::failure::{Failure, Stop};
use crate::fitting;
use crate::golden::Golden;
use crate::inputs::{self, Inputs};
use crate::keeper::Keeper;
use crate::layout::{BLOCK, Layout};
use crate::options::options;
use crate::patience::Patience;
use crate::report::{self, Report};
use crate::retention::Retention;
use crate::rows::Room;
use crate::segment::{self, Places, Wanted};
use crate::targets::{self, Shapes, Target};
use crate::trainer::{Made, Trained, Trainer};
use crate::turn::{Begin, Commands};
use crate::watching::Watching;

/// The condition of readiness that a training's cluster is.
const CONDITION: &str = "segment";

/// What trainings need of their process.
#[derive(Clone)]
pub struct Handler {
    /// Models, versions and checkpoints.
    pub store: Store,
    /// Where events go.
    pub reporter: Reporter,
    /// What the process says of itself.
    pub readiness: Readiness,
    /// Whether the process shall end.
    pub shutdown: Shutdown,
    /// Runs what is asynchronous.
    pub runtime: Handle,
    /// Where records may lie.
    pub room: Room,
    /// Where trainings ask for their next turns.
    pub commands: Commands,
    /// The process, by an id that no other has or had.
    pub process: Uuid,
    /// The clock.
    pub now: fn() -> DateTime<Utc>,
}

/// How the work on a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The training is over, and that is known.
    Ended,
    /// The training goes on by another command.
    HandedOver,
    /// The training goes on in a process that has taken it over.
    TakenOver,
    /// The training goes on when its command is read again.
    Interrupted,
}

impl Handler {
    /// Runs a training to its end, until its turn is over, or until it shall stop. The commands of its next turns go where
    /// this one came from.
    pub fn run(
        &self,
        spec: &TrainingSpec,
        begin: Begin,
        partition: i32,
        control: &Control,
    ) -> Outcome {
        let report = Report::new(self.reporter.clone(), spec.id, self.now);
        let mut result = self.train(spec, begin, control, &report);
        self.readiness.met(CONDITION);
        if result == Err(Stop::Paused) {
            report.paused();
            let patience = Patience::new(control, &report);
            let sent = self.commands.send_continue(partition, spec, &patience);
            result = sent.and_then(|offset| {
                self.attempts(spec.id).go_on_at(offset);
                Err(Stop::Paused)
            });
        }
        let body = match result {
            Ok(succeeded) => succeeded,
            Err(Stop::Failed(failure)) => report::failed(failure),
            Err(Stop::Cancelled) => Body::TrainingCancelled,
            Err(Stop::Interrupted) => {
                tracing::info!(training.id = %spec.id, "the training is interrupted");
                self.take_back(spec.id);
                return Outcome::Interrupted;
            }
            Err(Stop::Paused) => {
                tracing::info!(training.id = %spec.id, "the training makes way for others");
                return Outcome::HandedOver;
            }
            Err(Stop::TakenOver) => {
                tracing::warn!(training.id = %spec.id, "another process has taken the training over");
                return Outcome::TakenOver;
            }
        };
        if !report.ended(body, &self.shutdown) {
            return Outcome::Interrupted;
        }
        self.forget_checkpoint(spec.id);
        self.attempts(spec.id).forget();
        Outcome::Ended
    }

    /// An attempt that ends in order does not count.
    pub fn take_back(&self, training: Uuid) {
        self.attempts(training).take_back();
    }

    fn attempts(&self, training: Uuid) -> Attempts<'_> {
        Attempts::new(&self.store, &self.runtime, training, self.process)
    }

    /// A command that nobody can read is a training that fails, where it at
    /// least says which.
    pub fn refuse(&self, training: Uuid, reason: String) -> Outcome {
        let report = Report::new(self.reporter.clone(), training, self.now);
        let failure = Failure::new("command", reason);
        self.end(&report, report::failed(failure))
    }

    /// Nothing is known here of a training that shall end: it has ended, then.
    pub fn cancel(&self, training: Uuid) -> Outcome {
        let report = Report::new(self.reporter.clone(), training, self.now);
        self.end(&report, Body::TrainingCancelled)
    }

    /// Ends a training that makes no steps now. What it has left goes, and the command by which it would go on finds that it
    /// shall not.
    pub fn cancel_between_turns(&self, training: Uuid) -> Outcome {
        if self.attempts(training).end_between_turns() {
            self.forget_checkpoint(training);
        }
        self.cancel(training)
    }

    /// Whether a training goes on by a later command than the one at this offset, or not at all.
    pub fn has_gone_on(&self, training: Uuid, offset: i64) -> bool {
        self.attempts(training).has_gone_on(offset)
    }

    fn forget_checkpoint(&self, training: Uuid) {
        let name = checkpoint::name(training);
        if let Err(error) = self.runtime.block_on(self.store.delete_object(&name)) {
            tracing::warn!(training.id = %training, %error, "a checkpoint is left behind");
        }
    }

    fn end(&self, report: &Report, body: Body) -> Outcome {
        if report.ended(body, &self.shutdown) {
            Outcome::Ended
        } else {
            Outcome::Interrupted
        }
    }

    fn train(
        &self,
        spec: &TrainingSpec,
        begin: Begin,
        control: &Control,
        report: &Report,
    ) -> Result<Body, Stop> {
        control.check()?;
        let keeper = Keeper::new(&self.store, &self.runtime, spec);
        let mut checkpoint = keeper.load(begin)?;
        // All that may take the process down comes after it.
        let mut attempts = self.attempts(spec.id);
        attempts.begin(checkpoint.as_ref())?;
        let mut model = self.model(spec)?;
        let preprocessing = &spec.hyperparameters.tuning.preprocessing;
        // What categories make of a record is known once they were seen.
        let is_as_it_comes = |step: &Preprocessing| !matches!(step, Preprocessing::OneHot { .. });
        let mut sized = if preprocessing.iter().all(is_as_it_comes) {
            inputs::sized(&model, &spec.format)?
        } else {
            model.clone()
        };
        let (graph, mut targets) = fitted(&sized, spec)?;
        let mut inputs = None;
        if preprocessing.is_empty() {
            inputs = Some(Inputs::plan(&sized, &graph, &spec.format)?);
        } else if model.is_preprocessed() {
            return Err(Failure::new(
                "preprocessing",
                format!(
                    "version {} of the model begins with preprocessing that stays as it was fitted: train \
                     without preprocessing, or start from a version that has none",
                    spec.version.version
                ),
            )
            .into());
        }
        let retention = Retention::new(spec, report);
        let connection = Connection::new(&spec.connection);
        self.readiness.kafka(CONDITION, &connection);
        let layout = Layout::new(&spec.segment.partitions, BLOCK)?;
        let wanted = Wanted {
            layout: &layout,
            kinds: targets.iter().map(|target| target.kind).collect(),
            inputs: inputs.as_ref(),
            // The first checkpoint is written once all dead letters are.
            with_dead_letters: checkpoint.is_none(),
        };
        let places = Places {
            connection: &connection,
            store: &self.store,
            runtime: &self.runtime,
            room: &self.room,
        };
        let step = checkpoint.as_ref().map(|found| found.progress.step);
        let trainer = |graph, shapes, checkpoint| {
            Trainer::new(graph, shapes, &spec.hyperparameters, spec.seed, checkpoint)
        };
        let read = |complete| {
            let patience = Patience::new(control, report);
            segment::read(spec, &places, &wanted, &patience, complete)
        };
        let width = spec.format.elements();
        let (records, early) = read_while(&layout, width, read, |arriving| {
            // What is fitted to all records needs all of them.
            let inputs = inputs.clone()?;
            let targets = targets.clone();
            let trainer = trainer(&graph, Shapes { inputs, targets }, checkpoint.take());
            Some(trainer.map(|trainer| Early::new(trainer, spec, arriving, || control.check())))
        })?;
        let dataset = Dataset::new(spec, records)?;
        self.readiness.met(CONDITION);
        report.started(&dataset, step);
        let early = match early {
            None => None,
            Some(early) => early?.on(&dataset, spec)?,
        };
        let fitted_graph;
        let mut trainer = match (early, inputs) {
            (Some(trainer), _) => trainer,
            (None, Some(inputs)) => trainer(&graph, Shapes { inputs, targets }, None)?,
            (None, None) => {
                let columns = fitting::fit(preprocessing, &dataset, control)?;
                // Its numbers are fitted to each place of a record, so that no size behind it is open any more.
                sized = fitting::before(&sized, &columns, &spec.format)?;
                model.clone_from(&sized);
                (fitted_graph, targets) = fitted(&sized, spec)?;
                let inputs = Inputs::plan(&sized, &fitted_graph, &spec.format)?;
                fitting::check(&inputs, &dataset, control)?;
                trainer(&fitted_graph, Shapes { inputs, targets }, checkpoint)?
            }
        };
        for epoch in trainer.history() {
            report.epoch_again(epoch);
        }
        let wanted = spec.hyperparameters.tuning.golden_samples;
        let golden = Golden::of(&dataset, trainer.shapes(), wanted)?;
        let mut watch = Watching {
            control,
            report,
            attempts,
            keeper,
            retention: retention.begins(trainer.left(&dataset)),
            has_trained: false,
        };
        control.begins();
        trainer.train(&dataset, &mut watch)?;
        let made = trainer.finish(&dataset)?;
        watch.attempts.check_held()?;
        let succeeded = self.succeeded(&model, made, golden.as_ref(), report)?;
        // A wish that came in the meantime still counts: nothing has been said yet.
        control.check()?;
        Ok(succeeded)
    }

    /// Stores what was made and says so.
    fn succeeded(
        &self,
        model: &Model,
        made: Trained,
        golden: Option<&Golden>,
        report: &Report,
    ) -> Result<Body, Failure> {
        let (stored, samples) = self.store(model, &made.result, golden, report)?;
        let last = match made.last {
            None => None,
            Some(last) => {
                let (stored, samples) = self.store(model, &last, golden, report)?;
                Some(LastVersion {
                    digest: stored.digest,
                    size: stored.size,
                    metrics: last.metrics,
                    samples,
                })
            }
        };
        Ok(Body::TrainingSucceeded {
            digest: stored.digest,
            size: stored.size,
            metrics: made.result.metrics,
            report: made.report,
            last,
            computed_on: made.computed_on,
            samples,
        })
    }

    /// Stores the model with what a training made, and what it answers these records. That it can't answer them costs a
    /// warning, and not the training.
    fn store(
        &self,
        model: &Model,
        made: &Made,
        golden: Option<&Golden>,
        report: &Report,
    ) -> Result<(Stored, Option<Expected>), Failure> {
        let file = model
            .with_parameters(&made.parameters)
            .map_err(|error| Failure::new("model-invalid", error.to_string()))?
            .encode();
        let samples = golden.map(|golden| (golden.count(), golden.answered_by(&file)));
        let stored = self.put("the new version can't be stored", file)?;
        let samples = match samples {
            None => None,
            Some((_, Err(reason))) => {
                report.warned(
                    "samples-left-out",
                    format!("the new version gets no golden samples: {reason}"),
                );
                None
            }
            Some((count, Ok(file))) => {
                let stored = self.put("the new version's golden samples can't be stored", file)?;
                Some(Expected {
                    digest: stored.digest,
                    size: stored.size,
                    count,
                    tolerance: Tolerance::default(),
                })
            }
        };
        Ok((stored, samples))
    }

    fn put(&self, what: &str, file: Vec<u8>) -> Result<Stored, Failure> {
        self.runtime
            .block_on(self.store.put_bytes(file.into()))
            .map_err(|error| Failure::artifact(what, &error))
    }

    fn model(&self, spec: &TrainingSpec) -> Result<Model, Failure> {
        let bytes = self
            .runtime
            .block_on(self.store.get_bytes(&spec.version.digest))
            .map_err(|error| {
                let what = format!(
                    "version {} of the model {} can't be read",
                    spec.version.version, spec.model
                );
                Failure::artifact(&what, &error)
            })?;
        Model::decode(bytes).map_err(|error| Failure::new("model-invalid", error.to_string()))
    }
}

/// The step graph of a model, and how the labels fit it.
fn fitted(model: &Model, spec: &TrainingSpec) -> Result<(StepGraph, Vec<Target>), Failure> {
    let options = options(&spec.hyperparameters, millrace_engine::lowering());
    let graph = StepGraph::build(model, &options).map_err(|error| graph_failure(&error))?;
    let targets = targets::plan(&graph, &spec.hyperparameters.goals(), &spec.label)?;
    Ok((graph, targets))
}

fn graph_failure(error: &OnnxError) -> Failure {
    let code = match error {
        OnnxError::NotTrainable(_) => "model-not-trainable",
        _ => "model-invalid",
    };
    Failure::new(code, error.to_string())
}
