//! Waiting for Kafka: as long as it takes, said aloud, and given up only when
//! the training shall stop.

use std::cell::Cell;
use std::time::{Duration, Instant};

use millrace_kafka::Error;

use crate::control::Control;
use crate::failure::{Failure, Stop};
use crate::report::Report;

/// How often a waiting training looks whether it shall stop.
const GLANCE: Duration = Duration::from_millis(50);
/// How long nothing may happen before the training says that it waits.
const SILENCE: Duration = Duration::from_secs(5);

/// The patience of one training.
pub struct Patience<'a> {
    control: &'a Control,
    report: &'a Report,
    /// When something last went on.
    alive: Cell<Instant>,
    /// Whether the present wait has been told.
    is_told: Cell<bool>,
}

impl<'a> Patience<'a> {
    /// Waits on behalf of a training.
    pub fn new(control: &'a Control, report: &'a Report) -> Self {
        Self {
            control,
            report,
            alive: Cell::new(Instant::now()),
            is_told: Cell::new(false),
        }
    }

    /// An error once the training shall stop.
    pub fn check(&self) -> Result<(), Stop> {
        self.control.check()
    }

    /// Something went on.
    pub fn is_alive(&self) {
        self.alive.set(Instant::now());
        self.is_told.set(false);
    }

    /// Nothing went on; says so once that has lasted.
    pub fn is_silent(&self, reason: impl FnOnce() -> String) {
        if self.alive.get().elapsed() > SILENCE && !self.is_told.replace(true) {
            self.report.waiting(reason());
        }
    }

    /// Does `attempt` again and again until it succeeds or fails for good.
    pub fn until<T>(
        &self,
        doing: &str,
        mut attempt: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Stop> {
        loop {
            self.check()?;
            match attempt() {
                Ok(result) => {
                    self.is_alive();
                    return Ok(result);
                }
                Err(error) => self.wait_after(doing, &error, Duration::from_millis(500))?,
            }
        }
    }

    /// Pauses after an error that may pass; any other ends the training.
    pub fn wait_after(&self, doing: &str, error: &Error, pause: Duration) -> Result<(), Stop> {
        if !error.is_retriable() {
            return Err(Failure::kafka(error).into());
        }
        if !self.is_told.replace(true) {
            self.report
                .waiting(format!("it can't {doing} yet: {error}"));
        }
        self.pause(pause)
    }

    /// Waits so long, unless the training shall stop.
    pub fn pause(&self, pause: Duration) -> Result<(), Stop> {
        let end = Instant::now() + pause;
        while Instant::now() < end {
            self.check()?;
            std::thread::sleep(GLANCE);
        }
        self.check()
    }
}
