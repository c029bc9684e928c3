//! Tells subscribers that something has changed. Only ids travel: a subscriber reads the row, so
//! it never sees a state that was rolled back, and a slow one misses nothing but intermediate
//! states.

use tokio::sync::broadcast;
use uuid::Uuid;

/// What changed. Sent after the database transaction that changed it has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A training: its state or its epochs.
    Training(Uuid),
    /// An inference.
    Inference(Uuid),
    /// What an inference has answered so far, and not its row.
    Counts(Uuid),
    /// An alias of a model.
    Alias(Uuid),
}

/// The sender to all subscribers.
#[derive(Debug, Clone)]
pub struct Changes(broadcast::Sender<Change>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::channel(1024).0)
    }
}

impl Changes {
    /// Tells everybody. That nobody listens is fine.
    pub fn send(&self, change: Change) {
        drop(self.0.send(change));
    }

    /// Changes from now on. A receiver that lags behind is told so and must read its row again.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }
}
