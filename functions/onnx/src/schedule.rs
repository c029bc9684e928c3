//! Learning rates over time. The step graph takes the rate as an input: here is what to feed it.
//!
//! Everything is a function of the number of the step, from 1, so that a training which goes on from a checkpoint goes on
//! with the right rate. Only [`Plateau`] remembers, and what it remembers is plain data.

use crate::Error;

/// How a learning rate changes from step to step. Steps are those of the step graph, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// lr, always.
    Constant,
    /// lr · γ^⌊t / n⌋ with t steps done.
    Step {
        /// After how many steps the rate drops, n, at least 1.
        every: u64,
        /// What it is multiplied by, γ, more than 0 and at most 1.
        factor: f64,
    },
    /// lr · γ^(t / n) with t steps done.
    Exponential {
        /// How many steps it takes until the rate is multiplied once, n, at least 1.
        every: u64,
        /// By what, γ, more than 0 and at most 1.
        factor: f64,
    },
    /// Half a period of a cosine, from lr down to a smallest rate, where it stays (Loshchilov and Hutter 2017, "SGDR:
    /// Stochastic Gradient Descent with Warm Restarts", equation 5): least + (lr − least) (1 + cos(π t / n)) / 2.
    Cosine {
        /// How many steps it takes, n, at least 1.
        steps: u64,
        /// The share of lr that is left at the end, least / lr, from 0 to 1.
        least: f64,
    },
}

impl Schedule {
    /// Refuses numbers outside their ranges.
    ///
    /// # Errors
    /// [`Error::Request`] says which.
    pub fn check(&self) -> Result<(), Error> {
        let (steps, name, share, smallest) = match *self {
            Self::Constant => return Ok(()),
            Self::Step { every, factor } | Self::Exponential { every, factor } => {
                (every, "the factor", factor, f64::MIN_POSITIVE)
            }
            Self::Cosine { steps, least } => (steps, "the smallest share", least, 0.0),
        };
        if steps == 0 {
            return Err(Error::request(
                "a schedule takes at least 1 step to change the learning rate",
            ));
        }
        checked_share(name, share, smallest)
    }

    /// The learning rate of a step, from 1, where `rate` is that of the first.
    #[must_use]
    pub fn rate(&self, rate: f64, step: u64) -> f64 {
        let done = step.saturating_sub(1);
        match *self {
            Self::Constant => rate,
            Self::Step { every, factor } => rate * factor.powf((done / every.max(1)) as f64),
            Self::Exponential { every, factor } => {
                rate * factor.powf(done as f64 / every.max(1) as f64)
            }
            Self::Cosine { steps, least } => {
                let part = (done as f64 / steps.max(1) as f64).min(1.0);
                let wave = f64::midpoint(1.0, (std::f64::consts::PI * part).cos());
                rate * (least + (1.0 - least) * wave)
            }
        }
    }
}

/// A schedule that begins with a warm-up (Goyal et al. 2017, "Accurate, Large Minibatch SGD", section 2.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// The full rate.
    pub rate: f64,
    /// Over so many steps the rate grows evenly, from rate / n in the first to the full one in the n-th; the schedule
    /// begins behind them.
    pub warm_up: u64,
    /// How it goes on.
    pub schedule: Schedule,
}

impl Rates {
    /// Refuses numbers outside their ranges.
    ///
    /// # Errors
    /// [`Error::Request`] says which.
    pub fn check(&self) -> Result<(), Error> {
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            return Err(Error::request(format!(
                "the learning rate is {}, and must be more than 0",
                self.rate
            )));
        }
        self.schedule.check()
    }

    /// The learning rate of a step, from 1.
    #[must_use]
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warm_up {
            return self.rate * step as f64 / self.warm_up as f64;
        }
        // The last step of the warm-up has the full rate, and so has the first one behind it.
        self.schedule
            .rate(self.rate, step.saturating_sub(self.warm_up))
    }
}

/// Reduces the learning rate when what is watched no longer gets smaller, as `ReduceLROnPlateau` of Keras and PyTorch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// What the rate is multiplied by, more than 0 and less than 1.
    pub factor: f64,
    /// After how many observations without an improvement, at least 1.
    pub patience: u32,
    /// By how much the best value has to fall to count as an improvement, at least 0.
    pub least_change: f64,
    /// The share of the rate below which it is not reduced, from 0 to 1.
    pub least: f64,
}

/// What a plateau remembers from observation to observation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observed {
    /// The smallest value so far.
    pub best: Option<f64>,
    /// How many observations since then.
    pub stale: u32,
    /// How often the rate was reduced.
    pub reductions: u32,
}

impl Plateau {
    /// Refuses numbers outside their ranges.
    ///
    /// # Errors
    /// [`Error::Request`] says which.
    pub fn check(&self) -> Result<(), Error> {
        if !(self.factor > 0.0 && self.factor < 1.0) {
            return Err(Error::request(format!(
                "the factor of a plateau is {}, and must be more than 0 and less than 1",
                self.factor
            )));
        }
        if self.patience == 0 {
            return Err(Error::request(
                "the patience of a plateau is 0, and must be at least 1",
            ));
        }
        if !(self.least_change >= 0.0 && self.least_change.is_finite()) {
            return Err(Error::request(format!(
                "the least change of a plateau is {}, and must be at least 0",
                self.least_change
            )));
        }
        checked_share("the smallest share", self.least, 0.0)
    }

