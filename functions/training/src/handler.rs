//! One training from its command to its end.
//!
//! Whatever this process is interrupted in, doing the same again elsewhere ends
//! the same way; what is said twice has the same id.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use millrace_artifacts::{Error as ArtifactError, Store, Stored, digest_of};
use millrace_kafka::Connection;
use millrace_onnx::{Error as OnnxError, Model, StepGraph};
use millrace_runtime::{Readiness, Reporter, Shutdown};
use millrace_wire::event::{Body, Epoch, LastVersion};
use millrace_wire::training::TrainingSpec;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::attempts::Attempts;
use crate::checkpoint::{self, Checkpoint, Progress};
use crate::control::Control;
use crate::failure::{Failure, Stop};
use crate::fitting;
use crate::options::options;
use crate::patience::Patience;
use crate::report::{self, Report};
use crate::retention::Retention;
use crate::rows::Room;
use crate::segment::{self, Places};
use crate::shape::Shapes;
use crate::trainer::{Made, Trainer, Watch};

/// The least time between two checkpoints: what a killed process loses.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(2);
/// Writing checkpoints takes at most one part in so many of the time.
const CHECKPOINT_SHARE: u32 = 20;
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
    /// The clock.
    pub now: fn() -> DateTime<Utc>,
}

/// How the work on a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The training is over, and that is known.
    Ended,
    /// The training goes on elsewhere.
    Interrupted,
}

impl Handler {
    /// Runs a training to its end, or until it shall stop.
    pub fn run(&self, spec: &TrainingSpec, control: &Control) -> Outcome {
        let report = Report::new(self.reporter.clone(), spec.id, self.now);
        let result = self.train(spec, control, &report);
        self.readiness.met(CONDITION);
        let body = match result {
            Ok(succeeded) => succeeded,
            Err(Stop::Failed(failure)) => report::failed(failure),
            Err(Stop::Cancelled) => Body::TrainingCancelled,
            Err(Stop::Interrupted) => {
                tracing::info!(training.id = %spec.id, "the training is interrupted");
                self.take_back(spec.id);
                return Outcome::Interrupted;
            }
        };
        if !report.ended(body, &self.shutdown) {
            return Outcome::Interrupted;
        }
        let name = checkpoint::name(spec.id);
        if let Err(error) = self.runtime.block_on(self.store.delete_object(&name)) {
            tracing::warn!(training.id = %spec.id, %error, "a checkpoint is left behind");
        }
        self.attempts(spec.id).forget();
        Outcome::Ended
    }

    /// An attempt that ends in order does not count.
    pub fn take_back(&self, training: Uuid) {
        self.attempts(training).take_back();
    }

    fn attempts(&self, training: Uuid) -> Attempts<'_> {
        Attempts::new(&self.store, &self.runtime, training)
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

    fn end(&self, report: &Report, body: Body) -> Outcome {
        if report.ended(body, &self.shutdown) {
            Outcome::Ended
        } else {
            Outcome::Interrupted
        }
    }

