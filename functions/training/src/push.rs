//! Commands that are brought, one at a time, by AWS Lambda or by Knative: a training runs until it has ended or until its
//! time is over, and then goes on by a command that it sends to itself.
//!
//! Invariant: a command is done only once its training has ended and said so, or goes on by a later command. Of the commands
//! of one training the last that was sent counts: where an older one comes again, it is done already.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use millrace_runtime::{Alone, Shutdown, Undone};
use millrace_wire::command::{Action, Command};
use millrace_wire::function::TrainingPool;
use millrace_wire::training::TrainingSpec;
use uuid::Uuid;

use crate::control::Control;
use crate::handler::{Handler, Outcome};
use crate::turn::Begin;

/// How long the last step of a turn, its checkpoint and the next command may take; at most one part in
/// [`SHARE`] of the time that there is.
const MARGIN: Duration = Duration::from_secs(20);
const SHARE: u32 = 4;
/// How often it is looked whether the time is over.
const GLANCE: Duration = Duration::from_millis(50);
/// How long what was reported may hold up the answer. The process may be frozen after it.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Does what commands ask for.
pub struct Push {
    handler: Handler,
    /// For how long a training makes steps in one turn; as long as there is time where it is none.
    slice: Option<Duration>,
}

impl Push {
    /// For this pool.
    pub fn new(handler: Handler, pool: &TrainingPool) -> Self {
        Self {
            handler,
            slice: pool.slice_ms.map(Duration::from_millis),
        }
    }

    /// Does what this command asks for.
    pub fn answer(&self, brought: &Alone<'_>) -> Result<(), Undone> {
        let (partition, offset) = (brought.partition, brought.offset);
        let outcome = match Command::from_json(brought.value.unwrap_or_default()) {
            Ok(command) => {
                let training = command.training_id();
                tracing::info!(training.id = %training, kafka.partition = partition, kafka.offset = offset, "a command came");
                match command.action {
                    Action::Start { training } => self.turn(&training, Begin::Anywhere, brought),
                    Action::Continue { training } => {
                        self.turn(&training, Begin::AtCheckpoint, brought)
                    }
                    Action::Cancel { id } => self.handler.cancel_between_turns(id),
                }
            }
            Err(error) => {
                if let Some(training) = named(brought.key) {
                    self.handler.refuse(training, error.to_string())
                } else {
                    tracing::error!(
                        kafka.partition = partition,
                        kafka.offset = offset,
                        "a record that is no command is skipped"
                    );
                    Outcome::Ended
                }
            }
        };
        if !self.handler.reporter.flush(LAST_WORDS) {
            tracing::warn!("what this command gave to report was not acknowledged yet");
        }
        match outcome {
            Outcome::Ended | Outcome::HandedOver => Ok(()),
            Outcome::Interrupted => Err(Undone {
                code: "interrupted",
                message: "the process ends; the training goes on when its command comes again"
                    .to_owned(),
            }),
            Outcome::TakenOver => Err(Undone {
                code: "taken-over",
                message: "another process has begun to run this training, and this one has stopped"
                    .to_owned(),
            }),
        }
    }

    /// Runs a training until its end or the end of its time.
    fn turn(&self, spec: &TrainingSpec, begin: Begin, brought: &Alone<'_>) -> Outcome {
        if self.handler.has_gone_on(spec.id, brought.offset) {
            tracing::info!(training.id = %spec.id, "the training goes on by a later command");
            return Outcome::HandedOver;
        }
        let now = Instant::now();
        let left = brought.until.saturating_duration_since(now);
        let end = now + left.saturating_sub(MARGIN.min(left / SHARE));
        let control = Control::default();
        let (working, works) = channel::<()>();
        thread::scope(|scope| {
            let (control, shutdown) = (&control, &self.handler.shutdown);
            scope.spawn(move || watch(&works, control, shutdown, end, self.slice));
            let outcome = self.handler.run(spec, begin, brought.partition, control);
            drop(working);
            outcome
        })
    }
}

/// Has a training stop when it shall, until nobody works any more.
fn watch(
    works: &Receiver<()>,
    control: &Control,
    shutdown: &Shutdown,
    end: Instant,
    slice: Option<Duration>,
) {
    while works.recv_timeout(GLANCE) == Err(RecvTimeoutError::Timeout) {
        if shutdown.is_requested() {
            control.interrupt();
        }
        let is_over = slice.is_some_and(|slice| control.has_trained_for(slice));
        if is_over || Instant::now() >= end {
            control.pause();
        }
    }
}

/// The training that a command's key names.
fn named(key: Option<&[u8]>) -> Option<Uuid> {
    std::str::from_utf8(key?).ok()?.parse().ok()
}