    /// Takes note of what was reached. A value that is not a number is no improvement.
    #[must_use]
    pub fn observe(&self, observed: Observed, value: f64) -> Observed {
        let improves = match observed.best {
            None => !value.is_nan(),
            Some(best) => value < best - self.least_change,
        };
        let stale = observed.stale + 1;
        if improves {
            Observed {
                best: Some(value),
                stale: 0,
                ..observed
            }
        } else if stale >= self.patience {
            Observed {
                stale: 0,
                reductions: observed.reductions.saturating_add(1),
                ..observed
            }
        } else {
            Observed { stale, ..observed }
        }
    }

    /// What the learning rate is multiplied by.
    #[must_use]
    pub fn factor(&self, observed: Observed) -> f64 {
        let reductions = f64::from(observed.reductions);
        self.factor.powf(reductions).max(self.least)
    }
}

fn checked_share(name: &str, value: f64, smallest: f64) -> Result<(), Error> {
    if (smallest..=1.0).contains(&value) {
        return Ok(());
    }
    let limit = if smallest > 0.0 {
        "more than"
    } else {
        "at least"
    };
    Err(Error::request(format!(
        "{name} of the schedule is {value}, and must be {limit} 0 and at most 1"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_rates(schedule: Schedule, expected: &[(u64, f64)]) {
        for &(step, expected) in expected {
            let found = schedule.rate(0.8, step);
            assert!(
                (found - expected).abs() < 1e-12,
                "{schedule:?} at {step}: {found}, expected {expected}"
            );
        }
    }

    #[test]
    fn schedules_are_their_formulas() {
        assert_rates(Schedule::Constant, &[(1, 0.8), (1_000_000, 0.8)]);
        let step = Schedule::Step {
            every: 10,
            factor: 0.5,
        };
        assert_rates(
            step,
            &[(1, 0.8), (10, 0.8), (11, 0.4), (20, 0.4), (21, 0.2)],
        );
        let exponential = Schedule::Exponential {
            every: 10,
            factor: 0.25,
        };
        assert_rates(exponential, &[(1, 0.8), (6, 0.4), (11, 0.2)]);
        let cosine = Schedule::Cosine {
            steps: 100,
            least: 0.25,
        };
        let third = 0.2 + 0.6 * (1.0 + (std::f64::consts::PI / 4.0).cos()) / 2.0;
        assert_rates(
            cosine,
            &[(1, 0.8), (26, third), (51, 0.5), (101, 0.2), (500, 0.2)],
        );
    }

    #[test]
    fn a_warm_up_comes_before_the_schedule() {
        let rates = Rates {
            rate: 1.0,
            warm_up: 4,
            schedule: Schedule::Step {
                every: 2,
                factor: 0.5,
            },
        };
        let found: Vec<f64> = (1..=9).map(|step| rates.at(step)).collect();
        assert_eq!(found, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25]);
        let none = Rates {
            warm_up: 0,
            ..rates
        };
        assert_eq!(
            (1..=4).map(|step| none.at(step)).collect::<Vec<_>>(),
            [1.0, 1.0, 0.5, 0.5]
        );
    }

    #[test]
    fn a_plateau_reduces_the_rate() {
        let plateau = Plateau {
            factor: 0.5,
            patience: 2,
            least_change: 0.1,
            least: 0.3,
        };
        let mut observed = Observed::default();
        let mut factors = Vec::new();
        for value in [1.0, 0.8, 0.75, 0.71, 0.6, f64::NAN, 0.55, 0.55, 0.55, 0.4] {
            observed = plateau.observe(observed, value);
            factors.push(plateau.factor(observed));
        }
        assert_eq!(factors, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3]);
        assert_eq!(observed.best, Some(0.4));
    }

    #[test]
    fn numbers_outside_their_ranges_are_refused() {
        let step = |every, factor| Schedule::Step { every, factor }.check().is_err();
        assert!(step(0, 0.5) && step(1, 0.0) && step(1, 1.5) && step(1, f64::NAN));
        assert!(!step(1, 1.0));
        let cosine = |least| Schedule::Cosine { steps: 1, least }.check().is_err();
        assert!(cosine(-0.1) && !cosine(0.0));
        let plateau = |factor, patience, least_change, least| {
            let plateau = Plateau {
                factor,
                patience,
                least_change,
                least,
            };
            plateau.check().is_err()
        };
        assert!(!plateau(0.1, 1, 0.0, 0.0));
        assert!(plateau(1.0, 1, 0.0, 0.0) && plateau(0.1, 0, 0.0, 0.0));
        assert!(plateau(0.1, 1, -1.0, 0.0) && plateau(0.1, 1, 0.0, 2.0));
        let rates = Rates {
            rate: 0.0,
            warm_up: 0,
            schedule: Schedule::Constant,
        };
        assert!(rates.check().is_err());
    }
}
