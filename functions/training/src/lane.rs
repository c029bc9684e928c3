//! The commands of one partition, in order.
//!
//! One training of a lane runs at a time. A command is done once its training
//! has ended, or goes on by a later command, and all before it are done; only
//! then its offset may be committed.

use std::collections::VecDeque;

use millrace_wire::command::Action;
use millrace_wire::training::TrainingSpec;
use uuid::Uuid;

use crate::control::Control;
use crate::turn::Begin;

/// What is to be done for a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Run the training.
    Train(Box<TrainingSpec>, Begin),
    /// Report that the command can't be read.
    Refuse(String),
    /// Report that the training is cancelled, which never began or was lost.
    Cancel,
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
}

impl Lane {
    /// Takes in the command at `offset`, whose key names `training`.
    pub fn accept(&mut self, offset: i64, training: Uuid, command: Result<Action, String>) {
        let control = Control::default();
        let work = match command {
            Ok(Action::Start { training: spec }) => {
                // A command may come twice, its training runs once.
                let is_repeat = self.open().any(|entry| entry.training == training);
                (!is_repeat).then_some(Work::Train(spec, Begin::Anywhere))
            }
            Ok(Action::Continue { training: spec }) => {
                if self.replace(training) {
                    control.cancel();
                }
                Some(Work::Train(spec, Begin::AtCheckpoint))
            }
            Ok(Action::Cancel { id }) => {
                let mut is_known = false;
                for entry in self.open().filter(|entry| entry.training == id) {
                    entry.control.cancel();
                    is_known = true;
                }
                // Kafka may have lost the command that began it: nobody else would say the word
                // that its end waits for. For one that has ended it comes too late and means nothing.
                (!is_known).then_some(Work::Cancel)
            }
            Err(reason) => Some(Work::Refuse(reason)),
        };
        self.push(offset, training, work, control);
    }

    /// Takes in a record at `offset` that asks for nothing.
    pub fn skip(&mut self, offset: i64) {
        self.push(offset, Uuid::nil(), None, Control::default());
    }

    fn push(&mut self, offset: i64, training: Uuid, work: Option<Work>, control: Control) {
        self.entries.push_back(Entry {
            offset,
            training,
            work,
            control,
        });
    }

    /// A training's next turn takes the place of one that waits: a process that dies before it commits leaves the command
    /// behind by which it had begun, and both ask for the same. Returns whether the training was cancelled.
    fn replace(&mut self, training: Uuid) -> bool {
        let mut is_cancelled = false;
        let mut is_first = true;
        for entry in self.entries.iter_mut().filter(|entry| entry.work.is_some()) {
            // What runs has asked for the next turn, and is about to end.
            let runs = self.is_running && std::mem::take(&mut is_first);
            if entry.training == training {
                is_cancelled |= entry.control.is_cancelled() || entry.work == Some(Work::Cancel);
                if !runs {
                    entry.work = None;
                }
            }
        }
        is_cancelled
    }

    /// Whether a command waits behind the one under way.
    pub fn has_others(&self) -> bool {
        self.is_running && self.open().nth(1).is_some()
    }

    /// The next work, where none is under way and it `may` begin. It must be ended.
    pub fn begin(&mut self, may: impl Fn(Uuid) -> bool) -> Option<(Uuid, Work, Control)> {
        if self.is_running {
            return None;
        }
        let entry = self.open().next().filter(|entry| may(entry.training))?;
        let begun = (entry.training, entry.work.clone()?, entry.control.clone());
        self.is_running = true;
        Some(begun)
    }

    /// The training under way goes on by another command. A cancellation that came too late for it was meant for the whole
    /// training: the work begins once more then, and ends.
    pub fn hand_over(&mut self) {
        if self
            .open()
            .next()
            .is_some_and(|entry| entry.control.is_cancelled())
        {
            self.is_running = false;
        } else {
            self.end();
        }
    }

