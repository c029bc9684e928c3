//! The partitions that a replica holds: which may be read, which wait, and what is committed.
//!
//! Invariant: a partition waits until the replica has applied at least the registry entry that was
//! noted with the partition's committed offset; so within a partition no output of an older version
//! follows one of a newer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_kafka::{Assigned, GroupOffset, TopicPartition};

use crate::handler::Current;

/// How long a partition may wait for the registry before that is said.
const PATIENCE: Duration = Duration::from_secs(5);
/// What stands before the registry offset in an offset's note.
const NOTE: &str = "registry=";

/// Why a partition waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// For the registry entry at this offset.
    Registry(i64),
    /// For an answer to the question whether it is new or has lost its offset.
    Unplaced,
}

#[derive(Debug)]
struct Partition {
    hold: Option<Hold>,
    since: Instant,
    committed: Option<i64>,
}

/// The partitions by number.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    held: BTreeMap<i32, Partition>,
    /// Whether positions stand beyond records whose answers were taken back.
    is_ahead: bool,
}

impl Partitions {
    /// Takes new partitions in, and returns those that must wait.
    pub(super) fn assign(
        &mut self,
        assigned: &[Assigned],
        current: Current,
    ) -> Vec<TopicPartition> {
        let mut waiting = Vec::new();
        for part in assigned {
            let noted = registry_offset(&part.metadata);
            let hold = match (part.committed, current.registry, noted) {
                (None, _, _) => Some(Hold::Unplaced),
                (_, Some(applied), Some(noted)) if applied < noted => Some(Hold::Registry(noted)),
                _ => None,
            };
            if hold.is_some() {
                waiting.push(TopicPartition::new(&part.topic, part.partition));
            }
            let partition = Partition {
                hold,
                since: Instant::now(),
                committed: part.committed,
            };
            self.held.insert(part.partition, partition);
        }
        waiting
    }

    /// Gives partitions up.
    pub(super) fn remove(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.held.remove(&partition.partition);
        }
    }

    /// Whether none is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Lets the partitions go on whose registry entry is applied now, and returns them.
    pub(super) fn catch_up(&mut self, current: Current) -> Vec<i32> {
        let applied = current.registry.unwrap_or(i64::MAX);
        self.release(|hold| matches!(hold, Hold::Registry(noted) if noted <= applied))
    }

    /// Lets the partitions go on that have no committed offset since they are new.
    pub(super) fn place(&mut self) -> Vec<i32> {
        self.release(|hold| hold == Hold::Unplaced)
    }

    fn release(&mut self, may_go: impl Fn(Hold) -> bool) -> Vec<i32> {
        let mut released = Vec::new();
        for (number, partition) in &mut self.held {
            if partition.hold.is_some_and(&may_go) {
                partition.hold = None;
                released.push(*number);
            }
        }
        released
    }

    /// The partitions without a committed offset that wait to be placed.
    pub(super) fn unplaced(&self) -> Vec<i32> {
        self.held
            .iter()
            .filter(|(_, partition)| partition.hold == Some(Hold::Unplaced))
            .map(|(number, _)| *number)
            .collect()
    }

    /// The partition that has waited too long for the registry, and for which entry.
    pub(super) fn overdue(&self) -> Option<(i32, i64)> {
        self.held.iter().find_map(|(number, partition)| {
            let Some(Hold::Registry(noted)) = partition.hold else {
                return None;
            };
            (partition.since.elapsed() > PATIENCE).then_some((*number, noted))
        })
    }

    /// Of these positions, those to be committed: of partitions that are read and have moved since
    /// their last commit. Each notes what was applied of the registry.
    pub(super) fn due(&self, positions: Vec<GroupOffset>, current: Current) -> Vec<GroupOffset> {
        positions
            .into_iter()
            .filter(|position| {
                self.held.get(&position.partition).is_some_and(|partition| {
                    partition.hold.is_none() && partition.committed != Some(position.offset)
                })
            })
            .map(|position| match current.registry {
                Some(applied) => position.with_metadata(format!("{NOTE}{applied}")),
                None => position,
            })
            .collect()
    }

    /// Answers are taken back: until positions are sought again they lie, and none may be committed.
    pub(super) fn taken_back(&mut self) {
        self.is_ahead = true;
    }

    /// Every partition reads on at its committed offset.
    pub(super) fn sought(&mut self) {
        self.is_ahead = false;
    }

    /// Whether positions stand beyond records whose answers were taken back.
    pub(super) fn is_ahead(&self) -> bool {
        self.is_ahead
    }

    /// Notes what has been committed.
    pub(super) fn committed(&mut self, offsets: &[GroupOffset]) {
        for offset in offsets {
            if let Some(partition) = self.held.get_mut(&offset.partition) {
                partition.committed = Some(offset.offset);
            }
        }
    }
}

fn registry_offset(note: &str) -> Option<i64> {
    note.strip_prefix(NOTE)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(partition: i32, committed: Option<i64>, metadata: &str) -> Assigned {
        Assigned {
            topic: "in".to_owned(),
            partition,
            committed,
            metadata: metadata.to_owned(),
        }
    }

    fn applied(registry: Option<i64>) -> Current {
        Current {
            version: 1,
            registry,
        }
    }

    #[test]
    fn a_partition_waits_for_what_its_last_owner_had_applied() {
        let mut partitions = Partitions::default();
        let given = [
            assigned(0, Some(5), "registry=7"),
            assigned(1, Some(5), "registry=3"),
            assigned(2, None, ""),
            assigned(3, Some(5), ""),
        ];
        let waiting = partitions.assign(&given, applied(Some(3)));
        assert_eq!(
            waiting,
            [TopicPartition::new("in", 0), TopicPartition::new("in", 2)]
        );
        let positions: Vec<GroupOffset> = (0..4).map(|p| GroupOffset::new("in", p, 6)).collect();
        let due = partitions.due(positions.clone(), applied(Some(3)));
        let due: Vec<i32> = due.iter().map(|offset| offset.partition).collect();
        assert_eq!(due, [1, 3], "what waits is not committed");
        assert!(partitions.catch_up(applied(Some(6))).is_empty());
        assert_eq!(partitions.catch_up(applied(Some(8))), [0]);
        assert_eq!(partitions.unplaced(), [2]);
        assert_eq!(partitions.place(), [2]);
        let due = partitions.due(positions.clone(), applied(Some(8)));
        assert_eq!(due.len(), 4);
        assert_eq!(due[0].metadata, "registry=8");
        partitions.committed(&due);
        assert!(partitions.due(positions, applied(Some(8))).is_empty());
    }

    #[test]
    fn a_fixed_version_waits_for_nothing() {
        let mut partitions = Partitions::default();
        let given = [assigned(0, Some(5), "registry=7")];
        assert!(partitions.assign(&given, applied(None)).is_empty());
    }
}
