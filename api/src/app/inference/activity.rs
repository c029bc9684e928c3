//! What the replicas of an inference did lately, as their heartbeats tell.
//!
//! Invariant: only heartbeats of one process are compared with one another, by the clock of its machine.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use millrace_wire::progress::{Histogram, Progress, Stage};

/// How far back is looked.
const WINDOW: TimeDelta = TimeDelta::seconds(60);

/// What the functions of an inference did lately.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Activity {
    /// Records that were done with, a second.
    pub records_per_second: f64,
    /// Records in each batch.
    pub batches: Histogram,
    /// Seconds of each stage of the work on a batch.
    pub stages: BTreeMap<Stage, Histogram>,
}

/// The last heartbeats of a replica's process, and one from before them.
#[derive(Debug, Clone)]
pub(super) struct Recent {
    heartbeats: VecDeque<(DateTime<Utc>, Progress)>,
    /// When the last one came.
    pub(super) heard: Instant,
}

impl Recent {
    /// Of a process that begins to count.
    pub(super) fn since(since: DateTime<Utc>, now: Instant) -> Self {
        let nothing = Progress {
            since,
            ..Progress::default()
        };
        Self {
            heartbeats: VecDeque::from([(since, nothing)]),
            heard: now,
        }
    }

    /// Whether this is about the process that began to count at this moment.
    pub(super) fn is_of(&self, since: DateTime<Utc>) -> bool {
        self.heartbeats
            .back()
            .is_some_and(|(_, last)| last.since == since)
    }

    /// Takes a heartbeat in.
    pub(super) fn note(&mut self, time: DateTime<Utc>, progress: Progress, now: Instant) {
        self.heard = now;
        while let Some((second, _)) = self.heartbeats.get(1)
            && time - *second >= WINDOW
        {
            self.heartbeats.pop_front();
        }
        self.heartbeats.push_back((time, progress));
    }

    /// The last heartbeat.
    pub(super) fn last(&self) -> Option<&(DateTime<Utc>, Progress)> {
        self.heartbeats.back()
    }

    /// Adds what was done between the first heartbeat and the last one.
    pub(super) fn add_to(&self, activity: &mut Activity) {
        let (Some((begun, first)), Some((ended, last))) =
            (self.heartbeats.front(), self.heartbeats.back())
        else {
            return;
        };
        let seconds = (*ended - *begun).as_seconds_f64();
        if seconds > 0.0 {
            activity.records_per_second +=
                precise(last.records().saturating_sub(first.records())) / seconds;
        }
        activity.batches.merge(&last.batches.since(&first.batches));
        for (stage, histogram) in &last.stages {
            let earlier = first.stages.get(stage).cloned().unwrap_or_default();
            let all = activity.stages.entry(*stage).or_default();
            all.merge(&histogram.since(&earlier));
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "far fewer records are done with in a minute than a double can count"
)]
fn precise(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use millrace_wire::progress::SECONDS;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn progress(predicted: u64, runs: u64) -> Progress {
        let mut progress = Progress {
            since: at(1_000),
            predicted,
            ..Progress::default()
        };
        for _ in 0..runs {
            let run = progress.stages.entry(Stage::Run).or_default();
            run.add(&SECONDS, 0.5);
        }
        progress
    }

    fn activity(recent: &Recent) -> Activity {
        let mut activity = Activity::default();
        recent.add_to(&mut activity);
        activity
    }

    #[test]
    fn the_first_heartbeat_tells_what_was_done_since_the_start() {
        let now = Instant::now();
        let mut recent = Recent::since(at(1_000), now);
        assert!(recent.is_of(at(1_000)));
        assert!(!recent.is_of(at(1_001)));
        assert_eq!(activity(&recent), Activity::default());
        recent.note(at(1_002), progress(100, 2), now);
        let found = activity(&recent);
        assert!((found.records_per_second - 50.0).abs() < 1e-9);
        assert_eq!(found.stages[&Stage::Run].count(), 2);
    }

    #[test]
    fn what_was_done_more_than_a_minute_ago_is_forgotten() {
        let now = Instant::now();
        let mut recent = Recent::since(at(1_000), now);
        for ten_seconds in 1..=100 {
            let time = at(1_000 + i64::try_from(ten_seconds).unwrap() * 10);
            // A hundred in all, then twenty each ten seconds.
            let predicted = if ten_seconds < 90 {
                100
            } else {
                100 + (ten_seconds - 89) * 20
            };
            recent.note(time, progress(predicted, ten_seconds), now);
            assert!(recent.heartbeats.len() <= 8);
        }
        let found = activity(&recent);
        assert!((found.records_per_second - 2.0).abs() < 1e-9, "{found:?}");
        assert_eq!(found.stages[&Stage::Run].count(), 6);
    }
}
