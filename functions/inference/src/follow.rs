//! Follows an alias through the registry topic: loads what it points at beside the version that answers, and hands it
//! over.
//!
//! Invariant: the version that answers stays until a newer one is ready; one that cannot be loaded
//! is reported and tried again, and never takes its place.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use millrace_runtime::registry::{Entry, Target};
use millrace_runtime::{Failure, Function, Registry, Shutdown, Status};
use millrace_wire::function::InferenceSpec;
use millrace_wire::registry::{Version, key};

use crate::load::{Fault, Loader, first_pause, longer, recovered};
use crate::model::Model;
use crate::pointer::Pointed;

/// How long one look at the registry waits, which bounds how late the end is noticed.
const LOOK: Duration = Duration::from_millis(500);
/// What is said while an older version goes on answering.
pub(crate) const MEANWHILE: &str = "the version before it goes on answering";

pub(crate) const UNREACHABLE: &str = "registry-unreachable";
pub(crate) const REMOVED: &str = "alias-removed";
pub(crate) const UNREADABLE: &str = "registry-unreadable";

/// What waits to be taken over: a version, or only the news that the same one stays under a newer
/// entry of the registry.
pub(crate) struct Handover {
    /// The registry entry's offset, where the registry topic is followed.
    pub(crate) registry: Option<i64>,
    /// The version, where it is another one.
    pub(crate) model: Option<Model>,
}

/// The handler's end of a followed alias.
pub(crate) enum Following {
    /// Through the registry topic, by a thread of its own.
    Topic(Followed),
    /// Through the pointer object, between two batches: a process that is frozen has no other time.
    Pointer(Box<Pointed>),
}

impl Following {
    /// The registry entry that the first version comes from, where the registry topic is followed; −1 where it comes from
    /// none.
    pub(crate) fn registry(&self) -> Option<i64> {
        match self {
            Self::Topic(followed) => Some(followed.registry),
            Self::Pointer(_) => None,
        }
    }

    /// What waits to be taken over, if anything does.
    pub(crate) fn take(&mut self) -> Option<Handover> {
        match self {
            Self::Topic(followed) => followed.take(),
            Self::Pointer(pointed) => pointed.take(),
        }
    }
}

/// An alias that is followed through the registry topic.
pub(crate) struct Followed {
    /// The registry entry that the first version comes from; −1 where it comes from none.
    registry: i64,
    waiting: Waiting,
}

type Waiting = Arc<Mutex<Option<Handover>>>;

