//! The wish that a running training stop, which it looks at between two steps.
//!
//! A cancellation wins over an interruption, an interruption over a pause, and none is taken back.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::failure::Stop;

const PAUSED: u8 = 1;
const INTERRUPTED: u8 = 2;
const CANCELLED: u8 = 3;

/// Shared between a training and who watches over it.
#[derive(Debug, Clone, Default)]
pub struct Control {
    wish: Arc<AtomicU8>,
    /// When the first step of this turn was about to be made.
    began: Arc<OnceLock<Instant>>,
}

impl Control {
    /// The user no longer wants the training.
    pub fn cancel(&self) {
        self.wish.fetch_max(CANCELLED, Ordering::Relaxed);
    }

    /// The training shall go on elsewhere.
    pub fn interrupt(&self) {
        self.wish.fetch_max(INTERRUPTED, Ordering::Relaxed);
    }

    /// The training shall go on in another turn, as soon as this one has brought it further.
    pub fn pause(&self) {
        self.wish.fetch_max(PAUSED, Ordering::Relaxed);
    }

    /// An error once the training shall stop, wherever it is.
    pub fn check(&self) -> Result<(), Stop> {
        match self.wish.load(Ordering::Relaxed) {
            CANCELLED => Err(Stop::Cancelled),
            INTERRUPTED => Err(Stop::Interrupted),
            _ => Ok(()),
        }
    }

    /// Whether the training shall go on in another turn.
    pub fn is_paused(&self) -> bool {
        self.wish.load(Ordering::Relaxed) == PAUSED
    }

    /// Whether the user no longer wants the training.
    pub fn is_cancelled(&self) -> bool {
        self.wish.load(Ordering::Relaxed) == CANCELLED
    }

    /// The first step of this turn is about to be made.
    pub fn begins(&self) {
        self.began.get_or_init(Instant::now);
    }

    /// Whether steps have been made for so long in this turn.
    pub fn has_trained_for(&self, time: Duration) -> bool {
        self.began
            .get()
            .is_some_and(|began| began.elapsed() >= time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancellation_wins() {
        let control = Control::default();
        assert_eq!(control.check(), Ok(()));
        control.pause();
        assert_eq!(control.check(), Ok(()));
        assert!(control.is_paused());
        control.clone().interrupt();
        assert_eq!(control.check(), Err(Stop::Interrupted));
        control.cancel();
        control.interrupt();
        control.pause();
        assert_eq!(control.check(), Err(Stop::Cancelled));
        assert!(control.is_cancelled() && !control.is_paused());
    }

    #[test]
    fn time_counts_from_the_first_step() {
        let control = Control::default();
        assert!(!control.has_trained_for(Duration::ZERO));
        control.clone().begins();
        assert!(control.has_trained_for(Duration::ZERO));
        assert!(!control.has_trained_for(Duration::from_hours(1)));
    }
}
