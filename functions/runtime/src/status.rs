//! What a replica of an inference says of itself: running, degraded (and why), how far it is.
//!
//! Invariant: each change is reported once: a problem when it appears (or its sentence changes),
//! and that the replica runs when the last problem is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use millrace_wire::event::{Body, Event};
use millrace_wire::progress::{Behind, Progress, RECORDS, SECONDS, Stage};
use uuid::Uuid;

use crate::readiness::Readiness;
use crate::report::Reporter;

/// How often progress is reported, where there is any.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);
/// How often it is reported where there is none, so that silence means something.
const IDLE_INTERVAL: Duration = Duration::from_secs(5);

/// A replica's status; clones share it.
#[derive(Clone)]
pub struct Status {
    shared: Arc<Shared>,
}

struct Shared {
    subject: Uuid,
    ordinal: u32,
    reporter: Reporter,
    readiness: Readiness,
    state: Mutex<State>,
}

struct State {
    problems: BTreeMap<&'static str, String>,
    /// The version that was last reported as running; none while degraded or not yet running.
    running: Option<u32>,
    version: Option<u32>,
    /// What was done, as heartbeats tell it.
    progress: Progress,
    /// How many records were done with when a heartbeat told it last.
    reported: Option<u64>,
    last_progress: Instant,
    /// How many events were reported: part of each one's identity.
    events: u64,
}

/// Records that were done with since the last commit.
#[derive(Debug, Default)]
pub struct Done {
    /// Those that were predicted.
    pub predicted: u64,
    /// Those that were handed on to the next model.
    pub handed_on: u64,
    /// Those that became dead letters, by the code of what is wrong with them.
    pub refused: BTreeMap<&'static str, u64>,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Became {
    /// It was predicted.
    Predicted,
    /// It was handed on to the next model.
    HandedOn,
    /// It is a dead letter, with the code of what is wrong with it.
    Refused(&'static str),
}

impl Done {
    pub(crate) fn add(&mut self, became: Became) {
        match became {
            Became::Predicted => self.predicted += 1,
            Became::HandedOn => self.handed_on += 1,
            Became::Refused(code) => *self.refused.entry(code).or_default() += 1,
        }
    }
}

impl State {
    fn took(&mut self, stage: Stage, duration: Duration) {
        metrics::histogram!("millrace_stage_seconds", "stage" => stage.name()).record(duration);
        let histogram = self.progress.stages.entry(stage).or_default();
        histogram.add(&SECONDS, duration.as_secs_f64());
    }
}

impl Status {
    /// The status of replica `ordinal` of the inference `subject`.
    #[must_use]
    pub fn new(subject: Uuid, ordinal: u32, reporter: Reporter, readiness: Readiness) -> Self {
        readiness.unmet("records", "the replica does not read records yet");
        Self {
            shared: Arc::new(Shared {
                subject,
                ordinal,
                reporter,
                readiness,
                state: Mutex::new(State {
                    problems: BTreeMap::new(),
                    running: None,
                    version: None,
                    progress: Progress {
                        ordinal,
                        since: Utc::now(),
                        ..Progress::default()
                    },
                    reported: None,
                    last_progress: Instant::now(),
                    events: 0,
                }),
            }),
        }
    }

    /// The replica reads records, and answers with this version from now on.
    pub fn answers_with(&self, version: u32) {
        let mut state = self.lock();
        if state.version == Some(version) {
            return;
        }
        state.version = Some(version);
        self.shared.readiness.met("records");
        metrics::gauge!("millrace_model_version").set(f64::from(version));
        self.report_running(&mut state);
    }

    /// Something keeps the replica from what it should do. `code` is short and stable, `message`
    /// says whose fault it is and what to do.
    pub fn degraded(&self, code: &'static str, message: impl Into<String>) {
        let message = message.into();
        let mut state = self.lock();
        if state.problems.get(code) == Some(&message) {
            return;
        }
        tracing::warn!(problem = code, "{message}");
        self.shared.readiness.unmet(code, message.clone());
        state.problems.insert(code, message.clone());
        state.running = None;
        let body = Body::InferenceDegraded {
            ordinal: self.shared.ordinal,
            code: code.to_owned(),
            message,
        };
        self.send(&mut state, body);
    }

    /// What was said of this problem, if it is known.
    #[must_use]
    pub(crate) fn message(&self, code: &str) -> Option<String> {
        self.lock().problems.get(code).cloned()
    }

