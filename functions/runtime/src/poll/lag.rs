//! How far a replica is behind in the partitions of the input that it holds: in offsets, and in time.
//!
//! Invariant: only partitions that are held are told of. A time is that of a record which was read: what has not been
//! read yet has none.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use millrace_kafka::{Assigned, GroupOffset, RecordView, TopicPartition};
use millrace_wire::progress::Behind;

/// How far a replica is behind; shared with the thread that asks Kafka where partitions end.
#[derive(Debug, Default)]
pub(super) struct Lags {
    /// The input.
    topic: String,
    held: Mutex<BTreeMap<i32, Place>>,
}

/// Where a replica is in a partition.
#[derive(Debug, Default, Clone)]
struct Place {
    /// The next offset to be answered.
    committed: Option<i64>,
    /// Where committed records ended when Kafka was asked last.
    end: Option<i64>,
    /// The time of the first record that was read and is not committed.
    oldest_ms: Option<i64>,
    /// The time of the last record that was read, while others wait behind it: they are hardly older.
    newest_ms: Option<i64>,
}

impl Place {
    fn lag(&self) -> Option<i64> {
        Some((self.end? - self.committed?).max(0))
    }

    fn waiting_since(&self) -> Option<i64> {
        self.oldest_ms.or(self.newest_ms)
    }
}

impl Lags {
    /// Of a replica that holds nothing yet.
    pub(super) fn of(topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            held: Mutex::default(),
        }
    }

    /// Takes partitions in.
    pub(super) fn assigned(&self, partitions: &[Assigned]) {
        let mut held = self.lock();
        for one in partitions.iter().filter(|one| one.topic == self.topic) {
            let place = Place {
                committed: one.committed,
                ..Place::default()
            };
            held.insert(one.partition, place);
        }
    }

    /// Gives partitions up. Whoever has them now tells how far behind they are.
    pub(super) fn removed(&self, partitions: &[TopicPartition]) {
        let mut held = self.lock();
        for one in partitions.iter().filter(|one| one.topic == self.topic) {
            held.remove(&one.partition);
            show(one.partition, 0, 0);
        }
    }

    /// Gives all partitions up.
    pub(super) fn clear(&self) {
        for partition in std::mem::take(&mut *self.lock()).into_keys() {
            show(partition, 0, 0);
        }
    }

    /// The partitions that are held.
    pub(super) fn partitions(&self) -> Vec<i32> {
        self.lock().keys().copied().collect()
    }

    /// Notes records that were read.
    pub(super) fn read(&self, batch: &[RecordView<'_>]) {
        let runs = batch.chunk_by(|one, next| {
            one.partition() == next.partition() && one.topic() == next.topic()
        });
        for run in runs {
            if let [first, ..] = run
                && let [.., last] = run
                && first.topic() == self.topic
            {
                let times = (first.timestamp_ms(), last.timestamp_ms());
                self.came(first.partition(), times);
            }
        }
    }

    fn came(&self, partition: i32, (first_ms, last_ms): (Option<i64>, Option<i64>)) {
        if let Some(place) = self.lock().get_mut(&partition) {
            place.oldest_ms = place.oldest_ms.or(first_ms);
            place.newest_ms = last_ms.or(place.newest_ms);
        }
    }

    /// Notes that everything that was read is committed.
    pub(super) fn committed(&self, offsets: &[GroupOffset]) {
        let mut held = self.lock();
        for offset in offsets.iter().filter(|offset| offset.topic == self.topic) {
            if let Some(place) = held.get_mut(&offset.partition) {
                place.committed = Some(offset.offset);
                place.oldest_ms = None;
            }
        }
    }

    /// Takes in where committed records end, and shows how far behind that the replica is.
    pub(super) fn measured(&self, ends: &BTreeMap<i32, i64>, now: DateTime<Utc>) {
        let mut held = self.lock();
        for (partition, end) in ends {
            let Some(place) = held.get_mut(partition) else {
                continue;
            };
            place.end = Some(*end);
            let Some(lag) = place.lag() else {
                continue;
            };
            if lag == 0 {
                // The next record is not as old as the last one.
                place.newest_ms = None;
            }
            let since = place.waiting_since().filter(|_| lag > 0);
            let behind_ms = since.map_or(0, |since| now.timestamp_millis() - since);
            show(*partition, lag, behind_ms.max(0));
        }
    }

    /// How far behind the replica is, as far as that is known.
    pub(super) fn told(&self) -> Vec<Behind> {
        let held = self.lock();
        let told = held.iter().filter_map(|(partition, place)| {
            let lag = place.lag()?;
            let since = place.waiting_since().filter(|_| lag > 0);
            Some(Behind {
                partition: *partition,
                lag,
                waiting_since: since.and_then(DateTime::from_timestamp_millis),
            })
        });
        told.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Place>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a double holds more offsets and milliseconds than a partition will ever have"
)]
fn show(partition: i32, lag: i64, behind_ms: i64) {
    let partition = partition.to_string();
    metrics::gauge!("millrace_lag_records", "partition" => partition.clone()).set(lag as f64);
    metrics::gauge!("millrace_lag_seconds", "partition" => partition)
        .set(behind_ms as f64 / 1000.0);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(ms).unwrap()
    }

    fn holding(committed: Option<i64>) -> Lags {
        let lags = Lags::of("in");
        let assigned = |topic: &str, partition| Assigned {
            topic: topic.to_owned(),
            partition,
            committed,
            metadata: String::new(),
        };
        lags.assigned(&[assigned("in", 0), assigned("redrive", 1)]);
        lags
    }

    fn told(lags: &Lags) -> (i64, Option<i64>) {
        let told = lags.told();
        assert_eq!(told.len(), 1, "{told:?}");
        let since = told[0].waiting_since.map(|since| since.timestamp_millis());
        (told[0].lag, since)
    }

    #[test]
    fn a_replica_is_as_far_behind_as_its_oldest_record() {
        let lags = holding(Some(10));
        assert_eq!(lags.partitions(), [0], "of the input alone");
        assert!(lags.told().is_empty(), "Kafka was not asked yet");
        lags.measured(&BTreeMap::from([(0, 30), (7, 1)]), at(9_000));
        assert_eq!(told(&lags), (20, None));
        lags.came(0, (Some(1_000), Some(2_000)));
        lags.came(0, (Some(2_000), Some(3_000)));
        assert_eq!(told(&lags), (20, Some(1_000)));
        lags.committed(&[GroupOffset::new("in", 0, 20)]);
        assert_eq!(told(&lags), (10, Some(3_000)), "others wait behind it");
        lags.came(0, (Some(4_000), Some(5_000)));
        lags.committed(&[GroupOffset::new("in", 0, 30)]);
        assert_eq!(told(&lags), (0, None));
        lags.measured(&BTreeMap::from([(0, 30)]), at(9_000));
        lags.measured(&BTreeMap::from([(0, 31)]), at(9_000_000));
        assert_eq!(told(&lags), (1, None), "it is not as old as the last one");
        lags.removed(&[TopicPartition::new("in", 0)]);
        assert!(lags.partitions().is_empty());
    }

    #[test]
    fn where_nothing_is_committed_nobody_knows_how_much_is_left() {
        let lags = holding(None);
        lags.measured(&BTreeMap::from([(0, 30)]), at(0));
        assert!(lags.told().is_empty());
        lags.clear();
        assert!(lags.partitions().is_empty());
    }
}
