//! The wish that a function end, which its loops look at between two pieces of work.
//!
//! Invariant: once asked for, it is never taken back.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A shared flag: clones see the same wish.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    shared: Arc<(Mutex<bool>, Condvar)>,
}

impl Shutdown {
    /// Asks for the end. Doing so again changes nothing.
    pub fn request(&self) {
        let (requested, changed) = &*self.shared;
        *requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the end is asked for, at most `limit`, and says whether it was: a pause that
    /// does not hold up the end.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> bool {
        let (requested, changed) = &*self.shared;
        let guard = requested.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _) = changed
            .wait_timeout_while(guard, limit, |requested| !*requested)
            .unwrap_or_else(PoisonError::into_inner);
        *guard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_every_wait() {
        let shutdown = Shutdown::default();
        assert!(!shutdown.wait(Duration::ZERO));
        let waiting = std::thread::spawn({
            let shutdown = shutdown.clone();
            move || shutdown.wait(Duration::from_mins(1))
        });
        shutdown.request();
        assert!(waiting.join().is_ok_and(|requested| requested));
        assert!(shutdown.is_requested());
    }
}
