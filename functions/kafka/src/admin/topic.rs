//! Topics: what they are, making and removing them.
//!
//! Invariant: a change has taken effect as far as the cluster's metadata show it
//! when the call that made it returns.

use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

use futures::executor::block_on;
use rdkafka::admin::{
    ConfigResource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::RDKafkaErrorCode as Code;

use super::{Admin, CHANGE_POLL, REQUEST_TIMEOUT, options, to_i32};
use crate::Error;
use crate::error::{Step, code_text};
use crate::ffi::TopicAnswer;
use crate::group::check_topic;

/// A topic as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id: another one after the topic was deleted and made again.
    pub id: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// `delete`, `compact`, or both with a comma.
    pub cleanup_policy: String,
    /// How long records are kept, in milliseconds; −1 is for ever.
    pub retention_ms: i64,
    /// The largest batch of records that the topic takes.
    pub max_message_bytes: i64,
}

/// What a writer has to know of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// How many partitions it has.
    pub partitions: i32,
    /// Whether this login may write to it; nothing where the brokers do not say.
    pub may_write: Option<bool>,
}

impl TopicDescription {
    /// Whether the topic forgets older records of a key.
    #[must_use]
    pub fn is_compacted(&self) -> bool {
        self.cleanup_policy.split(',').any(|word| word == "compact")
    }
}

impl Admin {
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
        let answer = self.native_description(topic)?;
        let step = Step::new("describe the topic").topic(topic);
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
            cleanup_policy: config_text(&config, "cleanup.policy"),
            retention_ms: config_number(&config, "retention.ms"),
            max_message_bytes: config_number(&config, "max.message.bytes"),
        })
    }

    /// How many partitions a topic has. Asks for less, and so needs fewer rights, than
    /// [`Admin::describe_topic`].
    pub fn partitions(&self, topic: &str) -> Result<i32, Error> {
        let answer = self.native_description(topic)?;
        Ok(to_i32(answer.partitions))
    }

    /// The topic as a writer sees it. Asks for no more than [`Admin::partitions`].
    pub fn destination(&self, topic: &str) -> Result<Destination, Error> {
        let answer = self.native_description(topic)?;
        Ok(Destination {
            partitions: to_i32(answer.partitions),
            may_write: answer.may_write,
        })
    }

    fn native_description(&self, topic: &str) -> Result<TopicAnswer, Error> {
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
        Ok(answer)
    }

    /// Fails with [`Error::TopicRecreated`] unless the topic has this id.
    pub fn check_topic_id(&self, topic: &str, expected: &str) -> Result<(), Error> {
        self.partitions_of(topic, expected).map(drop)
    }

    /// How many partitions the topic has that has this id. Fails as [`Admin::check_topic_id`] does.
    pub fn partitions_of(&self, topic: &str, expected: &str) -> Result<i32, Error> {
        let answer = self.native_description(topic)?;
        let found = uuid_text(answer.id);
        if found == expected {
            return Ok(to_i32(answer.partitions));
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

fn config_text(config: &ConfigResource, name: &str) -> String {
    config
        .get(name)
        .and_then(|entry| entry.value.clone())
        .unwrap_or_default()
}

fn config_number(config: &ConfigResource, name: &str) -> i64 {
    config_text(config, name).parse().unwrap_or(-1)
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
