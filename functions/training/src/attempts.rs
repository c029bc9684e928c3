//! How often a training was begun at one position without getting any further, and by whom last.
//!
//! The count stands in an object beside the checkpoint, `checkpoints/<training>.attempts`, and is
//! written before an attempt begins: a process that dies leaves it behind. It counts anew from
//! every new checkpoint, and an attempt that ends in order is taken back.
//!
//! The command by which a training goes on is noted there too. Where commands are brought, one that was done already may come
//! again.
//!
//! Of two processes that run one training the younger one holds it: the older one, which its group
//! has given up, finds that out before it writes anything more.

use bytes::Bytes;
use millrace_artifacts::{Error as ArtifactError, Store};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::checkpoint::{self, Checkpoint};
use crate::failure::{Failure, Stop};

/// So many attempts may end with their process.
const LIMIT: u32 = 5;

/// The attempts of one training.
pub struct Attempts<'a> {
    store: &'a Store,
    runtime: &'a Handle,
    training: Uuid,
    /// This process.
    process: Uuid,
    /// Whether the store knows that this process holds the training.
    is_noted: bool,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Count {
    /// Optimizer steps done; nothing without a checkpoint.
    step: Option<u64>,
    attempts: u32,
    /// The process that made the last one.
    #[serde(default)]
    holder: Uuid,
    /// The offset of the command by which it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<i64>,
}

/// In place of an offset: by no command.
const NEVER: i64 = i64::MAX;

impl<'a> Attempts<'a> {
    /// Counts for this training, on behalf of this process.
    pub fn new(store: &'a Store, runtime: &'a Handle, training: Uuid, process: Uuid) -> Self {
        Self {
            store,
            runtime,
            training,
            process,
            is_noted: false,
        }
    }

    /// Notes that an attempt begins at a checkpoint, or says that there were enough.
    pub fn begin(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), Failure> {
        let step = checkpoint.map(|checkpoint| checkpoint.progress.step);
        let count = self.load().unwrap_or_default().next(step, self.process)?;
        self.is_noted = self.save(&count);
        tracing::info!(training.id = %self.training, training.attempt = count.attempts, "an attempt begins");
        Ok(())
    }

    /// An error where another process holds the training by now.
    pub fn check_held(&self) -> Result<(), Stop> {
        match self.load() {
            Some(count) if self.is_noted && count.holder != self.process => Err(Stop::TakenOver),
            _ => Ok(()),
        }
    }

    /// Takes back an attempt whose process ends in order.
    pub fn take_back(&self) {
        if let Some(count) = self.load().filter(|count| count.holder == self.process) {
            self.save(&Count {
                attempts: count.attempts.saturating_sub(1),
                ..count
            });
        }
    }

    /// Notes the command by which the training goes on.
    pub fn go_on_at(&self, offset: i64) {
        if let Some(count) = self.load().filter(|count| count.holder == self.process) {
            self.save(&Count {
                command: Some(offset),
                ..count
            });
        }
    }

    /// Notes that the training goes on by no command, if it was begun and has not ended, and says whether it was.
    pub fn end_between_turns(&self) -> bool {
        let Some(count) = self.load().filter(|count| !count.holder.is_nil()) else {
            return false;
        };
        self.save(&Count {
            command: Some(NEVER),
            ..count
        });
        true
    }

    /// Whether the training goes on by a later command than the one at this offset, or by none. The latter was noted for the
    /// one command that was under way to it, and is forgotten with that.
    pub fn has_gone_on(&self, offset: i64) -> bool {
        let command = self.load().and_then(|count| count.command);
        if command == Some(NEVER) {
            self.forget();
        }
        command.is_some_and(|command| command > offset)
    }

    /// Forgets all, since the training is over.
    pub fn forget(&self) {
        let deleted = self
            .runtime
            .block_on(self.store.delete_object(&name(self.training)));
        if let Err(error) = deleted {
            tracing::warn!(training.id = %self.training, %error, "the count of attempts is left behind");
        }
    }

    /// The count, where it can be read; an object that is gone was counted by nobody.
    fn load(&self) -> Option<Count> {
        let loaded = self
            .runtime
            .block_on(self.store.get_object(&name(self.training)));
        let found = match loaded {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
            Err(ArtifactError::NotFound(_)) => return Some(Count::default()),
            Err(error) => Err(error.to_string()),
        };
        found
            .inspect_err(|reason| {
                tracing::warn!(training.id = %self.training, reason, "the count of attempts can't be read");
            })
            .ok()
    }

    fn save(&self, count: &Count) -> bool {
        let bytes = serde_json::to_vec(count).expect("numbers always serialise");
        let saved = self.runtime.block_on(
            self.store
                .put_object(&name(self.training), Bytes::from(bytes)),
        );
        // The training itself does not need it.
        if let Err(error) = &saved {
            tracing::warn!(training.id = %self.training, %error, "the attempt could not be noted");
        }
        saved.is_ok()
    }
}

impl Count {
    fn next(self, step: Option<u64>, holder: Uuid) -> Result<Self, Failure> {
        let before = if self.step == step { self.attempts } else { 0 };
        if before >= LIMIT {
            let position = step.map_or_else(
                || "before its first step".to_owned(),
                |step| format!("after step {step}"),
            );
            return Err(Failure::new(
                "crashed",
                format!(
                    "its process has ended {before} times {position} without getting further, by a crash, for lack of memory or killed from outside: see the log of the training functions, then start the training again, with a smaller batch or segment if memory ran out"
                ),
            ));
        }
        Ok(Self {
            step,
            attempts: before + 1,
            holder,
            command: self.command,
        })
    }
}

fn name(training: Uuid) -> String {
    format!("{}.attempts", checkpoint::name(training))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn attempts_are_counted_by_position_and_end_at_a_limit() {
        let mut count = Count::default();
        for attempt in 1..=LIMIT {
            count = count.next(None, Uuid::nil()).unwrap();
            assert_eq!(count.attempts, attempt);
        }
        let anew = Count { ..count }.next(Some(0), Uuid::nil()).unwrap();
        assert_eq!(anew.attempts, 1, "a checkpoint is a new position");
        let failure = count.next(None, Uuid::nil()).unwrap_err();
        assert_eq!(failure.code, "crashed");
        assert!(failure.message.contains("before its first step"));
    }
}
