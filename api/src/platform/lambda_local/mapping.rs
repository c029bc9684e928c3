//! An event source mapping: reads a topic as a member of the inference's group, makes events of the
//! records, has them answered, and commits what is settled.
//!
//! Invariant: an offset is committed only when all records before it were answered, or given up as the
//! mapping was told to. Of each partition one event is under way at a time.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use millrace_kafka::{
    Assigned, BatchLimits, Connection, Error, GroupConsumer, GroupOptions, RebalanceHandler,
    TopicPartition,
};
use millrace_wire::function::{FunctionSpec, InferenceSpec};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::super::State;
use super::Shared;
use super::destination::{self, Condition};
use super::environment::{Environment, Failure};
use super::event::{Item, event, fitting, settled, unanswered};

/// How long one look at the topic lasts, and so the order to end is not seen.
const LOOK: Duration = Duration::from_millis(100);
/// The first pause before a failed event is tried again; each one after it is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest that Kafka lets a member work between two polls.
const BETWEEN_POLLS: Duration = Duration::from_hours(24);

/// What a mapping is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    /// Records of an event at most.
    pub(super) batch_size: usize,
    /// How long records wait for others to fill their event.
    pub(super) window: Duration,
    /// How long an invocation may take.
    pub(super) timeout: Duration,
    /// How long an environment without work is kept.
    pub(super) idle: Duration,
    /// What only the provisioned mode knows.
    pub(super) provisioned: Option<Provisioned>,
    /// How many share its partitions.
    pub(super) pollers: u32,
}

/// What mappings in provisioned mode know, and the others do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Provisioned {
    /// How often a failed event is tried again; without end where it is left out.
    pub(super) retries: Option<u32>,
    /// Whether a failed event is cut in two.
    pub(super) bisects: bool,
    /// The age at which a record is given up.
    pub(super) oldest: Option<Duration>,
    /// The topic in which it is told what was given up.
    pub(super) on_failure: Option<String>,
}

/// One poller of a mapping, on a thread of its own.
#[derive(Clone)]
pub(super) struct Poller {
    pub(super) spec: FunctionSpec,
    pub(super) inference: InferenceSpec,
    pub(super) mapping: Mapping,
    pub(super) shared: Arc<Shared>,
    pub(super) runtime: Handle,
    /// Whether it shall end.
    pub(super) end: watch::Receiver<bool>,
}

/// The records that wait for their event.
#[derive(Debug, Default)]
struct Pending {
    items: VecDeque<Item>,
    /// When the first of them came.
    since: Option<Instant>,
}

/// The poller was told to end while an event was not settled.
struct Ended;