    fn train(&self, spec: &TrainingSpec, control: &Control, report: &Report) -> Result<Body, Stop> {
        control.check()?;
        let keeper = Keeper::new(self, spec);
        let checkpoint = keeper.load();
        // All that may take the process down comes after it.
        self.attempts(spec.id).begin(checkpoint.as_ref())?;
        let mut model = self.model(spec)?;
        let (mut graph, mut shapes) = fitted(&model, spec)?;
        let preprocessing = &spec.hyperparameters.tuning.preprocessing;
        if preprocessing.is_empty() {
            shapes.check(&spec.format)?;
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
        let patience = Patience::new(control, report);
        // The first checkpoint is written once all dead letters are.
        let with_dead_letters = checkpoint.is_none();
        let target = shapes.target.clone();
        let places = Places {
            connection: &connection,
            store: &self.store,
            runtime: &self.runtime,
            room: &self.room,
        };
        let dataset = segment::read(spec, &places, target, with_dead_letters, &patience)?;
        self.readiness.met(CONDITION);
        report.started(&dataset);
        if !preprocessing.is_empty() {
            let columns = fitting::fit(preprocessing, &dataset, control)?;
            model = model
                .with_preprocessing(&columns)
                .map_err(|error| Failure::new("preprocessing", error.to_string()))?;
            (graph, shapes) = fitted(&model, spec)?;
            shapes.check(&spec.format)?;
        }
        for epoch in checkpoint.iter().flat_map(|found| &found.progress.history) {
            report.epoch_again(epoch);
        }
        let mut trainer = Trainer::new(
            &graph,
            shapes,
            &dataset,
            &spec.hyperparameters,
            spec.seed,
            checkpoint,
        )?;
        let mut watch = Watching {
            control,
            report,
            keeper,
            retention: retention.begins(trainer.left()),
        };
        trainer.train(&mut watch)?;
        let made = trainer.finish()?;
        let stored = self.store(&model, &made.result)?;
        let last = match made.last {
            None => None,
            Some(last) => {
                let stored = self.store(&model, &last)?;
                Some(LastVersion {
                    digest: stored.digest,
                    size: stored.size,
                    metrics: last.metrics,
                })
            }
        };
        // A wish that came in the meantime still counts: nothing has been said yet.
        control.check()?;
        Ok(Body::TrainingSucceeded {
            digest: stored.digest,
            size: stored.size,
            metrics: made.result.metrics,
            report: made.report,
            last,
            computed_on: made.computed_on,
        })
    }

    /// Stores the model with what a training made.
    fn store(&self, model: &Model, made: &Made) -> Result<Stored, Failure> {
        let file = model
            .with_parameters(&made.parameters)
            .map_err(|error| Failure::new("model-invalid", error.to_string()))?
            .encode();
        self.runtime
            .block_on(self.store.put_bytes(file.into()))
            .map_err(|error| Failure::artifact("the new version can't be stored", &error))
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
fn fitted(model: &Model, spec: &TrainingSpec) -> Result<(StepGraph, Shapes), Failure> {
    let options = options(&spec.hyperparameters, millrace_engine::lowering());
    let graph = StepGraph::build(model, &options).map_err(|error| graph_failure(&error))?;
    let shapes = Shapes::new(&graph, &spec.label)?;
    Ok((graph, shapes))
}

fn graph_failure(error: &OnnxError) -> Failure {
    let code = match error {
        OnnxError::NotTrainable(_) => "model-not-trainable",
        _ => "model-invalid",
    };
    Failure::new(code, error.to_string())
}

/// Keeps a training's checkpoint.
struct Keeper<'a> {
    handler: &'a Handler,
    spec: &'a TrainingSpec,
    /// The digest of the specification, by which a checkpoint is known.
    digest: String,
    next: Instant,
}

impl<'a> Keeper<'a> {
    fn new(handler: &'a Handler, spec: &'a TrainingSpec) -> Self {
        // Connections may change in between (another address, another secret): they don't count.
        let mut identity = spec.clone();
        identity.connection.clear();
        let identity = serde_json::to_vec(&identity).expect("a wire type always serialises");
        Self {
            handler,
            spec,
            digest: digest_of(&identity),
            next: Instant::now(),
        }
    }

    /// The checkpoint, where there is one of use.
    fn load(&self) -> Option<Checkpoint> {
        let name = checkpoint::name(self.spec.id);
        let id = self.spec.id;
        let bytes = match self
            .handler
            .runtime
            .block_on(self.handler.store.get_object(&name))
        {
            Ok(bytes) => bytes,
            Err(ArtifactError::NotFound(_)) => return None,
            Err(error) => {
                tracing::warn!(training.id = %id, %error, "the checkpoint can't be read: the training starts anew");
                return None;
            }
        };
        match Checkpoint::decode(&bytes, &self.digest) {
            Ok(checkpoint) => {
                let Progress {
                    epoch,
                    step,
                    computed_on,
                    ..
                } = &checkpoint.progress;
                tracing::info!(training.id = %id, training.epoch = epoch, training.step = step, "the training goes on from its checkpoint");
                let here = millrace_engine::arithmetic();
                if !computed_on.contains(&here) {
                    tracing::warn!(training.id = %id, here, before = ?computed_on, "the training goes on on other instructions: its result will not be the bytes of one that ran through");
                }
                Some(checkpoint)
            }
            Err(reason) => {
                tracing::warn!(training.id = %id, reason, "the checkpoint is of no use: the training starts anew");
                None
            }
        }
    }

    fn save(&mut self, bytes: Bytes) {
        let name = checkpoint::name(self.spec.id);
        let started = Instant::now();
        let saved = self
            .handler
            .runtime
            .block_on(self.handler.store.put_object(&name, bytes));
        // The training itself needs no checkpoint: the next one may succeed.
        if let Err(error) = saved {
            tracing::warn!(training.id = %self.spec.id, %error, "no checkpoint could be written");
        }
        let pause = CHECKPOINT_INTERVAL.max(started.elapsed() * CHECKPOINT_SHARE);
        self.next = Instant::now() + pause;
    }
}

/// Looks on while a training runs.
struct Watching<'a> {
    control: &'a Control,
    report: &'a Report,
    keeper: Keeper<'a>,
    retention: Retention<'a>,
}

impl Watch for Watching<'_> {
    fn check(&self) -> Result<(), Stop> {
        self.control.check()
    }

    fn trained(&mut self, records: usize) {
        metrics::counter!("millrace_training_records_total").increment(records as u64);
        metrics::counter!("millrace_training_steps_total").increment(1);
        self.retention.trained(records as u64);
    }

    fn epoch(&mut self, epoch: &Epoch) {
        self.report.epoch(epoch);
    }

    fn wants_checkpoint(&self) -> bool {
        Instant::now() >= self.keeper.next
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        self.keeper.save(checkpoint.encode(&self.keeper.digest));
    }
}
