//! A member of a consumer group: static, cooperative, reading committed records.
//!
//! Invariants: a partition starts at its committed offset, or at its beginning
//! where nothing was committed, and never anywhere else; it is given up only
//! after the handler has run, and never while records of it are being handed
//! out; nothing is committed but what the caller commits.

mod membership;
mod position;
mod rebalance;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::error::{Step, code_text};
use crate::ffi::list_entries;
use crate::group::{native_list, native_offsets};
use crate::observer::Observer;
use crate::reader::{
    BETWEEN_POLLS, CONSUMER_DEFAULTS, CONSUMER_FIXED, PollError, Prober, judge, native,
};
use crate::{Connection, Error, GroupMetadata, GroupOffset, RecordView, TopicPartition};
use rebalance::{GroupContext, Rebalance, answer};

pub use membership::{Assigned, BatchLimits, GroupOptions, RebalanceHandler};

/// How long leaving the group may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one question to the group's coordinator may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A member of a consumer group.
pub struct GroupConsumer {
    consumer: BaseConsumer<GroupContext>,
    options: GroupOptions,
    state: Mutex<State>,
}

struct State {
    /// Where each partition was last told to start; librdkafka's own position
    /// says nothing until the first record after that.
    starts: BTreeMap<TopicPartition, Option<i64>>,
    /// An error that came behind records: it is told by the next poll.
    deferred: Option<Error>,
    has_lost_position: bool,
    /// Since when committed offsets were asked for in vain.
    unreadable: Option<Instant>,
    prober: Prober,
}

impl GroupConsumer {
    /// Joins the group; partitions arrive during [`GroupConsumer::poll_batch`].
    pub fn new(connection: &Connection, options: GroupOptions) -> Result<Self, Error> {
        let consumer = Self::apart(connection, options)?;
        consumer.join()?;
        Ok(consumer)
    }

    /// Makes the client, which looks for its brokers and the group's coordinator, and stays apart from the group until
    /// [`GroupConsumer::join`].
    pub fn apart(connection: &Connection, options: GroupOptions) -> Result<Self, Error> {
        let session = options.session_timeout.as_millis().to_string();
        let heartbeat = (options.session_timeout.as_millis() / 4).max(1).to_string();
        let max_poll = options
            .max_poll_interval
            .max(options.session_timeout)
            .as_millis()
            .to_string();
        let refresh = options.metadata_refresh.as_millis().to_string();
        let mut fixed = CONSUMER_FIXED.to_vec();
        fixed.extend([
            ("group.id", options.group.as_str()),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", session.as_str()),
            ("heartbeat.interval.ms", heartbeat.as_str()),
            ("max.poll.interval.ms", max_poll.as_str()),
            ("topic.metadata.refresh.interval.ms", refresh.as_str()),
        ]);
        if let Some(instance) = &options.instance {
            fixed.push(("group.instance.id", instance));
        }
        let mut defaults = CONSUMER_DEFAULTS.to_vec();
        // librdkafka's limit in bytes does not count what it keeps of each record beside it, some 300 bytes: of small records
        // it would hold 100,000 of each partition.
        defaults.push(("queued.min.messages", "10000"));
        let context = GroupContext::new(Observer::new(connection.health().clone()));
        let consumer: BaseConsumer<GroupContext> = connection.client(&defaults, &fixed, context)?;
        for topic in &options.topics {
            crate::group::check_topic(topic)?;
        }
        Ok(Self {
            consumer,
            options,
            state: Mutex::new(State {
                starts: BTreeMap::new(),
                deferred: None,
                has_lost_position: false,
                unreadable: None,
                prober: Prober::new(),
            }),
        })
    }

    /// Joins the group, which goes on in the background; partitions arrive during [`GroupConsumer::poll_batch`].
    pub fn join(&self) -> Result<(), Error> {
        let topics: Vec<&str> = self.options.topics.iter().map(String::as_str).collect();
        self.consumer
            .subscribe(&topics)
            .map_err(|error| self.step("join").kafka(&error))
    }

