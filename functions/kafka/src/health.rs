//! Whether the brokers of a connection answer, for readiness checks.
//!
//! Invariant: the state only says what was last observed. It turns down when
//! librdkafka reports that every broker is gone or that authentication failed,
//! and up when a broker has answered.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// A shared view of a connection's reachability; clones see the same state.
#[derive(Clone, Default)]
pub struct Health {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// A copy of the status' flag that the hot path reads without the lock.
    connected: AtomicBool,
    /// Whether a broker has ever answered.
    met: AtomicBool,
    status: Mutex<HealthStatus>,
}

/// What was last observed of a connection.
#[derive(Clone, Debug)]
pub struct HealthStatus {
    /// Whether a broker answered last; false until the first answer.
    pub connected: bool,
    /// When `connected` last changed.
    pub since: SystemTime,
    /// When brokers that had answered before and then were gone last answered again.
    pub returned: Option<SystemTime>,
    /// The last error that librdkafka reported, kept after a recovery.
    pub last_error: Option<String>,
}

impl Default for HealthStatus {
    fn default() -> Self {
        Self {
            connected: false,
            since: SystemTime::now(),
            returned: None,
            last_error: None,
        }
    }
}

impl Health {
    /// Whether a broker answered last.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared.connected.load(Ordering::Relaxed)
    }

    /// The state with its reason and its time.
    #[must_use]
    pub fn status(&self) -> HealthStatus {
        self.lock().clone()
    }

    pub(crate) fn up(&self) {
        if !self.is_connected() {
            self.set(true);
        }
    }

    pub(crate) fn down(&self, error: &str) {
        self.note(error);
        self.set(false);
    }

    /// Keeps an error that does not mean that every broker is gone.
    pub(crate) fn note(&self, error: &str) {
        self.lock().last_error = Some(error.to_owned());
    }

    fn set(&self, connected: bool) {
        let mut status = self.lock();
        if status.connected != connected {
            status.connected = connected;
            status.since = SystemTime::now();
            if connected && self.shared.met.swap(true, Ordering::Relaxed) {
                status.returned = Some(status.since);
            }
        }
        self.shared.connected.store(connected, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HealthStatus> {
        self.shared
            .status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_state_and_keep_the_last_error() {
        let health = Health::default();
        let copy = health.clone();
        assert!(!copy.is_connected());
        health.up();
        assert!(copy.is_connected());
        health.down("1/1 brokers are down");
        assert!(!copy.is_connected());
        assert_eq!(
            copy.status().returned,
            None,
            "the first answer is no return"
        );
        health.up();
        let status = copy.status();
        assert!(status.connected);
        assert_eq!(status.returned, Some(status.since));
        assert_eq!(status.last_error.as_deref(), Some("1/1 brokers are down"));
    }
}
