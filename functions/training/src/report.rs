//! What a training says of itself: events, logs and metrics, under one id.

use chrono::{DateTime, Utc};
use millrace_runtime::{Reporter, Shutdown};
use millrace_wire::event::{Body, Epoch, Event};
use uuid::Uuid;

use crate::dataset::Dataset;
use crate::failure::Failure;

/// The voice of one training.
pub struct Report {
    reporter: Reporter,
    training: Uuid,
    now: fn() -> DateTime<Utc>,
}

impl Report {
    /// A voice for `training`.
    pub fn new(reporter: Reporter, training: Uuid, now: fn() -> DateTime<Utc>) -> Self {
        Self {
            reporter,
            training,
            now,
        }
    }

    /// The segment is in memory, and the training begins, or goes on after a step: each time is a fact of its own, which ends
    /// a wait.
    pub fn started(&self, dataset: &Dataset, step: Option<u64>) {
        tracing::info!(
            training.id = %self.training,
            records.train = dataset.train.len(),
            records.validation = dataset.validation.len(),
            records.test = dataset.test.len(),
            records.bad = dataset.bad,
            "the training runs"
        );
        let body = Body::TrainingStarted {
            train: dataset.train.len() as u64,
            validation: dataset.validation.len() as u64,
            test: dataset.test.len() as u64,
            bad: dataset.bad,
        };
        match step {
            None => self.send("started", body),
            Some(step) => self.send(&format!("started-{step}"), body),
        }
    }

    /// The present, by the training's clock.
    pub fn now(&self) -> DateTime<Utc> {
        (self.now)()
    }

    /// The training goes on, but something is not as it should be.
    pub fn warned(&self, code: &'static str, message: String) {
        tracing::warn!(training.id = %self.training, code, "{message}");
        metrics::counter!("millrace_training_warnings_total", "code" => code).increment(1);
        let code = code.to_owned();
        let distinction = format!("warned-{code}");
        self.send(&distinction, Body::TrainingWarned { code, message });
    }

    /// The training waits for something outside. Each wait is a fact of its own.
    pub fn waiting(&self, message: String) {
        tracing::warn!(training.id = %self.training, "the training waits: {message}");
        let distinction = format!("waiting-{}", (self.now)().timestamp_micros());
        self.send(&distinction, Body::TrainingWaiting { message });
    }

    /// The training makes way for others.
    pub fn paused(&self) {
        self.waiting(
            "it has made way for another training, and waits for its next turn".to_owned(),
        );
    }

    /// An epoch ended.
    pub fn epoch(&self, epoch: &Epoch) {
        tracing::info!(
            training.id = %self.training,
            training.epoch = epoch.epoch,
            training.records_per_second = epoch.records_per_second,
            training.metrics = ?epoch.metrics,
            "an epoch ended"
        );
        self.epoch_again(epoch);
    }

    /// An epoch ended earlier; whether that was heard is not known.
    pub fn epoch_again(&self, epoch: &Epoch) {
        let distinction = format!("epoch-{}", epoch.epoch);
        self.send(&distinction, Body::TrainingEpoch(epoch.clone()));
    }

    /// The training ended. Returns whether that, and all said before, has
    /// arrived: not where the process shall end and Kafka stays away.
    pub fn ended(&self, body: Body, shutdown: &Shutdown) -> bool {
        let (name, reason) = match &body {
            Body::TrainingSucceeded { .. } => ("succeeded", None),
            Body::TrainingFailed { message, .. } => ("failed", Some(message.as_str())),
            _ => ("cancelled", None),
        };
        tracing::info!(training.id = %self.training, training.result = name, reason, "the training ended");
        metrics::counter!("millrace_trainings_total", "result" => name).increment(1);
        let event = Event::new(self.training, name, (self.now)(), body);
        self.reporter.report_and_wait(event, shutdown)
    }

    fn send(&self, distinction: &str, body: Body) {
        let event = Event::new(self.training, distinction, (self.now)(), body);
        self.reporter.report(event);
    }
}

/// The event of a failure.
pub fn failed(failure: Failure) -> Body {
    Body::TrainingFailed {
        code: failure.code.to_owned(),
        message: failure.message,
    }
}
