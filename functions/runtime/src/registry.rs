//! Follows one alias through the registry topic.
//!
//! Invariant: what it gives out never goes back: an entry is published only after all that the
//! topic held when it was (re)opened has been read, so an older pointer is never taken for the
//! newest.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use millrace_kafka::{Connection, Error, Record, Tail, TailEvent};
use millrace_wire::function::Control;
use millrace_wire::registry::Pointer;

use crate::failure::Failure;
use crate::shutdown::Shutdown;

/// How long one look at the topic waits, which bounds how late the end is noticed.
const POLL: Duration = Duration::from_millis(200);
/// The pause before a topic that cannot be read is opened again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What the registry says of the alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its record's offset, the entry's identity; −1 where the alias has no record.
    pub offset: i64,
    /// What the alias points at.
    pub target: Target,
}

/// What an alias points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This version.
    Version(Box<Pointer>),
    /// Nothing: the alias was never set, or it was removed.
    Nothing,
    /// Something that this Millrace cannot read, with the reason.
    Unreadable(String),
}

/// A reader of the registry in a thread of its own; clones share it.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    published: Option<Entry>,
    problem: Option<String>,
}

impl Registry {
    /// Starts to follow the alias whose records have this key; Kafka need not be there yet.
    ///
    /// # Errors
    /// [`Failure`] where no thread can be started.
    pub fn follow(control: &Control, key: String, shutdown: &Shutdown) -> Result<Self, Failure> {
        let registry = Self {
            shared: Arc::default(),
        };
        let reader = Reader {
            registry: registry.clone(),
            connection: Connection::new(&control.connection),
            topic: control.registry_topic.clone(),
            key,
            shutdown: shutdown.clone(),
        };
        thread::Builder::new()
            .name("registry".to_owned())
            .spawn(move || reader.run())
            .map_err(|error| {
                Failure::failed(format!("cannot start to follow the registry: {error}"))
            })?;
        Ok(registry)
    }

    /// What the registry says now; nothing until the whole topic was read once.
    #[must_use]
    pub fn current(&self) -> Option<Entry> {
        self.lock().published.clone()
    }

    /// Waits, at most `limit`, until the registry says something else than the entry at the offset
    /// `seen` (or anything at all, where nothing was seen yet).
    #[must_use]
    pub fn wait_for_other(&self, seen: Option<i64>, limit: Duration) -> Option<Entry> {
        let is_seen = |state: &mut State| {
            state
                .published
                .as_ref()
                .is_none_or(|entry| Some(entry.offset) == seen)
        };
        let (state, _) = self
            .shared
            .1
            .wait_timeout_while(self.lock(), limit, is_seen)
            .unwrap_or_else(PoisonError::into_inner);
        state
            .published
            .clone()
            .filter(|entry| Some(entry.offset) != seen)
    }

    /// Why the topic cannot be followed at the moment, if so.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.lock().problem.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, entry: Entry) {
        let mut state = self.lock();
        state.problem = None;
        if state.published.as_ref() != Some(&entry) {
            tracing::info!(
                registry.offset = entry.offset,
                "the alias has a new registry entry"
            );
            state.published = Some(entry);
            self.shared.1.notify_all();
        }
    }
}

struct Reader {
    registry: Registry,
    connection: Connection,
    topic: String,
    key: String,
    shutdown: Shutdown,
}

impl Reader {
    fn run(&self) {
        while !self.shutdown.is_requested() {
            if let Err(error) = self.follow() {
                let problem = format!("the registry cannot be followed: {error}");
                let is_new = {
                    let mut state = self.registry.lock();
                    let is_new = state.problem.as_ref() != Some(&problem);
                    state.problem = Some(problem.clone());
                    is_new
                };
                if is_new {
                    tracing::warn!("{problem}");
                }
                let _ = self.shutdown.wait(RETRY_PAUSE);
            }
        }
    }

    fn follow(&self) -> Result<(), Error> {
        let mut tail = Tail::open(&self.connection, &self.topic, &BTreeMap::new())?;
        let mut latest = Entry {
            offset: -1,
            target: Target::Nothing,
        };
        let mut is_caught_up = false;
        while !self.shutdown.is_requested() {
            match tail.poll(POLL)? {
                TailEvent::Record(record) => {
                    if record.key.as_deref() != Some(self.key.as_bytes()) {
                        continue;
                    }
                    let entry = entry(&record);
                    if is_repeat(&latest, &entry) {
                        continue;
                    }
                    latest = entry;
                    if is_caught_up {
                        self.registry.publish(latest.clone());
                    }
                }
                TailEvent::CaughtUp => {
                    is_caught_up = true;
                    self.registry.publish(latest.clone());
                }
                TailEvent::Idle => {}
            }
        }
        Ok(())
    }
}

/// Whether a record was written again after a crash of the writer, behind later ones.
fn is_repeat(latest: &Entry, entry: &Entry) -> bool {
    match (&latest.target, &entry.target) {
        (Target::Version(latest), Target::Version(entry)) => entry.moved_at_us < latest.moved_at_us,
        _ => false,
    }
}

fn entry(record: &Record) -> Entry {
    let target = match record.value.as_deref().map(Pointer::from_json) {
        None => Target::Nothing,
        Some(Ok(pointer)) => Target::Version(Box::new(pointer)),
        Some(Err(error)) => Target::Unreadable(error.to_string()),
    };
    Entry {
        offset: record.offset,
        target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: Option<&[u8]>) -> Record {
        Record {
            topic: "registry".to_owned(),
            partition: 0,
            offset: 7,
            timestamp_ms: None,
            key: Some(b"default/m@a".to_vec()),
            value: value.map(<[u8]>::to_vec),
            headers: Vec::new(),
        }
    }

    #[test]
    fn a_tombstone_and_a_newer_format_are_told_apart() {
        assert_eq!(entry(&record(None)).target, Target::Nothing);
        let newer = entry(&record(Some(br#"{"format":2}"#))).target;
        assert!(matches!(newer, Target::Unreadable(reason) if reason.contains("upgrade")));
    }

    #[test]
    fn an_entry_that_was_seen_is_not_waited_for_again() {
        let registry = Registry {
            shared: Arc::default(),
        };
        assert_eq!(registry.wait_for_other(None, Duration::ZERO), None);
        let published = entry(&record(None));
        registry.publish(published.clone());
        assert_eq!(
            registry.wait_for_other(None, Duration::ZERO),
            Some(published)
        );
        assert_eq!(registry.wait_for_other(Some(7), Duration::ZERO), None);
    }
}