impl Poller {
    /// Works until it is told to end; what is not settled then stays uncommitted.
    pub(super) fn run(self) {
        let mut pause = PAUSE;
        while !self.ends() {
            let began = Instant::now();
            match self.work() {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(inference.name = %self.inference.name, %error, "the mapping waits");
                    self.shared.update(|status| {
                        status.state = State::BackingOff;
                        status.last_exit = Some(format!("cannot read: {error}"));
                    });
                }
            }
            if began.elapsed() > LONGEST_PAUSE {
                pause = PAUSE;
            }
            if self.pause(&mut pause).is_err() {
                return;
            }
        }
    }

    fn work(&self) -> Result<(), Error> {
        let connection = Connection::new(&self.inference.connection);
        let mut topics = vec![self.inference.input_topic.as_str()];
        topics.extend(self.inference.redrive_topic.as_deref());
        let consumer = GroupConsumer::new(
            &connection,
            GroupOptions {
                max_poll_interval: BETWEEN_POLLS,
                ..GroupOptions::new(&self.inference.group, &topics)
            },
        )?;
        let mut pending = Pending::default();
        let mut environment = None;
        let mut used = Instant::now();
        while !self.ends() {
            self.read(&consumer, &mut pending)?;
            let Some(batch) = pending.take(&self.mapping, Instant::now()) else {
                if environment.is_some() && used.elapsed() > self.mapping.idle {
                    environment = None;
                    self.shared.has_process(None);
                }
                continue;
            };
            if self.settle(&consumer, batch, &mut environment)?.is_err() {
                break;
            }
            used = Instant::now();
        }
        consumer.leave();
        Ok(())
    }

    /// Takes in what has come.
    fn read(&self, consumer: &GroupConsumer, pending: &mut Pending) -> Result<(), Error> {
        let room = self.mapping.batch_size.saturating_sub(pending.items.len());
        let limits = BatchLimits {
            max_records: room.max(1),
            max_bytes: super::event::LARGEST,
            max_wait: LOOK.min(pending.left(&self.mapping)),
        };
        let mut members = Members::default();
        let records = consumer.poll_batch(limits, &mut members)?;
        let items: Vec<Item> = records.iter().map(Item::of).collect();
        drop(records);
        if members.has_joined {
            self.shared.enabled();
        }
        // Whoever has them now reads them anew.
        pending.forget(&members.gone);
        pending.add(items);
        Ok(())
    }

    /// Has a batch answered, however often that takes.
    fn settle(
        &self,
        consumer: &GroupConsumer,
        batch: Vec<Item>,
        environment: &mut Option<Environment>,
    ) -> Result<Result<(), Ended>, Error> {
        let provisioned = self.mapping.provisioned.as_ref();
        let mut parts = VecDeque::from([(batch, 0)]);
        let mut pause = PAUSE;
        while let Some((mut items, tries)) = parts.pop_front() {
            if items.iter().any(Item::is_too_large) {
                let (large, rest): (Vec<Item>, Vec<Item>) =
                    items.into_iter().partition(Item::is_too_large);
                let condition = Condition::MaximumPayloadSizeExceeded;
                let reason = "it fits into no event, which has 6 MB";
                self.give_up(consumer, &large, condition, 0, reason)?;
                parts.push_front((rest, tries));
                continue;
            }
            if let Some(oldest) = provisioned.and_then(|mode| mode.oldest) {
                let (expired, rest) = expired(items, |item| is_older(item, oldest));
                let condition = Condition::RecordAgeExceeded;
                let reason = "it is older than the mapping takes";
                self.give_up(consumer, &expired, condition, tries, reason)?;
                items = rest;
            }
            if items.is_empty() {
                continue;
            }
            let failure = match self.invoke(&items, environment) {
                Ok(answer) => {
                    let rest = if provisioned.is_some() {
                        unanswered(&items, &answer)
                    } else {
                        Vec::new()
                    };
                    consumer.commit(&settled(&items, &rest))?;
                    self.shared.enabled();
                    if rest.is_empty() {
                        pause = PAUSE;
                        continue;
                    }
                    items = rest;
                    Failure("a part of the batch was not answered".to_owned())
                }
                // Nothing is given up for an end.
                Err(_) if self.ends() => return Ok(Err(Ended)),
                Err(failure) => failure,
            };
            tracing::info!(inference.name = %self.inference.name, tries, "an invocation failed: {}", failure.0);
            self.shared.failed(&failure.0);
            if provisioned
                .and_then(|mode| mode.retries)
                .is_some_and(|most| tries >= most)
            {
                let condition = Condition::RetriesExhausted;
                self.give_up(consumer, &items, condition, tries + 1, &failure.0)?;
                continue;
            }
            if provisioned.is_some_and(|mode| mode.bisects) && items.len() > 1 {
                // A cut counts as no try.
                let second = items.split_off(items.len() / 2);
                parts.push_front((second, tries));
                parts.push_front((items, tries));
            } else {
                parts.push_front((items, tries + 1));
            }
            if self.pause(&mut pause).is_err() {
                return Ok(Err(Ended));
            }
        }
        Ok(Ok(()))
    }

    fn invoke(
        &self,
        items: &[Item],
        environment: &mut Option<Environment>,
    ) -> Result<axum::body::Bytes, Failure> {
        let event = event(items, self.servers());
        let shared = &self.shared;
        let answered = async {
            let ready = match environment.take() {
                Some(ready) => ready,
                None => Environment::start(&shared.settings, &self.spec, &shared.log).await?,
            };
            shared.has_process(ready.process_id());
            let (kept, outcome) = ready.invoke(event, self.mapping.timeout).await;
            *environment = kept;
            outcome
        };
        let outcome = self.runtime.block_on(async {
            tokio::select! {
                biased;
                outcome = answered => outcome,
                // Its process goes with the environment.
                () = self.is_over() => Err(Failure("the mapping has ended".to_owned())),
            }
        });
        if environment.is_none() {
            shared.has_process(None);
        }
        outcome
    }

    /// Passes over records that will not be tried again, once that is told where somebody wants to know.
    fn give_up(
        &self,
        consumer: &GroupConsumer,
        items: &[Item],
        condition: Condition,
        invocations: u32,
        reason: &str,
    ) -> Result<(), Error> {
        let (Some(first), Some(last)) = (items.first(), items.last()) else {
            return Ok(());
        };
        tracing::error!(
            inference.name = %self.inference.name,
            "{} records are given up, from {}/{}/{} to {}/{}/{}: {reason}",
            items.len(), first.place.topic, first.place.partition, first.offset,
            last.place.topic, last.place.partition, last.offset,
        );
        let provisioned = self.mapping.provisioned.as_ref();
        if let Some(topic) = provisioned.and_then(|mode| mode.on_failure.as_ref()) {
            let connection = Connection::new(&self.inference.connection);
            let servers = self.servers();
            destination::tell(&connection, topic, servers, items, condition, invocations)?;
        }
        consumer.commit(&settled(items, &[]))
    }

    fn servers(&self) -> &str {
        let servers = self.inference.connection.get("bootstrap.servers");
        servers.map_or("", String::as_str)
    }

    /// Waits, and longer the next time.
    fn pause(&self, pause: &mut Duration) -> Result<(), Ended> {
        let until = Instant::now() + *pause;
        *pause = LONGEST_PAUSE.min(*pause * 2);
        while Instant::now() < until {
            if self.ends() {
                return Err(Ended);
            }
            std::thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
        }
        Ok(())
    }

    fn ends(&self) -> bool {
        // A platform that is gone wants nothing any more.
        *self.end.borrow() || self.end.has_changed().is_err()
    }

    /// Returns when it was told to end, and what was under way has had its time.
    async fn is_over(&self) {
        let _ = self.end.clone().wait_for(|end| *end).await;
        tokio::time::sleep(self.shared.settings.grace).await;
    }
}

