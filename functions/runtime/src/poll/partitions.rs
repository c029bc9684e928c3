//! The partitions that a replica holds: which may be read, which wait, and what is committed.
//!
//! Invariant: a partition waits until the replica has applied at least the registry entry that was
//! noted with the partition's committed offset; so within a partition no output of an older version
//! follows one of a newer. Of a span nothing is answered or committed beyond its ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_kafka::{Assigned, GroupOffset, RecordView, TopicPartition};

use super::deadline::Suspects;
use super::lag::Lags;
use super::note::Note;
use crate::handler::Current;

/// How long a partition may wait for the registry before that is said.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a partition waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// For the registry entry at this offset.
    Registry(i64),
    /// For an answer to the question whether it is new or has lost its offset.
    Unplaced,
    /// For a batch that is asked for with suspects in mind: one that is under way may be larger.
    Suspects,
    /// For the end of its span, which it has reached, to move on.
    End,
}

#[derive(Debug)]
struct Partition {
    hold: Option<Hold>,
    since: Instant,
    committed: Option<i64>,
    /// The first record that came.
    begun: Option<i64>,
    /// What stands beside the committed offset.
    note: Note,
    /// The end behind which records were left out; it stays until the partition has waited there.
    cut_at: Option<i64>,
}

/// The partitions by topic and number.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    held: BTreeMap<TopicPartition, Partition>,
    /// Whether positions stand beyond records whose answers were taken back.
    is_ahead: bool,
    /// Where the partitions of the input end that are read, of an inference over a span.
    span: Option<InputEnds>,
    /// How far behind they are.
    lags: Arc<Lags>,
}

#[derive(Debug)]
struct InputEnds {
    topic: String,
    ends: BTreeMap<i32, i64>,
}

impl Partitions {
    /// Those of an inference over a span of its input.
    pub(super) fn within(topic: &str, ends: BTreeMap<i32, i64>) -> Self {
        let topic = topic.to_owned();
        Self {
            span: Some(InputEnds { topic, ends }),
            ..Self::default()
        }
    }

    /// These, whose lags are told there.
    pub(super) fn told_by(self, lags: &Arc<Lags>) -> Self {
        let lags = Arc::clone(lags);
        Self { lags, ..self }
    }

    /// Moves the ends on, and returns where the partitions go on that have waited at theirs: what was
    /// read behind an end is read again. They are released with the next [`Partitions::catch_up`].
    pub(super) fn move_ends(
        &mut self,
        ends: &BTreeMap<i32, i64>,
        current: Current,
    ) -> Vec<GroupOffset> {
        if let Some(span) = &mut self.span {
            span.ends.clone_from(ends);
        }
        let mut moved = Vec::new();
        for (key, partition) in &mut self.held {
            if partition.hold != Some(Hold::End) {
                continue;
            }
            let end = end_of(self.span.as_ref(), &key.topic, key.partition);
            let hold = hold(partition.committed, end, current, partition.note);
            if hold == Some(Hold::End) {
                continue;
            }
            partition.hold = hold.or(Some(Hold::Suspects));
            partition.cut_at = None;
            if let Some(offset) = partition.committed {
                moved.push(GroupOffset::new(&key.topic, key.partition, offset));
            }
        }
        moved
    }

    /// Leaves out of a batch what lies behind the ends of the span. A partition of which something
    /// was left out ends there, until it has waited.
    pub(super) fn cut(&mut self, batch: &mut Vec<RecordView<'_>>) {
        if self.span.is_none() {
            return;
        }
        batch.retain(|record| {
            let end = end_of(self.span.as_ref(), record.topic(), record.partition());
            let Some(end) = end else {
                return true;
            };
            let key = TopicPartition::new(record.topic(), record.partition());
            let Some(partition) = self.held.get_mut(&key) else {
                return record.offset() < end;
            };
            let end = partition.cut_at.unwrap_or(end);
            if record.offset() >= end {
                partition.cut_at = Some(end);
            }
            record.offset() < end
        });
    }

    /// Takes new partitions in, and returns those that must wait.
    pub(super) fn assign(
        &mut self,
        assigned: &[Assigned],
        current: Current,
    ) -> Vec<TopicPartition> {
        let mut waiting = Vec::new();
        for part in assigned {
            let key = TopicPartition::new(&part.topic, part.partition);
            let note = Note::parse(&part.metadata);
            let end = end_of(self.span.as_ref(), &part.topic, part.partition);
            let hold = hold(part.committed, end, current, note);
            if hold.is_some() {
                waiting.push(key.clone());
            }
            let partition = Partition {
                hold,
                since: Instant::now(),
                committed: part.committed,
                begun: None,
                note,
                cut_at: None,
            };
            self.held.insert(key, partition);
        }
        self.lags.assigned(assigned);
        waiting
    }

