//! Questions to a cluster and changes of it: topics, offsets, groups.
//!
//! Invariant: a call that returns Ok has taken effect as far as the cluster's
//! metadata show it; nothing but what is named is made, changed or removed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::Offset;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::error::RDKafkaErrorCode as Code;

use crate::error::{Step, code_text};
use crate::ffi::{Native, OffsetSpec, PartitionAnswer};
use crate::group::{check_topic, native_list, native_offsets};
use crate::observer::Observer;
use crate::{Connection, Error, GroupOffset, GroupState, PartitionLag};

/// How long one request may take before it counts as unreachable.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the metadata are asked whether a change has arrived.
const CHANGE_POLL: Duration = Duration::from_millis(20);

/// A topic as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id: another one after the topic was deleted and made again.
    pub id: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many replicas a partition has.
    pub replication_factor: i32,
    /// `delete`, `compact`, or both with a comma.
    pub cleanup_policy: String,
    /// How long records are kept, in milliseconds; −1 is for ever.
    pub retention_ms: i64,
    /// How many bytes a partition keeps; −1 is no limit.
    pub retention_bytes: i64,
    /// The largest batch of records that the topic takes.
    pub max_message_bytes: i64,
    /// `CreateTime` or `LogAppendTime`.
    pub message_timestamp_type: String,
}

impl TopicDescription {
    /// Whether the topic forgets older records of a key.
    #[must_use]
    pub fn is_compacted(&self) -> bool {
        self.cleanup_policy.split(',').any(|word| word == "compact")
    }
}

/// The ends of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The partition.
    pub partition: i32,
    /// The first offset that Kafka still keeps.
    pub low: i64,
    /// The last stable offset: where a reader of committed records ends. It
    /// stands before an open transaction, and equals `high` without one.
    pub stable: i64,
    /// The high watermark: the next offset to be written and replicated.
    pub high: i64,
}

/// A client for questions and changes; it may be shared between threads.
pub struct Admin {
    client: Arc<AdminClient<Observer>>,
    stop: Arc<AtomicBool>,
    observing: Option<JoinHandle<()>>,
}

impl Admin {
    /// Makes the client; the cluster is not contacted yet.
    pub fn new(connection: &Connection) -> Result<Self, Error> {
        let observer = Observer::new(connection.health().clone());
        let client: AdminClient<Observer> = connection.client(&[], &[], observer)?;
        let client = Arc::new(client);
        let stop = Arc::new(AtomicBool::new(false));
        let observing = thread::Builder::new()
            .name("kafka-admin".to_owned())
            .spawn({
                let client = Arc::clone(&client);
                let stop = Arc::clone(&stop);
                move || {
                    let native = Native::of(client.inner());
                    while !stop.load(Ordering::Relaxed) {
                        native.serve_main_queue(
                            client.inner().context().as_ref(),
                            Duration::from_millis(100),
                        );
                    }
                }
            })
            .map_err(|error| Error::Client {
                reason: format!("no thread can be started: {error}"),
            })?;
        Ok(Self {
            client,
            stop,
            observing: Some(observing),
        })
    }

