//! The limit on how many records a replica answers in a second.
//!
//! Invariant: in any stretch of time it lets through no more than the rate has room for in it, and what one second has
//! room for.

use std::time::Instant;

/// What may be read now.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: f64,
    /// Records that may be read, as of `counted`.
    left: f64,
    counted: Instant,
}

impl Rate {
    /// A limit of so many records a second; none may be read at once.
    pub(super) fn new(per_second: f64, now: Instant) -> Self {
        Self {
            per_second,
            left: 0.0,
            counted: now,
        }
    }

    /// How many records may be read now.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is rounded down, and what is negative is none"
    )]
    pub(super) fn allowance(&mut self, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = now;
        // A slow rate has room for less than a record in a second.
        let most = self.per_second.max(1.0);
        self.left = (self.left + passed * self.per_second).min(most);
        self.left as usize
    }

    /// So many were read.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a batch has far fewer records than a double can count"
    )]
    pub(super) fn take(&mut self, records: usize) {
        self.left -= records as f64;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_lets_through_what_the_rate_says() {
        let start = Instant::now();
        let mut rate = Rate::new(50.0, start);
        let mut read = 0;
        for step in 0..=100 {
            let allowed = rate.allowance(start + Duration::from_millis(10 * step));
            assert!(allowed <= 1);
            rate.take(allowed);
            read += allowed;
        }
        assert!((49..=50).contains(&read), "{read}");
        // What was not used is kept for a second, and not for longer.
        assert_eq!(rate.allowance(start + Duration::from_mins(1)), 50);
    }

    #[test]
    fn a_slow_rate_lets_a_record_through_in_its_time() {
        let start = Instant::now();
        let mut rate = Rate::new(0.25, start);
        assert_eq!(rate.allowance(start + Duration::from_secs(3)), 0);
        assert_eq!(rate.allowance(start + Duration::from_secs(5)), 1);
        rate.take(1);
        assert_eq!(rate.allowance(start + Duration::from_secs(8)), 0);
    }
}
