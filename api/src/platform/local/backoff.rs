//! How long to wait before a function is started again.

use std::time::Duration;

/// A function that lived so long was healthy: what it dies of now is another trouble.
const HEALTHY: Duration = Duration::from_mins(1);

/// The bounds of the pauses.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// Before the first new start.
    pub first: Duration,
    /// Before any.
    pub longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}

/// Pauses that double, up to the longest.
#[derive(Debug)]
pub(super) struct Backoff {
    pauses: Pauses,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(pauses: Pauses) -> Self {
        Self {
            pauses,
            next: pauses.first,
        }
    }

    /// The pause after a life of this length. `random`, from 0 to 1, spreads it by a quarter to
    /// either side, so that functions which died together do not come back together.
    pub(super) fn pause(&mut self, lived: Duration, random: f64) -> Duration {
        if lived >= HEALTHY {
            self.next = self.pauses.first;
        }
        let pause = self.next;
        self.next = (pause * 2).min(self.pauses.longest);
        spread(pause, random)
    }

    /// The longest pause, for what a new start cannot mend soon.
    pub(super) fn longest(&mut self, random: f64) -> Duration {
        self.next = self.pauses.longest;
        spread(self.pauses.longest, random)
    }
}

fn spread(pause: Duration, random: f64) -> Duration {
    pause.mul_f64(0.75 + random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: f64 = 0.5;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let mut backoff = Backoff::new(Pauses {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(5),
        });
        let seconds: Vec<u64> = (0..5)
            .map(|_| backoff.pause(Duration::ZERO, MIDDLE).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 5, 5]);
    }

    #[test]
    fn a_healthy_life_starts_over() {
        let mut backoff = Backoff::new(Pauses::default());
        assert_eq!(backoff.longest(MIDDLE), Pauses::default().longest);
        assert_eq!(
            backoff.pause(Duration::ZERO, MIDDLE),
            Pauses::default().longest
        );
        assert_eq!(backoff.pause(HEALTHY, MIDDLE), Pauses::default().first);
    }

    #[test]
    fn a_quarter_to_either_side() {
        let pauses = Pauses::default();
        assert_eq!(
            Backoff::new(pauses).pause(Duration::ZERO, 0.0),
            pauses.first.mul_f64(0.75)
        );
        assert_eq!(
            Backoff::new(pauses).pause(Duration::ZERO, 1.0),
            pauses.first.mul_f64(1.25)
        );
    }
}
