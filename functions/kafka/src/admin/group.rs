//! Consumer groups: their offsets, their members, their lag.
//!
//! Invariant: offsets are set only where nobody reads; whatever asks a group's coordinator has a
//! client of its own, which does not outlive a question that got no answer.

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;

use super::{Admin, REQUEST_TIMEOUT, check_answer, settle, to_i32};
use crate::error::Step;
use crate::ffi::{Failure, Native, list_entries};
use crate::group::{check_topic, native_list, native_offsets};
use crate::observer::Observer;
use crate::reader::CONSUMER_FIXED;
use crate::{Error, GroupOffset, GroupState, PartitionLag, TopicPartition};

impl Admin {
    /// What a group has committed for a topic; partitions without a commit are
    /// left out. Offsets in an open transaction are waited for.
    pub fn committed(&self, group: &str, topic: &str) -> Result<Vec<GroupOffset>, Error> {
        check_topic(topic)?;
        let step = Step::new("read the committed offsets")
            .topic(topic)
            .group(group);
        let description = self
            .native()
            .describe_topic(topic, REQUEST_TIMEOUT)
            .map_err(|failure| step.failure(&failure))?;
        let list = native_list(
            step,
            (0..to_i32(description.partitions))
                .map(|partition| (topic, partition, Offset::Invalid)),
        )?;
        // Asked as a consumer of the group that never joins it: librdkafka's admin
        // request for the same (2.12.1) takes the process down when the answer is
        // that the coordinator has moved, as after a broker's restart.
        let mut fixed = CONSUMER_FIXED.to_vec();
        fixed.push(("group.id", group));
        let health = self.connection.health().clone();
        let consumer: BaseConsumer<Observer> =
            self.connection.client(&[], &fixed, Observer::new(health))?;
        let answers = settle(|| {
            let answers = consumer
                .committed_offsets(list.clone(), REQUEST_TIMEOUT)
                .map_err(|error| step.kafka(&error))?;
            let answers = list_entries(&answers);
            for answer in &answers {
                check_answer(step, topic, answer)?;
            }
            Ok(answers)
        })?;
        self.answered();
        let mut committed = Vec::with_capacity(answers.len());
        for answer in answers {
            if answer.offset >= 0 {
                committed.push(GroupOffset {
                    topic: answer.topic,
                    partition: answer.partition,
                    offset: answer.offset,
                    metadata: answer.metadata,
                });
            }
        }
        committed.sort_unstable();
        Ok(committed)
    }

    /// Commits offsets for a group that has no members, so that the next
    /// consumer starts exactly there.
    pub fn commit(&self, group: &str, offsets: &[GroupOffset]) -> Result<(), Error> {
        if offsets.is_empty() {
            return Ok(());
        }
        let step = Step::new("set the committed offsets").group(group);
        let list = native_offsets(step, offsets)?;
        let coordinator = self.coordinator()?;
        settle(|| {
            let answers = Native::of(coordinator.client())
                .alter_group_offsets(group, &list, REQUEST_TIMEOUT)
                .map_err(|failure| match failure.code {
                    code if says_occupied(code) => occupied(step, group),
                    _ => step.failure(&failure),
                })?;
            for answer in answers {
                if answer.error.is_some_and(says_occupied) {
                    return Err(occupied(step, group));
                }
                check_answer(step, &answer.topic, &answer)?;
            }
            Ok(())
        })?;
        self.answered();
        Ok(())
    }

    /// Removes a group and its offsets; one that does not exist is passed over.
    pub fn delete_group(&self, group: &str) -> Result<(), Error> {
        let step = Step::new("delete the consumer group").group(group);
        let coordinator = self.coordinator()?;
        settle(|| {
            let result = Native::of(coordinator.client()).delete_group(group, REQUEST_TIMEOUT);
            match result {
                Ok(()) => Ok(()),
                Err(failure) if is_unknown(&failure) => Ok(()),
                Err(failure) => Err(step.failure(&failure)),
            }
        })?;
        self.answered();
        Ok(())
    }

    /// The state and the members of a group.
    pub fn group(&self, group: &str) -> Result<GroupState, Error> {
        let step = Step::new("describe the consumer group").group(group);
        let coordinator = self.coordinator()?;
        let state = settle(|| {
            let answer = Native::of(coordinator.client()).describe_group(group, REQUEST_TIMEOUT);
            match answer {
                Ok(answer) => Ok(GroupState {
                    state: answer.state,
                    members: answer.members,
                    held: answer
                        .held
                        .iter()
                        .map(|held| TopicPartition::new(&held.topic, held.partition))
                        .collect(),
                }),
                Err(failure) if is_unknown(&failure) => Ok(GroupState {
                    state: "Dead".to_owned(),
                    members: Vec::new(),
                    held: Vec::new(),
                }),
                Err(failure) => Err(step.failure(&failure)),
            }
        })?;
        self.answered();
        Ok(state)
    }

    /// A client for the questions of one call to a coordinator. One that got no answer would abort
    /// the process when the brokers are back, were the client still there.
    fn coordinator(&self) -> Result<BaseConsumer<Observer>, Error> {
        let observer = Observer::new(self.connection.health().clone());
        self.connection.client(&[], CONSUMER_FIXED, observer)
    }

    /// How far a group is behind in each partition of a topic.
    pub fn lag(&self, group: &str, topic: &str) -> Result<Vec<PartitionLag>, Error> {
        let committed = self.committed(group, topic)?;
        Ok(self
            .watermarks(topic)?
            .into_iter()
            .map(|marks| {
                let committed = committed
                    .iter()
                    .find(|offset| offset.partition == marks.partition)
                    .map(|offset| offset.offset);
                PartitionLag {
                    partition: marks.partition,
                    committed,
                    end: marks.stable,
                    lag: (marks.stable - committed.unwrap_or(marks.low)).max(0),
                }
            })
            .collect())
    }
}

fn is_unknown(failure: &Failure) -> bool {
    failure.code == Code::GroupIdNotFound
}

/// The codes by which a coordinator says that a group has members.
fn says_occupied(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownMemberId | Code::RebalanceInProgress | Code::IllegalGeneration
    )
}

fn occupied(step: Step<'_>, group: &str) -> Error {
    Error::GroupNotEmpty {
        step: step.to_string(),
        group: group.to_owned(),
    }
}