    /// Gives all partitions up.
    pub(super) fn clear(&mut self) {
        self.lags.clear();
        self.held.clear();
        self.is_ahead = false;
    }

    /// Gives partitions up.
    pub(super) fn remove(&mut self, partitions: &[TopicPartition]) {
        self.lags.removed(partitions);
        for partition in partitions {
            self.held.remove(partition);
        }
    }

    /// Whether none is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Lets the partitions go on whose registry entry is applied now, and returns them. Called
    /// before each batch.
    pub(super) fn catch_up(&mut self, current: Current) -> Vec<TopicPartition> {
        let applied = current.registry.unwrap_or(i64::MAX);
        self.release(|hold| match hold {
            Hold::Registry(noted) => noted <= applied,
            Hold::Suspects => true,
            Hold::Unplaced | Hold::End => false,
        })
    }

    /// Lets the partitions go on that have no committed offset since they are new.
    pub(super) fn place(&mut self) -> Vec<TopicPartition> {
        self.release(|hold| hold == Hold::Unplaced)
    }

    fn release(&mut self, may_go: impl Fn(Hold) -> bool) -> Vec<TopicPartition> {
        let mut released = Vec::new();
        for (key, partition) in &mut self.held {
            if partition.hold.is_some_and(&may_go) {
                partition.hold = None;
                released.push(key.clone());
            }
        }
        released
    }

    /// The partitions without a committed offset that wait to be placed.
    pub(super) fn unplaced(&self) -> Vec<String> {
        self.held
            .iter()
            .filter(|(_, partition)| partition.hold == Some(Hold::Unplaced))
            .map(|(key, _)| format!("{}/{}", key.topic, key.partition))
            .collect()
    }

    /// The partition that has waited too long for the registry, and for which entry.
    pub(super) fn overdue(&self) -> Option<(&TopicPartition, i64)> {
        self.held.iter().find_map(|(key, partition)| {
            let Some(Hold::Registry(noted)) = partition.hold else {
                return None;
            };
            (partition.since.elapsed() > PATIENCE).then_some((key, noted))
        })
    }

