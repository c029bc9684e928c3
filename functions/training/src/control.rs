//! The wish that a running training stop, which it looks at between two steps.
//!
//! A cancellation wins over an interruption, and neither is taken back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::failure::Stop;

const INTERRUPTED: u8 = 1;
const CANCELLED: u8 = 2;

/// Shared between a training and who watches over it.
#[derive(Debug, Clone, Default)]
pub struct Control {
    wish: Arc<AtomicU8>,
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

    /// An error once the training shall stop.
    pub fn check(&self) -> Result<(), Stop> {
        match self.wish.load(Ordering::Relaxed) {
            CANCELLED => Err(Stop::Cancelled),
            INTERRUPTED => Err(Stop::Interrupted),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancellation_wins() {
        let control = Control::default();
        assert_eq!(control.check(), Ok(()));
        control.clone().interrupt();
        assert_eq!(control.check(), Err(Stop::Interrupted));
        control.cancel();
        control.interrupt();
        assert_eq!(control.check(), Err(Stop::Cancelled));
    }
}
