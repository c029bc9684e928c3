//! Heartbeats of the replicas of inferences: what each has done since its process started, and how far it is behind.
//!
//! Invariant: what is counted only grows, so that a lost heartbeat costs nothing and any two of one process tell what
//! was done between them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Upper bounds of the buckets of seconds: 0.1 ms to 30 s.
pub const SECONDS: [f64; 12] = [
    0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0,
];

/// Upper bounds of the buckets of numbers of records.
pub const RECORDS: [f64; 11] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
];

/// A heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The replica.
    pub ordinal: u32,
    /// When its process began to count.
    #[serde(default)]
    pub since: DateTime<Utc>,
    /// The version that it answers with.
    pub version: u32,
    /// Records predicted.
    pub predicted: u64,
    /// Records handed on to the next model.
    #[serde(default)]
    pub handed_on: u64,
    /// Records sent to the dead letters.
    pub dead_lettered: u64,
    /// These by the code of what is wrong with them.
    #[serde(default)]
    pub errors: BTreeMap<String, u64>,
    /// Records in each batch that was answered, some of them again after a commit that failed; by [`RECORDS`].
    #[serde(default)]
    pub batches: Histogram,
    /// What each stage of the work on a batch took; by [`SECONDS`].
    #[serde(default)]
    pub stages: BTreeMap<Stage, Histogram>,
    /// How far it is behind in the partitions of the input that it holds.
    #[serde(default)]
    pub partitions: Vec<Behind>,
}

impl Progress {
    /// Records that are done with.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.predicted + self.handed_on + self.dead_lettered
    }
}

/// A stage of the work on a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Until there was a record.
    Wait,
    /// From records to numbers.
    Decode,
    /// The model's run, or runs where a record made one fail.
    Run,
    /// From numbers to answers.
    Encode,
    /// The hand-over to the Kafka client.
    Send,
    /// The commit of what was sent, of one batch or of several.
    Commit,
}

impl Stage {
    /// Its name, as metrics have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Decode => "decode",
            Self::Run => "run",
            Self::Encode => "encode",
            Self::Send => "send",
            Self::Commit => "commit",
        }
    }
}

/// How far a replica is behind in a partition of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// The partition.
    pub partition: i32,
    /// Offsets that are not answered yet; markers of transactions count.
    pub lag: i64,
    /// The time of the record that has waited longest, as far as the replica has read; nothing where none waits, or where
    /// the replica has read none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<DateTime<Utc>>,
}

/// Values by size. Whoever reads it knows the bounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// All values together.
    pub sum: f64,
    /// How many values each bucket has; one more than there are bounds, or none where there is no value.
    pub buckets: Vec<u64>,
}

impl Histogram {
    /// Takes a value in.
    pub fn add(&mut self, bounds: &[f64], value: f64) {
        self.sum += value;
        self.buckets.resize(bounds.len() + 1, 0);
        let place = bounds.partition_point(|bound| *bound < value);
        self.buckets[place] += 1;
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Takes all values of another one in.
    pub fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (count, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
    }

    /// The values that an earlier state of this one did not have.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = earlier.buckets.iter().copied().chain(std::iter::repeat(0));
        Self {
            sum: self.sum - earlier.sum,
            buckets: self
                .buckets
                .iter()
                .zip(before)
                .map(|(count, before)| count.saturating_sub(before))
                .collect(),
        }
    }

    /// The mean of all values, where there is one.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum / precise(count))
    }

    /// The value below which this share of all values lies, as if those of a bucket lay evenly in it; of values beyond the
    /// last bound that bound is known.
    #[must_use]
    pub fn quantile(&self, bounds: &[f64], share: f64) -> Option<f64> {
        let wanted = share * precise(self.count());
        let mut below = 0.0;
        let mut lower = 0.0;
        for (count, upper) in self.buckets.iter().zip(bounds) {
            let count = precise(*count);
            if count > 0.0 && below + count >= wanted {
                return Some(lower + (upper - lower) * ((wanted - below) / count).max(0.0));
            }
            below += count;
            lower = *upper;
        }
        (self.count() > 0).then_some(lower)
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "far fewer values are counted than a double can count"
)]
fn precise(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const BOUNDS: [f64; 3] = [1.0, 2.0, 4.0];

    fn of(values: &[f64]) -> Histogram {
        let mut histogram = Histogram::default();
        for value in values {
            histogram.add(&BOUNDS, *value);
        }
        histogram
    }

    fn near(found: Option<f64>, expected: f64) -> bool {
        (found.unwrap() - expected).abs() < 1e-9
    }

    #[test]
    fn values_fall_into_the_buckets_below_their_bounds() {
        let histogram = of(&[0.5, 1.0, 1.5, 4.0, 9.0]);
        assert_eq!(histogram.buckets, [2, 1, 1, 1]);
        assert_eq!(histogram.count(), 5);
        assert!(near(histogram.mean(), 3.2));
        assert_eq!(Histogram::default().mean(), None);
    }

    #[test]
    fn what_was_added_between_two_states_is_their_difference() {
        let (mut first, second) = (of(&[0.5, 3.0]), of(&[0.5, 3.0, 3.0, 9.0]));
        let between = second.since(&first);
        assert_eq!(between, of(&[3.0, 9.0]));
        assert_eq!(second.since(&Histogram::default()), second);
        first.merge(&between);
        assert_eq!(first, second);
        let mut empty = Histogram::default();
        empty.merge(&second);
        assert_eq!(empty, second);
    }

    #[test]
    fn quantiles_lie_within_their_buckets() {
        let histogram = of(&[0.5, 0.5, 1.5, 1.5]);
        assert!(near(histogram.quantile(&BOUNDS, 0.5), 1.0));
        assert!(near(histogram.quantile(&BOUNDS, 0.75), 1.5));
        assert!(near(histogram.quantile(&BOUNDS, 0.0), 0.0));
        assert!(near(of(&[9.0]).quantile(&BOUNDS, 0.5), 4.0));
        assert_eq!(Histogram::default().quantile(&BOUNDS, 0.5), None);
    }

    #[test]
    fn heartbeats_from_before_there_were_stages_are_read() {
        let old = r#"{"ordinal":1,"version":2,"predicted":3,"dead_lettered":4}"#;
        let old: Progress = serde_json::from_str(old).unwrap();
        assert_eq!(old.records(), 7);
        let mut new = old.clone();
        new.stages.insert(Stage::Run, of(&[0.5]));
        let json = serde_json::to_string(&new).unwrap();
        assert!(json.contains(r#""stages":{"run":{"sum":0.5,"#), "{json}");
        assert_eq!(serde_json::from_str::<Progress>(&json).unwrap(), new);
    }
}