impl Pending {
    fn add(&mut self, items: Vec<Item>) {
        if self.items.is_empty() && !items.is_empty() {
            self.since = Some(Instant::now());
        }
        self.items.extend(items);
    }

    fn forget(&mut self, gone: &[TopicPartition]) {
        self.items.retain(|item| !gone.contains(&item.place));
    }

    /// How long the window is still open.
    fn left(&self, mapping: &Mapping) -> Duration {
        let waited = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        if self.items.is_empty() {
            return Duration::MAX;
        }
        mapping.window.saturating_sub(waited)
    }

    /// The records of the next event, once it is full or its window is over.
    fn take(&mut self, mapping: &Mapping, now: Instant) -> Option<Vec<Item>> {
        let since = self.since?;
        // One that fits into no event goes alone, to be given up.
        let count = fitting(&self.items, mapping.batch_size)
            .max(1)
            .min(self.items.len());
        let is_full = count == mapping.batch_size || count < self.items.len();
        if count == 0 || !(is_full || now.saturating_duration_since(since) >= mapping.window) {
            return None;
        }
        let batch = self.items.drain(..count).collect();
        self.since = (!self.items.is_empty()).then_some(now);
        Some(batch)
    }
}

/// Whose partitions come and go.
#[derive(Default)]
struct Members {
    has_joined: bool,
    gone: Vec<TopicPartition>,
}

impl RebalanceHandler for Members {
    fn on_assigned(
        &mut self,
        _: &GroupConsumer,
        _: &[Assigned],
    ) -> Result<Vec<TopicPartition>, Error> {
        self.has_joined = true;
        Ok(Vec::new())
    }

    fn on_revoking(&mut self, _: &GroupConsumer, gone: &[TopicPartition]) -> Result<(), Error> {
        self.gone.extend_from_slice(gone);
        Ok(())
    }

    fn on_lost(&mut self, _: &GroupConsumer, gone: &[TopicPartition]) {
        self.gone.extend_from_slice(gone);
    }
}

/// Parts those that are too old from the others: in each partition those before its first fresh one, since an offset behind
/// that must not be committed yet.
fn expired(items: Vec<Item>, is_old: impl Fn(&Item) -> bool) -> (Vec<Item>, Vec<Item>) {
    let mut fresh = BTreeSet::new();
    items.into_iter().partition(|item| {
        let is_expired = !fresh.contains(&item.place) && is_old(item);
        if !is_expired {
            fresh.insert(item.place.clone());
        }
        is_expired
    })
}

fn is_older(item: &Item, oldest: Duration) -> bool {
    let age = item
        .timestamp_ms
        .map(|time| Utc::now().timestamp_millis() - time);
    age.and_then(|age| u128::try_from(age).ok())
        .is_some_and(|age| age > oldest.as_millis())
}

#[cfg(test)]
mod tests;
