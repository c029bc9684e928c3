//! Follows an alias through its pointer object in the artifact store, for a process that holds no consumer of the registry
//! topic: one look between two batches, at most every few seconds.
//!
//! Invariant: the version that answers stays until a newer one is loaded, and an older move of the alias never takes the
//! place of a later one. A process that was frozen looks before it answers, and one that starts answers with what the alias
//! points at or not at all: what its specification names may be months old.

use std::time::{Duration, Instant};

use millrace_runtime::Status;
use millrace_wire::function::InferenceSpec;
use millrace_wire::registry::{Pointer, Version, key, object};

use crate::follow::{Handover, MEANWHILE, REMOVED, UNREACHABLE, UNREADABLE};
use crate::load::{Fault, Loader, Unread, first_pause, longer, recovered};
use crate::model::Model;

/// The pause between two looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long a look may hold up a batch.
const LIMIT: Duration = Duration::from_secs(2);
/// How long the first look may hold up the start, which waits for names, keys and connections too: less than the ten seconds
/// that Lambda gives a start, so that the reason is told.
const FIRST_LIMIT: Duration = Duration::from_secs(8);

/// An alias that is followed.
pub(crate) struct Pointed {
    object: String,
    loader: Loader,
    status: Status,
    /// The tag of the object that was dealt with last.
    tag: Option<String>,
    /// When the alias was moved to what the object says.
    moved_at_us: Option<i64>,
    /// The version that answers; none before the first is known.
    version: Option<Version>,
    next: Instant,
    /// The pause before a version that cannot be loaded is tried again.
    pause: Duration,
}

impl Pointed {
    /// Loads what the alias points at, and begins to follow it. An alias that was never moved since pointers are written has
    /// none, and stands for what the specification names.
    ///
    /// # Errors
    /// [`Fault`] where it cannot be known or loaded.
    pub(crate) fn start(
        spec: &InferenceSpec,
        alias: &str,
        loader: &Loader,
        status: &Status,
    ) -> Result<(Model, Self), Fault> {
        let mut pointed = Self {
            object: object(&key(&spec.project, &spec.model, alias)),
            loader: loader.clone(),
            status: status.clone(),
            tag: None,
            moved_at_us: None,
            version: spec.version.clone(),
            next: Instant::now(),
            pause: first_pause(),
        };
        if let Some(found) = pointed.look(FIRST_LIMIT)? {
            pointed.version = Some(found.version);
        }
        let version = pointed.version.as_ref().ok_or_else(|| Fault {
            code: REMOVED,
            message: "the alias points at nothing".to_owned(),
        })?;
        let model = loader.load(version)?;
        Ok((model, pointed))
    }

    /// The version that the alias was moved to, if it was, and if it can be loaded.
    pub(crate) fn take(&mut self) -> Option<Handover> {
        if Instant::now() < self.next {
            return None;
        }
        let found = match self.look(LIMIT) {
            Ok(found) => found?,
            Err(fault) => {
                fault.report(&self.status, MEANWHILE);
                return None;
            }
        };
        if self.version.as_ref() == Some(&found.version) {
            recovered(&self.status);
            self.pause = first_pause();
            return None;
        }
        match self.loader.load(&found.version) {
            Ok(model) => {
                self.version = Some(found.version);
                recovered(&self.status);
                self.pause = first_pause();
                Some(Handover {
                    registry: None,
                    model: Some(model),
                })
            }
            Err(fault) => {
                self.try_again(&fault);
                None
            }
        }
    }

    /// Reports what keeps the version from being loaded, and forgets that the object was seen.
    fn try_again(&mut self, fault: &Fault) {
        fault.report(&self.status, MEANWHILE);
        self.tag = None;
        self.next = Instant::now() + self.pause.max(INTERVAL);
        self.pause = longer(self.pause);
    }

    /// Looks at the object: what it says, where that is not what it said before.
    fn look(&mut self, limit: Duration) -> Result<Option<Pointer>, Fault> {
        let read = self
            .loader
            .changed_object(&self.object, self.tag.as_deref(), limit);
        self.next = Instant::now() + INTERVAL;
        let found = match read {
            Ok(found) => found,
            Err(Unread::Nothing) => {
                self.status.recovered(UNREACHABLE);
                if self.moved_at_us.is_some()
                    && let Some(answering) = &self.version
                {
                    let answering = answering.version;
                    self.status.degraded(
                        REMOVED,
                        format!("the alias points at nothing any more; version {answering} goes on answering: set the alias again, or stop the inference"),
                    );
                }
                return Ok(None);
            }
            Err(Unread::Failed(reason)) => {
                return Err(Fault {
                    code: UNREACHABLE,
                    message: format!("the alias cannot be followed: {reason}"),
                });
            }
        };
        self.status.recovered(UNREACHABLE);
        let Some(found) = found else {
            return Ok(None);
        };
        self.tag = found.tag;
        self.status.recovered(REMOVED);
        let pointer = Pointer::from_json(&found.bytes).map_err(|error| Fault {
            code: UNREADABLE,
            message: format!("the alias's pointer cannot be read: {error}"),
        })?;
        self.status.recovered(UNREADABLE);
        let is_repeat = self
            .moved_at_us
            .is_some_and(|last| pointer.moved_at_us < last);
        if is_repeat {
            tracing::info!("the pointer is of an older move of the alias, and passed over");
            return Ok(None);
        }
        self.moved_at_us = Some(pointer.moved_at_us);
        Ok(Some(pointer))
    }
}