    /// The work under way has ended.
    pub fn end(&mut self) {
        self.is_running = false;
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.work.is_some()) {
            entry.work = None;
        }
    }

    /// A training has ended elsewhere: here it need not begin.
    pub fn forget(&mut self, training: Uuid) {
        let waiting = self.entries.iter_mut().filter(|entry| entry.work.is_some());
        for entry in waiting.skip(usize::from(self.is_running)) {
            if entry.training == training {
                entry.work = None;
            }
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
        let (first, _, _) = lane.begin(|_| true).unwrap();
        assert_eq!(first, Uuid::from_u128(1));
        assert!(lane.begin(|_| true).is_none());
        assert_eq!(lane.done(), None);
        lane.end();
        assert_eq!(lane.done(), Some(6));
        let (second, _, _) = lane.begin(|_| true).unwrap();
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
        let (_, _, running) = lane.begin(|_| true).unwrap();
        accept(&mut lane, 7, 1, cancel(1));
        accept(&mut lane, 8, 2, cancel(2));
        assert_eq!(running.check(), Err(Stop::Cancelled));
        lane.end();
        assert_eq!(lane.done(), Some(6));
        let (_, _, waiting) = lane.begin(|_| true).unwrap();
        assert_eq!(waiting.check(), Err(Stop::Cancelled));
        lane.end();
        assert_eq!(lane.done(), Some(9), "cancellations are done with them");
        assert!(lane.begin(|_| true).is_none());
    }

    #[test]
    fn the_cancellation_of_an_unknown_training_is_answered() {
        let mut lane = Lane::default();
        accept(&mut lane, 5, 1, cancel(1));
        assert_eq!(lane.done(), None);
        let (id, work, _) = lane.begin(|_| true).unwrap();
        assert_eq!((id, work), (Uuid::from_u128(1), Work::Cancel));
        lane.end();
        assert_eq!(lane.done(), Some(6));
    }

    #[test]
    fn a_repeated_command_runs_once() {
        let mut lane = Lane::default();
        accept(&mut lane, 5, 1, start(1));
        accept(&mut lane, 6, 1, start(1));
        lane.begin(|_| true).unwrap();
        lane.end();
        assert_eq!(lane.done(), Some(7));
    }

    #[test]
    fn what_ends_elsewhere_does_not_begin_here() {
        let mut lane = Lane::default();
        accept(&mut lane, 5, 1, start(1));
        accept(&mut lane, 6, 2, start(2));
        assert!(lane.begin(|id| id != Uuid::from_u128(1)).is_none());
        lane.forget(Uuid::from_u128(1));
        lane.skip(7);
        assert_eq!(lane.done(), Some(6));
        let (id, _, _) = lane.begin(|_| true).unwrap();
        assert_eq!(id, Uuid::from_u128(2));
        lane.forget(id);
        assert_eq!(lane.done(), Some(6), "what runs here ends here");
        lane.end();
        assert_eq!(lane.done(), Some(8));
    }

    fn again(id: u128) -> Action {
        let training = Box::new(spec(Uuid::from_u128(id)));
        Action::Continue { training }
    }

    #[test]
    fn trainings_take_turns() {
        let mut lane = Lane::default();
        accept(&mut lane, 5, 1, start(1));
        lane.begin(|_| true).unwrap();
        assert!(!lane.has_others());
        accept(&mut lane, 6, 2, start(2));
        assert!(lane.has_others());
        // The command may be read before the end of what has sent it is seen.
        accept(&mut lane, 7, 1, again(1));
        lane.hand_over();
        assert_eq!(lane.done(), Some(6));
        let (second, _, _) = lane.begin(|_| true).unwrap();
        assert_eq!(second, Uuid::from_u128(2));
        lane.end();
        let (first, work, _) = lane.begin(|_| true).unwrap();
        assert_eq!(first, Uuid::from_u128(1));
        assert!(matches!(work, Work::Train(_, Begin::AtCheckpoint)));
        assert!(!lane.has_others());
    }

    /// As a process finds it that takes over from one which died before it could commit.
    #[test]
    fn of_several_turns_the_last_one_counts() {
        let mut lane = Lane::default();
        accept(&mut lane, 5, 1, start(1));
        accept(&mut lane, 6, 2, start(2));
        accept(&mut lane, 7, 1, again(1));
        let (first, _, _) = lane.begin(|_| true).unwrap();
        assert_eq!(first, Uuid::from_u128(2));
        accept(&mut lane, 8, 1, again(1));
        lane.end();
        assert_eq!(lane.done(), Some(8), "both commands before it are done");
        let (second, _, _) = lane.begin(|_| true).unwrap();
        assert_eq!(second, Uuid::from_u128(1));
        lane.end();
        assert_eq!(lane.done(), Some(9));
    }

    #[test]
    fn a_cancellation_is_not_lost_between_two_turns() {
        // It is read while the training waits for its turn.
        let mut lane = Lane::default();
        accept(&mut lane, 5, 1, again(1));
        accept(&mut lane, 6, 1, cancel(1));
        accept(&mut lane, 7, 1, again(1));
        let (_, _, control) = lane.begin(|_| true).unwrap();
        assert!(control.is_cancelled());
        lane.end();
        assert_eq!(lane.done(), Some(8));
        // It is read when the training has just asked for its next turn.
        let mut lane = Lane::default();
        accept(&mut lane, 5, 1, start(1));
        lane.begin(|_| true).unwrap();
        accept(&mut lane, 6, 1, cancel(1));
        lane.hand_over();
        assert_eq!(lane.done(), None);
        let (_, _, control) = lane.begin(|_| true).unwrap();
        assert!(control.is_cancelled());
        accept(&mut lane, 7, 1, again(1));
        lane.end();
        let (_, _, control) = lane.begin(|_| true).unwrap();
        assert!(control.is_cancelled());
        // It is read after the end of the turn, and before the command of the next one.
        let mut lane = Lane::default();
        accept(&mut lane, 5, 1, cancel(1));
        accept(&mut lane, 6, 1, again(1));
        let (_, work, control) = lane.begin(|_| true).unwrap();
        assert!(matches!(work, Work::Train(..)) && control.is_cancelled());
    }

    #[test]
    fn what_can_not_be_read_is_work_too() {
        let mut lane = Lane::default();
        lane.accept(5, Uuid::from_u128(1), Err("newer".to_owned()));
        let (id, work, _) = lane.begin(|_| true).unwrap();
        assert_eq!(id, Uuid::from_u128(1));
        assert_eq!(work, Work::Refuse("newer".to_owned()));
        assert_eq!(lane.done(), None);
        lane.end();
        assert_eq!(lane.done(), Some(6));
    }
}
