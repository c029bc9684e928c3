//! Follows an alias through its pointer object in the artifact store, for a process that holds no consumer of the registry
//! topic: one look between two batches, at most every few seconds.
//!
//! Invariant: the version that answers stays until a newer one is loaded, and an older move of the alias never takes the
//! place of a later one. A process that was frozen looks before it answers.

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

/// An alias that is followed.
pub(crate) struct Pointed {
    object: String,
    loader: Loader,
    status: Status,
    /// The tag of the object that was dealt with last.
    tag: Option<String>,
    /// When the alias was moved to what the object says.
    moved_at_us: Option<i64>,
    /// The version that answers.
    version: Version,
    next: Instant,
    /// The pause before a version that cannot be loaded is tried again.
    pause: Duration,
}

impl Pointed {
    /// Loads what the alias points at, or else what the specification names, and begins to follow the alias.
    ///
    /// # Errors
    /// [`Fault`] where neither can be loaded.
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
        let found = pointed.look();
        let newer = found.as_ref().filter(|found| found.version != spec.version);
        let mut fault: Option<Fault> = None;
        if let Some(found) = newer {
            match loader.load(&found.version) {
                Ok(model) => {
                    pointed.version.clone_from(&found.version);
                    return Ok((model, pointed));
                }
                Err(refused) => fault = Some(refused),
            }
        }
        match loader.load(&spec.version) {
            Ok(model) => {
                if let Some(fault) = fault {
                    pointed.try_again(&fault);
                }
                Ok((model, pointed))
            }
            Err(refused) => Err(fault.unwrap_or(refused)),
        }
    }

    /// The version that the alias was moved to, if it was, and if it can be loaded.
    pub(crate) fn take(&mut self) -> Option<Handover> {
        if Instant::now() < self.next {
            return None;
        }
        let found = self.look()?;
        if found.version == self.version {
            recovered(&self.status);
            self.pause = first_pause();
            return None;
        }
        match self.loader.load(&found.version) {
            Ok(model) => {
                self.version = found.version;
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
    fn look(&mut self) -> Option<Pointer> {
        let read = self
            .loader
            .changed_object(&self.object, self.tag.as_deref(), LIMIT);
        self.next = Instant::now() + INTERVAL;
        let found = match read {
            Ok(found) => found,
            Err(Unread::Nothing) => {
                self.status.recovered(UNREACHABLE);
                // An alias that was never moved since pointers are written has none.
                if self.moved_at_us.is_some() {
                    let answering = self.version.version;
                    self.status.degraded(
                        REMOVED,
                        format!("the alias points at nothing any more; version {answering} goes on answering: set the alias again, or stop the inference"),
                    );
                }
                return None;
            }
            Err(Unread::Failed(reason)) => {
                self.status.degraded(
                    UNREACHABLE,
                    format!("the alias cannot be followed: {reason}; {MEANWHILE}"),
                );
                return None;
            }
        };
        self.status.recovered(UNREACHABLE);
        let found = found?;
        self.tag = found.tag;
        self.status.recovered(REMOVED);
        match Pointer::from_json(&found.bytes) {
            Ok(pointer) => {
                self.status.recovered(UNREADABLE);
                let is_repeat = self
                    .moved_at_us
                    .is_some_and(|last| pointer.moved_at_us < last);
                if is_repeat {
                    tracing::info!("the pointer is of an older move of the alias, and passed over");
                    return None;
                }
                self.moved_at_us = Some(pointer.moved_at_us);
                Some(pointer)
            }
            Err(error) => {
                self.status.degraded(
                    UNREADABLE,
                    format!("the alias's pointer cannot be read: {error}; {MEANWHILE}"),
                );
                None
            }
        }
    }
}
