//! What a replica of an inference says of itself: running, degraded (and why), how far it is.
//!
//! Invariant: each change is reported once: a problem when it appears (or its sentence changes),
//! and that the replica runs when the last problem is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use millrace_wire::event::{Body, Event};
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
    since: DateTime<Utc>,
    reporter: Reporter,
    readiness: Readiness,
    state: Mutex<State>,
}

struct State {
    problems: BTreeMap<&'static str, String>,
    /// The version that was last reported as running; none while degraded or not yet running.
    running: Option<u32>,
    version: Option<u32>,
    predicted: u64,
    dead_lettered: u64,
    reported: Option<(u64, u64)>,
    last_progress: Instant,
    /// How many events were reported: part of each one's identity.
    events: u64,
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
                since: Utc::now(),
                reporter,
                readiness,
                state: Mutex::new(State {
                    problems: BTreeMap::new(),
                    running: None,
                    version: None,
                    predicted: 0,
                    dead_lettered: 0,
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

    /// Adds what was committed, and reports it from time to time. Call it also when nothing was.
    pub fn progress(&self, predicted: u64, dead_lettered: u64) {
        let mut state = self.lock();
        state.predicted += predicted;
        state.dead_lettered += dead_lettered;
        let totals = (state.predicted, state.dead_lettered);
        let due = if state.reported == Some(totals) {
            state.last_progress + IDLE_INTERVAL
        } else {
            state.last_progress + PROGRESS_INTERVAL
        };
        if Instant::now() >= due {
            self.report_progress(&mut state);
        }
    }

    /// Reports the last totals before the end, and waits a moment for the acknowledgement.
    pub fn finish(&self, limit: Duration) {
        let mut state = self.lock();
        let totals = (state.predicted, state.dead_lettered);
        if state.reported != Some(totals) {
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
        state.reported = Some((state.predicted, state.dead_lettered));
        state.last_progress = Instant::now();
        let body = Body::InferenceProgress {
            ordinal: self.shared.ordinal,
            since: self.shared.since,
            version,
            predicted: state.predicted,
            dead_lettered: state.dead_lettered,
        };
        self.send(state, body);
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
