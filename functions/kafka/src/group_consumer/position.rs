//! Where a member stands in its partitions, and how it moves.
//!
//! Invariant: only the caller moves a position other than forward.

use std::collections::BTreeMap;

use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode as Code;

use super::{GroupConsumer, REQUEST_TIMEOUT};
use crate::error::code_text;
use crate::ffi::list_entries;
use crate::group::native_list;
use crate::reader::{lost_position, native};
use crate::{Error, GroupOffset, TopicPartition};

impl GroupConsumer {
    /// For each partition held the next offset to be read, beyond the
    /// transaction markers that polls have passed: what to commit once all that
    /// was handed out is done. Partitions that start at their beginning are left
    /// out until a record has come.
    pub fn positions(&self) -> Result<Vec<GroupOffset>, Error> {
        let list = self
            .consumer
            .position()
            .map_err(|error| self.step("read the positions").kafka(&error))?;
        let state = self.state();
        Ok(list_entries(&list)
            .into_iter()
            .filter_map(|entry| {
                let key = TopicPartition {
                    topic: entry.topic,
                    partition: entry.partition,
                };
                let start = state.starts.get(&key).copied().flatten();
                let read = (entry.offset >= 0).then_some(entry.offset);
                let offset = read.max(start)?;
                Some(GroupOffset {
                    topic: key.topic,
                    partition: key.partition,
                    offset,
                    metadata: String::new(),
                })
            })
            .collect())
    }

    /// Goes on at these offsets. Records already handed out are the caller's to
    /// forget.
    pub fn seek(&self, offsets: &[GroupOffset]) -> Result<(), Error> {
        let targets: Vec<(TopicPartition, Offset)> = offsets
            .iter()
            .map(|offset| {
                let key = TopicPartition::new(&offset.topic, offset.partition);
                (key, Offset::Offset(offset.offset))
            })
            .collect();
        self.seek_to(&targets)
    }

    /// Takes every partition held back to its committed offset, or to its
    /// beginning without one: what an aborted transaction asks for.
    pub fn seek_to_committed(&self) -> Result<(), Error> {
        let held = self
            .consumer
            .assignment()
            .map_err(|error| self.step("read the assignment").kafka(&error))?;
        let targets: Vec<(TopicPartition, Offset)> = self
            .committed(held)?
            .into_iter()
            .map(|assigned| {
                let offset = assigned.committed.map_or(Offset::Beginning, Offset::Offset);
                let key = TopicPartition {
                    topic: assigned.topic,
                    partition: assigned.partition,
                };
                (key, offset)
            })
            .collect();
        self.seek_to(&targets)
    }

    fn seek_to(&self, targets: &[(TopicPartition, Offset)]) -> Result<(), Error> {
        if targets.is_empty() {
            return Ok(());
        }
        let step = self.step("seek");
        let list = native_list(step, placed(targets))?;
        let list = self
            .consumer
            .seek_partitions(list, REQUEST_TIMEOUT)
            .map_err(|error| step.kafka(&error))?;
        let mut stopped = Vec::new();
        for entry in list_entries(&list) {
            match entry.error {
                None => {}
                // Not started yet, or stopped at an offset that Kafka does not have.
                Some(Code::State | Code::PreviousInProgress) => {
                    let key = TopicPartition::new(&entry.topic, entry.partition);
                    stopped.extend(targets.iter().find(|(target, _)| *target == key).cloned());
                }
                Some(code) => {
                    return Err(step
                        .topic(&entry.topic)
                        .partition(entry.partition)
                        .code(code, &code_text(code)));
                }
            }
        }
        if !stopped.is_empty() {
            let list = native_list(step, placed(&stopped))?;
            self.consumer
                .incremental_unassign(&list)
                .and_then(|()| self.consumer.incremental_assign(&list))
                .map_err(|error| step.kafka(&error))?;
        }
        let mut state = self.state();
        for (key, offset) in targets {
            let start = match offset {
                Offset::Offset(offset) => Some(*offset),
                _ => None,
            };
            state.starts.insert(key.clone(), start);
        }
        Ok(())
    }

    /// After librdkafka lost a position: which one, and why. Kept until the
    /// brokers have told.
    pub(super) fn check_positions(&self) -> Result<(), Error> {
        if !self.state().has_lost_position {
            return Ok(());
        }
        let mut topics: BTreeMap<String, Vec<(i32, i64)>> = BTreeMap::new();
        for position in self.positions()? {
            topics
                .entry(position.topic)
                .or_default()
                .push((position.partition, position.offset));
        }
        for (topic, positions) in &topics {
            match lost_position(native(&self.consumer), topic, positions) {
                Ok(None) => {}
                Ok(Some(error)) => {
                    self.state().has_lost_position = false;
                    return Err(error);
                }
                Err(error) if error.is_retriable() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // Every position is there (again): the stopped partition reads on.
        self.state().has_lost_position = false;
        let all: Vec<GroupOffset> = self.positions()?;
        self.seek(&all)
    }
}

fn placed(targets: &[(TopicPartition, Offset)]) -> impl Iterator<Item = (&str, i32, Offset)> {
    targets
        .iter()
        .map(|(key, offset)| (key.topic.as_str(), key.partition, *offset))
}