    /// Of these positions, those to be committed: of partitions that are read and have moved since
    /// their last commit. Each notes what was applied of the registry.
    pub(super) fn due(&self, positions: Vec<GroupOffset>, current: Current) -> Vec<GroupOffset> {
        positions
            .into_iter()
            .filter_map(|mut position| {
                let key = TopicPartition::new(&position.topic, position.partition);
                let partition = self.held.get(&key)?;
                let end = end_of(self.span.as_ref(), &key.topic, key.partition);
                if let Some(end) = partition.cut_at.or(end) {
                    position.offset = position.offset.min(end);
                }
                if partition.hold.is_some() || partition.committed == Some(position.offset) {
                    return None;
                }
                let note = Note {
                    registry: current.registry,
                    ..partition.note.at(position.offset)
                };
                Some(position.with_metadata(note.to_string()))
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

    /// Notes what has been committed, and returns the partitions that wait from now on, since they
    /// have reached their ends.
    pub(super) fn committed(&mut self, offsets: &[GroupOffset]) -> Vec<TopicPartition> {
        self.lags.committed(offsets);
        let mut ended = Vec::new();
        for offset in offsets {
            let key = TopicPartition::new(&offset.topic, offset.partition);
            let end = end_of(self.span.as_ref(), &key.topic, key.partition);
            if let Some(partition) = self.held.get_mut(&key) {
                partition.committed = Some(offset.offset);
                partition.note = Note::parse(&offset.metadata);
                if partition
                    .cut_at
                    .or(end)
                    .is_some_and(|end| offset.offset >= end)
                {
                    partition.hold = Some(Hold::End);
                    ended.push(key);
                }
            }
        }
        ended
    }

    /// Whether records come next of which one has stopped a run, so that each is answered by itself.
    pub(super) fn has_suspects(&self) -> bool {
        self.held
            .values()
            .any(|partition| partition.hold.is_none() && partition.note.has_suspects())
    }

    /// Whether the model has not returned from this very record.
    pub(super) fn is_culprit(&self, record: &RecordView<'_>) -> bool {
        let key = TopicPartition::new(record.topic(), record.partition());
        let held = self.held.get(&key);
        held.is_some_and(|held| held.note.culprit == Some(record.offset()))
    }

    /// The records of each partition in a batch, in case that the model never returns from them.
    pub(super) fn suspects(&mut self, batch: &[RecordView<'_>]) -> Vec<Suspects> {
        let mut suspects: Vec<Suspects> = Vec::new();
        for record in batch {
            let offset = record.offset();
            // Records come in runs of one partition.
            let known = suspects
                .iter_mut()
                .rev()
                .find(|one| one.partition == record.partition() && one.topic == record.topic());
            if let Some(known) = known {
                known.end = offset + 1;
                continue;
            }
            let key = TopicPartition::new(record.topic(), record.partition());
            let Some(held) = self.held.get_mut(&key) else {
                continue;
            };
            // Where nothing is committed yet, reading has begun at the first record that came.
            let begun = *held.begun.get_or_insert(offset);
            suspects.push(Suspects {
                topic: key.topic,
                partition: key.partition,
                first: offset,
                end: offset + 1,
                committed: held.committed.unwrap_or(begun),
                note: held.note,
            });
        }
        suspects
    }
}

/// Why a partition must wait, if it must.
fn hold(committed: Option<i64>, end: Option<i64>, current: Current, note: Note) -> Option<Hold> {
    match (committed, current.registry, note.registry) {
        _ if end.is_some_and(|end| committed.unwrap_or(0) >= end) => Some(Hold::End),
        (None, _, _) => Some(Hold::Unplaced),
        (_, Some(applied), Some(noted)) if applied < noted => Some(Hold::Registry(noted)),
        _ if note.has_suspects() => Some(Hold::Suspects),
        _ => None,
    }
}

/// Where a partition ends, if it does. One of the input that the span does not name is not read.
fn end_of(span: Option<&InputEnds>, topic: &str, partition: i32) -> Option<i64> {
    let span = span.filter(|span| span.topic == topic)?;
    Some(span.ends.get(&partition).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
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
        assert_eq!(
            partitions.catch_up(applied(Some(8))),
            [TopicPartition::new("in", 0)]
        );
        assert_eq!(partitions.unplaced(), ["in/2"]);
        assert_eq!(partitions.place(), [TopicPartition::new("in", 2)]);
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

    #[test]
    fn suspects_are_forgotten_once_they_are_behind() {
        let mut partitions = Partitions::default();
        let waiting =
            partitions.assign(&[assigned(0, Some(5), "alone=8 culprit=6")], applied(None));
        assert_eq!(partitions.catch_up(applied(None)), waiting);
        assert!(partitions.has_suspects());
        for (offset, note) in [(6, "alone=8 culprit=6"), (7, "alone=8"), (8, "")] {
            let due = partitions.due(vec![GroupOffset::new("in", 0, offset)], applied(None));
            assert_eq!(due[0].metadata, note);
            partitions.committed(&due);
        }
        assert!(!partitions.has_suspects());
    }
    #[test]
    fn a_span_is_left_at_its_ends_and_gone_on_with_when_they_move() {
        let mut partitions = Partitions::within("in", BTreeMap::from([(0, 7), (1, 3)]));
        let given = [
            assigned(0, Some(5), ""),
            assigned(1, Some(3), ""),
            assigned(2, None, ""),
        ];
        let waiting = partitions.assign(&given, applied(None));
        let waiting: Vec<i32> = waiting.iter().map(|one| one.partition).collect();
        assert_eq!(waiting, [1, 2], "what is behind its end, and what has none");
        assert!(partitions.catch_up(applied(None)).is_empty());
        assert!(partitions.unplaced().is_empty());
        let position = |offset| vec![GroupOffset::new("in", 0, offset)];
        let due = partitions.due(position(9), applied(None));
        assert_eq!(due[0].offset, 7, "nothing behind the end is committed");
        let ended = partitions.committed(&due);
        assert_eq!(ended, [TopicPartition::new("in", 0)]);
        assert!(partitions.due(position(9), applied(None)).is_empty());

        let ends = BTreeMap::from([(0, 8), (1, 3), (2, 4)]);
        let moved = partitions.move_ends(&ends, applied(None));
        assert_eq!(moved, position(7), "what was left out is read again");
        let released = partitions.catch_up(applied(None));
        assert_eq!(released, [TopicPartition::new("in", 0)]);
        assert_eq!(partitions.unplaced(), ["in/2"]);
        let redriven = vec![GroupOffset::new("back", 0, 40)];
        assert!(partitions.due(redriven, applied(None)).is_empty());
    }
}
