//! A member of a consumer group: static, cooperative, reading committed records.
//!
//! Invariants: a partition starts at its committed offset, or at its beginning
//! where nothing was committed, and never anywhere else; it is given up only
//! after the handler has run, and never while records of it are being handed
//! out; nothing is committed but what the caller commits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;

use crate::error::{Step, code_text};
use crate::ffi::list_entries;
use crate::group::{native_list, native_offsets};
use crate::observer::Observer;
use crate::reader::{
    BETWEEN_POLLS, CONSUMER_DEFAULTS, CONSUMER_FIXED, PollError, Prober, judge, lost_position,
    native,
};
use crate::{Connection, Error, GroupMetadata, GroupOffset, RecordView, TopicPartition};

/// How long one question to the group's coordinator may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Who a member is and what it reads.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// The consumer group.
    pub group: String,
    /// The stable name of this member, so that a restart within the session
    /// timeout moves no partition. A second process with it fences the first.
    pub instance: Option<String>,
    /// The topics.
    pub topics: Vec<String>,
    /// After how much silence the member's partitions go to others. Brokers
    /// take no less than 6 s by default.
    pub session_timeout: Duration,
    /// How long the caller may work between two polls.
    pub max_poll_interval: Duration,
    /// How often the topics are looked at for partitions that were added.
    pub metadata_refresh: Duration,
}

impl GroupOptions {
    /// A member of `group` with the usual times: a session of 10 s, 5 minutes
    /// between polls, 10 s between looks at the topics.
    #[must_use]
    pub fn new(group: &str, topics: &[&str]) -> Self {
        Self {
            group: group.to_owned(),
            instance: None,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            session_timeout: Duration::from_secs(10),
            max_poll_interval: Duration::from_mins(5),
            metadata_refresh: Duration::from_secs(10),
        }
    }

    /// The same member with a stable name.
    #[must_use]
    pub fn instance(mut self, instance: &str) -> Self {
        self.instance = Some(instance.to_owned());
        self
    }
}

/// A partition that this member was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The committed offset; without one reading starts at the beginning.
    pub committed: Option<i64>,
    /// What was noted with that commit.
    pub metadata: String,
}

/// What the caller does when partitions come and go. Called from within
/// [`GroupConsumer::poll_batch`], on its thread, with the consumer at hand.
pub trait RebalanceHandler {
    /// Partitions are about to be read. Those that are returned are held back
    /// until [`GroupConsumer::resume`].
    fn on_assigned(
        &mut self,
        consumer: &GroupConsumer,
        partitions: &[Assigned],
    ) -> Result<Vec<TopicPartition>, Error>;

    /// Partitions are about to be given up: the last moment to commit. They are
    /// given up even where this fails.
    fn on_revoking(
        &mut self,
        consumer: &GroupConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), Error>;

    /// Partitions belong to others already: nothing can be committed for them.
    fn on_lost(&mut self, consumer: &GroupConsumer, partitions: &[TopicPartition]);
}

/// The limits of one batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// At most so many records.
    pub max_records: usize,
    /// No further record once keys and values hold so many bytes.
    pub max_bytes: usize,
    /// How long to wait for the first record. What has arrived with it is taken
    /// at once, without waiting for more.
    pub max_wait: Duration,
}

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
    prober: Prober,
}

impl GroupConsumer {
    /// Joins the group; partitions arrive during [`GroupConsumer::poll_batch`].
    pub fn new(connection: &Connection, options: GroupOptions) -> Result<Self, Error> {
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
        let context = GroupContext::new(Observer::new(connection.health().clone()));
        let consumer: BaseConsumer<GroupContext> =
            connection.client(CONSUMER_DEFAULTS, &fixed, context)?;
        for topic in &options.topics {
            crate::group::check_topic(topic)?;
        }
        let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
        consumer
            .subscribe(&topics)
            .map_err(|error| Step::new("join").group(&options.group).kafka(&error))?;
        Ok(Self {
            consumer,
            options,
            state: Mutex::new(State {
                starts: BTreeMap::new(),
                deferred: None,
                has_lost_position: false,
                prober: Prober::new(),
            }),
        })
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
                deadline.saturating_duration_since(Instant::now())
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
        let list = self
            .consumer
            .committed_offsets(list, BETWEEN_POLLS)
            .map_err(|error| step.kafka(&error))?;
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

    /// What the caller must know of a poll's error, if anything.
    fn judge(&self, error: &KafkaError) -> Option<Error> {
        let reason = self.consumer.context().observer.last_reason();
        let step = match self.options.topics.as_slice() {
            [topic] => self.step("read").topic(topic),
            _ => self.step("read"),
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

    /// After librdkafka lost a position: which one, and why. Kept until the
    /// brokers have told.
    fn check_positions(&self) -> Result<(), Error> {
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
        let context = self.consumer.context();
        context.is_closing.store(true, Ordering::Relaxed);
        while let Some(rebalance) = context.take_pending() {
            answer(&self.consumer, &rebalance);
        }
    }
}

/// Answers a rebalance event without asking anybody.
fn answer(consumer: &BaseConsumer<GroupContext>, rebalance: &Rebalance) {
    let result = match rebalance {
        Rebalance::Assign(list) => consumer.incremental_assign(list),
        Rebalance::Revoke { list, .. } => consumer.incremental_unassign(list),
    };
    if let Err(error) = result {
        tracing::warn!(error = %error, "a rebalance could not be answered while closing");
    }
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

fn placed(targets: &[(TopicPartition, Offset)]) -> impl Iterator<Item = (&str, i32, Offset)> {
    targets
        .iter()
        .map(|(key, offset)| (key.topic.as_str(), key.partition, *offset))
}

fn unplaced(step: Step<'_>, partitions: &[TopicPartition]) -> Result<TopicPartitionList, Error> {
    native_list(
        step,
        partitions
            .iter()
            .map(|key| (key.topic.as_str(), key.partition, Offset::Invalid)),
    )
}

/// A rebalance that waits for its answer.
enum Rebalance {
    Assign(TopicPartitionList),
    Revoke {
        list: TopicPartitionList,
        is_lost: bool,
    },
}

/// Keeps rebalance events for [`GroupConsumer::poll_batch`]: librdkafka waits
/// for their answer, so they need not be answered inside its callback, in the
/// middle of a batch.
struct GroupContext {
    observer: Observer,
    pending: Mutex<VecDeque<Rebalance>>,
    is_closing: AtomicBool,
}

impl GroupContext {
    fn new(observer: Observer) -> Self {
        Self {
            observer,
            pending: Mutex::default(),
            is_closing: AtomicBool::new(false),
        }
    }

    fn has_pending(&self) -> bool {
        !self.queue().is_empty()
    }

    fn take_pending(&self) -> Option<Rebalance> {
        self.queue().pop_front()
    }

    fn put_back(&self, rebalance: Rebalance) {
        self.queue().push_front(rebalance);
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Rebalance>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.observer.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.observer.error(error, reason);
    }

    fn stats(&self, _statistics: Statistics) {}

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let rebalance = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            Rebalance::Assign(list.clone())
        } else {
            Rebalance::Revoke {
                list: list.clone(),
                is_lost: consumer.assignment_lost(),
            }
        };
        if self.is_closing.load(Ordering::Relaxed) {
            answer(consumer, &rebalance);
        } else {
            self.queue().push_back(rebalance);
        }
    }
}