impl Followed {
    fn take(&self) -> Option<Handover> {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// Begins to read what the registry says of the inference's alias; nothing where it has none.
pub(crate) fn registry(
    function: &Function,
    spec: &InferenceSpec,
) -> Result<Option<Registry>, Failure> {
    let Some(alias) = &spec.alias else {
        return Ok(None);
    };
    let Some(control) = &function.spec.control else {
        return Err(Failure::Specification(
            "an inference that follows an alias hears of it through a registry topic, and the specification names none".to_owned(),
        ));
    };
    let key = key(&spec.project, &spec.model, alias);
    Registry::follow(control, key, &function.shutdown).map(Some)
}

/// Waits for the registry, loads what the alias points at, and starts to follow it. Nothing where
/// the function shall end first.
pub(crate) fn start(
    function: &Function,
    spec: &InferenceSpec,
    registry: Registry,
    loader: &Loader,
    status: &Status,
) -> Result<Option<(Model, Followed)>, Failure> {
    let shutdown = &function.shutdown;
    let Some(entry) = first_entry(&registry, status, shutdown) else {
        return Ok(None);
    };
    let Some(First {
        model,
        version,
        seen,
    }) = first_version(&registry, entry, spec, loader, status, shutdown)
    else {
        return Ok(None);
    };
    let waiting = Waiting::default();
    let follower = Follower {
        registry,
        loader: loader.clone(),
        status: status.clone(),
        shutdown: shutdown.clone(),
        waiting: Arc::clone(&waiting),
        version,
        seen,
    };
    thread::Builder::new()
        .name("follow".to_owned())
        .spawn(move || follower.run())
        .map_err(|error| Failure::failed(format!("cannot start to follow the alias: {error}")))?;
    let handed = Followed {
        registry: seen.unwrap_or(-1),
        waiting,
    };
    Ok(Some((model, handed)))
}

/// The version to begin with.
struct First {
    model: Model,
    version: Version,
    /// The registry entry that it comes from: known only where it is the alias's own.
    seen: Option<i64>,
}

/// Loads what the alias points at, or else what the specification names, as soon as one of them can be: the alias may be
/// moved meanwhile, and what the specification names may be the very version that cannot be loaded.
fn first_version(
    registry: &Registry,
    mut entry: Entry,
    spec: &InferenceSpec,
    loader: &Loader,
    status: &Status,
    shutdown: &Shutdown,
) -> Option<First> {
    let mut pause = first_pause();
    loop {
        let pointed = match &entry.target {
            Target::Version(pointer) => Some((pointer.version.clone(), Some(entry.offset))),
            Target::Nothing | Target::Unreadable(_) => None,
        };
        let named = spec.version.clone().map(|version| (version, None));
        let named = named.filter(|(named, _)| {
            let pointed = pointed.as_ref();
            pointed.is_none_or(|(pointed, _)| pointed != named)
        });
        let mut fault = match (&entry.target, &spec.version) {
            (Target::Nothing, None) => Some(Fault {
                code: REMOVED,
                message: "the alias points at nothing".to_owned(),
            }),
            (Target::Unreadable(reason), None) => Some(unreadable(reason)),
            _ => None,
        };
        for (version, seen) in pointed.into_iter().chain(named) {
            match loader.load(&version) {
                Ok(model) => {
                    recovered(status);
                    status.recovered(REMOVED);
                    status.recovered(UNREADABLE);
                    return Some(First {
                        model,
                        version,
                        seen,
                    });
                }
                Err(found) => {
                    fault.get_or_insert(found);
                }
            }
        }
        if let Some(fault) = fault {
            fault.report(status, "nothing is answered until it can be");
        }
        if let Some(newer) = newer_within(registry, shutdown, entry.offset, pause) {
            entry = newer;
            pause = first_pause();
        } else {
            pause = longer(pause);
        }
        if shutdown.is_requested() {
            return None;
        }
    }
}

/// What the registry says once it was read to its end.
fn first_entry(registry: &Registry, status: &Status, shutdown: &Shutdown) -> Option<Entry> {
    loop {
        if let Some(entry) = registry.wait_for_other(None, LOOK) {
            status.recovered(UNREACHABLE);
            return Some(entry);
        }
        note_problem(registry, status);
        if shutdown.is_requested() {
            return None;
        }
    }
}

fn note_problem(registry: &Registry, status: &Status) {
    match registry.problem() {
        Some(problem) => status.degraded(UNREACHABLE, problem),
        None => status.recovered(UNREACHABLE),
    }
}

fn unreadable(reason: &str) -> Fault {
    Fault {
        code: UNREADABLE,
        message: format!("the alias's newest entry cannot be read: {reason}"),
    }
}

struct Follower {
    registry: Registry,
    loader: Loader,
    status: Status,
    shutdown: Shutdown,
    waiting: Waiting,
    /// The version that was handed over last.
    version: Version,
    /// The registry entry that was dealt with last.
    seen: Option<i64>,
}

impl Follower {
    fn run(mut self) {
        while !self.shutdown.is_requested() {
            note_problem(&self.registry, &self.status);
            if let Some(entry) = self.registry.wait_for_other(self.seen, LOOK) {
                self.apply(entry);
            }
        }
    }

    /// Deals with an entry, unless a newer one comes meanwhile.
    fn apply(&mut self, entry: Entry) {
        self.seen = Some(entry.offset);
        let version = match entry.target {
            Target::Version(pointer) => pointer.version,
            Target::Nothing => {
                self.status.degraded(
                    REMOVED,
                    format!("the alias points at nothing any more; version {} goes on answering: set the alias again, or stop the inference", self.version.version),
                );
                return;
            }
            Target::Unreadable(reason) => {
                unreadable(&reason).report(&self.status, MEANWHILE);
                return;
            }
        };
        self.status.recovered(REMOVED);
        self.status.recovered(UNREADABLE);
        if version == self.version {
            recovered(&self.status);
            self.hand_over(entry.offset, None);
            return;
        }
        let mut pause = first_pause();
        loop {
            match self.loader.load(&version) {
                Ok(model) => {
                    self.hand_over(entry.offset, Some(model));
                    self.version = version;
                    recovered(&self.status);
                    return;
                }
                Err(fault) => fault.report(&self.status, MEANWHILE),
            }
            let newer = newer_within(&self.registry, &self.shutdown, entry.offset, pause);
            if newer.is_some() || self.shutdown.is_requested() {
                return;
            }
            pause = longer(pause);
        }
    }

    /// Puts something down for the handler. A version that it has not taken yet must not get lost
    /// behind the news that the same one stays.
    fn hand_over(&self, registry: i64, model: Option<Model>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let model = model.or_else(|| waiting.take().and_then(|earlier| earlier.model));
        *waiting = Some(Handover {
            registry: Some(registry),
            model,
        });
    }
}

/// Pauses, until an entry comes that is newer than the one at this offset, or until the function shall end.
fn newer_within(
    registry: &Registry,
    shutdown: &Shutdown,
    offset: i64,
    pause: Duration,
) -> Option<Entry> {
    let mut left = pause;
    while !left.is_zero() && !shutdown.is_requested() {
        let step = left.min(LOOK);
        if let Some(newer) = registry.wait_for_other(Some(offset), step) {
            return Some(newer);
        }
        left -= step;
    }
    None
}
