//! The commands of one partition, in order.
//!
//! One training of a lane runs at a time. A command is done once its training
//! has ended and all before it are done; only then its offset may be committed.

use std::collections::VecDeque;

use millrace_wire::command::Action;
use millrace_wire::training::TrainingSpec;
use uuid::Uuid;

use crate::control::Control;

/// How many trainings that ended are remembered, to know repeated commands by.
const REMEMBERED: usize = 256;

/// What is to be done for a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Run the training.
    Train(Box<TrainingSpec>),
    /// Report that the command can't be read.
    Refuse(String),
}

struct Entry {
    offset: i64,
    training: Uuid,
    /// Nothing where the command is done.
    work: Option<Work>,
    control: Control,
}

/// The commands of one partition that are not committed yet.
#[derive(Default)]
pub struct Lane {
    entries: VecDeque<Entry>,
    is_running: bool,
    ended: VecDeque<Uuid>,
}

impl Lane {
    /// Takes in the command at `offset`, whose key names `training`.
    pub fn accept(&mut self, offset: i64, training: Uuid, command: Result<Action, String>) {
        let work = match command {
            Ok(Action::Start { training: spec }) => {
                // A command may come twice, its training runs once.
                let is_repeat = self.ended.contains(&training)
                    || self.open().any(|entry| entry.training == training);
                (!is_repeat).then_some(Work::Train(spec))
            }
            Ok(Action::Cancel { id }) => {
                for entry in self.open().filter(|entry| entry.training == id) {
                    entry.control.cancel();
                }
                None
            }
            Err(reason) => Some(Work::Refuse(reason)),
        };
        self.entries.push_back(Entry {
            offset,
            training,
            work,
            control: Control::default(),
        });
    }

    /// The next work, where none is under way. It must be ended.
    pub fn begin(&mut self) -> Option<(Uuid, Work, Control)> {
        if self.is_running {
            return None;
        }
        let entry = self.entries.iter().find(|entry| entry.work.is_some())?;
        let work = entry.work.clone()?;
        self.is_running = true;
        Some((entry.training, work, entry.control.clone()))
    }

    /// The work under way has ended; all of its commands are done.
    pub fn end(&mut self) {
        self.is_running = false;
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.work.is_some()) {
            entry.work = None;
            self.ended.push_back(entry.training);
            if self.ended.len() > REMEMBERED {
                self.ended.pop_front();
            }
        }
    }

    /// Asks the work under way to let go of its training.
    pub fn interrupt(&self) {
        for entry in self.open() {
            entry.control.interrupt();
        }
    }

    /// The offset behind the commands that are done, where that is news.
    pub fn done(&self) -> Option<i64> {
        let done = self.entries.iter().take_while(|entry| entry.work.is_none());
        done.last().map(|entry| entry.offset + 1)
    }

    /// Everything before `offset` is committed.
    pub fn committed(&mut self, offset: i64) {
        self.entries.retain(|entry| entry.offset >= offset);
    }

    fn open(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.work.is_some())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::failure::Stop;
    use crate::testing::spec;

    fn start(id: u128) -> Action {
        let training = Box::new(spec(Uuid::from_u128(id)));
        Action::Start { training }
    }

    fn cancel(id: u128) -> Action {
        let id = Uuid::from_u128(id);
        Action::Cancel { id }
    }

    fn accept(lane: &mut Lane, offset: i64, id: u128, command: Action) {
        lane.accept(offset, Uuid::from_u128(id), Ok(command));
    }

    #[test]
    fn trainings_run_one_after_another_and_are_committed_in_order() {
        let mut lane = Lane::default();
        accept(&mut lane, 5, 1, start(1));
        accept(&mut lane, 6, 2, start(2));
        let (first, _, _) = lane.begin().unwrap();
        assert_eq!(first, Uuid::from_u128(1));
        assert!(lane.begin().is_none());
        assert_eq!(lane.done(), None);
        lane.end();
        assert_eq!(lane.done(), Some(6));
        let (second, _, _) = lane.begin().unwrap();
        assert_eq!(second, Uuid::from_u128(2));
        lane.committed(6);
        assert_eq!(lane.done(), None);
        lane.end();
        assert_eq!(lane.done(), Some(7));
    }

    #[test]
    fn a_cancellation_reaches_what_runs_and_what_waits() {
        let mut lane = Lane::default();
        accept(&mut lane, 5, 1, start(1));
        accept(&mut lane, 6, 2, start(2));
        let (_, _, running) = lane.begin().unwrap();
        accept(&mut lane, 7, 1, cancel(1));
        accept(&mut lane, 8, 2, cancel(2));
        accept(&mut lane, 9, 3, cancel(3));
        assert_eq!(running.check(), Err(Stop::Cancelled));
        lane.end();
        assert_eq!(lane.done(), Some(6));
        let (_, _, waiting) = lane.begin().unwrap();
        assert_eq!(waiting.check(), Err(Stop::Cancelled));
        lane.end();
        assert_eq!(lane.done(), Some(10), "cancellations are done with them");
        assert!(lane.begin().is_none());
    }

    #[test]
    fn a_repeated_command_runs_once() {
        let mut lane = Lane::default();
        accept(&mut lane, 5, 1, start(1));
        accept(&mut lane, 6, 1, start(1));
        lane.begin().unwrap();
        lane.end();
        assert_eq!(lane.done(), Some(7));
        lane.committed(7);
        accept(&mut lane, 7, 1, start(1));
        assert!(lane.begin().is_none());
        assert_eq!(lane.done(), Some(8));
    }

    #[test]
    fn what_can_not_be_read_is_work_too() {
        let mut lane = Lane::default();
        lane.accept(5, Uuid::from_u128(1), Err("newer".to_owned()));
        let (id, work, _) = lane.begin().unwrap();
        assert_eq!(id, Uuid::from_u128(1));
        assert_eq!(work, Work::Refuse("newer".to_owned()));
        lane.interrupt();
        assert_eq!(lane.done(), None);
        lane.end();
        assert_eq!(lane.done(), Some(6));
    }
}
