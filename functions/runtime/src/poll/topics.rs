//! Watches the topics of an inference for as long as it reads: they are looked at every second, and
//! with them how far the replica is behind, and where a span ends; less often, whether somebody reads each partition.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use chrono::Utc;
use millrace_kafka::{Connection, Error, TopicPartition};
use millrace_wire::function::{Ends, InferenceSpec};

use super::lag::Lags;
use crate::answer::Topics;
use crate::failure::Failure;
use crate::shutdown::Shutdown;
use crate::status::Status;

/// How often the topics are looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// At every which look it is looked for partitions that nobody reads.
const ORPHANS: u32 = 10;
/// The coordinator's word for a group that has settled.
const STABLE: &str = "Stable";

/// The topics; shared with the thread that looks at them.
pub(super) struct Watched {
    topics: Topics,
    /// Where the input's partitions end, of an inference over a span. They only move on.
    ends: Option<Mutex<BTreeMap<i32, i64>>>,
    /// The consumer group that moves them.
    ahead: Option<String>,
    /// How far the replica is behind.
    pub(super) lags: Arc<Lags>,
    /// The consumer group, and this replica's name in it.
    member: (String, String),
    /// The topic of dead letters that are sent back.
    redrive: Option<String>,
    /// Whether this replica has to see to partitions that nobody reads.
    is_to_rejoin: AtomicBool,
    shutdown: Shutdown,
}

impl Deref for Watched {
    type Target = Topics;

    fn deref(&self) -> &Topics {
        &self.topics
    }
}

impl Watched {
    /// Waits until the topics are there and the input is the right one, and goes on to watch them.
    /// Nothing where the function shall end first.
    pub(super) fn start(
        connection: &Connection,
        spec: &InferenceSpec,
        status: &Status,
        shutdown: &Shutdown,
    ) -> Result<Option<Arc<Self>>, Failure> {
        let ends = spec.span.as_ref().map(|span| &span.ends);
        let watched = Arc::new(Self {
            topics: Topics::of(connection, spec, status)?,
            ends: ends.map(|ends| match ends {
                Ends::At(ends) => {
                    let ends = ends.iter().map(|end| (end.partition, end.offset));
                    Mutex::new(ends.collect())
                }
                Ends::Behind(_) => Mutex::default(),
            }),
            ahead: match ends {
                Some(Ends::Behind(group)) => Some(group.clone()),
                Some(Ends::At(_)) | None => None,
            },
            lags: Arc::new(Lags::of(&spec.input_topic)),
            member: (spec.group.clone(), spec.transactional_id.clone()),
            redrive: spec.redrive_topic.clone(),
            is_to_rejoin: AtomicBool::new(false),
            shutdown: shutdown.clone(),
        });
        while !watched.look() {
            if shutdown.wait(INTERVAL) {
                return Ok(None);
            }
        }
        watched.look_at_limits();
        let looking = Arc::clone(&watched);
        thread::Builder::new()
            .name("topics".to_owned())
            .spawn(move || {
                let mut orphans = Vec::new();
                for turn in 1_u32.. {
                    if looking.shutdown.wait(INTERVAL) {
                        return;
                    }
                    looking.look();
                    looking.measure();
                    if turn.is_multiple_of(ORPHANS) {
                        looking.look_for_orphans(&mut orphans);
                    }
                }
            })
            .map_err(|error| Failure::failed(format!("cannot watch the topics: {error}")))?;
        Ok(Some(watched))
    }

    /// Where the input's partitions end, as of the last look, of an inference over a span.
    pub(super) fn ends(&self) -> Option<BTreeMap<i32, i64>> {
        let ends = self.ends.as_ref()?;
        Some(ends.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Looks once, tells the status what it saw, and says whether all is well.
    pub(super) fn look(&self) -> bool {
        self.follow();
        self.topics.look()
    }

    /// Looks how far the replica is behind.
    fn measure(&self) {
        let held = self.lags.partitions();
        match self.admin.stable_ends(&self.input, &held) {
            Ok(mut ends) => {
                if let Some(last) = self.ends() {
                    for (partition, end) in &mut ends {
                        *end = last.get(partition).map_or(0, |last| *last.min(end));
                    }
                }
                self.lags.measured(&ends, Utc::now());
            }
            Err(error) => tracing::debug!(%error, "cannot see how far this replica is behind"),
        }
    }

    /// Whether this replica has to join its group anew, for the sake of partitions that nobody reads. Said once.
    pub(super) fn take_orphans(&self) -> bool {
        self.is_to_rejoin.swap(false, Ordering::Relaxed)
    }

    /// Looks for partitions that nobody reads although the group has settled, as it had at the look before.
    ///
    /// Partitions change their reader in two steps: the one that had them gives them up, and joins once more, upon which they
    /// are given out. Where it is replaced between the two (it was killed, or a broker came back without it), the coordinator
    /// gives the new process what the old one had left, and nobody joins once more: until the group's next change, which
    /// may never come, they are nobody's.
    fn look_for_orphans(&self, before: &mut Vec<TopicPartition>) {
        let (group, member) = &self.member;
        let found = self.orphans(group, member).unwrap_or_else(|error| {
            tracing::debug!(%error, "cannot see who reads what");
            Vec::new()
        });
        let stay: Vec<&TopicPartition> = found.iter().filter(|one| before.contains(one)).collect();
        if !stay.is_empty() {
            tracing::warn!(partitions = ?stay, "nobody reads these partitions: joining the group anew");
            self.is_to_rejoin.store(true, Ordering::Relaxed);
            before.clear();
            return;
        }
        *before = found;
    }

    /// The partitions that nobody holds, if this replica is the one to see to it: the first by name.
    fn orphans(&self, group: &str, member: &str) -> Result<Vec<TopicPartition>, Error> {
        let state = self.admin.group(group)?;
        let is_first = state
            .members
            .iter()
            .min()
            .is_some_and(|first| first == member);
        if state.state != STABLE || !is_first {
            return Ok(Vec::new());
        }
        let mut orphans = Vec::new();
        for topic in [Some(&self.input), self.redrive.as_ref()]
            .into_iter()
            .flatten()
        {
            let all = 0..self.admin.partitions(topic)?;
            let all = all.map(|partition| TopicPartition::new(topic, partition));
            orphans.extend(all.filter(|one| !state.held.contains(one)));
        }
        Ok(orphans)
    }

    /// Looks where the group is that is never overtaken. Where it has not been seen yet, nothing is
    /// read; where it cannot be seen now, what it had reached counts.
    fn follow(&self) {
        let (Some(group), Some(ends)) = (&self.ahead, &self.ends) else {
            return;
        };
        match self.admin.committed(group, &self.input) {
            Ok(committed) => {
                let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
                for offset in committed {
                    let end = ends.entry(offset.partition).or_insert(offset.offset);
                    *end = offset.offset.max(*end);
                }
            }
            Err(error) => self.note(&error),
        }
    }
}
