//! Keeps the checkpoint of one training: finds it, and writes it anew from time to time.

use std::time::{Duration, Instant};

use millrace_artifacts::{Error as ArtifactError, Store, digest_of};
use millrace_wire::training::TrainingSpec;
use tokio::runtime::Handle;

use crate::checkpoint::{self, Checkpoint, Progress};
use crate::failure::Failure;
use crate::turn::Begin;

/// The least time between two checkpoints: what a killed process loses.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(2);
/// Writing checkpoints takes at most one part in so many of the time.
const CHECKPOINT_SHARE: u32 = 20;

/// Keeps a training's checkpoint.
pub struct Keeper<'a> {
    store: &'a Store,
    runtime: &'a Handle,
    spec: &'a TrainingSpec,
    /// The digest of the specification, by which a checkpoint is known.
    digest: String,
    next: Instant,
    /// Whether the last one could not be written.
    has_failed: bool,
}

impl<'a> Keeper<'a> {
    /// Keeps the checkpoint of this training.
    pub fn new(store: &'a Store, runtime: &'a Handle, spec: &'a TrainingSpec) -> Self {
        // Connections may change in between (another address, another secret): they don't count.
        let mut identity = spec.clone();
        identity.connection.clear();
        let identity = serde_json::to_vec(&identity).expect("a wire type always serialises");
        Self {
            store,
            runtime,
            spec,
            digest: digest_of(&identity),
            next: Instant::now(),
            has_failed: false,
        }
    }

    /// The checkpoint, where there is one of use. Without any the training can begin, but not go on: it has ended in
    /// between, or somebody has deleted its checkpoint.
    pub fn load(&self, begin: Begin) -> Result<Option<Checkpoint>, Failure> {
        let name = checkpoint::name(self.spec.id);
        let id = self.spec.id;
        let bytes = match self.runtime.block_on(self.store.get_object(&name)) {
            Ok(bytes) => bytes,
            Err(ArtifactError::NotFound(_)) if begin == Begin::AtCheckpoint => {
                return Err(Failure::new(
                    "checkpoint-missing",
                    format!(
                        "the training shall go on, and its checkpoint, {name}, is no longer in the artifact store: see what \
                         deletes files there, then start the training again"
                    ),
                ));
            }
            Err(ArtifactError::NotFound(_)) => return Ok(None),
            Err(error) => {
                tracing::warn!(training.id = %id, %error, "the checkpoint can't be read: the training starts anew");
                return Ok(None);
            }
        };
        match Checkpoint::decode(&bytes, &self.digest) {
            Ok(checkpoint) => {
                let Progress {
                    epoch,
                    step,
                    computed_on,
                    ..
                } = &checkpoint.progress;
                tracing::info!(training.id = %id, training.epoch = epoch, training.step = step, "the training goes on from its checkpoint");
                let here = millrace_engine::arithmetic();
                if !computed_on.contains(&here) {
                    tracing::warn!(training.id = %id, here, before = ?computed_on, "the training goes on on other instructions: its result will not be the bytes of one that ran through");
                }
                Ok(Some(checkpoint))
            }
            Err(reason) => {
                tracing::warn!(training.id = %id, reason, "the checkpoint is of no use: the training starts anew");
                Ok(None)
            }
        }
    }

    /// Writes a checkpoint, and says whether that succeeded.
    pub fn save(&mut self, checkpoint: &Checkpoint) -> bool {
        let name = checkpoint::name(self.spec.id);
        let started = Instant::now();
        let bytes = checkpoint.encode(&self.digest);
        let saved = self.runtime.block_on(self.store.put_object(&name, bytes));
        // The training itself needs no checkpoint: the next one may succeed.
        if let Err(error) = &saved {
            tracing::warn!(training.id = %self.spec.id, %error, "no checkpoint could be written");
        }
        self.has_failed = saved.is_err();
        let pause = CHECKPOINT_INTERVAL.max(started.elapsed() * CHECKPOINT_SHARE);
        self.next = Instant::now() + pause;
        !self.has_failed
    }

    /// Whether it is time for the next one.
    pub fn is_due(&self) -> bool {
        Instant::now() >= self.next
    }

    /// Whether one may be written before its time: one that failed is not tried again at once.
    pub fn may_try(&self) -> bool {
        !self.has_failed || self.is_due()
    }
}
