//! Warns where Kafka may drop a segment's records before the training on it has ended.
//!
//! A training reads its records once and keeps them, so Kafka may drop them behind it. But whoever goes on with it, after a
//! crash or on another machine, reads them again: until its end a training is safe only as long as they are there.

use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use millrace_wire::segment::Manifest;
use millrace_wire::training::TrainingSpec;

use crate::report::Report;

/// After so long the pace is known, and looked at again each time that as much again has passed.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// The longest time that is told; nobody plans beyond it.
const LONGEST: f64 = 1e9;

/// Looks on while a training runs.
pub struct Retention<'a> {
    report: &'a Report,
    /// From when on records may be missing; never where there is a copy of them.
    until: Option<DateTime<Utc>>,
    began: Instant,
    next: Duration,
    done: u64,
    left: u64,
}

impl<'a> Retention<'a> {
    /// Says so where records may be missing already.
    pub fn new(spec: &TrainingSpec, report: &'a Report) -> Self {
        let until = until(&spec.segment);
        let retention = Self {
            report,
            until,
            began: Instant::now(),
            next: FIRST_LOOK,
            done: 0,
            left: 0,
        };
        if let Some(until) = until
            && until <= report.now()
        {
            report.warned(
                "retention-ended",
                format!(
                    "the topic's retention of the segment has ended at {}, and Kafka may drop records of it at any \
                     moment: once one is gone the training can neither begin nor go on after a crash; pin the segment \
                     while it is there",
                    text(until)
                ),
            );
        }
        retention
    }

    /// The first step is about to be made, with so many records to come in all epochs.
    pub fn begins(mut self, left: u64) -> Self {
        self.began = Instant::now();
        self.left = left;
        self
    }

    /// Steps were made on so many records.
    pub fn trained(&mut self, records: u64) {
        self.done += records;
        self.left = self.left.saturating_sub(records);
        let elapsed = self.began.elapsed();
        if elapsed < self.next {
            return;
        }
        self.next = elapsed * 2;
        let (now, remaining) = (self.report.now(), remaining(elapsed, self.done, self.left));
        // What has ended was told.
        if let Some(until) = self.until
            && now < until
            && now + remaining > until
        {
            self.until = None;
            self.report.warned(
                "retention-short",
                format!(
                    "at its pace the training needs about {} more for all its epochs, and Kafka may drop records of the \
                     segment from {} on: after a crash or a move it could not go on then, since it would have to read \
                     them again; lengthen the topic's retention.ms, and pin the segment before the next training on it",
                    about(remaining),
                    text(until)
                ),
            );
        }
    }
}

/// Until when the records are surely there; for ever, where nothing is known or there is a copy of them.
fn until(segment: &Manifest) -> Option<DateTime<Utc>> {
    segment.retained_until.filter(|_| segment.pinned.is_none())
}

/// How long what is left takes at the pace of what is done.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "an estimate, and no longer than the longest one"
)]
fn remaining(elapsed: Duration, done: u64, left: u64) -> TimeDelta {
    let seconds = elapsed.as_secs_f64() / done.max(1) as f64 * left as f64;
    TimeDelta::seconds(seconds.min(LONGEST) as i64)
}

/// With one unit, as people say it.
fn about(time: TimeDelta) -> String {
    match (time.num_minutes(), time.num_hours()) {
        (..2, _) => format!("{} seconds", time.num_seconds()),
        (..120, _) => format!("{} minutes", time.num_minutes()),
        (_, ..48) => format!("{} hours", time.num_hours()),
        _ => format!("{} days", time.num_days()),
    }
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::spec;

    #[test]
    fn a_copy_stays_whatever_kafka_drops() {
        let mut segment = spec(Uuid::nil()).segment;
        assert_eq!(until(&segment), None);
        segment.retained_until = Some(DateTime::UNIX_EPOCH);
        assert_eq!(until(&segment), Some(DateTime::UNIX_EPOCH));
        segment.pinned = Some("digest".to_owned());
        assert_eq!(until(&segment), None);
    }

    #[test]
    fn the_rest_takes_as_long_as_what_was_done() {
        let second = Duration::from_secs(1);
        assert_eq!(remaining(second, 100, 1_000), TimeDelta::seconds(10));
        assert_eq!(remaining(3 * second, 100, 0), TimeDelta::zero());
        let endless = remaining(second, 1, u64::MAX);
        assert_eq!(about(endless), "11574 days");
        assert_eq!(about(TimeDelta::seconds(119)), "119 seconds");
        assert_eq!(about(TimeDelta::minutes(119)), "119 minutes");
        assert_eq!(about(TimeDelta::minutes(121)), "2 hours");
    }
}