    /// Asks the cluster for a sign of life within `timeout`, and moves the
    /// connection's health.
    pub fn probe(&self, timeout: Duration) -> Result<(), Error> {
        let step = Step::new("reach the cluster");
        self.client
            .inner()
            .fetch_metadata(Some("__consumer_offsets"), timeout)
            .map_err(|error| step.kafka(&error))?;
        self.answered();
        Ok(())
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> Result<String, Error> {
        let id = self.client.inner().fetch_cluster_id(REQUEST_TIMEOUT);
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return Err(Error::Unreachable {
                step: "ask for the cluster's id".to_owned(),
                reason: format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()),
            });
        };
        self.answered();
        Ok(id)
    }

    /// The names of all topics but Kafka's own, sorted.
    pub fn topics(&self) -> Result<Vec<String>, Error> {
        let metadata = self
            .client
            .inner()
            .fetch_metadata(None, REQUEST_TIMEOUT)
            .map_err(|error| Step::new("list the topics").kafka(&error))?;
        self.answered();
        let mut names: Vec<String> = metadata
            .topics()
            .iter()
            .map(|topic| topic.name().to_owned())
            .filter(|name| !name.starts_with("__"))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Describes a topic.
    pub fn describe_topic(&self, topic: &str) -> Result<TopicDescription, Error> {
        check_topic(topic)?;
        let step = Step::new("describe the topic").topic(topic);
        let answer = self
            .native()
            .describe_topic(topic, REQUEST_TIMEOUT)
            .map_err(|failure| step.failure(&failure))?;
        let resources = block_on(
            self.client
                .describe_configs(&[ResourceSpecifier::Topic(topic)], &options()),
        )
        .map_err(|error| step.kafka(&error))?;
        let config = match resources.into_iter().next() {
            Some(Ok(config)) => config,
            Some(Err(code)) => return Err(step.code(code, &code_text(code))),
            None => return Err(step.failed("the cluster sent no configuration", true)),
        };
        self.answered();
        Ok(TopicDescription {
            name: answer.name,
            id: uuid_text(answer.id),
            partitions: to_i32(answer.partitions),
            replication_factor: to_i32(answer.replication_factor),
            cleanup_policy: config_text(&config, "cleanup.policy"),
            retention_ms: config_number(&config, "retention.ms"),
            retention_bytes: config_number(&config, "retention.bytes"),
            max_message_bytes: config_number(&config, "max.message.bytes"),
            message_timestamp_type: config_text(&config, "message.timestamp.type"),
        })
    }

    /// How many partitions a topic has. Asks for less, and so needs fewer rights, than
    /// [`Admin::describe_topic`].
    pub fn partitions(&self, topic: &str) -> Result<i32, Error> {
        check_topic(topic)?;
        let answer = self
            .native()
            .describe_topic(topic, REQUEST_TIMEOUT)
            .map_err(|failure| {
                Step::new("describe the topic")
                    .topic(topic)
                    .failure(&failure)
            })?;
        self.answered();
        Ok(to_i32(answer.partitions))
    }

    /// Fails with [`Error::TopicRecreated`] unless the topic has this id.
    pub fn check_topic_id(&self, topic: &str, expected: &str) -> Result<(), Error> {
        check_topic(topic)?;
        let answer = self
            .native()
            .describe_topic(topic, REQUEST_TIMEOUT)
            .map_err(|failure| {
                Step::new("describe the topic")
                    .topic(topic)
                    .failure(&failure)
            })?;
        self.answered();
        let found = uuid_text(answer.id);
        if found == expected {
            return Ok(());
        }
        Err(Error::TopicRecreated {
            topic: topic.to_owned(),
            expected: expected.to_owned(),
            found,
        })
    }

    /// Makes a topic and waits until the cluster shows it. A replication factor
    /// of −1 is the cluster's default.
    pub fn create_topic(
        &self,
        topic: &str,
        partitions: i32,
        replication_factor: i32,
        config: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        check_topic(topic)?;
        let step = Step::new("create the topic").topic(topic);
        let mut new = NewTopic::new(
            topic,
            partitions,
            TopicReplication::Fixed(replication_factor),
        );
        for (key, value) in config {
            new = new.set(key, value);
        }
        let results = block_on(self.client.create_topics([&new], &options()))
            .map_err(|error| step.kafka(&error))?;
        first_result(step, results)?;
        self.wait_for_partitions(step, topic, partitions)
    }

    /// Removes topics and waits until the cluster no longer shows them. Topics
    /// that do not exist are passed over.
    pub fn delete_topics(&self, topics: &[&str]) -> Result<(), Error> {
        for topic in topics {
            check_topic(topic)?;
        }
        if topics.is_empty() {
            return Ok(());
        }
        let results = block_on(self.client.delete_topics(topics, &options()))
            .map_err(|error| Step::new("delete topics").kafka(&error))?;
        self.answered();
        for result in results {
            match result {
                Ok(_) | Err((_, Code::UnknownTopicOrPartition | Code::UnknownTopic)) => {}
                Err((topic, code)) => {
                    let step = Step::new("delete the topic").topic(&topic);
                    return Err(step.code(code, &code_text(code)));
                }
            }
        }
        for topic in topics {
            let step = Step::new("delete the topic").topic(topic);
            wait_until(step, || {
                match self.native().describe_topic(topic, REQUEST_TIMEOUT) {
                    Ok(_) => Ok(false),
                    Err(failure) if failure.code == Code::UnknownTopicOrPartition => Ok(true),
                    Err(failure) => Err(step.failure(&failure)),
                }
            })?;
        }
        Ok(())
    }

    /// Adds partitions until there are `total`, and waits until they show.
    pub fn create_partitions(&self, topic: &str, total: i32) -> Result<(), Error> {
        check_topic(topic)?;
        let step = Step::new("add partitions to the topic").topic(topic);
        let new = NewPartitions::new(topic, usize::try_from(total).unwrap_or(0));
        let results = block_on(self.client.create_partitions([&new], &options()))
            .map_err(|error| step.kafka(&error))?;
        first_result(step, results)?;
        self.wait_for_partitions(step, topic, total)
    }

    /// The ends of each partition, in order.
    pub fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, Error> {
        let marks = watermarks(self.native(), topic, REQUEST_TIMEOUT)?;
        self.answered();
        Ok(marks)
    }

    /// For each partition the first offset at or after a time (milliseconds
    /// since 1970), or the last stable offset where there is none.
    pub fn offsets_for_time(&self, topic: &str, time_ms: i64) -> Result<BTreeMap<i32, i64>, Error> {
        let ends = self.watermarks(topic)?;
        let partitions: Vec<i32> = ends.iter().map(|end| end.partition).collect();
        let found = offsets(
            self.native(),
            topic,
            &partitions,
            OffsetSpec::Time(time_ms),
            REQUEST_TIMEOUT,
        )?;
        Ok(ends
            .iter()
            .map(|end| {
                let offset = found
                    .get(&end.partition)
                    .copied()
                    .filter(|offset| *offset >= 0);
                (end.partition, offset.unwrap_or(end.stable))
            })
            .collect())
    }

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
        let answers = settle(|| {
            let answers = self
                .native()
                .list_group_offsets(group, &list, REQUEST_TIMEOUT)
                .map_err(|failure| step.failure(&failure))?;
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
        settle(|| {
            let answers = self
                .native()
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
        settle(|| {
            let results = block_on(self.client.delete_groups(&[group], &options()))
                .map_err(|error| step.kafka(&error))?;
            for result in results {
                match result {
                    Ok(_) | Err((_, Code::GroupIdNotFound)) => {}
                    Err((_, code)) => return Err(step.code(code, &code_text(code))),
                }
            }
            Ok(())
        })?;
        self.answered();
        Ok(())
    }

    /// The state and the members of a group.
    pub fn group(&self, group: &str) -> Result<GroupState, Error> {
        let step = Step::new("describe the consumer group").group(group);
        let state = settle(
            || match self.native().describe_group(group, REQUEST_TIMEOUT) {
                Ok(answer) => Ok(GroupState {
                    state: answer.state,
                    members: answer.members,
                }),
                Err(failure) if failure.code == Code::GroupIdNotFound => Ok(GroupState {
                    state: "Dead".to_owned(),
                    members: Vec::new(),
                }),
                Err(failure) => Err(step.failure(&failure)),
            },
        )?;
        self.answered();
        Ok(state)
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

    fn wait_for_partitions(
        &self,
        step: Step<'_>,
        topic: &str,
        partitions: i32,
    ) -> Result<(), Error> {
        self.answered();
        wait_until(step, || {
            match self.native().describe_topic(topic, REQUEST_TIMEOUT) {
                Ok(answer) => Ok(to_i32(answer.partitions) >= partitions.max(1)),
                Err(failure) if failure.code == Code::UnknownTopicOrPartition => Ok(false),
                Err(failure) => Err(step.failure(&failure)),
            }
        })
    }

    fn native(&self) -> Native<'_> {
        Native::of(self.client.inner())
    }

    fn answered(&self) {
        self.client.inner().context().health().up();
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.observing.take() {
            // The thread only forwards logs: its panic would be a log line's.
            let _ = thread.join();
        }
    }
}

/// The ends of every partition of a topic, by any client.
pub(crate) fn watermarks(
    native: Native<'_>,
    topic: &str,
    timeout: Duration,
) -> Result<Vec<Watermarks>, Error> {
    check_topic(topic)?;
    let description = native.describe_topic(topic, timeout).map_err(|failure| {
        Step::new("describe the topic")
            .topic(topic)
            .failure(&failure)
    })?;
    let partitions: Vec<i32> = (0..to_i32(description.partitions)).collect();
    let low = offsets(native, topic, &partitions, OffsetSpec::Earliest, timeout)?;
    // The stable offset is asked for first: it must not lie above `high`.
    let stable = offsets(
        native,
        topic,
        &partitions,
        OffsetSpec::LatestStable,
        timeout,
    )?;
    let high = offsets(native, topic, &partitions, OffsetSpec::Latest, timeout)?;
    let of = |offsets: &BTreeMap<i32, i64>, partition: &i32| {
        offsets.get(partition).copied().unwrap_or(0)
    };
    Ok(partitions
        .iter()
        .map(|partition| Watermarks {
            partition: *partition,
            low: of(&low, partition),
            stable: of(&stable, partition),
            high: of(&high, partition),
        })
        .collect())
}

fn offsets(
    native: Native<'_>,
    topic: &str,
    partitions: &[i32],
    spec: OffsetSpec,
    timeout: Duration,
) -> Result<BTreeMap<i32, i64>, Error> {
    let step = Step::new("ask for the offsets").topic(topic);
    settle(|| {
        let answers = native
            .list_offsets(topic, partitions, spec, timeout)
            .map_err(|failure| step.failure(&failure))?;
        let mut found = BTreeMap::new();
        for answer in answers {
            check_answer(step, topic, &answer)?;
            found.insert(answer.partition, answer.offset);
        }
        Ok(found)
    })
}

fn check_answer(step: Step<'_>, topic: &str, answer: &PartitionAnswer) -> Result<(), Error> {
    match answer.error {
        None => Ok(()),
        Some(code) => Err(Step::topic(step, topic)
            .partition(answer.partition)
            .code(code, &code_text(code))),
    }
}

fn first_result(step: Step<'_>, results: Vec<Result<String, (String, Code)>>) -> Result<(), Error> {
    for result in results {
        if let Err((_, code)) = result {
            return Err(step.code(code, &code_text(code)));
        }
    }
    Ok(())
}

/// Polls a condition that follows from a change already made.
fn wait_until(
    step: Step<'_>,
    mut condition: impl FnMut() -> Result<bool, Error>,
) -> Result<(), Error> {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    while !condition()? {
        if Instant::now() >= deadline {
            return Err(step.failed("the cluster's metadata do not show the change yet", true));
        }
        thread::sleep(CHANGE_POLL);
    }
    Ok(())
}

/// Asks again while the cluster is settling: a coordinator or a leader that is
/// being chosen, offsets in a transaction that is about to end.
fn settle<T>(mut ask: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    loop {
        match ask() {
            Err(Error::Failed {
                retriable: true, ..
            }) if Instant::now() < deadline => thread::sleep(CHANGE_POLL),
            result => return result,
        }
    }
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

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(REQUEST_TIMEOUT))
        .operation_timeout(Some(REQUEST_TIMEOUT))
}

fn config_text(config: &ConfigResource, name: &str) -> String {
    config
        .get(name)
        .and_then(|entry| entry.value.clone())
        .unwrap_or_default()
}

fn config_number(config: &ConfigResource, name: &str) -> i64 {
    config_text(config, name).parse().unwrap_or(-1)
}

fn to_i32(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Kafka's 128-bit ids in the usual hexadecimal form.
fn uuid_text(id: [u8; 16]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(36);
    for (index, byte) in id.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