    /// Waits until all that was reported is acknowledged, at most `limit`, and says whether it was.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        self.shared.reporter.flush(limit)
    }

    /// Whether this problem is known.
    #[must_use]
    pub fn knows(&self, code: &'static str) -> bool {
        self.lock().problems.contains_key(code)
    }

    /// The problem `code` is over, if there was one.
    pub fn recovered(&self, code: &'static str) {
        let mut state = self.lock();
        if state.problems.remove(code).is_none() {
            return;
        }
        tracing::info!(problem = code, "the problem is over");
        self.shared.readiness.met(code);
        // With other problems left, the one that still holds is said again, so that whoever looks
        // at the newest event sees what is the matter now.
        let remaining = state
            .problems
            .iter()
            .next()
            .map(|(code, message)| ((*code).to_owned(), message.clone()));
        if let Some((code, message)) = remaining {
            let body = Body::InferenceDegraded {
                ordinal: self.shared.ordinal,
                code,
                message,
            };
            self.send(&mut state, body);
        } else {
            self.report_running(&mut state);
        }
    }

    /// Adds a batch of so many records that was answered, and how long the stages of that took.
    pub fn answered(&self, records: usize, stages: &[(Stage, Duration)]) {
        let records = precise(records);
        metrics::histogram!("millrace_batch_records").record(records);
        let mut state = self.lock();
        state.progress.batches.add(&RECORDS, records);
        for (stage, duration) in stages {
            state.took(*stage, *duration);
        }
    }

    /// Adds what was committed, and how long that took.
    pub fn committed(&self, done: Done, duration: Duration) {
        let Done {
            predicted,
            handed_on,
            refused,
        } = done;
        metrics::counter!("millrace_commits_total").increment(1);
        metrics::counter!("millrace_records_predicted_total").increment(predicted);
        metrics::counter!("millrace_records_handed_on_total").increment(handed_on);
        let mut state = self.lock();
        state.took(Stage::Commit, duration);
        let progress = &mut state.progress;
        progress.predicted += predicted;
        progress.handed_on += handed_on;
        for (code, count) in refused {
            metrics::counter!("millrace_records_dead_lettered_total", "code" => code)
                .increment(count);
            progress.dead_lettered += count;
            *progress.errors.entry(code.to_owned()).or_default() += count;
        }
    }

    /// Reports from time to time what was done and how far the replica is behind. Call it often.
    pub fn report(&self, behind: impl FnOnce() -> Vec<Behind>) {
        let mut state = self.lock();
        let due = if state.reported == Some(state.progress.records()) {
            state.last_progress + IDLE_INTERVAL
        } else {
            state.last_progress + PROGRESS_INTERVAL
        };
        if Instant::now() >= due {
            state.progress.partitions = behind();
            self.report_progress(&mut state);
        }
    }

    /// Reports the last totals before the end, and waits a moment for the acknowledgement.
    pub fn finish(&self, limit: Duration) {
        let mut state = self.lock();
        let held = std::mem::take(&mut state.progress.partitions);
        if state.reported != Some(state.progress.records()) || !held.is_empty() {
            self.report_progress(&mut state);
        }
        drop(state);
        if !self.shared.reporter.flush(limit) {
            tracing::warn!("the last events could not be reported");
        }
    }

    fn report_progress(&self, state: &mut State) {
        let Some(version) = state.version else {
            return;
        };
        state.reported = Some(state.progress.records());
        state.last_progress = Instant::now();
        let progress = Progress {
            version,
            ..state.progress.clone()
        };
        self.send(state, Body::InferenceProgress(progress));
    }

    fn report_running(&self, state: &mut State) {
        if !state.problems.is_empty() || state.version.is_none() || state.running == state.version {
            return;
        }
        state.running = state.version;
        if let Some(version) = state.version {
            let body = Body::InferenceRunning {
                ordinal: self.shared.ordinal,
                version,
            };
            self.send(state, body);
        }
    }

    fn send(&self, state: &mut State, body: Body) {
        let now: DateTime<Utc> = Utc::now();
        state.events += 1;
        // A restarted replica counts from one again: the time tells its events from those before.
        let distinction = format!(
            "{}-{}-{}",
            self.shared.ordinal,
            now.timestamp_micros(),
            state.events
        );
        let event = Event::new(self.shared.subject, &distinction, now, body);
        self.shared.reporter.report(event);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a batch has far fewer records than a double can count"
)]
fn precise(count: usize) -> f64 {
    count as f64
}
