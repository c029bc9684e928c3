//! What a training in a function looks at between its steps: wishes, its turn, its checkpoint, the retention of its records.

use millrace_wire::event::Epoch;

use crate::attempts::Attempts;
use crate::checkpoint::Checkpoint;
use crate::control::Control;
use crate::failure::Stop;
use crate::keeper::Keeper;
use crate::report::Report;
use crate::retention::Retention;
use crate::trainer::Watch;

/// Looks on while a training runs.
pub struct Watching<'a> {
    /// The wish that it stop.
    pub control: &'a Control,
    /// Where its epochs are told.
    pub report: &'a Report,
    /// Whether it is still this process's.
    pub attempts: Attempts<'a>,
    /// Its checkpoint.
    pub keeper: Keeper<'a>,
    /// How long its records are there.
    pub retention: Retention<'a>,
    /// Whether it has come further in this turn.
    pub has_trained: bool,
}

impl Watch for Watching<'_> {
    fn check(&self) -> Result<(), Stop> {
        self.control.check()?;
        // Each turn brings the training further; one that can't be kept is not tried again at once.
        let may_pause = self.has_trained && self.keeper.may_try();
        if self.control.is_paused() && may_pause {
            return Err(Stop::Paused);
        }
        Ok(())
    }

    fn trained(&mut self, records: usize) {
        self.has_trained = true;
        self.retention.trained(records as u64);
    }

    fn epoch(&mut self, epoch: &Epoch) {
        self.report.epoch(epoch);
    }

    fn wants_checkpoint(&self) -> bool {
        self.keeper.is_due()
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<bool, Stop> {
        self.attempts.check_held()?;
        Ok(self.keeper.save(checkpoint))
    }
}