    /// The next records, in the client's memory; empty where nothing came in
    /// time. Partitions come and go in here, between batches only.
    ///
    /// A position that Kafka no longer has is [`Error::OffsetExpired`] or
    /// [`Error::OffsetInFuture`]; its partition stands still until a seek, the
    /// others can be read on.
    pub fn poll_batch(
        &self,
        limits: BatchLimits,
        handler: &mut dyn RebalanceHandler,
    ) -> Result<Vec<RecordView<'_>>, Error> {
        if let Some(error) = self.state().deferred.take() {
            return Err(error);
        }
        self.check_positions()?;
        let deadline = Instant::now() + limits.max_wait;
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < limits.max_records && bytes < limits.max_bytes {
            if batch.is_empty() {
                if !self.settle_rebalances(handler)? {
                    break;
                }
            } else if self.consumer.context().has_pending() {
                break;
            }
            let left = if batch.is_empty() {
                whole_milliseconds(deadline.saturating_duration_since(Instant::now()))
            } else {
                Duration::ZERO
            };
            match self.consumer.poll(left) {
                Some(Ok(message)) => {
                    let record = RecordView::new(message);
                    bytes += record.size();
                    batch.push(record);
                }
                Some(Err(error)) => {
                    if let Some(error) = self.judge(&error) {
                        if batch.is_empty() {
                            return Err(error);
                        }
                        self.state().deferred = Some(error);
                        break;
                    }
                }
                None if !batch.is_empty() => break,
                None if self.consumer.context().has_pending() => {}
                None if Instant::now() >= deadline => break,
                None => {}
            }
        }
        let health = self.consumer.context().observer.health();
        if batch.is_empty() {
            let topic = self.options.topics.first().map_or("", String::as_str);
            self.state()
                .prober
                .probe(health, self.consumer.client(), topic);
        } else {
            health.up();
        }
        Ok(batch)
    }

    /// The partitions that this member holds.
    pub fn assignment(&self) -> Result<Vec<TopicPartition>, Error> {
        let list = self
            .consumer
            .assignment()
            .map_err(|error| self.step("read the assignment").kafka(&error))?;
        Ok(partitions_of(&list))
    }

    /// Holds partitions back; what has been fetched of them is fetched again.
    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        let step = self.step("pause partitions");
        let list = unplaced(step, partitions)?;
        self.consumer
            .pause(&list)
            .map_err(|error| step.kafka(&error))?;
        match list_entries(&list)
            .into_iter()
            .find(|entry| entry.error.is_some())
        {
            None => Ok(()),
            Some(entry) => Err(Error::UnknownPartition {
                topic: entry.topic,
                partition: entry.partition,
            }),
        }
    }

    /// Lets partitions that were held back go on.
    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        let step = self.step("resume partitions");
        self.consumer
            .resume(&unplaced(step, partitions)?)
            .map_err(|error| step.kafka(&error))
    }

    /// For how long the group's committed offsets have been asked for in vain; nothing where the last
    /// answer was one.
    #[must_use]
    pub fn offsets_unreadable(&self) -> Option<Duration> {
        self.state().unreadable.map(|since| since.elapsed())
    }

    /// Commits offsets and waits for the coordinator. Inside transactions use
    /// [`crate::TransactionalProducer::send_offsets`] instead.
    pub fn commit(&self, offsets: &[GroupOffset]) -> Result<(), Error> {
        if offsets.is_empty() {
            return Ok(());
        }
        let step = self.step("commit offsets");
        let list = native_offsets(step, offsets)?;
        match self.consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => Ok(()),
            // The partitions have gone to others: trying again cannot help.
            Err(KafkaError::ConsumerCommit(
                code @ (Code::IllegalGeneration | Code::UnknownMemberId),
            )) => Err(step.failed(&code_text(code), false)),
            Err(error) => Err(step.kafka(&error)),
        }
    }

    /// This membership, for a transaction's offsets.
    pub fn group_metadata(&self) -> Result<GroupMetadata, Error> {
        let native = self.consumer.group_metadata().ok_or_else(|| {
            self.step("read the membership")
                .failed("the consumer has none", true)
        })?;
        Ok(GroupMetadata { native })
    }

    /// Leaves the group for good, so that others get this member's partitions at once. Closing alone
    /// does not: who has a stable name is expected back for the time of a session. All that is to
    /// be committed must be committed before.
    pub fn leave(self) {
        self.answer_from_here_on();
        // librdkafka lets a static member leave by ending its subscription, not by closing.
        self.consumer.unsubscribe();
        let deadline = Instant::now() + LEAVE_TIMEOUT;
        // The name goes with the request to leave, for whose answer closing waits.
        while !native(&self.consumer).member_id().is_empty() {
            if Instant::now() >= deadline {
                tracing::warn!(
                    kafka.group = self.options.group,
                    "the group could not be left in time: its partitions wait for the session's end"
                );
                return;
            }
            drop(self.consumer.poll(Duration::from_millis(10)));
        }
    }

    /// Lets the context answer rebalances at once, and asks nobody.
    fn answer_from_here_on(&self) {
        let context = self.consumer.context();
        context.is_closing.store(true, Ordering::Relaxed);
        while let Some(rebalance) = context.take_pending() {
            answer(&self.consumer, &rebalance);
        }
    }

    /// Does what librdkafka's rebalance events ask for. Returns false where the
    /// coordinator does not answer, or offsets are in a transaction that is still
    /// open: the event is then left for the next poll.
    fn settle_rebalances(&self, handler: &mut dyn RebalanceHandler) -> Result<bool, Error> {
        while let Some(rebalance) = self.consumer.context().take_pending() {
            match rebalance {
                Rebalance::Assign(list) => {
                    let assigned = match self.committed(list.clone()) {
                        Ok(assigned) => assigned,
                        Err(error) => {
                            self.consumer.context().put_back(Rebalance::Assign(list));
                            if error.is_retriable() {
                                tracing::debug!(error = %error, "partitions wait for their offsets");
                                return Ok(false);
                            }
                            return Err(error);
                        }
                    };
                    self.accept(&assigned, handler)?;
                }
                Rebalance::Revoke { list, is_lost } => {
                    let partitions = partitions_of(&list);
                    let result = if is_lost {
                        handler.on_lost(self, &partitions);
                        Ok(())
                    } else {
                        handler.on_revoking(self, &partitions)
                    };
                    let step = self.step("give up partitions");
                    self.consumer
                        .incremental_unassign(&list)
                        .map_err(|error| step.kafka(&error))?;
                    let mut state = self.state();
                    for partition in &partitions {
                        state.starts.remove(partition);
                    }
                    drop(state);
                    result?;
                }
            }
        }
        Ok(true)
    }

    fn accept(
        &self,
        assigned: &[Assigned],
        handler: &mut dyn RebalanceHandler,
    ) -> Result<(), Error> {
        let step = self.step("take partitions");
        let keys: Vec<TopicPartition> = assigned
            .iter()
            .map(|part| TopicPartition::new(&part.topic, part.partition))
            .collect();
        let list = native_list(
            step,
            assigned.iter().map(|part| {
                let start = part.committed.map_or(Offset::Beginning, Offset::Offset);
                (part.topic.as_str(), part.partition, start)
            }),
        )?;
        let mut state = self.state();
        for (key, part) in keys.iter().zip(assigned) {
            state.starts.insert(key.clone(), part.committed);
        }
        drop(state);
        let held = handler.on_assigned(self, assigned);
        // A pause outlives an assignment in librdkafka: a partition that comes
        // back must not still be held.
        if !keys.is_empty() {
            self.resume(&keys)?;
        }
        self.consumer
            .incremental_assign(&list)
            .map_err(|error| step.kafka(&error))?;
        // Pausing comes after: librdkafka passes over partitions that it does
        // not know yet. What it has fetched by then is thrown away and fetched
        // again. Where the handler failed nothing is to be read, but the group
        // waits for the assignment all the same.
        match &held {
            Ok(held) if held.is_empty() => {}
            Ok(held) => self.pause(held)?,
            Err(_) => self.pause(&keys)?,
        }
        held.map(drop)
    }

    /// What the group has committed for the partitions of a list. Offsets of an
    /// open transaction are waited for.
    fn committed(&self, list: TopicPartitionList) -> Result<Vec<Assigned>, Error> {
        if list.count() == 0 {
            return Ok(Vec::new());
        }
        let step = self.step("read the committed offsets");
        let asked = Instant::now();
        let answer = self.consumer.committed_offsets(list, BETWEEN_POLLS);
        let mut state = self.state();
        state.unreadable = match &answer {
            Ok(_) => None,
            Err(_) => state.unreadable.or(Some(asked)),
        };
        drop(state);
        let list = answer.map_err(|error| step.kafka(&error))?;
        list_entries(&list)
            .into_iter()
            .map(|entry| match entry.error {
                Some(code) => Err(step
                    .topic(&entry.topic)
                    .partition(entry.partition)
                    .code(code, &code_text(code))),
                None => Ok(Assigned {
                    committed: (entry.offset >= 0).then_some(entry.offset),
                    topic: entry.topic,
                    partition: entry.partition,
                    metadata: entry.metadata,
                }),
            })
            .collect()
    }

    /// What the caller must know of a poll's error, if anything.
    fn judge(&self, error: &KafkaError) -> Option<Error> {
        let reason = self.consumer.context().observer.last_reason();
        // With several topics only librdkafka's sentence says which one it was.
        let named = |topic: &&String| match self.options.topics.as_slice() {
            [_] => true,
            _ => reason.contains(topic.as_str()),
        };
        let topics = self.options.topics.iter().filter(named);
        let longest = topics.max_by_key(|topic| topic.len());
        let step = match longest {
            Some(topic) => self.step("read").topic(topic),
            None => self.step("read"),
        };
        match judge(step, error, &reason) {
            PollError::Transient => None,
            PollError::PositionLost => {
                self.state().has_lost_position = true;
                self.check_positions().err()
            }
            PollError::Told(error) => Some(error),
        }
    }

    fn step<'a>(&'a self, doing: &'a str) -> Step<'a> {
        Step::new(doing).group(&self.options.group)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GroupConsumer {
    fn drop(&mut self) {
        // Closing revokes everything and waits for the answer, which nobody but
        // the context can give from here on.
        self.answer_from_here_on();
    }
}

/// So long, or up to a millisecond longer: rdkafka waits in whole ones, and would spin for what is left of the last.
fn whole_milliseconds(wait: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

fn partitions_of(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list_entries(list)
        .into_iter()
        .map(|entry| TopicPartition {
            topic: entry.topic,
            partition: entry.partition,
        })
        .collect()
}

fn unplaced(step: Step<'_>, partitions: &[TopicPartition]) -> Result<TopicPartitionList, Error> {
    native_list(
        step,
        partitions
            .iter()
            .map(|key| (key.topic.as_str(), key.partition, Offset::Invalid)),
    )
}
